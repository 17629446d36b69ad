/* millrace cancel: ends jobs before their time: those named, one after the other, or all that fit. */
#include "cli/client.h"
#include "cli/command.h"
#include "cli/find_job.h"
#include "queue/cancel.h"
#include "queue/cancel_many.h"

#define CANCELS_MAX 1000

struct cancelling {
    struct call *call;
    struct find_job find;
    struct redis *redis;
    struct pg *pg;
    struct table table;
    char queue[JOB_NAME_MAX + 1];
    enum cancel_answer answer;
    enum job_state ended; /* 0: no row says so */
    size_t told;
    bool late, unknown;
};

static void on_live(void *arg, const struct live_job *job)
{
    struct cancelling *c = arg;

    (void)snprintf(c->queue, sizeof c->queue, "%s", job->queue);
}

static void on_recorded(void *arg, const struct ledger_row *row,
                        const struct ledger_parts *parts)
{
    struct cancelling *c = arg;

    (void)parts;
    c->ended = job_state_is_terminal(row->state) ? row->state : 0;
}

static void on_answer(void *arg, enum err e, const enum cancel_answer *answers, size_t n)
{
    struct cancelling *c = arg;

    if (e == ERR_OK && n == 1)
        c->answer = answers[0];
    client_answered(c->find.client, e);
}

static void tell(struct cancelling *c, const char *state, const char *how)
{
    char id[UUID_TEXT_SIZE];

    (void)uuid_text(&c->find.id, id);
    if (c->call->json) {
        buf_addf(&c->call->text, "%s{\"id\":\"%s\",\"state\":\"%s\",\"cancel\":\"%s\"}",
                 c->told > 0 ? "," : "", id, state, how);
    } else {
        table_add(&c->table, slice_str(id));
        table_add(&c->table, slice_str(state));
        table_add(&c->table, slice_str(how));
    }
    c->told++;
}

/* PostgreSQL is needed only for jobs that do not live. */
static enum cli_exit recall(struct cancelling *c)
{
    struct client *client = c->find.client;
    enum cli_exit code = c->pg == NULL ? client_postgres(client, &c->pg) : CLI_DONE;
    enum err e;

    if (code != CLI_DONE)
        return code;
    e = find_recorded(&c->find, c->pg);
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        return client_postgres_failed(client, e);
    if (c->ended == JOB_CANCELLED) {
        tell(c, job_state_name(c->ended), "done");
    } else if (c->ended != 0) {
        c->late = true;
        tell(c, job_state_name(c->ended), "too_late");
    } else {
        c->unknown = true;
        tell(c, "", "not_found");
    }
    return CLI_DONE;
}

static enum cli_exit cancel_one(struct cancelling *c)
{
    enum err e;

    c->queue[0] = '\0';
    c->answer = CANCEL_UNKNOWN;
    c->ended = 0;
    e = find_live(&c->find, c->redis);
    if (e == ERR_OK)
        e = client_wait(c->find.client,
                        cancel_jobs(c->redis, &(struct cancel_order){c->queue, &c->find.id, 1},
                                    on_answer, c));
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        return client_redis_failed(c->find.client, e);
    if (c->answer == CANCEL_UNKNOWN)
        return recall(c);
    if (c->answer == CANCEL_DONE)
        tell(c, job_state_name(JOB_CANCELLED), "done");
    else
        tell(c, job_state_name(JOB_RUNNING), "requested");
    return CLI_DONE;
}

static enum cli_exit cancel_all(struct cancelling *c)
{
    enum cli_exit code = client_redis(c->find.client, &c->redis);

    for (size_t i = 0; code == CLI_DONE && i < c->call->n_words; i++) {
        if (uuid_parse(slice_str(c->call->words[i]), &c->find.id))
            code = cancel_one(c);
        else
            code = call_fail(c->call, CLI_NOT_FOUND, "job %s: not found; an id is a UUID",
                             c->call->words[i]);
    }
    return code;
}

/* Also after a failure: what was done before it is told. */
static void print(struct cancelling *c)
{
    if (c->call->json)
        buf_add_str(&c->call->text, "]}\n");
    else if (c->told > 0)
        call_print_table(c->call, &c->table);
}

/* --- many ------------------------------------------------------------------------------------ */

struct many {
    struct call *call;
    struct client *client;
    struct cancel_many_result result;
};

static void on_many(void *arg, const struct cancel_many_result *result)
{
    struct many *m = arg;

    m->result = *result;
    client_answered(m->client, result->done + result->requested > 0 ? ERR_OK : result->err);
}

