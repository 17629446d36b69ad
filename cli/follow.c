#include "cli/follow.h"

#include <inttypes.h>

#include "cli/find_job.h"
#include "cli/job_view.h"
#include "cli/text.h"
#include "shared/clock.h"

/* Until messages tell of changes, it is looked: quick at first, because most jobs are. With them a look is a
 * precaution. */
enum { POLL_FIRST_MS = 20, POLL_LAST_MS = 500, POLL_HEARING_MS = 5000 };

struct follow {
    struct call *call;
    struct find_job find;
    const struct follow_job *job;
    struct buf shown;     /* the last line */
    enum job_state ended; /* 0: it lives */
    enum err redis_err, pg_err;
    bool late, hearing;
    char queue[JOB_NAME_MAX + 1]; /* where it lives */
};

/* Drawn over the last one on a terminal. */
static void show_line(struct follow *f, const struct buf *line)
{
    FILE *err = f->call->err;

    if (f->call->json || buf_failed(line) || slice_eq(buf_slice(line), buf_slice(&f->shown)))
        return;
    (void)fprintf(err, f->call->err_terminal ? "\r\033[K%s" : "%s\n", buf_cstr(line));
    (void)fflush(err);
    buf_clear(&f->shown);
    buf_add_slice(&f->shown, buf_slice(line));
}

static void end_line(struct follow *f)
{
    if (f->call->err_terminal && f->shown.len > 0)
        (void)fputc('\n', f->call->err);
}

static void on_live(void *arg, const struct live_job *job)
{
    struct follow *f = arg;
    AUTO(buf_done) struct buf line = {0};

    (void)snprintf(f->queue, sizeof f->queue, "%s", job->queue);
    buf_add_str(&line, job_state_name(job->state));
    if (job->attempt > 1 || job->state == JOB_RETRYING)
        buf_addf(&line, ", attempt %" PRIu32, job->attempt);
    if (job->state == JOB_RUNNING)
        buf_addf(&line, " %u %%", job->progress);
    if (job->note.len > 0) {
        buf_add_str(&line, ": ");
        text_safe(job->note, &line);
    }
    show_line(f, &line);
}

static void on_recorded(void *arg, const struct ledger_row *row,
                        const struct ledger_parts *parts)
{
    struct follow *f = arg;
    AUTO(buf_done) struct buf line = {0};

    if (!job_state_is_terminal(row->state))
        return;
    f->ended = row->state;
    buf_add_str(&line, job_state_name(row->state));
    show_line(f, &line);
    job_view_recorded(f->call, row, parts);
}

/* Gives whether it lives. */
static bool look(struct follow *f)
{
    f->redis_err = find_live(&f->find, f->job->redis);
    if (f->redis_err == ERR_NOT_FOUND)
        f->pg_err = find_recorded(&f->find, f->job->pg);
    return f->redis_err == ERR_OK || (f->redis_err == ERR_NOT_FOUND && f->pg_err == ERR_OK);
}

/* Without it, looks come often enough. */
static void hear(struct follow *f)
{
    if (f->hearing || f->queue[0] == '\0')
        return;
    f->hearing = true;
    client_hear(f->job->client, f->queue, &f->job->id);
}

/* Until it has ended, an answer failed, or the time is over. */
static void watch(struct follow *f)
{
    uint64_t end_ms = clock_now_ms() + f->job->wait_s * 1000, pause_ms = POLL_FIRST_MS;

    while (look(f) && f->ended == 0) {
        uint64_t now_ms = clock_now_ms(), step_ms;

        f->late = now_ms >= end_ms;
        if (f->late)
            return;
        hear(f);
        step_ms = client_ask_events(f->job->client) ? POLL_HEARING_MS : pause_ms;
        step_ms = step_ms < end_ms - now_ms ? step_ms : end_ms - now_ms;
        f->redis_err = client_pause(f->job->client, step_ms);
        if (f->redis_err != ERR_OK)
            return;
        pause_ms = pause_ms * 3 / 2 + 1 < POLL_LAST_MS ? pause_ms * 3 / 2 + 1 : POLL_LAST_MS;
    }
}

static enum cli_exit tell_lost(struct follow *f)
{
    struct client *c = f->job->client;

    if (f->late)
        return call_fail(f->call, CLI_FAILED, "the job has not ended after %" PRIu64 " s",
                         f->job->wait_s);
    if (f->redis_err != ERR_NOT_FOUND)
        return client_redis_failed(c, f->redis_err);
    if (f->pg_err != ERR_NOT_FOUND)
        return client_postgres_failed(c, f->pg_err);
    return call_fail(f->call, CLI_NOT_FOUND, "the job is neither queued nor recorded");
}

enum cli_exit follow_job(struct call *call, const struct follow_job *job)
{
    struct follow f = {.call = call, .job = job};
    char id[UUID_TEXT_SIZE];
    enum cli_exit code;

    f.find = (struct find_job){.client = job->client,
                               .id = job->id,
                               .on_live = on_live,
                               .on_recorded = on_recorded,
                               .arg = &f};
    watch(&f);
    end_line(&f);
    buf_done(&f.shown);
    if (f.ended != 0)
        return f.ended == JOB_SUCCEEDED ? CLI_DONE : CLI_FAILED;
    code = tell_lost(&f);
    call_note(call, "millrace job %s tells what becomes of it", uuid_text(&job->id, id));
    return code;
}
