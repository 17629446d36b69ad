/* millrace job: everything about one job. While Redis is away a recorded, ended job is still told. */
#include "cli/command.h"
#include "cli/find_job.h"
#include "cli/job_view.h"

struct look {
    struct call *call;
    struct find_job find;
    bool unsure; /* Redis could not say whether the job lives */
    bool told;
};

static void on_live(void *arg, const struct live_job *job)
{
    struct look *l = arg;

    job_view_live(l->call, job);
    l->told = true;
}

/* A job whose row is not final lives in Redis, and what it does there is not known. */
static void on_recorded(void *arg, const struct ledger_row *row,
                        const struct ledger_parts *parts)
{
    struct look *l = arg;

    if (l->unsure && !job_state_is_terminal(row->state))
        return;
    job_view_recorded(l->call, row, parts);
    l->told = true;
}

static enum cli_exit look_live(struct look *l)
{
    struct client *c = l->find.client;
    struct redis *redis = NULL;
    enum cli_exit code = client_redis(c, &redis);
    enum err e;

    if (code != CLI_DONE)
        return code;
    e = find_live(&l->find, redis);
    return e == ERR_OK || e == ERR_NOT_FOUND ? CLI_DONE : client_redis_failed(c, e);
}

static enum cli_exit look_recorded(struct look *l)
{
    struct client *c = l->find.client;
    struct pg *pg = NULL;
    enum cli_exit code = client_postgres(c, &pg);
    enum err e;

    if (code != CLI_DONE)
        return code;
    e = find_recorded(&l->find, pg);
    return e == ERR_OK || e == ERR_NOT_FOUND ? CLI_DONE : client_postgres_failed(c, e);
}

/* Each place has a client of its own, so that one that hangs does not spoil the other. */
static enum cli_exit look_in(struct look *l, enum cli_exit (*where)(struct look *))
{
    enum cli_exit code = client_new(l->call, &l->find.client);

    if (code == CLI_DONE)
        code = where(l);
    client_close(&l->find.client);
    return code;
}

static enum cli_exit run(struct call *call)
{
    struct look l = {.call = call};
    enum cli_exit live, recorded;

    l.find = (struct find_job){.on_live = on_live, .on_recorded = on_recorded, .arg = &l};
    if (!uuid_parse(slice_str(call->words[0]), &l.find.id))
        return call_fail(call, CLI_NOT_FOUND, "job %s: not found; an id is a UUID",
                         call->words[0]);
    live = look_in(&l, look_live);
    l.unsure = live != CLI_DONE;
    if (l.told || live == CLI_FAILED)
        return live;
    recorded = look_in(&l, look_recorded);
    if (l.told || recorded != CLI_DONE)
        return recorded;
    if (l.unsure)
        return live;
    return call_fail(call, CLI_NOT_FOUND, "job %s: not found", call->words[0]);
}

const struct command command_job = {
    .name = "job",
    .summary = "tells everything about one job",
    .usage = "ID",
    .about = "A job that is queued, scheduled, running or waits for its next attempt is told "
             "as Redis knows it; one that has ended as PostgreSQL recorded it, with outputs "
             "and attempts.",
    .min_words = 1,
    .max_words = 1,
    .run = run,
};
