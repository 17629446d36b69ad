#include "worker/daemon_internal.h"
#include "worker/result_memory.h"

#define GRACE_MS 3000 /* after DRAIN: for what was stopped to be written and settled */

/* --- closing: one part after the other, each waits for its callbacks ------------------------------- */

static void close_next(struct daemon *d);

static void on_part_closed(void *arg)
{
    struct daemon *d = arg;

    must(d->waiting > 0);
    if (--d->waiting == 0)
        close_next(d);
}

static void close_consumers(struct daemon *d)
{
    for (size_t i = 0; i < d->n_lanes; i++) {
        if (d->lanes[i].consumer == NULL)
            continue;
        d->waiting++;
        consumer_close(&d->lanes[i].consumer, on_part_closed, d);
    }
}

#define CLOSE_PART(name, field)                    \
    static void close_##name(struct daemon *d)     \
    {                                              \
        if ((field) == NULL)                       \
            return;                                \
        d->waiting++;                              \
        name##_close(&(field), on_part_closed, d); \
    }
CLOSE_PART(reaper, d->reaper)
CLOSE_PART(ticker, d->ticker)
CLOSE_PART(salvage, d->salvage)
CLOSE_PART(sweeper, d->sweeper)
CLOSE_PART(blob_keep, d->keep)
CLOSE_PART(producer, d->sv.producer)
CLOSE_PART(ledger, d->sv.ledger)
CLOSE_PART(render_pool, d->sv.pool)
CLOSE_PART(http_client, d->sv.http)
CLOSE_PART(metrics_listener, d->listener)
CLOSE_PART(redis_sub, d->control)
CLOSE_PART(redis, d->sv.redis)
CLOSE_PART(pg, d->sv.pg)

/* All at once: closing the connections ends the statements that the others wait for. */
static void close_record(struct daemon *d)
{
    close_salvage(d);
    close_sweeper(d);
    close_blob_keep(d);
    close_ledger(d);
    close_pg(d);
}

/* The record and the producer first: a job that still waits for them (PostgreSQL or Redis is away) ends then,
 * and closing its consumer gives it back. */
static void (*const parts[])(struct daemon *) = {
    close_record,      close_producer,    close_consumers,        close_reaper,    close_ticker,
    close_render_pool, close_http_client, close_metrics_listener, close_redis_sub, close_redis};

static void close_last(struct daemon *d)
{
    void (*on_closed)(void *) = d->on_closed;
    void *arg = d->closed_arg;

    result_memory_free(&d->sv.memory);
    netguard_free(&d->sv.guard);
    metrics_free(&d->sv.metrics);
    daemon_drop_crashes(d, NULL);
    flight_close(&d->flight);
    instance_close(&d->instance);
    free(d);
    on_closed(arg);
}

static void on_timer_closed(uv_handle_t *h)
{
    struct daemon *d = h->data;

    if (--d->waiting == 0)
        close_last(d);
}

static void close_timers(struct daemon *d)
{
    uv_timer_t *const timers[] = {&d->tick, &d->schema, &d->drain};

    for (size_t i = 0; i < COUNT_OF(timers); i++) {
        d->waiting++;
        uv_close((uv_handle_t *)timers[i], on_timer_closed);
    }
}

static void close_next(struct daemon *d)
{
    while (d->part < COUNT_OF(parts)) {
        parts[d->part++](d);
        if (d->waiting > 0)
            return;
    }
    /* A pool thread may still work for a job that was given up; its end comes back here. */
    if (daemon_held(d) == 0 && !uv_is_closing((uv_handle_t *)&d->tick))
        close_timers(d);
}

void daemon_close_if_drained(struct daemon *d)
{
    if (!d->draining || daemon_held(d) > 0)
        return;
    if (d->closing) {
        if (d->waiting == 0)
            close_next(d);
        return;
    }
    d->closing = true;
    if (d->started)
        log_info(&d->sv.log, "worker.drained");
    close_next(d);
}

/* --- draining ---------------------------------------------------------------------------------------- */

/* What cannot end (its row cannot be written, its settlement not sent) is dropped here and given back. */
static void on_grace_over(uv_timer_t *t)
{
    struct daemon *d = t->data;

    if (d->closing)
        return;
    log_warn(&d->sv.log, "worker.given_up", LOG_U("jobs", daemon_held(d)));
    d->closing = true;
    daemon_stop_jobs(d, SLOT_STOP_LOST);
    daemon_tick(d, UINT64_MAX);
    if (d->part == 0) /* else the last one that ended has begun it */
        close_next(d);
}

static void on_drain_over(uv_timer_t *t)
{
    struct daemon *d = t->data;

    if (d->closing)
        return;
    log_warn(&d->sv.log, "worker.drain_over", LOG_U("jobs", daemon_held(d)));
    must(uv_timer_start(&d->drain, on_grace_over, GRACE_MS, 0) == 0);
    daemon_stop_jobs(d, SLOT_STOP_DRAIN);
}

void daemon_drain(struct daemon **p, uint64_t drain_ms, void (*on_closed)(void *arg), void *arg)
{
    struct daemon *d = *p;

    *p = NULL;
    d->draining = true;
    d->on_closed = on_closed;
    d->closed_arg = arg;
    if (d->started)
        log_info(&d->sv.log, "worker.draining", LOG_U("jobs", daemon_held(d)),
                 LOG_U("drain_ms", drain_ms));
    for (size_t i = 0; i < d->n_lanes; i++) {
        if (d->lanes[i].consumer != NULL)
            consumer_quiesce(d->lanes[i].consumer);
    }
    must(uv_timer_start(&d->drain, on_drain_over, drain_ms, 0) == 0);
    daemon_close_if_drained(d);
}
