#include "cli/once.h"

#include <inttypes.h>

#define SLACK_MS 1000
#define FLUSH_MS 10

static const char *const url = "/v1/jobs/";

/* Of all that was asked for, but not of the id, and of a delay rather than of the time that it leads to. */
static bool take_print(struct once *o, const struct submission *job)
{
    AUTO(buf_done) struct buf text = {0};
    struct slice item = buf_slice(&job->item);
    const size_t behind = JOB_ID_OFFSET + UUID_LEN;

    buf_addf(&text, "millrace enqueue\n%s\n%d\n%" PRIu64 "\n%" PRIu64 "\n%d\n", job->queue,
             (int)job->priority, o->call->flags->delay_ms, job->unique_window_ms,
             (int)job->unique_policy);
    buf_add(&text, item.ptr + behind, item.len - behind);
    hash_sha256(buf_cstr(&text), text.len, o->idem.print);
    return !buf_failed(&text);
}

static void on_begun(void *arg, enum err e, const struct idem_told *told)
{
    struct once *o = arg;
    const char *lf;

    if (e == ERR_OK) {
        o->verdict = told->verdict;
        o->idem.begun = told->begun;
        o->idem.resumed = told->verdict == IDEM_RESUME;
        if (told->verdict <= IDEM_ANSWERED)
            o->idem.id = told->id;
        lf = told->verdict == IDEM_ANSWERED ? memchr(told->body.ptr, '\n', told->body.len)
                                            : NULL;
        if (lf != NULL)
            (void)slice_to_cstr(slice_of(told->body.ptr, (size_t)(lf - told->body.ptr)),
                                o->location, sizeof o->location);
    }
    client_answered(o->client, e);
}

/* What was answered may name the holder of a unique key instead of the job. */
static void take_location(struct once *o)
{
    struct uuid id;

    if (strncmp(o->location, url, strlen(url)) == 0 &&
        uuid_parse(slice_str(o->location + strlen(url)), &id))
        o->idem.id = id;
}

static enum cli_exit judge(struct once *o)
{
    if (o->verdict == IDEM_BUSY)
        return call_fail(o->call, CLI_FAILED,
                         "a run with this --idempotency-key is under way, or died a moment "
                         "ago; try again in a few seconds");
    if (o->verdict == IDEM_OTHER)
        return call_fail(o->call, CLI_FAILED,
                         "this --idempotency-key was used for another job");
    o->answered = o->verdict == IDEM_ANSWERED;
    if (o->answered)
        take_location(o);
    return CLI_DONE;
}

enum cli_exit once_begin(struct once *o, struct submission *job)
{
    const char *key = o->call->flags->idempotency_key;
    const struct idem_times times = {ONCE_KEEP_MS, o->call->options->timeout_ms + SLACK_MS};
    enum cli_exit code = CLI_DONE;
    enum err e;

    o->used = key != NULL;
    if (!o->used)
        return CLI_DONE;
    if (!idem_key(slice_str(key), &o->idem))
        return call_fail(o->call, CLI_USAGE,
                         "--idempotency-key: 1 to %d printable ASCII characters", IDEM_KEY_MAX);
    if (!take_print(o, job))
        return call_fail(o->call, CLI_FAILED, "%s", err_text(ERR_NOMEM));
    o->idem.id = job->id;
    e = client_wait(o->client, idem_begin(o->redis, &o->idem, &times, on_begun, o));
    code = e == ERR_OK ? judge(o) : client_redis_failed(o->client, e);
    if (code == CLI_DONE)
        submission_rename(job, &o->idem.id);
    return code;
}

void once_end(struct once *o, const struct submission *job, bool sent, bool refused)
{
    char text[sizeof o->location + 1], id[UUID_TEXT_SIZE];
    enum err flushed;

    if (!o->used || o->answered)
        return;
    (void)snprintf(text, sizeof text, "%s%s\n", url, uuid_text(&job->id, id));
    if (sent)
        idem_done(o->redis, &o->idem, 202, slice_str(text));
    else
        idem_undone(o->redis, &o->idem, refused);
    flushed = client_pause(o->client,
                           FLUSH_MS); /* so that it leaves; nothing is lost if it does not */
    (void)flushed;
}
