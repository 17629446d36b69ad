/* known: is there a queue of that name? There is once it was used, or given limits. */
#ifndef QUEUE_KNOWN_H
#define QUEUE_KNOWN_H

#include "queue/keys.h"
#include "shared/redis.h"

/* Fills *ret_keys at once, and asks; what cb is told goes to known_answer(). ERR_MALFORMED: no queue can have this name. */
MUST_USE enum err known_ask(struct redis *r, const char *queue, struct queue_keys *ret_keys,
                            redis_reply_fn *cb, void *arg);
/* ERR_OK: it is known; ERR_NOT_FOUND; or as e says. */
MUST_USE enum err known_answer(enum err e, const redisReply *reply);

#endif
