/* schedule: a rule that makes jobs: what it says, how it is kept in Redis, and which ticks it has.
 *
 * A tick is a moment at which it makes a job: by a cron expression in a time zone (shared/cron.h), or
 * every so many milliseconds counted from an anchor. Who takes a tick, and when, is the ticker's (ticker.h).
 *
 * Record: a msgpack map of our own, written in this order, so that the revision stands at byte 10:
 *     v 1, rev bin 16, type, queue, cron (or ""), timezone, every_ms, anchor_ms, missed 0..2, overlap bool (may
 *     overlap), paused bool, start_ms, end_ms (0: none), created_ms, updated_ms */
#ifndef QUEUE_SCHEDULE_H
#define QUEUE_SCHEDULE_H

#include "queue/job.h"
#include "shared/cron.h"

#define SCHEDULE_REV_OFFSET   10
#define SCHEDULE_EVERY_MIN_MS 1000u
#define SCHEDULE_EVERY_MAX_MS 31536000000u /* a year */
#define SCHEDULE_CATCH_UP_MAX 100          /* of missed ticks that become jobs */
#define SCHEDULE_COUNT_MAX    1000         /* of ticks counted in one gap */

/* What becomes of ticks that nobody took in time. */
enum schedule_missed {
    SCHEDULE_MISSED_SKIP, /* nothing */
    SCHEDULE_MISSED_ONE,  /* one job for all of them */
    SCHEDULE_MISSED_ALL,  /* a job each, the last SCHEDULE_CATCH_UP_MAX */
};
const char *schedule_missed_name(enum schedule_missed m); /* "skip" "one" "all" */

struct schedule {
    char name[JOB_NAME_MAX + 1], queue[JOB_NAME_MAX + 1];
    char type[JOB_NAME_MAX + 1];  /* of its jobs */
    char cron[CRON_TEXT_MAX + 1]; /* "": every_ms counts */
    char timezone[TZ_NAME_MAX + 1];
    uint64_t every_ms, anchor_ms;
    enum schedule_missed missed;
    bool overlap; /* may make a job while its last one lives */
    bool paused;
    uint64_t start_ms, end_ms; /* no tick before, none after; 0: no bound */
    uint64_t created_ms, updated_ms;
    struct uuid rev; /* new with every change */
};

void schedule_encode(const struct schedule *s, struct buf *out);
/* Everything but the name. */
MUST_USE enum err schedule_decode(struct slice record, struct schedule *ret,
                                  struct fault *reterr);
/* Whether both have the same ticks, anchor apart. */
bool schedule_ticks_alike(const struct schedule *a, const struct schedule *b);

/* --- ticks ----------------------------------------------------------------------------------- */

/* What the ticks are computed from; holds a time zone. */
struct schedule_clock {
    const struct schedule *s; /* borrowed */
    struct cron cron;
    struct tz *tz;
};
/* The errors of cron_parse() and tz_load(). */
MUST_USE enum err schedule_clock_init(struct schedule_clock *c, const struct schedule *s,
                                      struct fault *reterr);
void schedule_clock_done(struct schedule_clock *c);
/* The first tick after that time, pause or not; 0: none. */
uint64_t schedule_next(const struct schedule_clock *c, uint64_t after_ms);

/* What to do about a tick that is due: ticks[0..n) become jobs, in this order; missed many do not. */
struct schedule_plan {
    uint64_t ticks[SCHEDULE_CATCH_UP_MAX];
    size_t n;
    uint64_t missed;  /* counted up to SCHEDULE_COUNT_MAX */
    uint64_t next_ms; /* the first tick after now; 0: none */
};
/* due_ms: the tick that is stored, not after now_ms. The last tick that is due was taken in time unless it is older than grace_ms;
 * every one before it was missed. Without overlap, ALL means ONE. */
void schedule_plan(const struct schedule_clock *c, uint64_t due_ms, uint64_t now_ms,
                   uint64_t grace_ms, struct schedule_plan *ret);

/* --- what it did ----------------------------------------------------------------------------- */

/* As queue/lua/schedule_fire.lua keeps it. */
struct schedule_past {
    struct uuid job;           /* the last one; nil: none */
    uint64_t made_ms, tick_ms; /* when it was made, for which tick */
    uint64_t fired, missed, skipped;
};
/* Zeros for bytes that are none. */
struct schedule_past schedule_past_of(struct slice bytes);

#endif
