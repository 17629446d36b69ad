/* metrics_listener: answers every request on METRICS_LISTEN with the worker's metrics (Prometheus text).
 *
 * No HTTP server: it reads one head, answers, closes. A client has 5 seconds; at most 8 are served
 * at a time. Loop thread only. */
#ifndef WORKER_METRICS_LISTENER_H
#define WORKER_METRICS_LISTENER_H

#include <uv.h>

#include "shared/log.h"
#include "shared/metrics.h"

struct metrics_listener;
typedef void metrics_listener_closed_fn(void *arg);

/* where: a numeric host:port or [v6]:port; port 0 picks a free one, which the log names. Borrows m and log. */
MUST_USE enum err metrics_listener_new(uv_loop_t *loop, const char *where,
                                       const struct metrics *m, const struct log_ctx *log,
                                       struct metrics_listener **ret, struct fault *reterr);
/* on_closed runs last. */
void metrics_listener_close(struct metrics_listener **p, metrics_listener_closed_fn *on_closed,
                            void *arg);

#endif
