/* millrace retry: runs jobs again that are dead, cancelled or expired. */
#include "cli/client.h"
#include "cli/command.h"
#include "cli/compose.h"
#include "cli/recipe_book.h"
#include "queue/redrive.h"
#include "shared/json.h"

struct retry {
    struct call *call;
    struct client *client;
    struct redrive_parts parts;
    struct redrive_result one;
    struct redrive_many_result many;
    bool has_edit;
    struct redrive_edit edit; /* points into these */
    struct buf edit_json, edit_packed;
    msgpack_zone zone;
    struct spec_fault edit_why;
};

static void on_one(void *arg, const struct redrive_result *result)
{
    struct retry *r = arg;

    r->one = *result;
    client_answered(r->client, ERR_OK);
}

static void tell_one(struct retry *r, const char *id)
{
    if (r->call->json)
        buf_addf(&r->call->text,
                 "{\"id\":\"%s\",\"state\":\"%s\",\"queue\":\"%s\",\"attempt\":%u}\n", id,
                 job_state_name(r->one.state), r->one.queue, r->one.attempt);
    else
        buf_addf(&r->call->text, "job %s is %s again (queue %s, after %u attempts)\n", id,
                 job_state_name(r->one.state), r->one.queue, r->one.attempt);
}

/* --- what is to be other ------------------------------------------------------------------------ */

static enum err parse_edit(void *arg, struct recipe_book *book)
{
    struct mp_limits limits = {
        .max_depth = JOB_DEPTH_MAX, .max_items = JOB_VALUES_MAX, .max_bytes = JOB_ITEM_MAX};
    struct retry *r = arg;
    struct fault why;
    msgpack_object root;
    enum err e;

    msgpack_zone_clear(&r->zone);
    e = mp_parse(buf_slice(&r->edit_packed), &limits, &r->zone, &root, &why);
    if (e == ERR_OK)
        return redrive_edit_parse(&root, book, &r->zone, &r->edit, &r->edit_why);
    (void)spec_fault_set(&r->edit_why, "", "%s", why.text);
    return e;
}

static enum cli_exit read_edit(struct retry *r)
{
    enum cli_exit code =
        compose_json_text(r->call, "--edit", r->call->flags->edit, &r->edit_json);
    enum err e = ERR_OK;
    struct fault why;

    if (code != CLI_DONE)
        return code;
    if (json_to_msgpack(buf_slice(&r->edit_json), JOB_DEPTH_MAX, &r->edit_packed, &why) !=
        ERR_OK)
        return call_fail(r->call, CLI_FAILED, "--edit: %s", why.text);
    code = cli_recipes_once(r->call, parse_edit, r, &e);
    if (code != CLI_DONE)
        return code;
    if (e != ERR_OK)
        return call_fail(r->call, CLI_FAILED, "--edit: %s %s", r->edit_why.pointer,
                         r->edit_why.text);
    r->has_edit = true;
    return CLI_DONE;
}

static enum cli_exit refused(struct retry *r, const char *id)
{
    if (r->one.err == ERR_MALFORMED)
        return call_fail(r->call, CLI_FAILED, "--edit: %s %s", r->one.pointer, r->one.why.text);
    if (r->one.err == ERR_NOT_FOUND)
        return call_fail(r->call, CLI_NOT_FOUND, "job %s: not found", id);
    if (r->one.err == ERR_STALE || r->one.err == ERR_BUSY)
        return call_fail(r->call, CLI_FAILED,
                         "job %s: %s; only dead, cancelled and expired jobs run again", id,
                         r->one.why.text);
    return call_fail(r->call, CLI_UNREACHABLE, "job %s: %s", id, r->one.why.text);
}

static enum cli_exit retry_one(struct retry *r, const char *text)
{
    struct uuid id;
    enum err e;

    if (!uuid_parse(slice_str(text), &id))
        return call_fail(r->call, CLI_NOT_FOUND, "job %s: not found; an id is a UUID", text);
    e = client_wait(r->client,
                    redrive_job(&r->parts, &id, r->has_edit ? &r->edit : NULL, on_one, r));
    if (e != ERR_OK)
        return client_redis_failed(r->client, e);
    if (r->one.err != ERR_OK)
        return refused(r, text);
    tell_one(r, text);
    return CLI_DONE;
}

/* Each is tried; the first failure decides the code. */
static enum cli_exit retry_each(struct retry *r)
{
    enum cli_exit code = CLI_DONE;

    for (size_t i = 0; i < r->call->n_words; i++) {
        enum cli_exit one = retry_one(r, r->call->words[i]);

        if (one == CLI_UNREACHABLE || client_gave_up(r->client))
            return one;
        if (code == CLI_DONE)
            code = one;
    }
    return code;
}

/* --- many ------------------------------------------------------------------------------------ */

static void on_many(void *arg, const struct redrive_many_result *result)
{
    struct retry *r = arg;

    r->many = *result;
    client_answered(r->client, result->n > 0 ? ERR_OK : result->err);
}

