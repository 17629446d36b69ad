/* share: how the free slots of a worker are shared out among its queues.
 *
 *     separate   each queue has slots of its own, whatever the others do
 *     strict     in the order in which they are named: a queue gets what those before it cannot use
 *     weighted   by weight while all have jobs; what one cannot use goes to the others. Stride: each job
 *                moves its queue's pass on by 1 / weight, and the one that is furthest behind is next, so
 *                nobody waits for ever; who had nothing to do starts where the others are. */
#ifndef WORKER_SHARE_H
#define WORKER_SHARE_H

#include "shared/base.h"

enum share_order { SHARE_SEPARATE, SHARE_STRICT, SHARE_WEIGHTED };

#define SHARE_WEIGHT_MAX 1000
#define SHARE_BATCH      64 /* a queue is given no more at once: a claim takes no more */

struct share {
    size_t bound; /* what the queue could take by itself, its claim under way not counted off */
    size_t asked; /* what that claim may bring */
    bool dry;     /* it has nothing to take, as far as is known */
    unsigned weight;
    double pass;
    size_t room; /* the answer: what it may claim, or wait for */
};

/* free: slots that nobody holds. */
void share_out(enum share_order order, struct share *shares, size_t n, size_t free);
/* The pass of a queue that brought n jobs. */
double share_pass(double pass, unsigned weight, size_t n);

#endif
