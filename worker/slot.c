#include "worker/slot.h"

#include "shared/clock.h"
#include "shared/failpoint.h"
#include "shared/json.h"
#include "worker/follow.h"
#include "worker/handler.h"
#include "worker/verdict.h"

#define AGAIN_MS       250 /* between tries of what the loop refused to start */
#define MALFORMED_TYPE "malformed"

static step_fn recall, run, judge, record, follow, settle;
static const struct step S_RECALL = {"recall", recall}, S_RUN = {"run", run},
                         S_JUDGE = {"judge", judge}, S_RECORD = {"record", record},
                         S_FOLLOW = {"follow", follow}, S_SETTLE = {"settle", settle};

static struct slot *slot_of(struct flow *f)
{
    return CONTAINER(f, struct slot, flow);
}

static const struct step *wait_then(struct slot *s, const struct step *next)
{
    s->wake_at_ms = clock_now_ms() + AGAIN_MS;
    return flow_await(&s->flow, ERR_OK, next);
}

static void failed(struct slot *s, enum err e, const struct fault *why)
{
    s->err = e;
    if (why != NULL)
        s->why = *why;
    else
        (void)fault_set(&s->why, e, 0, "%s", err_text(e));
    s->why.err = e;
}

/* --- recall: has an earlier attempt written the last word already? ------------------------------ */

static void on_recalled(void *arg, enum err e, const struct ledger_row *row,
                        const struct ledger_output_row *outputs, size_t n_outputs,
                        const struct ledger_attempt_row *attempts, size_t n_attempts)
{
    struct slot *s = arg;

    (void)outputs, (void)n_outputs, (void)attempts, (void)n_attempts;
    if (e == ERR_OK && job_state_is_terminal(row->state)) {
        s->from_row = true;
        s->state = row->state;
        if (row->result_json.len > 0 &&
            json_to_msgpack(row->result_json, JOB_DEPTH_MAX, &s->result, NULL) != ERR_OK)
            buf_clear(&s->result);
        if (row->state != JOB_SUCCEEDED) {
            (void)slice_to_cstr(row->error_text, s->why.text, sizeof s->why.text);
            s->err = ERR_INTERNAL;
        }
    }
    flow_wake(&s->flow, ERR_OK); /* when PostgreSQL cannot say, the job runs: at least once */
}

static const struct step *recall(struct flow *f)
{
    struct slot *s = slot_of(f);

    if (s->claim.attempt <= 1 || !pg_is_up(s->sv->pg))
        return &S_RUN;
    if (ledger_job(s->sv->pg, &s->claim.id, on_recalled, s) != ERR_OK)
        return &S_RUN;
    return flow_await(f, ERR_OK, &S_RUN);
}

/* --- run ---------------------------------------------------------------------------------------- */

static enum err check_args(struct slot *s, struct fault *reterr)
{
    const struct spec_type *type = spec_find(s->job.type);
    struct spec_fault why;
    struct mp_limits limits = MP_LIMITS_DEFAULT;

    s->handler = handler_find(s->job.type);
    if (type == NULL || s->handler == NULL)
        return fault_set(reterr, ERR_UNSUPPORTED, 0, "no handler for jobs of type %s",
                         s->job.type);
    s->max_attempts =
        s->job.max_attempts > 0 ? s->job.max_attempts : type->default_max_attempts;
    s->timeout_ms = s->job.timeout_ms > 0 ? s->job.timeout_ms : type->default_timeout_ms;
    if (mp_parse(s->job.args, &limits, &s->zone, &s->args, reterr) != ERR_OK)
        return reterr->err;
    if (type->check(&s->args, "/args", &why) != ERR_OK)
        return fault_set(reterr, ERR_MALFORMED, 0, "%s: %s", why.pointer, why.text);
    return ERR_OK;
}

/* Follow-ups from other programs are checked before the job runs, not after its effects. */
static enum err check_follow_ups(struct slot *s, struct fault *reterr)
{
    struct mp_limits limits = MP_LIMITS_DEFAULT;
    struct spec_fault why;
    msgpack_object then;
    size_t n;

