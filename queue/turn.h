/* turn: of all workers one at a time does a thing: whoever finds its key free. */
#ifndef QUEUE_TURN_H
#define QUEUE_TURN_H

#include "shared/redis.h"

/* Asks for the turn; the key is given back by time alone, keep_ms from now. key: a constant of keys.h. */
MUST_USE enum err turn_ask(struct redis *r, struct slice key, uint64_t keep_ms,
                           redis_reply_fn *cb, void *arg);
/* What the answer says. */
bool turn_is_ours(enum err e, const redisReply *reply);

#endif
