/* inspect_sweep: asks something of every known queue, in one pipeline, by name.
 *
 * Looks at no more than SWEEP_QUEUES_MAX queues. Nobody but inspect includes this. */
#ifndef QUEUE_INSPECT_SWEEP_H
#define QUEUE_INSPECT_SWEEP_H

#include "queue/keys.h"
#include "shared/redis.h"

#define SWEEP_QUEUES_MAX 1000

struct sweep_plan {
    void *arg;
    /* Sends one command or call that answers to cb. */
    enum err (*ask)(void *arg, struct redis *r, const struct queue_keys *keys,
                    redis_reply_fn *cb, void *cb_arg);
    void (*answer)(void *arg, const char *queue, const redisReply *reply);
    /* Exactly once, last. Not ERR_OK: some answers are missing, for this reason. */
    void (*done)(void *arg, enum err e);
};
/* ERR_OK, and done() comes; or an error, and it does not. */
MUST_USE enum err sweep_start(struct redis *r, const struct sweep_plan *plan);

#endif
