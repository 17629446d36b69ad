/* pool_metrics: what the pool counts. */
#ifndef WORKER_RENDER_POOL_METRICS_H
#define WORKER_RENDER_POOL_METRICS_H

#include "shared/err.h"
#include "shared/metrics.h"

enum pool_death {
    POOL_DEATH_TIMEOUT,
    POOL_DEATH_CANCEL,
    POOL_DEATH_CRASH,
    POOL_DEATH_BAD_REPORT,
    POOL_DEATH_START,
};
#define POOL_DEATHS (POOL_DEATH_START + 1)

struct pool_metrics {
    struct metrics *own;        /* where the caller has none */
    struct counter *orders[16]; /* by -err */
    struct counter *deaths[POOL_DEATHS];
    struct counter *spawned, *retired;
    struct gauge *busy, *idle, *waiting, *slow;
    struct histogram *wall, *cpu;
};

/* m may be NULL. Gives false without memory. */
MUST_USE bool pool_metrics_init(struct pool_metrics *pm, struct metrics *m);
void pool_metrics_done(struct pool_metrics *pm);
void pool_metrics_order(struct pool_metrics *pm, enum err e);

#endif
