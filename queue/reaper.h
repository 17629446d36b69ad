/* reaper: what any worker does now and then for all: gives back the jobs of the dead, moves due
 * jobs from delayed to ready, and leaves a wake token where jobs wait and none is there.
 *
 * The next due time is known after each look, so a timer stands at it (at most tick_ms away, and
 * a producer that schedules something earlier leaves a wake token whose taker looks again).
 * Silence is judged by Redis's clock. After a connection was lost, or this process was itself stopped,
 * nobody is reaped for the length of the lease: all others may have been cut off as well, and
 * come back a moment later.
 * What else is looked at per queue goes along: the beat of this worker's own consumer (consumer_ride.h), and when a
 * schedule has its next tick (ticker.h).
 * Each look is one bounded script per queue; if it was cut short by its bound it is repeated at once. */
#ifndef QUEUE_REAPER_H
#define QUEUE_REAPER_H

#include "shared/redis.h"

struct consumer;
struct reaper;
struct reaper_options {
    const char *const *queues;
    size_t n_queues;
    uint32_t tick_ms, lease_ms; /* 0: 1000, 10000 */
    const struct log_ctx *log;
    /* May be NULL. Some (or the last) of one consumer's claims were given back: the worker logs and counts it, and removes the spool of a dead one on its own host. */
    void (*on_reaped)(void *arg, const char *queue, const char *consumer, size_t jobs);
    /* May be NULL. This worker's consumer of a queue, by its place in queues, whose beat may go along with a look; NULL: there is none. */
    struct consumer *(*consumer_of)(void *arg, size_t queue);
    /* May be NULL. After a look: a schedule of that queue has its next tick in wait_ms. */
    void (*on_tick)(void *arg, size_t queue, uint64_t wait_ms);
    void *arg;
};
/* Borrows redis, which must outlive it; copies the rest. ERR_MALFORMED names the queue that cannot be. */
MUST_USE enum err reaper_new(uv_loop_t *loop, struct redis *redis,
                             const struct reaper_options *opt, struct reaper **ret,
                             struct fault *reterr);
void reaper_start(struct reaper *r);
/* on_closed (may be NULL) runs last, after what is in flight. */
void reaper_close(struct reaper **r, void (*on_closed)(void *arg), void *arg);

#endif
