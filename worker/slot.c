#include "worker/slot_internal.h"

#include "queue/spec/walk.h"
#include "shared/clock.h"
#include "shared/failpoint.h"
#include "shared/json.h"
#include "worker/handler.h"
#include "worker/verdict.h"

#define MALFORMED_TYPE "malformed"
#define AGAIN_MS       250 /* between tries of what cannot be begun now */

#define LOST_TEXT      "the worker died, or was lost, in the middle of it"

static step_fn recall, note, note_row, run;
static const struct step S_RECALL = {"recall", recall}, S_NOTE = {"note", note},
                         S_NOTE_ROW = {"note_row", note_row}, S_RUN = {"run", run};

struct slot *slot_of(struct flow *f)
{
    return CONTAINER(f, struct slot, flow);
}

void slot_failed(struct slot *s, enum err e, const struct fault *why)
{
    s->err = e;
    if (why != NULL)
        s->why = *why;
    else
        (void)fault_set(&s->why, e, 0, "%s", err_text(e));
    s->why.err = e;
}

/* --- recall: has an earlier attempt written the last word already? ------------------------------ */

static void take_row(struct slot *s, const struct ledger_row *row)
{
    char error[32];

    s->from_row = true;
    s->state = row->state;
    s->err = ERR_OK;
    buf_clear(&s->result);
    if (row->result_json.len > 0 &&
        json_to_msgpack(row->result_json, JOB_DEPTH_MAX, &s->result, NULL) != ERR_OK)
        buf_clear(&s->result);
    if (row->state == JOB_SUCCEEDED)
        return;
    (void)slice_to_cstr(row->error, error, sizeof error);
    (void)slice_to_cstr(row->error_text, s->why.text, sizeof s->why.text);
    s->err = err_from_name(error);
}

/* Attempts before this one that neither have a row nor were excused: their worker died with them. Those
 * that were noticed have a row of their own that says so. */
static void count_lost(struct slot *s, const struct ledger_row *row,
                       const struct ledger_parts *parts)
{
    uint32_t recorded = (uint32_t)parts->n_attempts, before = s->claim.attempt - 1;
    uint32_t excused = s->claim.excused;

    if (row != NULL)
        excused -= row->excused < excused ? row->excused : excused; /* these have rows */
    s->lost_now = before > recorded + excused;
    s->lost = s->lost_now ? 1 : 0;
    for (size_t i = 0; i < parts->n_attempts; i++)
        s->lost += slice_is(parts->attempts[i].error, "LOST");
}

static void on_row(void *arg, enum err e, const struct ledger_row *row,
                   const struct ledger_parts *parts)
{
    static const struct ledger_parts none = {.n_attempts = 0};
    struct slot *s = arg;

    if (e == ERR_OK && job_state_is_terminal(row->state))
        take_row(s, row);
    else if (e == ERR_OK || e == ERR_NOT_FOUND)
        count_lost(s, e == ERR_OK ? row : NULL, parts != NULL ? parts : &none);
    flow_wake(&s->flow, ERR_OK);
}

bool slot_ask_row(struct slot *s)
{
    return pg_is_up(s->sv->pg) && ledger_job(s->sv->pg, &s->claim.id, on_row, s) == ERR_OK;
}

/* When PostgreSQL cannot say, the job runs: at least once. */
static const struct step *recall(struct flow *f)
{
    struct slot *s = slot_of(f);

    if (s->claim.attempt <= 1 || !slot_ask_row(s))
        return &S_RUN;
    return flow_await(f, ERR_OK, &S_NOTE);
}

/* --- note: the attempt before died with its worker ------------------------------------------------ */

static void on_note(void *arg, const char *text)
{
    struct slot *s = arg;

    (void)slice_to_cstr(slice_str(text[0] != '\0' ? text : LOST_TEXT), s->lost_text,
                        sizeof s->lost_text);
    flow_wake(&s->flow, ERR_OK);
}

