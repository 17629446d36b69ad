/* salvage: finds jobs that wait for an attempt by their row and are nowhere in Redis, and puts them
 * back.
 *
 * A job that failed once has a row; if Redis then loses it (a failover to a replica that lagged, a
 * dump that was restored) the row still says that it is to run again. The same way come back jobs
 * whose redrive was cut off between row and queue. A row counts as lost when its next attempt was due grace_ms
 * ago, Redis has no live job of that id, and the row still says the same after that look: the row of a job that
 * ends is written before the job leaves Redis.
 * Of all workers one looks at a time (a key in Redis), a page of rows at a time. Loop thread only. */
#ifndef QUEUE_SALVAGE_H
#define QUEUE_SALVAGE_H

#include "queue/ledger.h"
#include "queue/producer.h"

struct salvage;
struct salvage_options {
    struct redis *redis;
    struct pg *pg;
    struct producer *producer; /* with skip_known */
    uint32_t look_ms;          /* 0: 60000, from the end of one look to the next */
    uint32_t grace_ms;         /* 0: 60000 */
    const struct log_ctx *log;
};
/* Borrows what it is given, which must outlive it. */
MUST_USE enum err salvage_new(uv_loop_t *loop, const struct salvage_options *opt,
                              struct salvage **ret, struct fault *reterr);
void salvage_start(struct salvage *s);
/* on_closed (may be NULL) runs last, after what is in flight. */
void salvage_close(struct salvage **s, void (*on_closed)(void *arg), void *arg);

#endif
