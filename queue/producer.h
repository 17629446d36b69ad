/* producer: puts jobs on Redis; all that arrive in one loop turn for one queue share one call.
 *
 * A job is on its ready list (or waits for its time), has a state entry and has woken somebody, or
 * nothing of it is there: one script does it. A job's id must be new, unless skip_known is set: the
 * state of a live job of that id would be overwritten.
 * A call that was refused before it left (ERR_UNREACHABLE/ERR_BUSY from producer_enqueue) enqueued
 * nothing. When the callback gives ERR_UNREACHABLE or ERR_TIMEOUT it is unknown whether Redis took
 * the job; with ERR_BUSY (maxmemory, a disk error, a script that hangs) it did not.
 * Loop thread only. */
#ifndef QUEUE_PRODUCER_H
#define QUEUE_PRODUCER_H

#include "queue/job.h"
#include "shared/redis.h"

struct producer;

struct producer_job {
    const char *queue;
    enum job_priority priority;
    uint64_t due_ms; /* Unix ms; 0: now */
    struct uuid id;
    const char *type;
    struct slice item; /* encoded envelope; copied */
    /* A job that is run once more: the attempts it had, and how many of them do not count against it. 0: new. */
    uint32_t attempts_before, attempts_excused;
};
typedef void producer_fn(void *arg, enum err e, const struct fault *why);
typedef void producer_closed_fn(void *arg);

struct producer_options {
    size_t max_batch;         /* 0: 64 jobs a call */
    size_t max_pending;       /* 0: 20000 jobs between enqueue and callback; then ERR_BUSY */
    size_t max_pending_bytes; /* 0: 64 MiB of items, likewise */
    uint32_t deadline_ms;     /* 0: 5000 */
    bool
        skip_known; /* jobs whose id is live already are taken as enqueued (follow-ups, which may be repeated) */
    bool over_limit; /* maxmemory stops none: jobs that end cannot leave without their follow-ups */
};
/* Borrows redis, which must outlive it. */
MUST_USE enum err producer_new(uv_loop_t *loop, struct redis *redis,
                               const struct producer_options *opt, struct producer **ret,
                               struct fault *reterr);
/* ERR_MALFORMED: no queue or type can have this name. ERR_TOO_BIG: the item. ERR_BUSY, ERR_UNREACHABLE: not now. */
MUST_USE enum err producer_enqueue(struct producer *p, const struct producer_job *job,
                                   producer_fn *cb, void *arg);
/* Waits for what is in flight. */
void producer_close(struct producer **p, producer_closed_fn *on_closed, void *arg);

#endif
