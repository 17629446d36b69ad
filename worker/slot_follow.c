/* What follows a job: its follow-ups and the next link of its chain, then, when it was the last of
 * its batch, what follows the batch.
 *
 *     follow --> batch --> batch_follow --> batch_over --> settle
 *        \          \________________________________________/ no batch, or others of it still live */
#include "shared/clock.h"
#include "shared/failpoint.h"
#include "worker/follow.h"
#include "worker/slot_internal.h"

static step_fn follow, batch, batch_follow, batch_over;
const struct step slot_step_follow = {"follow", follow};
static const struct step S_BATCH = {"batch", batch},
                         S_BATCH_FOLLOW = {"batch_follow", batch_follow},
                         S_BATCH_OVER = {"batch_over", batch_over};

/* --- one follow-up --------------------------------------------------------------------------- */

static void on_enqueued(void *arg, enum err e, const struct fault *why)
{
    struct slot *s = arg;

    (void)why;
    if (e == ERR_OK) {
        FAILPOINT("worker.followed");
        s->follow_next++;
        flow_wake(&s->flow, ERR_OK);
        return;
    }
    /* Fate unknown or refused: the id is fixed, so trying again makes no second job. The flow stays
     * asleep until the tick. */
    slot_wake_later(s);
}

static const struct step *enqueue(struct slot *s, const struct follow_item *item,
                                  const struct step *again)
{
    enum err e = producer_enqueue(s->sv->producer,
                                  &(struct producer_job){.queue = item->queue,
                                                         .priority = item->priority,
                                                         .due_ms = item->due_ms,
                                                         .id = item->id,
                                                         .type = item->type,
                                                         .item = buf_slice(&item->item)},
                                  on_enqueued, s);

    if (e == ERR_OK)
        return flow_await(&s->flow, ERR_OK, again);
    if (err_class(e) != ERR_CLASS_FINAL)
        return slot_wait_then(s, again);
    log_error(&s->log, "job.follow_up_dropped", LOG_U("index", s->follow_next),
              LOG_S("why", err_text(e)));
    s->follow_next++;
    return again;
}

typedef enum err build_fn(struct slot *s, struct follow_item *item, struct fault *reterr);

/* Enqueues the next one that is due and comes `again`; `then` after the last. */
static const struct step *enqueue_next(struct slot *s, build_fn *build,
                                       const struct step *again, const struct step *then)
{
    struct follow_item item = {0};
    const struct step *next = then;
    struct fault why;
    enum err e;

    while ((e = build(s, &item, &why)) == ERR_OK && !item.due)
        s->follow_next++;
    if (e == ERR_OK)
        next = enqueue(s, &item, again);
    else if (e != ERR_NOT_FOUND)
        log_error(&s->log, "job.follow_up_dropped", LOG_S("why", why.text));
    buf_done(&item.item);
    return next;
}

/* --- of the job ------------------------------------------------------------------------------ */

static enum err build_of_job(struct slot *s, struct follow_item *item, struct fault *reterr)
{
    return follow_build(
        &(struct follow_parent){
            .job = &s->job,
            .queue = s->queue,
            .priority = s->claim.priority,
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

    if (s->stop == SLOT_STOP_LOST)
        return flow_end(f);
    if ((s->stale && !s->from_row) || !job_state_is_terminal(s->state))
        return &slot_step_settle;
    if (s->job.then.len == 0 && s->job.chain.len == 0)
        return &S_BATCH;
    return enqueue_next(s, build_of_job, &slot_step_follow, &S_BATCH);
}

/* --- of its batch ---------------------------------------------------------------------------- */

static void on_tally(void *arg, enum err e, const struct batch_tally *tally)
{
    struct slot *s = arg;

    FAILPOINT("worker.batch_ended");
    s->batch.asked = e == ERR_OK || e == ERR_NOT_FOUND;
    s->batch.over = e == ERR_OK && tally->left == 0 && !tally->closed;
    if (s->batch.over) {
        s->batch.tally = *tally;
        buf_clear(&s->batch.then);
        buf_add_slice(&s->batch.then, tally->then);
        s->batch.tally.then = buf_slice(&s->batch.then);
        s->batch.asked = !buf_failed(&s->batch.then);
    }
    if (s->batch.asked)
        flow_wake(&s->flow, ERR_OK);
    else
        slot_wake_later(s);
}

static const struct step *batch(struct flow *f)
{
    struct slot *s = slot_of(f);

    if (s->stop == SLOT_STOP_LOST)
        return flow_end(f);
    if (!s->job.has_batch || (s->batch.asked && !s->batch.over))
        return &slot_step_settle;
    if (s->batch.asked) {
        s->follow_next = 0;
        return &S_BATCH_FOLLOW;
    }
    if (batch_end(s->sv->redis, &s->job.batch, &s->claim.id, s->state, on_tally, s) != ERR_OK)
        return slot_wait_then(s, &S_BATCH);
    return flow_await(f, ERR_OK, &S_BATCH);
}

static enum err build_of_batch(struct slot *s, struct follow_item *item, struct fault *reterr)
{
    return follow_batch_build(
        &(struct follow_batch){.id = s->job.batch, .tally = &s->batch.tally}, s->follow_next,
        item, reterr);
}

static const struct step *batch_follow(struct flow *f)
{
    struct slot *s = slot_of(f);

    if (s->stop == SLOT_STOP_LOST)
        return flow_end(f);
    return enqueue_next(s, build_of_batch, &S_BATCH_FOLLOW, &S_BATCH_OVER);
}

static void on_closed(void *arg, enum err e)
{
    struct slot *s = arg;

    s->batch.closed = e == ERR_OK;
    if (s->batch.closed)
        flow_wake(&s->flow, ERR_OK);
    else
        slot_wake_later(s);
}

static const struct step *batch_over(struct flow *f)
{
    struct slot *s = slot_of(f);

    if (s->stop == SLOT_STOP_LOST)
        return flow_end(f);
    if (s->batch.closed)
        return &slot_step_settle;
    if (batch_close(s->sv->redis, &s->job.batch, on_closed, s) != ERR_OK)
        return slot_wait_then(s, &S_BATCH_OVER);
    return flow_await(f, ERR_OK, &S_BATCH_OVER);
}