static const struct step *note(struct flow *f)
{
    struct slot *s = slot_of(f);

    if (s->stop == SLOT_STOP_LOST || !s->lost_now)
        return &S_RUN;
    (void)snprintf(s->lost_text, sizeof s->lost_text, LOST_TEXT);
    if (crash_note_get(s->sv->redis, s->queue, &s->claim.id, s->claim.attempt - 1, on_note,
                       s) != ERR_OK)
        return &S_NOTE_ROW;
    return flow_await(f, ERR_OK, &S_NOTE_ROW);
}

static void on_noted(void *arg, enum err e)
{
    struct slot *s = arg;

    (void)e; /* it is for people to read: the job goes on without */
    flow_wake(&s->flow, ERR_OK);
}

static const struct step *note_row(struct flow *f)
{
    struct slot *s = slot_of(f);
    const struct ledger_lost lost = {.id = s->claim.id,
                                     .attempt = s->claim.attempt - 1,
                                     .noticed_ms = s->claim.claimed_ms,
                                     .text = s->lost_text};

    log_warn(&s->log, "job.attempt_lost", LOG_U("attempt", lost.attempt),
             LOG_S("why", lost.text));
    if (ledger_note_lost(s->sv->pg, &lost, on_noted, s) != ERR_OK)
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

typedef enum err check_list_fn(const msgpack_object *list, struct spec_job *ret, size_t *ret_n,
                               struct spec_fault *reterr);

/* What comes next, from other programs, is checked before the job runs, not after its effects. */
static enum err check_list(struct slot *s, struct slice *list, check_list_fn *check,
                           struct fault *reterr)
{
    struct mp_limits limits = MP_LIMITS_DEFAULT;
    struct spec_fault why;
    msgpack_object o;
    size_t n;

    if (list->len == 0)
        return ERR_OK;
    if (mp_parse(*list, &limits, &s->zone, &o, reterr) != ERR_OK)
        return reterr->err;
    if (check(&o, NULL, &n, &why) != ERR_OK) {
        *list = slice_of("", 0);
        return fault_set(reterr, ERR_MALFORMED, 0, "%s: %s", why.pointer, why.text);
    }
    return ERR_OK;
}

static enum err take_retry(struct slot *s, struct fault *reterr)
{
    struct mp_limits limits = MP_LIMITS_DEFAULT;
    struct place at = place_root("/retry");
    struct spec_fault why;
    msgpack_object o;

    if (s->job.retry.len == 0)
        return ERR_OK;
    if (mp_parse(s->job.retry, &limits, &s->zone, &o, reterr) != ERR_OK)
        return reterr->err;
    if (spec_retry_parse(&o, &at, &s->retry, &why) != ERR_OK)
        return fault_set(reterr, ERR_MALFORMED, 0, "%s: %s", why.pointer, why.text);
    s->has_retry = true;
    return ERR_OK;
}

static enum err check_job(struct slot *s, struct fault *reterr)
{
    enum err e = check_args(s, reterr);

    if (e == ERR_OK)
        e = check_list(s, &s->job.then, spec_follow_ups, reterr);
    if (e == ERR_OK)
        e = check_list(s, &s->job.chain, spec_chain, reterr);
    return e == ERR_OK ? take_retry(s, reterr) : e;
}

/* Its follow-ups are told, as far as they can be read. */
static enum err refuse_late(struct slot *s, struct fault *reterr)
{
    char when[CLOCK_RFC3339_SIZE];

    (void)!check_job(s, reterr);
    return fault_set(reterr, ERR_EXPIRED, 0, "it was to be begun before %s",
                     clock_rfc3339(s->job.expires_ms, when));
}

/* A job must not kill one worker after the other, however many attempts it may have. */
static enum err check_lost(struct slot *s, uint32_t counted, struct fault *reterr)
{
    const char *how = s->lost_text[0] != '\0' ? s->lost_text : LOST_TEXT;

    if (counted > s->max_attempts) {
        s->max_attempts = counted - 1;
        return fault_set(reterr, ERR_CRASHED, 0, "no attempt left: attempt %u of %u: %s",
                         counted - 1, counted - 1, how);
    }
    if (s->lost_now && s->lost >= s->sv->opt->crashes_max) {
        s->max_attempts = counted - 1;
        return fault_set(reterr, ERR_CRASHED, 0, "%u workers died with it (CRASHES_MAX): %s",
                         s->lost, how);
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
    s->job.id = s->claim.id; /* the one that everybody else goes by */
    if (s->job.expires_ms > 0 && s->claim.claimed_ms >= s->job.expires_ms)
        return refuse_late(s, reterr);
    if (check_job(s, reterr) != ERR_OK)
        return reterr->err;
    return check_lost(s, counted, reterr);
}

static const struct step *run(struct flow *f)
{
    struct slot *s = slot_of(f);
    struct fault why = {0};
    enum err e;

    if (s->stop == SLOT_STOP_LOST || s->from_row)
        return &slot_step_judge;
    e = admit(s, &why);
    if (s->claim.cancelled || (e == ERR_OK && s->stop == SLOT_STOP_CANCEL))
        e = fault_set(&why, ERR_CANCELED, 0, "cancelled before it was begun");
    else if (e == ERR_OK && s->stop == SLOT_STOP_DRAIN)
        e = fault_set(&why, ERR_CANCELED, 0, "the worker is draining");
    if (e == ERR_OK) {
        s->running = true;
        s->events.on_running(s->events.arg, s);
        if (!s->handler->own_deadline)
            s->wake_at_ms = clock_now_ms() + s->timeout_ms;
        FAILPOINT("worker.effect");
        e = s->handler->start(s, &why);
    }
    if (e == ERR_OK)
        return flow_await(f, ERR_OK, &slot_step_judge);
    s->running = false;
    s->wake_at_ms = 0;
    slot_failed(s, e, &why);
    return &slot_step_judge;
}

void slot_done(struct slot *s, enum err e, const struct fault *why)
{
    must(s->running);
    s->running = false;
    s->wake_at_ms = 0;
    if (e == ERR_OK)
        FAILPOINT("worker.effected");
    if (e == ERR_CANCELED && s->stop == SLOT_STOP_TIMEOUT) {
        struct fault late;

        (void)fault_set(&late, ERR_TIMEOUT, 0, "not done within timeout_ms %u", s->timeout_ms);
        slot_failed(s, ERR_TIMEOUT, &late);
    } else if (e == ERR_CANCELED && s->stop == SLOT_STOP_CANCEL) {
        slot_failed(s, ERR_CANCELED, &(struct fault){.text = "cancelled while it ran"});
    } else if (e != ERR_OK) {
        slot_failed(s, e, why);
    }
    flow_wake(&s->flow, ERR_OK);
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

void slot_let_go(struct slot *s)
{
    if (s->idle)
        return;
    s->idle = true;
    s->events.on_idle(s->events.arg, s);
}

static void ended(struct flow *f)
{
    struct slot *s = slot_of(f);

    slot_let_go(s);
    s->events.on_ended(s->events.arg, s);
    free_outputs(s);
    buf_done(&s->item);
    buf_done(&s->result);
    buf_done(&s->batch.then);
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
    s->flow = (struct flow){.on_fail = &slot_step_unrecorded, .ended = ended};
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

void slot_rest(struct slot *s, bool rests)
{
    s->events.on_rest(s->events.arg, s, rests);
}

void slot_progress(struct slot *s, unsigned pct, const char *note)
{
    if (s->stop != SLOT_STOP_LOST)
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

void slot_wake_later(struct slot *s)
{
    s->wake_at_ms = clock_now_ms() + AGAIN_MS;
}

const struct step *slot_wait_then(struct slot *s, const struct step *next)
{
    slot_wake_later(s);
    return flow_await(&s->flow, ERR_OK, next);
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
