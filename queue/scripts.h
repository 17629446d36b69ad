/* scripts: the atomic moves of the queue protocol, as Lua (queue/lua, one file a move).
 *
 * Each takes the keys of queue_keys in order (enqueue takes fewer, idem and those of batches their own);
 * what else it takes and gives stands at the head of its file. All but those that put jobs in run also when
 * Redis is at maxmemory, so that a full Redis can be drained; follow is enqueue for the follow-ups of jobs
 * that end, without which these could not leave. */
#ifndef QUEUE_SCRIPTS_H
#define QUEUE_SCRIPTS_H

#include "shared/redis.h"

enum queue_script {
    QUEUE_ENQUEUE,
    QUEUE_ENQUEUE_CHECKED,
    QUEUE_CAPS,
    QUEUE_IDEM,
    QUEUE_CLAIM,
    QUEUE_SETTLE,
    QUEUE_PROGRESS,
    QUEUE_CANCEL,
    QUEUE_REGISTER,
    QUEUE_UNREGISTER,
    QUEUE_BEAT,
    QUEUE_RECONCILE,
    QUEUE_REAP,
    QUEUE_WAKE,
    QUEUE_PAUSE,
    QUEUE_LIMITS,
    QUEUE_EXPLAIN,
    QUEUE_LIST,
    QUEUE_COUNTS,
    QUEUE_WORKERS,
    QUEUE_SCHEDULE_DUE, /* these take SCHEDULE_KEYS */
    QUEUE_SCHEDULE_FIRE,
    QUEUE_SCHEDULE_PUT,
    QUEUE_SCHEDULE_GET,
    QUEUE_SCHEDULE_REMOVE,
    QUEUE_SCHEDULE_LIST,
    QUEUE_BATCH_OPEN,
    QUEUE_BATCH_END,
    QUEUE_BATCH_CLOSE,
    QUEUE_BATCH_LOOK,
    QUEUE_BATCH_DROP,
    QUEUE_FOLLOW,
    QUEUE_SCRIPTS,
};

/* Put together and hashed at the first use; lives as long as the process. Not thread safe. */
const struct redis_script *queue_script(enum queue_script which);

/* How many jobs one call may give back; with `more` it is called again. */
#define QUEUE_GIVE_BACK "128"

#endif
