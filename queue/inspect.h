/* inspect: read-only looks at live jobs, queues and workers in Redis.
 *
 * Every call is bounded: nothing walks a whole queue. Callbacks' pointers are borrowed for the call. */
#ifndef QUEUE_INSPECT_H
#define QUEUE_INSPECT_H

#include "queue/caps.h"
#include "queue/job.h"
#include "queue/limits.h"
#include "shared/redis.h"

struct live_job {
    struct uuid id;
    char queue[JOB_NAME_MAX + 1];
    char type[JOB_NAME_MAX + 1]; /* "" when not known */
    enum job_state
        state; /* queued, scheduled, running, retrying; cancelled: not recorded yet */
    enum job_priority priority;
    uint32_t attempt, excused;
    uint64_t since_ms;     /* when it entered this state */
    uint64_t due_ms;       /* scheduled, retrying */
    unsigned progress;     /* 0..100 */
    struct slice note;     /* progress note, or the last error while retrying */
    struct slice consumer; /* running */
    struct slice item;     /* envelope, where it is at hand (running; lists) else empty */
};
/* ERR_NOT_FOUND: no live job of that id in any known queue. */
typedef void inspect_job_fn(void *arg, enum err e, const struct live_job *job);
MUST_USE enum err inspect_job(struct redis *r, const struct uuid *id, inspect_job_fn *cb,
                              void *arg);

/* The same for a job whose queue is known: one question to Redis. The item is left out. */
MUST_USE enum err inspect_job_in(struct redis *r, const char *queue, const struct uuid *id,
                                 inspect_job_fn *cb, void *arg);

/* The first `limit` (at most 200) jobs of one queue in that state after skipping `offset`: queued in the
 * order in which they will be claimed, scheduled and retrying by due time, running in no order. */
typedef void inspect_list_fn(void *arg, enum err e, const struct live_job *jobs, size_t n,
                             bool more);
MUST_USE enum err inspect_list(struct redis *r, const char *queue, enum job_state state,
                               size_t offset, size_t limit, inspect_list_fn *cb, void *arg);

struct queue_info {
    char name[JOB_NAME_MAX + 1];
    uint64_t ready[JOB_PRIORITIES], delayed, active, consumers;
    bool paused;
    uint64_t enqueued, claimed, settled, retried, released,
        reaped;      /* counters since the queue began */
    uint64_t parked; /* of the ready ones: they wait for their key's turn */
    struct queue_limits limits;
    struct queue_caps caps;
    uint64_t waiting_bytes,
        oldest_ms; /* memory of what waits, about; age of the oldest ready job */
};
typedef void inspect_queues_fn(void *arg, enum err e, const struct queue_info *queues,
                               size_t n);
MUST_USE enum err inspect_queues(struct redis *r, inspect_queues_fn *cb, void *arg);

/* The one of that name: n is 1; ERR_NOT_FOUND when it is not known. */
MUST_USE enum err inspect_queue(struct redis *r, const char *queue, inspect_queues_fn *cb,
                                void *arg);

struct worker_info {
    char name[128]; /* host:instance:boot */
    char queue[JOB_NAME_MAX + 1];
    char version[32];
    uint64_t started_ms, beat_ms; /* Unix ms, Redis time */
    uint32_t pid, slots, active;
    bool alive; /* beat within the lease */
};
typedef void inspect_workers_fn(void *arg, enum err e, const struct worker_info *workers,
                                size_t n);
MUST_USE enum err inspect_workers(struct redis *r, inspect_workers_fn *cb, void *arg);

/* Pause stops claims of a queue; enqueueing goes on. ERR_NOT_FOUND when the queue is not known. */
typedef void inspect_pause_fn(void *arg, enum err e);
MUST_USE enum err inspect_pause(struct redis *r, const char *queue, bool paused,
                                inspect_pause_fn *cb, void *arg);

/* Puts these limits in the place of those that the queue has; a queue that is not known begins with
 * them. Whoever waits is tried anew at once. ERR_MALFORMED: no queue can have this name. */
MUST_USE enum err inspect_set_limits(struct redis *r, const char *queue,
                                     const struct queue_limits *limits, inspect_pause_fn *cb,
                                     void *arg);

#endif
