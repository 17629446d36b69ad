/* keys: the names of everything that the queue keeps in Redis. No other file spells one.
 *
 *     mr:queues                    SET     names of the queues that were ever used
 *     mr:salvage                   STRING  somebody looks for lost jobs
 *     mr:sweep                     STRING  somebody sweeps the blob directory
 *     mr:redis                     STRING  run id of the Redis whose AOF is known to be whole
 *     mr:{q}:ready:<priority>      LIST    jobs waiting; in at the left, out at the right
 *     mr:{q}:active:<consumer>     HASH    id -> priority digit and item, claimed and not settled
 *     mr:{q}:delayed               ZSET    priority digit and item, by due time in Unix ms
 *     mr:{q}:state                 HASH    id -> state value (state_codec.h)
 *     mr:{q}:consumers             ZSET    consumer, by last beat in Unix ms; 0: being reaped
 *     mr:{q}:workers               HASH    consumer -> who it is
 *     mr:{q}:wake                  LIST    at most one token
 *     mr:{q}:meta                  HASH    paused, limits, caps, counters
 *     mr:{q}:cancels:<consumer>    SET     ids of its claims that are to be cancelled
 *     mr:{q}:watch                 STRING  somebody watches jobs; expires by itself
 *     mr:{q}:events                channel ids of jobs to look at again
 *     mr:{q}:control               channel ids of running jobs that are to be stopped
 *     mr:{q}:unique:<key>          STRING  id of the job that holds the key  (these three: queue/lua/part_unique.lua)
 *     mr:{q}:holds                 HASH    id -> the key that it holds while it lives
 *     mr:{q}:once:<id>             STRING  what was said to the enqueue of an idempotent request
 *     mr:idem:<sha256>             STRING  an Idempotency-Key: its request and the answer (queue/idem.h)
 *     mr:{q}:crashes               HASH    id -> how the worker died that had it (crash_notes.h)
 *     mr:{q}:schedules             HASH    name -> record (schedule.h)
 *     mr:{q}:schedules:jobs        HASH    name -> the job that it makes, as JSON
 *     mr:{q}:schedules:past        HASH    name -> what it did last, and how often
 *     mr:{q}:ticks                 ZSET    name, by its next tick in Unix ms
 *     mr:{q}:slots                 HASH    id -> key, of claims whose key is limited
 *     mr:{q}:slots:<key>           SET     those ids, by key
 *     mr:{q}:gates                 ZSET    key ('': the queue itself), by when it may be tried again, Unix ms
 *     mr:{q}:rates                 ZSET    key likewise, by when its bucket is full again, Unix us
 *     mr:{q}:parked                HASH    priority digit -> how many jobs are parked
 *     mr:{q}:parked:<digit>:<key>  LIST    jobs of a key that wait for its turn
 *
 *     mr:batch:{<id>}              HASH    a batch: counters, what follows it
 *     mr:batch:{<id>}:left         SET     ids of its jobs that have not ended
 *
 * The scripts derive those of limits, from slots to parked, from meta's (queue/lua/part_slots.lua).
 *
 * The braces are a hash tag: all keys of one queue live in one Redis Cluster slot. */
#ifndef QUEUE_KEYS_H
#define QUEUE_KEYS_H

#include "queue/job.h"

#define KEYS_QUEUES       "mr:queues"
#define KEYS_REDIS        "mr:redis"
#define KEYS_SALVAGE      "mr:salvage"
#define KEYS_SWEEP        "mr:sweep"
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

/* What the scripts of schedules take behind these (queue/lua/part_schedules.lua). */
enum schedule_key {
    SCHEDULE_KEY_RECORDS = QUEUE_KEYS,
    SCHEDULE_KEY_JOBS,
    SCHEDULE_KEY_PAST,
    SCHEDULE_KEY_TICKS,
    SCHEDULE_KEYS,
};

struct schedule_keys {
    struct queue_keys queue;
    struct slice key[SCHEDULE_KEYS]; /* point into queue and text */
    char text[SCHEDULE_KEYS - QUEUE_KEYS][QUEUE_KEY_SIZE];
};

/* As keys_init(). */
MUST_USE enum err keys_init_schedules(struct schedule_keys *ret, const char *queue,
                                      struct fault *reterr);

#define KEYS_ACTIVE_SIZE (QUEUE_KEY_SIZE + KEYS_CONSUMER_MAX)
/* The hash of that consumer's claims, written to dst. */
struct slice keys_active(const struct queue_keys *k, const char *consumer,
                         char dst[KEYS_ACTIVE_SIZE]);
/* What scripts make by themselves of the key of the states (queue/lua/part_watch.lua). */
struct slice keys_watch(const struct queue_keys *k, char dst[QUEUE_KEY_SIZE]);
struct slice keys_events(const struct queue_keys *k, char dst[QUEUE_KEY_SIZE]);
struct slice keys_control(const struct queue_keys *k, char dst[QUEUE_KEY_SIZE]);

struct slice keys_crashes(const struct queue_keys *k, char dst[QUEUE_KEY_SIZE]);

#define KEYS_BATCH      2 /* the batch, the jobs left */
#define KEYS_BATCH_SIZE (UUID_TEXT_SIZE + 24)
/* The names are written to text. */
void keys_batch(const struct uuid *id, char text[KEYS_BATCH][KEYS_BATCH_SIZE],
                struct slice ret[KEYS_BATCH]);

#endif
