#include "cli/find_job.h"

static void on_live(void *arg, enum err e, const struct live_job *job)
{
    struct find_job *f = arg;

    if (e == ERR_OK)
        f->on_live(f->arg, job);
    client_answered(f->client, e);
}

enum err find_live(struct find_job *f, struct redis *redis)
{
    return client_wait(f->client, inspect_job(redis, &f->id, on_live, f));
}

static void on_recorded(void *arg, enum err e, const struct ledger_row *row,
                        const struct ledger_parts *parts)
{
    struct find_job *f = arg;

    if (e == ERR_OK)
        f->on_recorded(f->arg, row, parts);
    client_answered(f->client, e);
}

enum err find_recorded(struct find_job *f, struct pg *pg)
{
    return client_wait(f->client, ledger_job(pg, &f->id, on_recorded, f));
}
