/* schedule_fire: makes the jobs of a schedule's ticks and moves it to the next one, in one script.
 *
 * The script acts only if record and tick are those that the caller has seen, so whoever comes
 * second, or again, changes nothing. ticker and schedules include this. */
#ifndef QUEUE_SCHEDULE_FIRE_H
#define QUEUE_SCHEDULE_FIRE_H

#include "queue/keys.h"
#include "queue/schedule.h"
#include "shared/redis.h"

struct schedule_fire {
    const struct schedule *s;
    struct slice job; /* the submission, as JSON */
    size_t n;         /* jobs, at most SCHEDULE_CATCH_UP_MAX */
    uint64_t tick_ms; /* what the last of them stands for */
    uint64_t due_ms;  /* the tick that is stored; 0: by hand, the ticks stay as they are */
    uint64_t next_ms; /* the tick that takes its place; 0: none */
    uint64_t missed;
    bool overlap; /* also while its last job lives */
};

struct schedule_fired {
    bool done; /* else somebody was first */
    uint64_t n, skipped;
};
struct schedule_fired schedule_fired_of(const redisReply *reply);

/* How many jobs one call should make at most; at least 1. */
size_t schedule_fire_limit(struct slice job);
/* ERR_MALFORMED: the job is none that this version knows (reterr says why); else as redis_call(). ids (may be NULL) gets
 * the ids of the n jobs. */
MUST_USE enum err schedule_fire(struct redis *r, const struct schedule_keys *keys,
                                const struct schedule_fire *f, struct uuid *ids,
                                redis_reply_fn *cb, void *arg, struct fault *reterr);

#endif
