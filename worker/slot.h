/* slot: one claimed job from claim to settlement, and one flow that says how.
 *
 *     recall, note --> run --> judge --> record --> review --> follow, batch --> settle --> (freed)
 *        \         \        \____________________________________/
 *         \         \--- dropped: the lease was lost, nothing more is written
 *          \--> the row is terminal already (a worker died between row and settle): follow, settle
 *
 * A job that was cancelled while it waited passes by its handler, and one that is too late
 * (expires_ms) likewise: both are only recorded.
 * recall looks the job up when this is not its first attempt, and note records the one before if it died
 * with its worker. judge turns the outcome into a
 * verdict (verdict.h). record waits for PostgreSQL, review looks what the row says if it was not
 * taken, follow enqueues what `then` asks for, settle takes the job out of Redis: in this order, so that
 * a crash in between repeats work and loses none. Loop thread only. */
#ifndef WORKER_SLOT_H
#define WORKER_SLOT_H

#include "queue/batch.h"
#include "queue/consumer.h"
#include "queue/crash_notes.h"
#include "queue/spec.h"
#include "shared/flow.h"
#include "worker/services.h"

struct slot;
struct handler;

enum slot_stop {
    SLOT_STOP_NONE,
    SLOT_STOP_TIMEOUT, /* its timeout_ms is over */
    SLOT_STOP_DRAIN,   /* the worker ends: the job goes back */
    SLOT_STOP_CANCEL,  /* somebody wants it no more: it ends as cancelled */
    SLOT_STOP_LOST,    /* the lease is gone: drop it */
};

struct slot_events {
    void *arg;
    /* Its handler is about to start. At most once. */
    void (*on_running)(void *arg, struct slot *s);
    /* The handler waits for something outside, without a renderer (rests), or goes on. */
    void (*on_rest)(void *arg, struct slot *s, bool rests);
    /* The handler has let go (a renderer is free again); the job is not settled yet. Once. */
    void (*on_idle)(void *arg, struct slot *s);
    /* Last; the slot is freed when it returns. */
    void (*on_ended)(void *arg, struct slot *s);
};

struct slot {
    struct flow flow;
    struct slot *next, **prev; /* the owner's list */
    struct services *sv;
    struct consumer *consumer; /* borrowed; outlives the slot */
    const char *queue;         /* borrowed likewise */
    struct slot_events events;
    struct log_ctx log;

    struct claim claim; /* claim.item points to item.data */
    struct buf item;
    struct job job;
    msgpack_zone zone;
    msgpack_object args;
    uint32_t max_attempts, timeout_ms;
    struct retry_policy retry;
    bool has_retry;
    const struct handler *handler;
    void *work; /* the handler's own */

    uint64_t started_us, started_wall_ms, finished_wall_ms;
    uint64_t
        wake_at_ms; /* monotonic; 0: none: deadline of a running attempt, or a wait before trying again */
    enum slot_stop stop;
    bool running, counted, idle, stale, from_row, unrecorded;
    int flight;                         /* its place in the flight recorder */
    unsigned lost;                      /* attempts that died with their worker */
    bool lost_now;                      /* the last one did, and nobody has recorded it yet */
    char lost_text[CRASH_TEXT_MAX + 1]; /* how */

    enum err err;
    struct fault why;
    int64_t retry_after_ms;
    struct buf result; /* msgpack map, or empty */
    struct ledger_output *outputs;
    size_t n_outputs;
    enum job_state state; /* what judge decided */
    uint64_t delay_ms;
    bool release;
    size_t follow_next; /* of the job, then of its batch */
    struct {
        bool asked, over, closed;
        struct batch_tally tally; /* over: this job was the last */
        struct buf then;
    } batch;
};

/* Takes on a claim: copies it and starts the flow. Gives NULL when memory is short (the caller releases it). */
struct slot *slot_new(struct services *sv, struct consumer *consumer, const char *queue,
                      const struct claim *claim, const struct slot_events *ev);
void slot_start(struct slot *s);
/* From the handler. why may be NULL; its err is replaced by e. */
void slot_done(struct slot *s, enum err e, const struct fault *why);
/* The handler's result goes here, as one msgpack map, before slot_done(). */
struct buf *slot_result(struct slot *s);
/* Gives the slot n outputs to record; takes the array and the strings inside (heap). */
void slot_set_outputs(struct slot *s, struct ledger_output *outputs, size_t n);
void slot_set_retry_after(struct slot *s, int64_t ms);
/* From the handler: it needs no renderer for now, another job may be claimed; or it needs one again. */
void slot_rest(struct slot *s, bool rests);
void slot_progress(struct slot *s, unsigned pct, const char *note);
/* Ends the attempt early. Idempotent; the first reason stays, except that LOST always wins. */
void slot_stop(struct slot *s, enum slot_stop why);
/* The owner's clock: acts if wake_at_ms has come. */
void slot_tick(struct slot *s, uint64_t now_ms);
bool slot_uses_renderer(const struct slot *s);

#endif
