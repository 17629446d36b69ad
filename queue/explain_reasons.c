#include "queue/explain_reasons.h"

#include <inttypes.h>
#include <stdarg.h>

#include "shared/clock.h"

/* --- reasons ---------------------------------------------------------------------------------- */

static struct explain_reason *add(struct explanation *e, const char *code, const char *fmt, ...)
    PRINTF_LIKE(3, 4);

static struct explain_reason *add(struct explanation *e, const char *code, const char *fmt, ...)
{
    struct explain_reason *r = &e->reasons[e->n_reasons];
    va_list ap;

    must(e->n_reasons < EXPLAIN_REASONS_MAX);
    e->n_reasons++;
    *r = (struct explain_reason){.code = code};
    va_start(ap, fmt);
    (void)vsnprintf(r->text, sizeof r->text, fmt, ap);
    va_end(ap);
    return r;
}

static void fact(struct explain_reason *r, struct explain_fact f)
{
    must(r->n_facts < EXPLAIN_FACTS_MAX);
    r->facts[r->n_facts++] = f;
}

static void number(struct explain_reason *r, const char *name, uint64_t n)
{
    fact(r, (struct explain_fact){.name = name, .kind = EXPLAIN_NUMBER, .number = n});
}

static void time_at(struct explain_reason *r, const char *name, uint64_t ms)
{
    fact(r, (struct explain_fact){.name = name, .kind = EXPLAIN_TIME, .number = ms});
}

static void text(struct explain_reason *r, const char *name, struct slice value)
{
    if (value.len > 0)
        fact(r, (struct explain_fact){.name = name, .kind = EXPLAIN_TEXT, .text = value});
}

/* --- a job that does not wait ----------------------------------------------------------------- */

static void explain_running(const struct explain_facts *f, struct explanation *ret)
{
    struct explain_reason *r = add(ret, "running", "attempt %" PRIu32 " runs on " SLICE_FMT,
                                   f->state.attempt, SLICE_ARG(f->state.consumer));

    text(r, "worker", f->state.consumer);
    number(r, "attempt", f->state.attempt);
    number(r, "progress", f->state.progress);
    time_at(r, "since", f->state.since_ms);
}

void explain_recorded(const struct ledger_row *row, struct explanation *ret)
{
    struct explain_reason *r;

    *ret = (struct explanation){.id = row->id, .state = row->state};
    (void)slice_to_cstr(row->queue, ret->queue, sizeof ret->queue);
    r = add(ret, "ended", "it has ended: %s at attempt %" PRIu32, job_state_name(row->state),
            row->attempt);
    number(r, "attempt", row->attempt);
    time_at(r, "finished_at", row->finished_ms);
    text(r, "error", row->error);
}

/* --- what holds it up ------------------------------------------------------------------------- */

struct waiting {
    const struct explain_facts *f;
    struct explanation *ret;
    uint64_t not_before_ms; /* the latest time that is known */
    bool open;              /* some reason has no time */
};

static void not_before(struct waiting *w, uint64_t ms)
{
    if (ms > w->not_before_ms)
        w->not_before_ms = ms;
}

static void add_due(struct waiting *w)
{
    const struct state_value *s = &w->f->state;
    char at[CLOCK_RFC3339_SIZE];
    struct explain_reason *r;

    if (s->state != JOB_SCHEDULED && s->state != JOB_RETRYING)
        return;
    (void)clock_rfc3339(s->due_ms, at);
    if (s->state == JOB_SCHEDULED) {
        r = add(w->ret, "scheduled", "it was asked for at %s", at);
    } else {
        r = add(w->ret, "retry_backoff",
                "attempt %" PRIu32 " failed; the next one is due at %s", s->attempt, at);
        number(r, "attempt", s->attempt);
        text(r, "error", s->text);
    }
    time_at(r, "due_at", s->due_ms);
    not_before(w, s->due_ms);
}

static void add_paused(struct waiting *w)
{
    if (!w->f->paused)
        return;
    (void)add(w->ret, "queue_paused", "the queue is paused: millrace resume lets it go on");
    w->open = true;
}

static void add_no_worker(struct waiting *w)
{
    if (w->f->workers > 0)
        return;
    (void)add(w->ret, "no_worker", "no living worker serves this queue");
    w->open = true;
}

/* When the bucket has a token; 0: it has one now. */
static uint64_t token_ms(const struct rate_limit *rate, uint64_t full_ms, uint64_t now_ms)
{
    double gap = (double)rate->per_ms / rate->count;
    double at = (double)full_ms - (rate->burst - 1) * gap;

    return rate->count > 0 && at > (double)now_ms + 1 ? (uint64_t)at : 0;
}

static void add_running_limit(struct waiting *w, const struct limit *l, uint64_t held,
                              struct slice key)
{
    struct explain_reason *r;

