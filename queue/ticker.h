/* ticker: makes the jobs of the schedules whose ticks are due, for the queues that a worker serves.
 *
 * Any number of workers may do so at once: a tick is taken in one script by whoever comes first
 * (schedule_fire.h), the others find that it is gone. After each look the next tick is known, so a timer stands at
 * it; what others change is noticed at the latest after look_ms. What was missed while
 * nobody looked is made up for as the schedule says. Time is Redis's.
 * Each look is one bounded script per queue; while ticks are due it is repeated at once.
 * Loop thread only. new -> start -> close. */
#ifndef QUEUE_TICKER_H
#define QUEUE_TICKER_H

#include "queue/schedule.h"
#include "shared/redis.h"

struct ticker;

struct ticker_event {
    const char *queue, *name;
    uint64_t jobs, missed, skipped;
    uint64_t late_ms;
    const char
        *fault; /* not NULL: it could not be done, and why; told once a minute and queue */
};
struct ticker_options {
    const char *const *queues;
    size_t n_queues;
    uint32_t look_ms;  /* 0: 1000 */
    uint32_t grace_ms; /* 0: 10000; a tick that is older was missed */
    /* May be NULL. What this ticker has done, not what others have. */
    void (*on_tick)(void *arg, const struct ticker_event *ev);
    void *arg;
};
/* Borrows redis, which must outlive it; copies the rest. ERR_MALFORMED names the queue that cannot be. */
MUST_USE enum err ticker_new(uv_loop_t *loop, struct redis *redis,
                             const struct ticker_options *opt, struct ticker **ret,
                             struct fault *reterr);
void ticker_start(struct ticker *t);
/* Somebody else has seen (reaper.h) that a queue, by its place in queues, has a tick in wait_ms. Who is told so after every change
 * needs few looks of his own. */
void ticker_expect(struct ticker *t, size_t queue, uint64_t wait_ms);
/* on_closed (may be NULL) runs last, after what is in flight. */
void ticker_close(struct ticker **p, void (*on_closed)(void *arg), void *arg);

#endif