    if (s->job.then.len == 0)
        return ERR_OK;
    if (mp_parse(s->job.then, &limits, &s->zone, &then, reterr) != ERR_OK)
        return reterr->err;
    if (spec_follow_ups(&then, NULL, &n, &why) != ERR_OK) {
        s->job.then = slice_of("", 0);
        return fault_set(reterr, ERR_MALFORMED, 0, "%s: %s", why.pointer, why.text);
    }
    return ERR_OK;
}

static enum err admit(struct slot *s, struct fault *reterr)
{
    uint32_t counted = verdict_counted(s->claim.attempt, s->claim.excused);

    if (job_decode(s->claim.item, &s->job, reterr) != ERR_OK) {
        memset(&s->job, 0, sizeof s->job);
        (void)slice_to_cstr(SLICE_LIT(MALFORMED_TYPE), s->job.type, sizeof s->job.type);
        return reterr->err;
    }
    if (check_args(s, reterr) != ERR_OK || check_follow_ups(s, reterr) != ERR_OK)
        return reterr->err;
    if (counted > s->max_attempts) {
        s->max_attempts = counted - 1;
        return fault_set(
            reterr, ERR_CRASHED, 0,
            "no attempt left: the worker died, or was lost, in the middle of attempt %u of %u",
            counted - 1, counted - 1);
    }
    return ERR_OK;
}

static const struct step *run(struct flow *f)
{
    struct slot *s = slot_of(f);
    struct fault why = {0};
    enum err e;

    if (s->stop == SLOT_STOP_LOST || s->from_row)
        return &S_JUDGE;
    e = admit(s, &why);
    if (e == ERR_OK && s->stop == SLOT_STOP_DRAIN)
        e = fault_set(&why, ERR_CANCELED, 0, "the worker is draining");
    if (e == ERR_OK) {
        s->running = true;
        s->events.on_running(s->events.arg, s);
        if (!s->handler->own_deadline)
            s->wake_at_ms = clock_now_ms() + s->timeout_ms;
        e = s->handler->start(s, &why);
    }
    if (e == ERR_OK)
        return flow_await(f, ERR_OK, &S_JUDGE);
    s->running = false;
    failed(s, e, &why);
    return &S_JUDGE;
}

void slot_done(struct slot *s, enum err e, const struct fault *why)
{
    must(s->running);
    s->running = false;
    s->wake_at_ms = 0;
    if (e == ERR_CANCELED && s->stop == SLOT_STOP_TIMEOUT) {
        struct fault late;

        (void)fault_set(&late, ERR_TIMEOUT, 0, "not done within timeout_ms %u", s->timeout_ms);
        failed(s, ERR_TIMEOUT, &late);
    } else if (e != ERR_OK) {
        failed(s, e, why);
    }
    flow_wake(&s->flow, ERR_OK);
}

/* --- judge -------------------------------------------------------------------------------------- */

static void let_go(struct slot *s)
{
    if (s->idle)
        return;
    s->idle = true;
    s->events.on_idle(s->events.arg, s);
}

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
    else
        log_info(&s->log, "job.released", LOG_S("type", s->job.type),
                 LOG_U("attempt", s->claim.attempt));
}

static const struct step *judge(struct flow *f)
{
    struct slot *s = slot_of(f);
    struct verdict v;

    let_go(s);
    s->finished_wall_ms = clock_wall_ms();
    if (s->stop == SLOT_STOP_LOST)
        return flow_end(f);
    if (s->from_row) {
        log_info(&s->log, "job.recalled", LOG_S("state", job_state_name(s->state)),
                 LOG_U("attempt", s->claim.attempt));
        if (job_decode(s->claim.item, &s->job, NULL) != ERR_OK)
            s->job.then = slice_of("", 0);
        return &S_FOLLOW;
    }
    v = verdict_of(&(struct attempt_end){
        .err = s->err,
        .released = s->stop == SLOT_STOP_DRAIN && s->err == ERR_CANCELED,
        .attempt = s->claim.attempt,
        .excused = s->claim.excused,
        .max_attempts = s->max_attempts,
        .retry_after_ms = s->retry_after_ms,
        .retry_base_ms = s->sv->opt->retry_base_ms,
        .retry_cap_ms = s->sv->opt->retry_cap_ms,
    });
    s->delay_ms = v.delay_ms;
    s->release = v.kind == VERDICT_RELEASE;
    s->state = verdict_state(v.kind);
    log_outcome(s, v.kind);
    return s->release ? &S_SETTLE : &S_RECORD;
}