static void tell_many(const struct many *m)
{
    const struct cancel_many_result *r = &m->result;

    if (m->call->json)
        buf_addf(&m->call->text,
                 "{\"matched\":%zu,\"done\":%zu,\"requested\":%zu,\"more\":%s}\n", r->matched,
                 r->done, r->requested, r->more ? "true" : "false");
    else if (m->call->flags->dry_run)
        buf_addf(&m->call->text, "%zu jobs would be cancelled%s\n", r->matched,
                 r->more ? "; there are more" : "");
    else
        buf_addf(&m->call->text, "%zu jobs will not run, %zu that run are being stopped%s\n",
                 r->done, r->requested, r->more ? "; there are more" : "");
}

static enum cli_exit ask_many(struct many *m)
{
    const struct flags *f = m->call->flags;
    const struct cancel_many what = {.queue = f->queue,
                                     .type = f->type,
                                     .state = (enum job_state)f->state,
                                     .limit = (uint32_t)f->limit,
                                     .dry_run = f->dry_run};
    struct redis *redis = NULL;
    enum cli_exit code = client_redis(m->client, &redis);
    enum err e;

    if (code != CLI_DONE)
        return code;
    e = client_wait(m->client, cancel_many(redis, &what, on_many, m));
    if (e == ERR_MALFORMED)
        return call_fail(m->call, CLI_USAGE,
                         "only queued, scheduled, retrying and running jobs can be cancelled");
    if (e != ERR_OK)
        return client_redis_failed(m->client, e);
    tell_many(m);
    return CLI_DONE;
}

static enum cli_exit cancel_by_filter(struct call *call)
{
    struct many m = {.call = call};
    enum cli_exit code = client_new(call, &m.client);

    if (code == CLI_DONE)
        code = ask_many(&m);
    client_close(&m.client);
    return code;
}

static enum cli_exit cancel_named(struct call *call)
{
    static const struct table_column columns[] = {
        {"ID", false}, {"STATE", false}, {"CANCEL", false}};
    struct cancelling c = {.call = call};
    enum cli_exit code = client_new(call, &c.find.client);

    c.find.on_live = on_live;
    c.find.on_recorded = on_recorded;
    c.find.arg = &c;
    table_init(&c.table, columns, COUNT_OF(columns));
    if (call->json)
        buf_add_str(&call->text, "{\"jobs\":[");
    if (code == CLI_DONE)
        code = cancel_all(&c);
    print(&c);
    client_close(&c.find.client);
    table_done(&c.table);
    if (code == CLI_DONE && c.unknown)
        return CLI_NOT_FOUND;
    return code == CLI_DONE && c.late ? CLI_FAILED : code;
}

static enum cli_exit run(struct call *call)
{
    const struct flags *f = call->flags;
    bool by_filter = f->state != 0 && f->queue != NULL;

    if (by_filter == (call->n_words > 0) || (f->state != 0) != (f->queue != NULL))
        return call_fail(call, CLI_USAGE,
                         "name jobs by id, or choose them with --queue and --state");
    return by_filter ? cancel_by_filter(call) : cancel_named(call);
}

/* The states stand in the order of enum job_state. */
/* clang-format off */
static const struct cfg_key keys[] = {
    {"STATE",   CFG_CHOICE, FLAG_AT(state),   "any", "any|queued|scheduled|running|retrying|succeeded|dead|cancelled|expired", NULL, 0, "jobs in this state: queued, scheduled, retrying or running"},
    {"QUEUE",   CFG_TEXT,   FLAG_AT(queue),   NULL,  NULL, NULL, 0, "jobs of this queue"},
    {"TYPE",    CFG_TEXT,   FLAG_AT(type),    NULL,  NULL, NULL, 0, "only jobs of this type"},
    {"LIMIT",   CFG_COUNT,  FLAG_AT(limit),   "1000", "1", "100000", 0, "no more than so many"},
    {"DRY_RUN", CFG_BOOL,   FLAG_AT(dry_run), "false", NULL, "true", FLAG_OPTIONAL, "only count them"},
};
/* clang-format on */

const struct command command_cancel = {
    .name = "cancel",
    .summary = "ends jobs before their time",
    .usage = "[ID...]",
    .about =
        "Jobs are named by id, or chosen by --queue and --state. "
        "done: it will not run (again). requested: it runs, and its worker was told to stop "
        "it. too_late: it has ended otherwise. The exit status is 0 if all are done or "
        "requested.",
    .flags = {.keys = keys, .n_keys = COUNT_OF(keys)},
    .max_words = CANCELS_MAX,
    .run = run,
};
