/* consumer: one worker's hold on one queue: register, beat, claim, settle, wait for more.
 *
 *     new --start--> registering --ok--> working --lease lost--> on_lost, registering (a new name)
 *                        ^                  | connection lost: keeps what it holds; on return reconciles
 *                        +------------------+
 *
 * A consumer is named host:instance:boot, boot being new at every start and after every lost
 * lease. When it registers, whatever an earlier boot of the same host:instance held goes back to
 * the queue at once. It beats every beat_ms (or more often, when a beat goes along with a look of the reaper's); who is silent for lease_ms is reaped by anyone
 * (reaper.h). A claimed job is held until it is settled. After a reconnect the consumer gives
 * back what Redis thinks it holds and it never received. Settling twice is harmless; settling a job that
 * is no longer ours gives ERR_STALE. Settlements of one loop turn share one call; those that
 * could not be sent are kept and sent again after the reconnect (they are idempotent).
 * A beat says whether the consumer is still registered, and how many claims Redis counts: more than
 * arrived means a lost reply, which is given back. A process that was itself stopped (SIGSTOP, a
 * frozen machine) cannot know whether its lease still stands: when no beat was answered for
 * lease_ms, nothing is claimed or delivered until one is, and consumer_is_sure() tells a handler to
 * begin no new effect before.
 * If another process registers under the same host and instance, it takes over; this one loses its
 * lease and comes back with growing delays.
 * A job that is cancelled while it runs is told by on_cancel, within a beat even when the message
 * of the control channel was lost; it is settled like any other.
 * Waiting uses a Redis connection of its own (BLPOP on the wake key); nothing is polled.
 * Loop thread only. */
#ifndef QUEUE_CONSUMER_H
#define QUEUE_CONSUMER_H

#include "queue/job.h"
#include "shared/redis.h"
#include "shared/redis_sub.h"

struct consumer;

struct claim {
    struct uuid id;   /* made up (from the bytes and the time) when the item has none */
    uint32_t attempt; /* counted at this claim: the fencing token */
    uint32_t
        excused; /* attempts that ended without a verdict on the job: releases by a draining worker, lost claim replies.
                                Not so a worker's death. The limit compares attempt - excused. */
    enum job_priority priority;
    bool cancelled;      /* while it waited: it is not to be run, only recorded and settled */
    uint64_t claimed_ms; /* Redis time, Unix ms */
    struct slice item;   /* borrowed for the call */
};

enum settle_kind {
    SETTLE_DONE, /* leaves Redis: succeeded, dead, cancelled, expired; the row is written already */
    SETTLE_RETRY,   /* to delayed, due in delay_ms (0: at once, to ready) */
    SETTLE_RELEASE, /* back to the head of its queue, attempt excused */
};
struct settlement {
    struct uuid id;
    uint32_t attempt;
    enum settle_kind kind;
    uint64_t delay_ms;
    const char *error; /* RETRY: shown while it waits; may be NULL; cut at 200 bytes */
};

struct consumer_events {
    void *arg;
    /* Once per claimed job, never from inside a call into the consumer. */
    void (*on_claim)(void *arg, const struct claim *claim);
    /* The lease was lost (stopped, cut off): everything held belongs to others now. Drop it; do not settle.
     * Settlements that were not certain have ended with ERR_STALE just before. */
    void (*on_lost)(void *arg);
    /* May be NULL. A claim is about to ask for `want` jobs: how many it may (0: none now; it asks again at
     * the next consumer_set_room()). Must not call into the consumer but to look. */
    size_t (*on_want)(void *arg, size_t want);
    /* May be NULL. consumer_look() may say something else now. */
    void (*on_looked)(void *arg);
    /* A held job is to be cancelled. May come several times. May be NULL. */
    void (*on_cancel)(void *arg, const struct uuid *id);
    /* May be NULL. ready: claims can be made; why: "" or the reason. */
    void (*on_state)(void *arg, bool ready, const char *why);
};

struct consumer_options {
    const char *queue;
    const char *host,
        *instance; /* 1..48 printable characters without space and ':'. instance: unique on the host, stable over restarts */
    const char *redis_url; /* for the waiting connection */
    struct redis_sub *sub; /* borrowed, outlives it: tells of cancels at once; NULL: beats do */
    uint32_t beat_ms, lease_ms; /* 0: 2000, 10000 */
    uint32_t info_slots;        /* shown by `millrace workers` */
    const char *info_version;
    const struct log_ctx *log;
};
typedef void settle_fn(void *arg, enum err e); /* ERR_OK, ERR_STALE, ERR_CANCELED */
typedef void consumer_closed_fn(void *arg);

/* Borrows redis (shared by the consumers of one worker), which must outlive it. */
MUST_USE enum err consumer_new(uv_loop_t *loop, struct redis *redis,
                               const struct consumer_options *opt,
                               const struct consumer_events *ev, struct consumer **ret,
                               struct fault *reterr);
void consumer_start(struct consumer *c);
/* The owner of redis passes its state changes on. */
void consumer_on_redis(struct consumer *c, bool up);
/* How many more jobs the worker has room for now. Claims under way are not counted off yet: what was
 * asked for before the room shrank still arrives. While it is above zero the consumer claims (in batches of at
 * most 64) or waits; it counts down by itself at each claim. Call again whenever a slot frees. */
void consumer_set_room(struct consumer *c, size_t room);
struct consumer_look {
    size_t asked; /* jobs that the claim under way may bring */
    bool dry; /* as far as is known nothing waits in the queue, or none can be claimed now */
};
struct consumer_look consumer_look(const struct consumer *c);
/* Calls back once it is certain. cb may be NULL. ERR_STALE at once: not held in that attempt, or settled
 * already. ERR_STALE to the callback: not ours any more. (After a cut connection a job that has moved on since is
 * taken for that, too.) ERR_CANCELED: closed before it was certain. */
MUST_USE enum err consumer_settle(struct consumer *c, const struct settlement *s, settle_fn *cb,
                                  void *arg);
/* pct 0..100; note may be NULL (cut at 200). Best effort: the newest of each job is sent, all together, a
 * tenth of a second after the first; of a job that is settled by then nothing is. */
void consumer_progress(struct consumer *c, const struct uuid *id, uint32_t attempt,
                       unsigned pct, const char *note);
/* Whether Redis has said, within the length of the lease, that the lease stands. */
bool consumer_is_sure(const struct consumer *c);
size_t consumer_held(const struct consumer *c);
const char *consumer_name(const struct consumer *c);
/* No more claims (a claim under way still arrives through on_claim). */
void consumer_quiesce(struct consumer *c);
/* Unregisters; jobs still held go back to the queue. on_closed runs last. */
void consumer_close(struct consumer **c, consumer_closed_fn *on_closed, void *arg);

#endif
