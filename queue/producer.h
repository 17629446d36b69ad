/* producer: puts jobs on Redis; all that arrive in one loop turn for one queue share one call.
 *
 * A call that was refused before it left (ERR_UNREACHABLE/ERR_BUSY from producer_enqueue) enqueued
 * nothing. When the callback gives ERR_UNREACHABLE or ERR_TIMEOUT it is unknown whether Redis took the job.
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
};
typedef void producer_fn(void *arg, enum err e, const struct fault *why);
typedef void producer_closed_fn(void *arg);

struct producer_options {
    size_t max_batch;   /* 0: 64 jobs a call */
    size_t max_pending; /* 0: 20000 jobs between enqueue and callback; then ERR_BUSY */
    uint32_t deadline_ms; /* 0: 5000 */
    bool skip_known;    /* jobs whose id is live already are taken as enqueued (follow-ups, which may be repeated) */
};
/* Borrows redis, which must outlive it. */
MUST_USE enum err producer_new(uv_loop_t *loop, struct redis *redis, const struct producer_options *opt,
                               struct producer **ret, struct fault *reterr);
MUST_USE enum err producer_enqueue(struct producer *p, const struct producer_job *job, producer_fn *cb, void *arg);
/* Waits for what is in flight. */
void producer_close(struct producer **p, producer_closed_fn *on_closed, void *arg);

#endif
