#include "shared/clock.h"
#include "shared/failpoint.h"
#include "shared/json.h"
#include "worker/slot_internal.h"
#include "worker/verdict.h"

static step_fn judge, record, review, settle, unrecorded;
const struct step slot_step_judge = {"judge", judge}, slot_step_settle = {"settle", settle},
                  slot_step_unrecorded = {"unrecorded", unrecorded};
static const struct step S_RECORD = {"record", record}, S_REVIEW = {"review", review};

/* --- judge -------------------------------------------------------------------------------------- */

static void log_outcome(struct slot *s, enum verdict_kind kind)
{
    uint64_t ms = (clock_now_us() - s->started_us) / 1000;

    if (kind == VERDICT_SUCCEEDED)
        log_debug(&s->log, "job.succeeded", LOG_S("type", s->job.type),
                  LOG_U("attempt", s->claim.attempt), LOG_U("ms", ms));
    else if (kind == VERDICT_RETRY)
        log_warn(&s->log, "job.retrying", LOG_S("type", s->job.type),
                 LOG_U("attempt", s->claim.attempt), LOG_U("ms", ms),
                 LOG_U("delay_ms", s->delay_ms), LOG_S("error", err_name(s->err)),
                 LOG_S("why", s->why.text));
    else if (kind == VERDICT_DEAD)
        log_error(&s->log, "job.dead", LOG_S("type", s->job.type),
                  LOG_U("attempt", s->claim.attempt), LOG_U("ms", ms),
                  LOG_S("error", err_name(s->err)), LOG_S("why", s->why.text));
    else if (kind == VERDICT_CANCELLED || kind == VERDICT_EXPIRED)
        log_info(&s->log, kind == VERDICT_CANCELLED ? "job.cancelled" : "job.expired",
                 LOG_S("type", s->job.type), LOG_U("attempt", s->claim.attempt),
                 LOG_U("ms", ms), LOG_S("why", s->why.text));
    else
        log_info(&s->log, "job.released", LOG_S("type", s->job.type),
                 LOG_U("attempt", s->claim.attempt));
}

static const struct step *judge(struct flow *f)
{
    struct slot *s = slot_of(f);
    struct verdict v;

    slot_let_go(s);
    s->finished_wall_ms = clock_wall_ms();
    if (s->stop == SLOT_STOP_LOST)
        return flow_end(f);
    if (s->from_row) {
        log_info(&s->log, "job.recalled", LOG_S("state", job_state_name(s->state)),
                 LOG_U("attempt", s->claim.attempt));
        if (job_decode(s->claim.item, &s->job, NULL) != ERR_OK)
            memset(&s->job, 0, sizeof s->job);
        s->job.id = s->claim.id;
        return &slot_step_follow;
    }
    v = verdict_of(&(struct attempt_end){
        .err = s->err,
        .released = s->stop == SLOT_STOP_DRAIN && s->err == ERR_CANCELED,
        .cancelled = s->claim.cancelled || s->stop == SLOT_STOP_CANCEL,
        .attempt = s->claim.attempt,
        .excused = s->claim.excused,
        .max_attempts = s->max_attempts,
        .retry_after_ms = s->retry_after_ms,
        .retry_base_ms = s->sv->opt->retry_base_ms,
        .retry_cap_ms = s->sv->opt->retry_cap_ms,
        .retry = s->has_retry ? &s->retry : NULL,
    });
    s->delay_ms = v.delay_ms;
    s->release = v.kind == VERDICT_RELEASE;
    s->state = verdict_state(v.kind);
    log_outcome(s, v.kind);
    return s->release ? &slot_step_settle : &S_RECORD;
}

/* --- record ------------------------------------------------------------------------------------- */

static void on_recorded(void *arg, enum err e, bool applied)
{
    struct slot *s = arg;

    s->stale = e == ERR_OK && !applied;
    if (e == ERR_OK)
        FAILPOINT("worker.recorded");
    else if (e != ERR_CANCELED) /* then the worker ends, and says so once for all */
        log_error(&s->log, "job.unrecorded", LOG_S("error", err_name(e)));
    flow_wake(&s->flow, e);
}

/* While it is not certain that the lease still stands (this process was stopped, Redis is away)
 * nothing is written: the job may be somebody else's by now. */
static enum ledger_leave may_write(const void *arg)
{
    const struct slot *s = arg;

    if (s->stop == SLOT_STOP_LOST)
        return LEDGER_DROP;
    return consumer_is_sure(s->consumer) ? LEDGER_WRITE : LEDGER_WAIT;
}

static struct slice result_json(struct slot *s, struct buf *out)
{
    if (s->err != ERR_OK || s->result.len == 0)
        return slice_of("", 0);
    json_from_msgpack_bytes(buf_slice(&s->result), out);
    return buf_failed(out) ? slice_of("", 0) : buf_slice(out);
}

