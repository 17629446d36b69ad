/* follow: the jobs that a finished one asks for in `then`.
 *
 * Their ids come from the parent's id and their place in the list, so that making them twice
 * makes the same jobs. A webhook without a body gets what came of the parent:
 *     {"job", "type", "queue", "state", "attempt", "result" | "error", "outputs"?}
 * and the event job.succeeded, job.dead, job.cancelled or job.expired. */
#ifndef WORKER_FOLLOW_H
#define WORKER_FOLLOW_H

#include "queue/spec.h"

struct follow_parent {
    const struct job *job;
    const char *queue;
    enum job_state state; /* terminal */
    uint32_t attempt;
    struct slice result;            /* encoded msgpack map, or empty */
    const char *error, *error_text; /* NULL unless it failed */
};

/* Builds the index-th follow-up. *ret_due is false when its `on` does not fit the state. id, queue and type
 * are set and item is filled (cleared first). */
struct follow_item {
    bool due;
    struct uuid id;
    char queue[JOB_NAME_MAX + 1];
    const char *type;
    struct buf item;
};
/* ERR_NOT_FOUND: no such index. */
MUST_USE enum err follow_build(const struct follow_parent *p, size_t index,
                               struct follow_item *ret, struct fault *reterr);

#endif