    if (l->running == 0 || held < l->running)
        return;
    if (key.len > 0)
        r = add(w->ret, "key_running_limit",
                "%" PRIu64 " jobs of the key " SLICE_FMT " run, and %" PRIu32 " may", held,
                SLICE_ARG(key), l->running);
    else
        r = add(w->ret, "queue_running_limit",
                "%" PRIu64 " jobs of the queue run, and %" PRIu32 " may", held, l->running);
    text(r, "key", key);
    number(r, "running", held);
    number(r, "limit", l->running);
    w->open = true;
}

static void add_rate_limit(struct waiting *w, const struct limit *l, uint64_t full_ms,
                           struct slice key)
{
    uint64_t next_ms = token_ms(&l->rate, full_ms, w->f->now_ms);
    char rate[LIMITS_RATE_SIZE], at[CLOCK_RFC3339_SIZE];
    struct explain_reason *r;

    if (next_ms == 0)
        return;
    (void)clock_rfc3339(next_ms, at);
    (void)limits_rate_text(&l->rate, rate);
    if (key.len > 0)
        r = add(w->ret, "key_rate_limit",
                "jobs of the key " SLICE_FMT " begin at %s; the next may at %s", SLICE_ARG(key),
                rate, at);
    else
        r = add(w->ret, "queue_rate_limit", "jobs of the queue begin at %s; the next may at %s",
                rate, at);
    text(r, "key", key);
    number(r, "count", l->rate.count);
    number(r, "per_ms", l->rate.per_ms);
    time_at(r, "next_at", next_ms);
    not_before(w, next_ms);
}

static void add_limits(struct waiting *w)
{
    const struct explain_facts *f = w->f;

    add_running_limit(w, &f->limits.whole, f->held, slice_of("", 0));
    add_rate_limit(w, &f->limits.whole, f->full_ms, slice_of("", 0));
    if (f->key.len == 0)
        return;
    add_running_limit(w, &f->limits.per_key, f->key_held, f->key);
    add_rate_limit(w, &f->limits.per_key, f->key_full_ms, f->key);
}

static void add_busy(struct waiting *w)
{
    const struct explain_facts *f = w->f;
    struct explain_reason *r;

    if (f->workers == 0 || f->busy < f->slots)
        return;
    r = add(w->ret, "workers_busy",
            "the %" PRIu64 " workers of this queue hold %" PRIu64 " jobs and have %" PRIu64
            " slots",
            f->workers, f->busy, f->slots);
    number(r, "workers", f->workers);
    number(r, "running", f->busy);
    number(r, "slots", f->slots);
    w->open = true;
}

/* From how fast the queue was worked off lately: honest only where the place is known and nothing
 * else decides. */
static void add_expected(struct waiting *w)
{
    const struct explain_facts *f = w->f;

    if (f->place == PLACE_READY && f->claims > 0 && !f->paused && f->workers > 0)
        w->ret->expected_ms = f->now_ms + (f->ahead + 1) * f->claims_ms / f->claims;
}

static void add_position(struct waiting *w)
{
    const struct explain_facts *f = w->f;
    bool exact = f->exact && f->place != PLACE_UNKNOWN;
    struct explain_reason *r;

    if (f->state.state != JOB_QUEUED || (f->place == PLACE_READY && f->ahead == 0))
        return;
    if (f->place == PLACE_PARKED)
        r = add(w->ret, "key_turn",
                "it waits for its key's turn, behind %" PRIu64 " jobs of the same key",
                f->ahead);
    else
        r = add(w->ret, "jobs_ahead",
                "%s%" PRIu64 " jobs stand before it, of a higher priority or older",
                exact ? "" : "at least ", f->ahead);
    number(r, exact ? "jobs" : "jobs_at_least", f->ahead);
    if (f->ahead > 0 || f->place != PLACE_PARKED)
        w->open = true;
    add_expected(w);
}

static void explain_waiting(const struct explain_facts *f, struct explanation *ret)
{
    struct waiting w = {.f = f, .ret = ret};

    add_due(&w);
    add_paused(&w);
    add_no_worker(&w);
    add_limits(&w);
    add_busy(&w);
    add_position(&w);
    if (ret->n_reasons == 0)
        (void)add(ret, "next", "nothing holds it up: it is the next to be claimed");
    if (!w.open)
        ret->may_start_ms = w.not_before_ms > f->now_ms ? w.not_before_ms : f->now_ms;
}

void explain_reasons(const struct explain_facts *f, struct explanation *ret)
{
    ret->state = f->state.state;
    if (f->state.state == JOB_RUNNING)
        explain_running(f, ret);
    else if (f->state.state == JOB_CANCELLED)
        (void)add(ret, "cancelled", "it was cancelled; its end is still to be recorded");
    else
        explain_waiting(f, ret);
}
