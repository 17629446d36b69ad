/* sweeper: now and then one of all workers sweeps the blob directory (queue/blob_sweep.h).
 *
 *     resting --timer--> asking for the turn --mine, and PostgreSQL is up--> sweeping --> resting
 *
 * Loop thread only. */
#ifndef WORKER_SWEEPER_H
#define WORKER_SWEEPER_H

#include "shared/metrics.h"
#include "shared/pg.h"
#include "shared/redis.h"

struct sweeper;
struct sweeper_options {
    struct redis *redis;  /* borrowed, as all here */
    struct pg *const *pg; /* where the daemon keeps it: NULL there once it is closed */
    const char *dir;
    uint64_t every_ms, grace_ms;
    struct metrics *metrics;
    const struct log_ctx *log;
};
MUST_USE enum err sweeper_new(uv_loop_t *loop, const struct sweeper_options *opt,
                              struct sweeper **ret, struct fault *reterr);
void sweeper_start(struct sweeper *s);
/* on_closed runs after what is in flight. */
void sweeper_close(struct sweeper **p, void (*on_closed)(void *arg), void *arg);

#endif
