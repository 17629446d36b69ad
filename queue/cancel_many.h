/* cancel_many: cancels the live jobs of a queue that are in a state, a page at a time.
 *
 * The queue moves meanwhile, so some jobs may be passed over: call again until none is found. */
#ifndef QUEUE_CANCEL_MANY_H
#define QUEUE_CANCEL_MANY_H

#include "queue/job.h"
#include "shared/redis.h"

#define CANCEL_MANY_MAX 100000

struct cancel_many {
    const char *queue;    /* borrowed until cb, as type */
    const char *type;     /* NULL: any */
    enum job_state state; /* queued, scheduled, retrying, running */
    uint32_t limit;       /* 1..CANCEL_MANY_MAX */
    bool dry_run;         /* only counted */
};
struct cancel_many_result {
    enum err err;     /* not ERR_OK: some may be done all the same */
    size_t matched;   /* that were found, cancelled ones not among them */
    size_t done;      /* will not run */
    size_t requested; /* run, and their workers were told */
    bool more;        /* the limit was reached */
};
typedef void cancel_many_fn(void *arg, const struct cancel_many_result *r);
/* ERR_MALFORMED: no queue has such a name, or no live job is in such a state. */
MUST_USE enum err cancel_many(struct redis *r, const struct cancel_many *what,
                              cancel_many_fn *cb, void *arg);

#endif
