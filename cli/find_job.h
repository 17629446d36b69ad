/* find_job: where a job is now: in Redis while it lives, in PostgreSQL when it has ended.
 *
 * Redis is asked first: a job's row is written before it leaves Redis, so it cannot be missed. */
#ifndef CLI_FIND_JOB_H
#define CLI_FIND_JOB_H

#include "cli/client.h"
#include "queue/job_json.h"

/* Borrowed for the call. */
typedef void find_live_fn(void *arg, const struct live_job *job);
typedef void find_recorded_fn(void *arg, const struct ledger_row *row,
                              const struct ledger_parts *parts);

struct find_job {
    struct client *client;
    struct uuid id;
    find_live_fn *on_live;
    find_recorded_fn *on_recorded;
    void *arg;
};

/* ERR_OK: it was told; ERR_NOT_FOUND; any other: no answer. */
MUST_USE enum err find_live(struct find_job *f, struct redis *redis);
MUST_USE enum err find_recorded(struct find_job *f, struct pg *pg);

#endif