static uint64_t enqueued_ms(const struct slot *s)
{
    uint64_t ms = uuid_time_ms(&s->claim.id);

    return ms > 0 ? ms : s->claim.claimed_ms;
}

static enum err record_now(struct slot *s)
{
    AUTO(buf_done) struct buf json = {0};
    bool ok = s->err == ERR_OK;
    struct slice item = s->claim.item;

    if (item.len > JOB_ITEM_MAX)
        item.len = JOB_ITEM_MAX;
    return ledger_record(
        s->sv->ledger,
        &(struct ledger_outcome){
            .id = s->claim.id,
            .queue = s->queue,
            .type = s->job.type,
            .priority = s->claim.priority,
            .state = s->state,
            .attempt = s->claim.attempt,
            .max_attempts = s->max_attempts,
            .enqueued_ms = enqueued_ms(s),
            .started_ms = s->started_wall_ms,
            .finished_ms = s->finished_wall_ms,
            .next_attempt_ms = s->state == JOB_RETRYING ? s->finished_wall_ms + s->delay_ms : 0,
            .worker = consumer_name(s->consumer),
            .error = ok ? NULL : err_name(s->err),
            .error_text = ok ? slice_of("", 0) : slice_str(s->why.text),
            .item = item,
            .result_json = result_json(s, &json),
            .has_parent = s->job.has_parent,
            .parent = s->job.parent,
            .has_batch = s->job.has_batch,
            .batch = s->job.batch,
            .outputs = s->outputs,
            .n_outputs = ok ? s->n_outputs : 0,
            .leave = may_write,
        },
        on_recorded, s);
}

static const struct step *record(struct flow *f)
{
    struct slot *s = slot_of(f);
    enum err e;

    if (may_write(s) == LEDGER_DROP)
        return flow_end(f);
    if (may_write(s) == LEDGER_WAIT)
        return slot_wait_then(s, &S_RECORD);
    FAILPOINT("worker.done");
    e = record_now(s);
    if (e == ERR_BUSY)
        return slot_wait_then(s, &S_RECORD);
    return flow_await(f, e, &S_REVIEW);
}

/* --- review: the row says something else ---------------------------------------------------------- */

/* An attempt that was given up for lost has written the last word meanwhile. Whether it came to
 * enqueue its follow-ups nobody knows; this one does it again, in that one's words. */
static const struct step *review(struct flow *f)
{
    struct slot *s = slot_of(f);

    if (s->stop == SLOT_STOP_LOST)
        return flow_end(f);
    if (!s->stale)
        return &slot_step_follow;
    return slot_ask_row(s) ? flow_await(f, ERR_OK, &slot_step_follow) : &slot_step_settle;
}

/* --- settle ------------------------------------------------------------------------------------- */

static void on_settled(void *arg, enum err e)
{
    struct slot *s = arg;

    if (e != ERR_OK)
        log_debug(&s->log, "job.settle", LOG_S("error", err_name(e)));
    else
        FAILPOINT("worker.settled");
    flow_wake(&s->flow, ERR_OK);
}

static const struct step *settle(struct flow *f)
{
    struct slot *s = slot_of(f);
    struct settlement out = {
        .id = s->claim.id, .attempt = s->claim.attempt, .kind = SETTLE_DONE};
    enum err e;

    if (s->stop == SLOT_STOP_LOST)
        return flow_end(f);
    if (s->release) {
        out.kind = SETTLE_RELEASE;
    } else if (s->state == JOB_RETRYING && !s->stale) {
        out.kind = SETTLE_RETRY;
        out.delay_ms = s->delay_ms;
        out.error = s->why.text;
    }
    e = consumer_settle(s->consumer, &out, on_settled, s);
    if (e == ERR_STALE)
        return flow_end(f); /* a later claim of the same id has taken its place */
    return e == ERR_OK ? flow_await(f, ERR_OK, NULL) : slot_wait_then(s, &slot_step_settle);
}

/* The row could not be written although PostgreSQL answered: the attempt failed, and its reason is
 * all that a second, plain row says. If that fails too the job is kept in Redis and comes again, as late
 * as can be, until somebody has mended what is wrong. */
static const struct step *unrecorded(struct flow *f)
{
    struct slot *s = slot_of(f);

    if (s->stop == SLOT_STOP_LOST || f->err == ERR_CANCELED)
        return flow_end(f); /* the worker ends; closing the consumer gives the job back */
    f->on_fail = &slot_step_unrecorded;
    slot_failed(s, ERR_INTERNAL, &(struct fault){.text = "the result could not be recorded"});
    buf_clear(&s->result);
    if (s->unrecorded) {
        s->state = JOB_RETRYING;
        s->delay_ms = s->sv->opt->retry_cap_ms;
        return &slot_step_settle;
    }
    s->unrecorded = true;
    s->state = JOB_DEAD;
    return &S_RECORD;
}
