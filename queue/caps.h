/* caps: how much may wait in a queue: jobs (ready and delayed), their memory, and for how long the
 * oldest ready one may have been ready. Kept in the queue's meta; judged by enqueue_checked.lua for
 * producers that ask for it. Retries, released and reaped jobs are never refused. */
#ifndef QUEUE_CAPS_H
#define QUEUE_CAPS_H

#include "shared/buf.h"
#include "shared/redis.h"

struct queue_caps {
    uint64_t jobs, bytes, age_ms; /* 0: no cap */
};
#define CAPS_KINDS 3
#define CAPS_MAX   1000000000000000ull /* of each: scripts count in doubles */

/* "jobs", "bytes", "age_ms": as users write them. */
extern const char *const caps_names[CAPS_KINDS];

struct caps_change {
    bool set[CAPS_KINDS];
    uint64_t value[CAPS_KINDS]; /* 0: no cap any more */
};
typedef void caps_fn(void *arg, enum err e);
/* The queue is known afterwards, whether it ever had a job or not. ERR_MALFORMED: no queue can have this name. */
MUST_USE enum err caps_change(struct redis *r, const char *queue, const struct caps_change *c,
                              caps_fn *cb, void *arg);
/* {"jobs":..,"bytes":..,"age_ms":..}; null: none. */
void caps_json(const struct queue_caps *c, struct buf *out);

/* How long a refused client had better stay away, whole seconds from 1 to CAPS_WAIT_MAX_S: over jobs must
 * leave first, of a queue from which so many leave in a second (0: nobody has seen any leave). */
#define CAPS_WAIT_MAX_S 60
uint32_t caps_wait_s(double over, double per_second);

#endif
