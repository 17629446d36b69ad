/* producer: puts jobs on Redis; all that arrive in one loop turn for one queue share one call.
 *
 * A job is on its ready list (or waits for its time), has a state entry and has woken somebody, or
 * nothing of it is there: one script does it. A job's id must be new, unless skip_known is set: the
 * state of a live job of that id would be overwritten.
 * Jobs with a unique key or a memory (once_ms), and where `caps` is set those of queues that have caps, are judged
 * one by one by a second script, still many a call; what it says of each is its verdict. Whether a queue has
 * caps is looked up while it is used, so that one that has none costs nothing; what is known is at most CAPS_FRESH_MS old.
 * A call that was refused before it left (ERR_UNREACHABLE/ERR_BUSY from producer_enqueue) enqueued
 * nothing. When the callback gives ERR_UNREACHABLE or ERR_TIMEOUT it is unknown whether Redis took
 * the job; with ERR_BUSY (maxmemory, a disk error, a script that hangs) it did not.
 * Loop thread only. */
#ifndef QUEUE_PRODUCER_H
#define QUEUE_PRODUCER_H

#include "queue/caps.h"
#include "queue/spec.h"

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
    const char *unique; /* its unique key; NULL or "": none */
    uint64_t unique_window_ms;
    enum unique_policy unique_policy;
    /* Not 0: for so long Redis remembers by this id what it said, and says it again, whatever became of the
     * job: however often a job of that id is enqueued, there is one. match: at most 32 bytes that have to be the same then. */
    uint64_t once_ms;
    struct slice match;
};
typedef void producer_fn(void *arg, enum err e, const struct fault *why);
enum producer_code {
    PRODUCER_TAKEN,
    PRODUCER_KEPT, /* nothing: the job that holds the key stays, it is `id` */
    PRODUCER_REPLACED, /* the job that held the key was waiting for its time: it is this one now, as `id` */
    PRODUCER_HELD,  /* refused: `id` holds the key */
    PRODUCER_FULL,  /* refused by a cap */
    PRODUCER_OTHER, /* refused: the id is remembered with another match */
};
struct producer_verdict {
    enum producer_code code;
    bool again;      /* it was said before */
    struct uuid id;  /* of the job that is there now */
    const char *cap; /* FULL: its name (caps_names), what the queue has, what it may have */
    uint64_t has, may;
    uint32_t wait_s; /* FULL: come back then */
};
/* ERR_OK: taken, kept, replaced. ERR_EXISTS: held. ERR_LIMITED: full. ERR_REJECTED: other, or Redis said no. v is
 * NULL where Redis has not judged. */
typedef void producer_verdict_fn(void *arg, enum err e, const struct producer_verdict *v,
                                 const struct fault *why);
typedef void producer_closed_fn(void *arg);
#define CAPS_FRESH_MS 1000

struct producer_options {
    size_t max_batch;         /* 0: 64 jobs a call */
    size_t max_pending;       /* 0: 20000 jobs between enqueue and callback; then ERR_BUSY */
    size_t max_pending_bytes; /* 0: 64 MiB of items, likewise */
    uint32_t deadline_ms;     /* 0: 5000 */
    bool
        caps; /* ask the queues' caps (not for jobs that somebody was promised, as retries and follow-ups) */
    bool
        skip_known; /* jobs whose id is live already are taken as enqueued (follow-ups, which may be repeated) */
    bool
        over_limit; /* maxmemory stops none: jobs that end cannot leave without their follow-ups */
};
/* Borrows redis, which must outlive it. */
MUST_USE enum err producer_new(uv_loop_t *loop, struct redis *redis,
                               const struct producer_options *opt, struct producer **ret,
                               struct fault *reterr);
/* ERR_MALFORMED: no queue or type can have this name. ERR_TOO_BIG: the item. ERR_BUSY, ERR_UNREACHABLE: not now. */
MUST_USE enum err producer_enqueue(struct producer *p, const struct producer_job *job,
                                   producer_fn *cb, void *arg);
/* The same, for who wants to know all of the verdict. */
MUST_USE enum err producer_submit(struct producer *p, const struct producer_job *job,
                                  producer_verdict_fn *cb, void *arg);
/* Waits for what is in flight. */
void producer_close(struct producer **p, producer_closed_fn *on_closed, void *arg);

#endif
