/* lane: one queue that this worker serves: its consumer, its slots, and how many more it may claim.
 *
 * A lane claims what its own slots leave free. Jobs that need a renderer are few at a time
 * whatever the slots say: a lane that has ever brought one (or whose queue is the image type's own)
 * is also bound by the renderers: three jobs for two of them, so that none stands idle while a
 * result is stored, and no other worker's share is hoarded. Jobs that are known to be slow do not
 * count, up to the renderers' number and slow_waiting: there must be room to find quick ones. */
#ifndef WORKER_LANE_H
#define WORKER_LANE_H

#include "queue/consumer.h"
#include "worker/slot.h"

#define LANES_MAX 32

struct lane {
    char queue[JOB_NAME_MAX + 1];
    size_t slots;
    size_t held;       /* claimed and not ended */
    struct slot *list; /* those */
    unsigned weight;   /* share.h */
    double pass;
    bool was_dry;
    bool pixels;
    bool ready;
    struct consumer *consumer;
    struct log_ctx log;
    void *owner;
    struct counter *ended[JOB_EXPIRED + 1]; /* by state; [JOB_QUEUED]: released */
    struct histogram *wait, *run;
};

struct lane_load {
    bool closed; /* draining, wrong schema, results held back: nothing more is claimed */
    size_t renderers;
    size_t rendering;    /* jobs that hold or wait for a renderer, over all lanes */
    size_t slow;         /* of these, known to be slow */
    size_t slow_waiting; /* the option */
};

size_t lane_room(const struct lane *lane, const struct lane_load *load);
/* Parses "default,image=4,notify" or "critical:5,low:1=20" into lanes (queue, weight, slots, pixels set). */
MUST_USE enum err lanes_parse(const char *text, size_t default_slots, struct lane *lanes,
                              size_t *ret_n, struct fault *reterr);
void lane_add(struct lane *lane, struct slot *s);
void lane_remove(struct lane *lane, struct slot *s);

#endif
