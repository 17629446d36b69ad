/* cancel: ends live jobs of one queue before their time.
 *
 * A job that waits will not run: its state says cancelled from then on, and its row is written when
 * it is claimed (at once, also when it was scheduled or waits for a retry). A job that runs is
 * stopped by its worker, which hears of it on the queue's control channel, or from its next beat
 * when that message was lost; it may end otherwise before. */
#ifndef QUEUE_CANCEL_H
#define QUEUE_CANCEL_H

#include "queue/job.h"
#include "shared/redis.h"

#define CANCEL_BATCH_MAX 64

enum cancel_answer {
    CANCEL_UNKNOWN,   /* no live job of this queue has the id */
    CANCEL_DONE,      /* it will not run (again) */
    CANCEL_REQUESTED, /* it runs, and its worker is told */
};
/* answers: one for each id, in their order; only with ERR_OK. Borrowed for the call. */
typedef void cancel_fn(void *arg, enum err e, const enum cancel_answer *answers, size_t n);
struct cancel_order {
    const char *queue;
    const struct uuid *ids; /* copied before the call returns */
    size_t n;               /* 1..CANCEL_BATCH_MAX */
};
MUST_USE enum err cancel_jobs(struct redis *r, const struct cancel_order *order, cancel_fn *cb,
                              void *arg);

#endif
