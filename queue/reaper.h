/* reaper: what any worker does now and then for all: gives back the jobs of the dead, moves due
 * jobs from delayed to ready, and leaves a wake token where jobs wait and none is there.
 *
 * The next due time is known after each look, so a timer stands at it (at most tick_ms away, and
 * a producer that schedules something earlier leaves a wake token whose taker looks again).
 * Each look is one bounded script per queue; if it was cut short by its bound it is repeated at once. */
#ifndef QUEUE_REAPER_H
#define QUEUE_REAPER_H

#include "shared/redis.h"

struct reaper;
struct reaper_options {
    const char *const *queues;
    size_t n_queues;
    uint32_t tick_ms, lease_ms; /* 0: 1000, 10000 */
    const struct log_ctx *log;
    /* May be NULL. One consumer's claims were given back: the worker logs and counts it, and removes the spool of a dead one on its own host. */
    void (*on_reaped)(void *arg, const char *queue, const char *consumer, size_t jobs);
    void *arg;
};
MUST_USE enum err reaper_new(uv_loop_t *loop, struct redis *redis, const struct reaper_options *opt, struct reaper **ret, struct fault *reterr);
void reaper_start(struct reaper *r);
void reaper_close(struct reaper **r, void (*on_closed)(void *arg), void *arg);

#endif
