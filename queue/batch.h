/* batch: a set of jobs, and what follows when all of them have ended.
 *
 * A batch is opened with the ids of its jobs before they are enqueued (their envelopes name it);
 * each job that ends is taken off the set, once, however often it is told; whoever takes off the
 * last one enqueues what follows, under ids made from the batch's own, and closes the batch. A crash in
 * between repeats the last job's end, and with it the follow-ups, under the same ids.
 * A batch that is never finished is forgotten after BATCH_OPEN_MS, a closed one after BATCH_KEPT_MS.
 * Loop thread only. */
#ifndef QUEUE_BATCH_H
#define QUEUE_BATCH_H

#include "queue/job.h"
#include "shared/redis.h"

#define BATCH_OPEN_MS  2592000000u /* 30 days */
#define BATCH_KEPT_MS  604800000u  /* 7 days */
#define BATCH_JOBS_MAX 10000

struct batch_tally {
    uint64_t left, total;
    uint64_t succeeded, dead, cancelled, expired;
    uint64_t created_ms;
    bool closed; /* what follows was enqueued */
    enum job_priority priority;
    struct slice then; /* encoded array of follow-ups, or empty; borrowed for the call */
};
/* ERR_NOT_FOUND: no such batch (any more). tally is set with ERR_OK only. */
typedef void batch_tally_fn(void *arg, enum err e, const struct batch_tally *tally);
typedef void batch_done_fn(void *arg, enum err e);

struct batch_new {
    struct uuid id;
    const struct uuid *jobs;
    size_t n_jobs; /* 1..BATCH_JOBS_MAX */
    struct slice then;
    enum job_priority priority; /* of follow-ups that name none */
};
/* Opening the same batch again is harmless. ERR_TOO_BIG: too many jobs. */
MUST_USE enum err batch_open(struct redis *r, const struct batch_new *b, batch_done_fn *cb,
                             void *arg);
/* A job of it has ended in that state (terminal). */
MUST_USE enum err batch_end(struct redis *r, const struct uuid *batch, const struct uuid *job,
                            enum job_state state, batch_tally_fn *cb, void *arg);
MUST_USE enum err batch_close(struct redis *r, const struct uuid *batch, batch_done_fn *cb,
                              void *arg);
/* Jobs that were not taken after all do not belong to it; at most BATCH_DROP_MAX. left: how many are left. If that is
 * none nobody will tell of an end any more: enqueue a job that belongs to the batch (batch_closer_id()). */
#define BATCH_DROP_MAX 1000
typedef void batch_left_fn(void *arg, enum err e, uint64_t left);
MUST_USE enum err batch_drop(struct redis *r, const struct uuid *batch, const struct uuid *jobs,
                             size_t n, batch_left_fn *cb, void *arg);
struct uuid batch_closer_id(const struct uuid *batch);
MUST_USE enum err batch_look(struct redis *r, const struct uuid *batch, batch_tally_fn *cb,
                             void *arg);

#endif
