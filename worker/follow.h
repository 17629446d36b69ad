/* follow: the jobs that come after a finished one: its `then`, and the next link of its `chain`;
 * and after a finished batch.
 *
 * Their ids come from the parent's id and their place, so that making them twice makes the same
 * jobs. They carry the parent's id; a webhook without a body gets what came of the parent:
 *     {"job", "type", "queue", "state", "attempt", "result" | "error", "error_text"}
 * and the event job.succeeded, job.dead, job.cancelled or job.expired. A chain goes on when its job has
 * succeeded, and the next link carries what is left of it. After a batch a webhook without a body gets
 *     {"batch", "state": "succeeded" | "failed", "total", "succeeded", "dead", "cancelled", "expired"}
 * and the event batch.succeeded (all of its jobs did) or batch.failed. */
#ifndef WORKER_FOLLOW_H
#define WORKER_FOLLOW_H

#include "queue/batch.h"
#include "queue/spec.h"

struct follow_parent {
    const struct job *job;
    const char *queue;
    enum job_priority priority; /* follow-ups that name none have the same */
    enum job_state state;       /* terminal */
    uint32_t attempt;
    struct slice result;            /* encoded msgpack map, or empty */
    const char *error, *error_text; /* NULL unless it failed */
};

struct follow_item {
    bool due; /* false: how the parent ended does not ask for it; the rest is not set */
    struct uuid id;
    char queue[JOB_NAME_MAX + 1];
    const char *type;
    enum job_priority priority;
    uint64_t due_ms; /* Unix ms; 0: now */
    struct buf item; /* cleared first */
};
/* Builds what stands at that place: the entries of `then` from 0 on, then the next link of the chain.
 * ERR_NOT_FOUND: nothing is there, nor later. */
MUST_USE enum err follow_build(const struct follow_parent *p, size_t index,
                               struct follow_item *ret, struct fault *reterr);

struct follow_batch {
    struct uuid id;
    const struct batch_tally *tally;
};
/* Likewise for a batch whose jobs have all ended. */
MUST_USE enum err follow_batch_build(const struct follow_batch *b, size_t index,
                                     struct follow_item *ret, struct fault *reterr);

#endif
