/* daemon: the worker put together: connections, lanes, renderers, and how it ends.
 *
 *     new --start--> serving --drain--> draining --all jobs ended or released--> closing --> on_closed
 *
 * It serves while Redis is up and the schema in PostgreSQL is the one it knows; otherwise it
 * keeps what it holds, claims nothing and says why. Loop thread only. */
#ifndef WORKER_DAEMON_H
#define WORKER_DAEMON_H

#include "shared/loop.h"
#include "worker/options.h"

struct daemon;

/* Borrows loop and opt. */
MUST_USE enum err daemon_new(struct loop *loop, const struct worker_options *opt,
                             struct daemon **ret, struct fault *reterr);
void daemon_start(struct daemon *d);
/* No new claims; running jobs may go on for drain_ms, the rest goes back to its queue; then everything is
 * closed in order. on_closed runs last. Takes *d (also one that was never started) and sets it NULL. */
void daemon_drain(struct daemon **p, uint64_t drain_ms, void (*on_closed)(void *arg),
                  void *arg);

#endif