/* --- record ------------------------------------------------------------------------------------- */

static void on_recorded(void *arg, enum err e, bool applied)
{
    struct slot *s = arg;

    s->stale = e == ERR_OK && !applied;
    if (e == ERR_OK)
        FAILPOINT("worker.recorded");
    else
        log_error(&s->log, "job.unrecorded", LOG_S("error", err_name(e)));
    flow_wake(&s->flow, e);
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
            .outputs = s->outputs,
            .n_outputs = ok ? s->n_outputs : 0,
        },
        on_recorded, s);
}

static const struct step *record(struct flow *f)
{
    struct slot *s = slot_of(f);
    enum err e;

    if (s->stop == SLOT_STOP_LOST)
        return flow_end(f);
    FAILPOINT("worker.done");
    e = record_now(s);
    if (e == ERR_BUSY)
        return wait_then(s, &S_RECORD);
    return flow_await(f, e, &S_FOLLOW);
}

/* --- follow ------------------------------------------------------------------------------------- */

static void on_enqueued(void *arg, enum err e, const struct fault *why)
{
    struct slot *s = arg;

    (void)why;
    if (e == ERR_OK) {
        s->follow_next++;
        flow_wake(&s->flow, ERR_OK);
        return;
    }
    /* Fate unknown or refused: the id is fixed, so trying again makes no second job. The flow stays
     * asleep until the tick. */
    s->wake_at_ms = clock_now_ms() + AGAIN_MS;
}

static enum err follow_now(struct slot *s, struct follow_item *item, struct fault *reterr)
{
    return follow_build(
        &(struct follow_parent){
            .job = &s->job,
            .queue = s->queue,
            .state = s->state,
            .attempt = s->claim.attempt,
            .result = buf_slice(&s->result),
            .error = s->err == ERR_OK ? NULL : err_name(s->err),
            .error_text = s->err == ERR_OK ? NULL : s->why.text,
        },
        s->follow_next, item, reterr);
}

static const struct step *follow(struct flow *f)
{
    struct slot *s = slot_of(f);
    struct follow_item item = {0};
    const struct step *next = &S_SETTLE;
    struct fault why;
    enum err e;

    if (s->stop == SLOT_STOP_LOST)
        return flow_end(f);
    if (s->stale || !job_state_is_terminal(s->state) || s->job.then.len == 0)
        return &S_SETTLE;
    while ((e = follow_now(s, &item, &why)) == ERR_OK && !item.due)
        s->follow_next++;
    if (e == ERR_OK) {
        e = producer_enqueue(s->sv->producer,
                             &(struct producer_job){.queue = item.queue,
                                                    .priority = s->claim.priority,
                                                    .id = item.id,
                                                    .type = item.type,
                                                    .item = buf_slice(&item.item)},
                             on_enqueued, s);
        next = e == ERR_OK ? flow_await(f, ERR_OK, &S_FOLLOW) : wait_then(s, &S_FOLLOW);
    } else if (e != ERR_NOT_FOUND) {
        log_error(&s->log, "job.follow_up_dropped", LOG_S("why", why.text));
    }
    buf_done(&item.item);
    return next;
}

/* --- settle ------------------------------------------------------------------------------------- */

static void on_settled(void *arg, enum err e)
{
    struct slot *s = arg;

    if (e != ERR_OK)
        log_debug(&s->log, "job.settle", LOG_S("error", err_name(e)));
    flow_wake(&s->flow, ERR_OK);
}

static const struct step *settle(struct flow *f)
{
    struct slot *s = slot_of(f);
    struct settlement out = {
        .id = s->claim.id, .attempt = s->claim.attempt, .kind = SETTLE_DONE};

    if (s->stop == SLOT_STOP_LOST)
        return flow_end(f);
    if (s->release) {
        out.kind = SETTLE_RELEASE;
    } else if (s->state == JOB_RETRYING && !s->stale) {
        out.kind = SETTLE_RETRY;
        out.delay_ms = s->delay_ms;
        out.error = s->why.text;
    }
    if (consumer_settle(s->consumer, &out, on_settled, s) != ERR_OK)
        return wait_then(s, &S_SETTLE);
    return flow_await(f, ERR_OK, NULL);
}

/* --- life --------------------------------------------------------------------------------------- */

