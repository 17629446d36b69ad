/* loop: one uv loop with what every daemon needs around it: signals, drain, systemd's notify.
 *
 *     running --SIGTERM/SIGINT/loop_drain()--> draining --loop_stop()--> stopped
 *                                                 \--second SIGINT/SIGTERM or drain_ms over--> stopped (forced)
 *
 * SIGPIPE is ignored. On the first signal on_drain runs once; the program then lets go of its
 * work and calls loop_stop(). loop_run() gives true if it stopped by itself, false if forced.
 * sd_notify (datagram to $NOTIFY_SOCKET, no libsystemd): READY=1 from loop_ready(), STOPPING=1 at
 * drain with EXTEND_TIMEOUT_USEC, WATCHDOG=1 at half of $WATCHDOG_USEC while the loop turns.
 * One loop a process, as signals are. Loop thread only. new -> run -> free. */
#ifndef SHARED_LOOP_H
#define SHARED_LOOP_H

#include <uv.h>

#include "shared/err.h"

struct loop;
typedef void loop_drain_fn(void *arg);
typedef void loop_hangup_fn(void *arg);

MUST_USE enum err loop_new(struct loop **ret, struct fault *reterr);
uv_loop_t *loop_uv(struct loop *l);
/* fn runs at the end of a loop turn, never inside loop_drain(). drain_ms 0: no limit. Without
 * this, a drain stops the loop at once. */
void loop_on_drain(struct loop *l, uint64_t drain_ms, loop_drain_fn *fn, void *arg);
/* fn runs at every SIGHUP. Without this, SIGHUP drains as SIGTERM does: its terminal is gone. */
void loop_on_hangup(struct loop *l, loop_hangup_fn *fn, void *arg);
/* Tells systemd (if there is one) that the program serves; from here on it is watched. status:
 * one line for systemctl, NULL for none; call again to change it. */
void loop_ready(struct loop *l, const char *status);
/* Until loop_stop(), or until no handle is left that would keep a loop alive. */
bool loop_run(struct loop *l);
void loop_drain(struct loop *l);
void loop_stop(struct loop *l);
bool loop_is_draining(const struct loop *l);
/* Closes its own handles, runs the loop until every close callback has run, frees. Gives how
 * many handles were still open that were not its own (0 in a correct program; each is logged,
 * and closed, so its memory must still be there). */
size_t loop_free(struct loop **l);

/* Runs fn once at the end of this loop turn (objects whose method is on the stack are freed so).
 * later is the caller's memory until fn runs; fn may free it. Queueing what is queued already
 * changes nothing. */
typedef void loop_later_fn(void *arg);
struct loop_later {
    struct loop_later *next;
    loop_later_fn *fn;
    void *arg;
    bool queued;
};
void loop_later(struct loop *l, struct loop_later *later, loop_later_fn *fn, void *arg);

/* The sockets that systemd opened for this process (LISTEN_FDS, from descriptor 3 on), at most
 * max of them, in the unit's order. They are made close-on-exec, and the variables are unset, so
 * that children do not take them for theirs: the second call gives 0. */
size_t loop_listen_fds(int *fds, size_t max);

#endif
