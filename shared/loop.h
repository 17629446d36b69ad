/* loop: one uv loop with what every daemon needs around it: signals, drain, systemd's notify.
 *
 *     running --SIGTERM/SIGINT/loop_drain()--> draining --loop_stop()--> stopped
 *                                                 \--second SIGINT or drain_ms over--> stopped (forced)
 *
 * SIGPIPE is ignored. On the first signal on_drain runs once; the program then lets go of its
 * work and calls loop_stop(). loop_run() gives true if it stopped by itself, false if forced.
 * sd_notify (datagram to $NOTIFY_SOCKET, no libsystemd): READY=1 from loop_ready(), STOPPING=1 at
 * drain with EXTEND_TIMEOUT_USEC, WATCHDOG=1 at half of $WATCHDOG_USEC while the loop turns. */
#ifndef SHARED_LOOP_H
#define SHARED_LOOP_H

#include <uv.h>

#include "shared/err.h"

struct loop;
typedef void loop_drain_fn(void *arg);

MUST_USE enum err loop_new(struct loop **ret, struct fault *reterr);
uv_loop_t *loop_uv(struct loop *l);
void loop_on_drain(struct loop *l, uint64_t drain_ms, loop_drain_fn *fn, void *arg);
/* Tells systemd (if there is one) that the program serves. status: one line for systemctl. */
void loop_ready(struct loop *l, const char *status);
bool loop_run(struct loop *l);
void loop_drain(struct loop *l);
void loop_stop(struct loop *l);
bool loop_is_draining(const struct loop *l);
/* Closes its own handles, runs the loop until every close callback has run, frees. Gives how
 * many handles were still open that were not its own (0 in a correct program; each is logged). */
size_t loop_free(struct loop **l);

/* Runs fn once at the end of this loop turn (objects whose method is on the stack are freed so). */
typedef void loop_later_fn(void *arg);
struct loop_later {
    struct loop_later *next;
    loop_later_fn *fn;
    void *arg;
    bool queued;
};
void loop_later(struct loop *l, struct loop_later *later, loop_later_fn *fn, void *arg);

#endif