static void free_outputs(struct slot *s)
{
    for (size_t i = 0; i < s->n_outputs; i++) {
        free((void *)(uintptr_t)s->outputs[i].name);
        free((void *)(uintptr_t)s->outputs[i].file);
    }
    free(s->outputs);
}

static step_fn unrecorded;
static const struct step S_UNRECORDED = {"unrecorded", unrecorded};

/* The row could not be written although PostgreSQL answered: the attempt failed, and its reason is
 * all that a second, plain row says. If that fails too the job goes back to its queue. */
static const struct step *unrecorded(struct flow *f)
{
    struct slot *s = slot_of(f);

    if (s->stop == SLOT_STOP_LOST || f->err == ERR_CANCELED)
        return flow_end(f); /* the worker ends; closing the consumer gives the job back */
    f->on_fail = &S_UNRECORDED;
    s->release = s->unrecorded;
    if (s->unrecorded)
        return &S_SETTLE;
    s->unrecorded = true;
    failed(s, ERR_INTERNAL, &(struct fault){.text = "the result could not be recorded"});
    buf_clear(&s->result);
    s->state = JOB_DEAD;
    return &S_RECORD;
}

static void ended(struct flow *f)
{
    struct slot *s = slot_of(f);

    let_go(s);
    s->events.on_ended(s->events.arg, s);
    free_outputs(s);
    buf_done(&s->item);
    buf_done(&s->result);
    msgpack_zone_destroy(&s->zone);
    free(s);
}

static void trace(const struct flow *f, const char *step)
{
    const struct slot *s = CONTAINER((uintptr_t)f, struct slot, flow);

    log_debug(&s->log, "slot.step", LOG_S("step", step));
}

struct slot *slot_new(struct services *sv, struct consumer *consumer, const char *queue,
                      const struct claim *claim, const struct slot_events *ev)
{
    struct slot *s = calloc(1, sizeof *s);
    char id[UUID_TEXT_SIZE];

    if (s == NULL)
        return NULL;
    buf_add_slice(&s->item, claim->item);
    if (buf_failed(&s->item) || !msgpack_zone_init(&s->zone, 1024)) {
        buf_done(&s->item);
        free(s);
        return NULL;
    }
    s->sv = sv;
    s->consumer = consumer;
    s->queue = queue;
    s->events = *ev;
    s->claim = *claim;
    s->claim.item = buf_slice(&s->item);
    s->max_attempts = 1;
    s->retry_after_ms = -1;
    s->started_us = clock_now_us();
    s->started_wall_ms = clock_wall_ms();
    log_ctx_init(&s->log, &sv->log, "job", uuid_text(&claim->id, id));
    s->flow = (struct flow){.on_fail = &S_UNRECORDED, .ended = ended};
    if (log_threshold() <= LOG_DEBUG)
        s->flow.trace = trace;
    return s;
}

void slot_start(struct slot *s)
{
    FAILPOINT("worker.claimed");
    flow_start(&s->flow, &S_RECALL);
}

struct buf *slot_result(struct slot *s)
{
    return &s->result;
}

void slot_set_outputs(struct slot *s, struct ledger_output *outputs, size_t n)
{
    free_outputs(s);
    s->outputs = outputs;
    s->n_outputs = n;
}

void slot_set_retry_after(struct slot *s, int64_t ms)
{
    s->retry_after_ms = ms;
}

void slot_progress(struct slot *s, unsigned pct, const char *note)
{
    consumer_progress(s->consumer, &s->claim.id, s->claim.attempt, pct, note);
}

void slot_stop(struct slot *s, enum slot_stop why)
{
    bool first = s->stop == SLOT_STOP_NONE;

    if (first || why == SLOT_STOP_LOST)
        s->stop = why;
    if (first && s->running)
        s->handler->stop(s);
}

void slot_tick(struct slot *s, uint64_t now_ms)
{
    if (s->wake_at_ms == 0 || now_ms < s->wake_at_ms)
        return;
    s->wake_at_ms = 0;
    if (s->running)
        slot_stop(s, SLOT_STOP_TIMEOUT);
    else
        flow_wake(&s->flow, ERR_OK);
}

bool slot_uses_renderer(const struct slot *s)
{
    return s->handler != NULL && s->handler->uses_renderer;
}
