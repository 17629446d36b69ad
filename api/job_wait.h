/* job_wait: a request that waits for the end of a job, as its Prefer: wait=N asks.
 *
 * It ends when the job has ended, when the time is over (at most WAIT_MAX), when the client leaves, when
 * the API drains, or when the job is lost from sight. */
#ifndef API_JOB_WAIT_H
#define API_JOB_WAIT_H

#include "api/request.h"
#include "api/watch.h"

/* Once, later. row: how the job ended; else NULL: tell how it stands. */
typedef void job_wait_fn(void *arg, const struct ledger_row *row,
                         const struct ledger_parts *parts);

/* Gives false, and never calls, where there is no waiting: not asked for, switched off, no room. queue: where the job lives. */
bool job_wait_start(struct request *rq, const char *queue, const struct uuid *id,
                    job_wait_fn *fn, void *arg);

#endif
