/* keys: the names of everything that the queue keeps in Redis. No other file spells one.
 *
 *     mr:queues                    SET     names of the queues that were ever used
 *     mr:redis                     STRING  run id of the Redis whose AOF is known to be whole
 *     mr:{q}:ready:<priority>      LIST    jobs waiting; in at the left, out at the right
 *     mr:{q}:active:<consumer>     HASH    id -> priority digit and item, claimed and not settled
 *     mr:{q}:delayed               ZSET    priority digit and item, by due time in Unix ms
 *     mr:{q}:state                 HASH    id -> state value (state_codec.h)
 *     mr:{q}:consumers             ZSET    consumer, by last beat in Unix ms; 0: being reaped
 *     mr:{q}:workers               HASH    consumer -> who it is
 *     mr:{q}:wake                  LIST    at most one token
 *     mr:{q}:meta                  HASH    paused, counters, caps
 *     mr:{q}:unique:<key>          STRING  id of the job that holds the key  (these three: queue/lua/part_unique.lua)
 *     mr:{q}:holds                 HASH    id -> the key that it holds while it lives
 *     mr:{q}:once:<id>             STRING  what was said to the enqueue of an idempotent request
 *     mr:idem:<sha256>             STRING  an Idempotency-Key: its request and the answer (queue/idem.h)
 *
 * The braces are a hash tag: all keys of one queue live in one Redis Cluster slot. */
#ifndef QUEUE_KEYS_H
#define QUEUE_KEYS_H

#include "queue/job.h"

#define KEYS_QUEUES       "mr:queues"
#define KEYS_REDIS        "mr:redis"
#define KEYS_IDEM         "mr:idem:"

#define KEYS_CONSUMER_MAX 127 /* host:instance:boot */

/* What the scripts take as KEYS, in this order (queue/lua/part_keys.lua). */
enum queue_key {
    QUEUE_KEY_STATE,
    QUEUE_KEY_META,
    QUEUE_KEY_WAKE,
    QUEUE_KEY_DELAYED,
    QUEUE_KEY_CONSUMERS,
    QUEUE_KEY_WORKERS,
    QUEUE_KEY_READY, /* four, by priority */
    QUEUE_KEYS = QUEUE_KEY_READY + JOB_PRIORITIES,
};

#define QUEUE_KEY_SIZE (JOB_NAME_MAX + 24)

struct queue_keys {
    char queue[JOB_NAME_MAX + 1];
    struct slice key[QUEUE_KEYS]; /* point into text */
    struct slice active_prefix;   /* a consumer's name follows */
    char text[QUEUE_KEYS + 1][QUEUE_KEY_SIZE];
};

/* ERR_MALFORMED: no queue can have this name. *ret must not be copied or moved after. */
MUST_USE enum err keys_init(struct queue_keys *ret, const char *queue, struct fault *reterr);

#define KEYS_ACTIVE_SIZE (QUEUE_KEY_SIZE + KEYS_CONSUMER_MAX)
/* The hash of that consumer's claims, written to dst. */
struct slice keys_active(const struct queue_keys *k, const char *consumer,
                         char dst[KEYS_ACTIVE_SIZE]);

#endif
