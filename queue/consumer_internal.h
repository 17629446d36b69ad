/* consumer_internal: what the sources of the consumer share. Nobody else includes this.
 *
 *     consumer.c         states, calls, new, start, close
 *     consumer_lease.c   registration, beat, reconciliation, loss
 *     consumer_claim.c   room, claims, waking
 *     consumer_settle.c  settlements and progress
 *     consumer_cancel.c  what is told of cancelled jobs
 *     consumer_held.c    the table of held jobs
 *     consumer_wait.c    the connection that waits for the wake token */
#ifndef QUEUE_CONSUMER_INTERNAL_H
#define QUEUE_CONSUMER_INTERNAL_H

#include "queue/consumer.h"
#include "queue/consumer_held.h"
#include "queue/consumer_wait.h"
#include "queue/keys.h"
#include "queue/scripts.h"

#define CONSUMER_BATCH    64
#define CONSUMER_RETRY_MS 500
#define CONSUMER_UNSURE   "no beat was answered for the length of the lease"

/*  down --up--> registering --ok--> ready <---------------+
 *   ^  \                               | unsure            |
 *   |   +--up, registered before--> checking --alive, reconciled
 *   |                                  | gone
 *   |                                  +--> registering (a new name), parked when replaced
 *   +-- any, when the connection is lost                 any --> closing */
enum consumer_state {
    CONSUMER_DOWN,
    CONSUMER_PARKED, /* registers again when the timer fires */
    CONSUMER_REGISTERING,
    CONSUMER_CHECKING,
    CONSUMER_READY,
    CONSUMER_CLOSING,
};

struct consumer {
    unsigned magic;
    enum consumer_state state;
    struct redis *redis;
    const struct log_ctx *log;
    struct consumer_events ev;
    struct queue_keys keys;
    char identity[KEYS_CONSUMER_MAX + 1]; /* "host:instance:" */
    char name[KEYS_CONSUMER_MAX + 1];     /* identity and boot */
    char active[KEYS_ACTIVE_SIZE];
    struct slice call_keys[QUEUE_KEYS + 1]; /* those of the queue, then active */
    struct buf info;                        /* who this is, for the workers hash */
    uint32_t beat_ms, lease_ms;

    uv_timer_t beat, retry, due, news;
    uv_idle_t turn; /* active while something is to be sent in this loop turn */
    unsigned handles;
    size_t calls; /* in flight */

    bool started, registered;
    bool told_ready;
    char told_why[120];
    uint64_t beat_sent_ms, beat_ok_ms; /* when the last beat left, and the last answered one */
    uint64_t registered_ms;
    bool beating, reconciling;
    unsigned beat_epoch, reconcile_epoch;
    unsigned replaced; /* how often in a row another process took the name over */
    unsigned epoch;    /* counts names: replies to an older one mean nothing */

    struct waiter *waiter;
    bool waiter_live;
    size_t room;
    bool quiet;     /* no more claims */
    bool hungry;    /* a claim may find something */
    bool claiming;  /* a claim is in flight */
    bool has_token; /* taken, and nothing claimed since */
    size_t asked;   /* by the claim in flight */
    unsigned claim_epoch;

    struct redis_sub *sub; /* may be NULL */
    struct redis_sub_channel *control;
    bool cancel_missed; /* perhaps: of a job whose claim is in flight */

    struct held held;
    struct buf scratch;
    bool settle_failed; /* while closing: the rest cannot be settled */

    consumer_closed_fn *on_closed;
    void *closed_arg;
};

struct consumer *consumer_of(void *p);

/* --- consumer.c --- */

/* The one place that changes the state. why: told to the owner while not ready. */
void consumer_set_state(struct consumer *c, enum consumer_state to, const char *why);
/* Something is to be sent at the end of this loop turn. */
void consumer_turn(struct consumer *c);
struct consumer_call {
    enum queue_script script;
    const struct slice *args;
    size_t n_args;
    redis_reply_fn *cb;
    void *arg;
};
/* A script call of this consumer, counted; cb begins with consumer_called(). */
MUST_USE enum err consumer_call(struct consumer *c, const struct consumer_call *call);
void consumer_called(struct consumer *c);
/* Best effort: nothing hangs on it. */
void consumer_try(struct consumer *c, enum queue_script script, const struct slice *args,
                  size_t n_args);
/* Goes on with closing once nothing is in flight. Last in a reply's callback: may free c. */
void consumer_close_step(struct consumer *c);

/* --- consumer_lease.c --- */

/* A new boot: nothing that was ever said under an older name is taken for ours. */
void consumer_take_new_name(struct consumer *c);
/* Redis is reachable: registers, or asks whether the registration still stands. */
void consumer_come_up(struct consumer *c);
/* Asks Redis before anything else is begun. */
void consumer_check(struct consumer *c, const char *why);
void consumer_send_beat(struct consumer *c);
/* The lease is lost: everything held is dropped, and a new name registered. */
void consumer_lose(struct consumer *c, bool replaced);
/* Tries again soon what Redis could not do now. */
void consumer_later(struct consumer *c, uint64_t ms);
void consumer_on_retry(uv_timer_t *t);
void consumer_on_beat_timer(uv_timer_t *t);

/* --- consumer_claim.c --- */

/* Claims or waits, as room and state have it. */
void consumer_pump(struct consumer *c);
void consumer_on_token(void *arg);
void consumer_on_due(uv_timer_t *t);
/* Tells the waiting connection to stop, so that it takes no token any more. */
void consumer_stop_waiting(struct consumer *c);

/* --- consumer_cancel.c --- */

/* Without memory for it beats alone tell. */
void consumer_listen(struct consumer *c);
/* Redis says that this claim is to be cancelled. */
void consumer_cancelled(struct consumer *c, const char id[UUID_LEN]);
/* Asks Redis for what a message may have told too early. */
void consumer_ask_missed(struct consumer *c);

/* --- consumer_settle.c --- */

/* Sends the settlements that wait in line. */
void consumer_flush(struct consumer *c);
void consumer_on_news(uv_timer_t *t);
/* Ends every settlement that is not certain with e, and forgets every held job. */
void consumer_drop_held(struct consumer *c, enum err e);

#endif