static void tell_many(struct retry *r)
{
    bool dry = r->call->flags->dry_run;

    if (r->call->json)
        buf_addf(&r->call->text, "{\"%s\":%zu,\"more\":%s}\n", dry ? "matched" : "redriven",
                 r->many.n, r->many.more ? "true" : "false");
    else
        buf_addf(&r->call->text, "%zu job%s %s%s\n", r->many.n, r->many.n == 1 ? "" : "s",
                 dry ? "would run again" : "will run again",
                 r->many.more ? "; there are more" : "");
}

static enum cli_exit retry_many(struct retry *r)
{
    const struct flags *f = r->call->flags;
    const struct redrive_many what = {
        .filter = {.queue = f->queue,
                   .type = f->type,
                   .error = f->error,
                   .state = job_state_name((enum job_state)f->state)},
        .limit = (uint32_t)f->limit,
        .per_second = (double)f->per_second,
        .dry_run = f->dry_run,
    };
    enum err e = client_wait(r->client, redrive_many(&r->parts, &what, on_many, r));

    if (e == ERR_MALFORMED)
        return call_fail(r->call, CLI_USAGE,
                         "--state is needed: dead, cancelled or expired; or name jobs by id");
    if (e != ERR_OK)
        return client_postgres_failed(r->client, e);
    tell_many(r);
    if (r->many.err == ERR_OK)
        return CLI_DONE;
    return call_fail(r->call, CLI_UNREACHABLE,
                     "not all could be put into their queues (%s); they follow by themselves "
                     "within minutes",
                     err_text(r->many.err));
}

/* --- both ------------------------------------------------------------------------------------ */

static enum cli_exit open_all(struct retry *r)
{
    enum cli_exit code = client_new(r->call, &r->client);

    if (code == CLI_DONE)
        code = client_postgres(r->client, &r->parts.pg);
    if (code == CLI_DONE)
        code = client_redis(r->client, &r->parts.redis);
    if (code == CLI_DONE)
        code = client_producer(r->client, 0, &r->parts.producer);
    return code;
}

static enum cli_exit retry(struct retry *r, bool by_filter)
{
    enum cli_exit code = r->call->flags->edit != NULL ? read_edit(r) : CLI_DONE;

    if (code == CLI_DONE)
        code = open_all(r);
    if (code == CLI_DONE)
        code = by_filter ? retry_many(r) : retry_each(r);
    client_close(&r->client);
    return code;
}

static enum cli_exit run(struct call *call)
{
    struct retry r = {.call = call};
    bool by_filter = call->flags->state != 0;
    enum cli_exit code;

    if (by_filter == (call->n_words > 0))
        return call_fail(call, CLI_USAGE,
                         "name jobs by id, or choose them with --state and other filters");
    if (by_filter && call->flags->edit != NULL)
        return call_fail(call, CLI_USAGE, "--edit is for jobs that are named by id");
    if (!msgpack_zone_init(&r.zone, 1024))
        return call_fail(call, CLI_FAILED, "%s", err_text(ERR_NOMEM));
    code = retry(&r, by_filter);
    msgpack_zone_destroy(&r.zone);
    buf_done(&r.edit_json);
    buf_done(&r.edit_packed);
    return code;
}

/* The states stand in the order of enum job_state. */
/* clang-format off */
static const struct cfg_key keys[] = {
    {"STATE",   CFG_CHOICE, FLAG_AT(state),   "any", "any|queued|scheduled|running|retrying|succeeded|dead|cancelled|expired", NULL, 0, "jobs in this state: dead, cancelled or expired"},
    {"QUEUE",   CFG_TEXT,   FLAG_AT(queue),   NULL,  NULL, NULL, 0, "only jobs of this queue"},
    {"TYPE",    CFG_TEXT,   FLAG_AT(type),    NULL,  NULL, NULL, 0, "only jobs of this type"},
    {"ERROR",   CFG_TEXT,   FLAG_AT(error),   NULL,  NULL, NULL, 0, "only jobs whose last attempt ended with this error (TIMEOUT, REJECTED, ...)"},
    {"LIMIT",   CFG_COUNT,  FLAG_AT(limit),   "1000", "1", "100000", 0, "no more than so many, the oldest first"},
    {"RATE",    CFG_COUNT,  FLAG_AT(per_second), NULL, "1", "1000000", 0, "spread them out: so many a second"},
    {"EDIT",    CFG_TEXT,   FLAG_AT(edit),    NULL,  NULL, NULL, 0, "what is to be other: a JSON object with args, queue, priority, delay_ms and so on, or @FILE, or -"},
    {"DRY_RUN", CFG_BOOL,   FLAG_AT(dry_run), "false", NULL, "true", FLAG_OPTIONAL, "only count them"},
};
/* clang-format on */

const struct command command_retry = {
    .name = "retry",
    .summary = "runs jobs again that are dead, cancelled or expired",
    .usage = "[ID ...]",
    .about = "Jobs are named by id, or chosen by --state and other filters. Each keeps its id "
             "and may be tried as often as at first; its attempts count on.",
    .flags = {.keys = keys, .n_keys = COUNT_OF(keys)},
    .max_words = 1000,
    .run = run,
};
