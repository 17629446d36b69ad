/* POST /v1/jobs/{id}/cancel: ends a job before its time.
 *
 *     look (Redis) --lives--> cancel --done, requested--> 200, 202 (with Prefer: wait when it has ended)
 *        \--not live-----------/--unknown--> recall (PostgreSQL) --ended--> 200 if cancelled, else 409
 *
 * A job that waits after its worker died may have its last word in the record already: that counts. */
#include "api/api.h"
#include "api/by_id.h"
#include "api/endpoints/endpoints.h"
#include "api/job_wait.h"
#include "api/reply.h"
#include "queue/cancel.h"

#define LOOKS_MAX \
    3 /* a job that is neither live nor ended is on its way from one to the other */

struct ending {
    struct request *rq;
    struct uuid id;
    char queue[JOB_NAME_MAX + 1];
    unsigned looks;
    bool begun;     /* it was claimed before */
    bool done;      /* it waits, and will not run */
    bool requested; /* it runs, and its worker was told */
    bool unsure;    /* Redis could not say whether it lives */
    bool waited;
};

static void look(struct ending *c);

/* --- answers --------------------------------------------------------------------------------- */

static void reply_how(struct ending *c, unsigned status, enum job_state state, const char *how)
{
    char id[UUID_TEXT_SIZE], body[160];
    int n = snprintf(body, sizeof body, "{\"id\":\"%s\",\"state\":\"%s\",\"cancel\":\"%s\"}",
                     uuid_text(&c->id, id), job_state_name(state), how);
    struct reply r = {.status = status,
                      .content_type = "application/json",
                      .body = slice_of(body, (size_t)n)};

    if (c->waited)
        r.headers[r.n_headers++] = (struct reply_header){"preference-applied", "wait"};
    reply_send(c->rq, &r);
    free(c);
}

static void reply_ended(struct ending *c, enum job_state state)
{
    if (state == JOB_CANCELLED)
        reply_how(c, 200, state, "done");
    else
        reply_how(c, 409, state, "too_late");
}

static void reply_begun(struct ending *c)
{
    if (c->done)
        reply_how(c, 200, JOB_CANCELLED, "done");
    else
        reply_how(c, 202, JOB_RUNNING, "requested");
}

static void refuse(struct ending *c, const char *what, enum err e)
{
    reply_unavailable(c->rq, what, e);
    free(c);
}

/* --- the record ------------------------------------------------------------------------------ */

static void on_waited(void *arg, const struct ledger_row *row, const struct ledger_parts *parts)
{
    struct ending *c = arg;

    (void)parts;
    c->waited = true;
    if (row != NULL)
        reply_ended(c, row->state);
    else
        reply_begun(c);
}

static void begun(struct ending *c)
{
    if (!job_wait_start(c->rq, c->queue, &c->id, on_waited, c))
        reply_begun(c);
}

static void absent(struct ending *c, enum err e)
{
    if (e != ERR_OK && e != ERR_NOT_FOUND) {
        refuse(c, "the record of jobs cannot be read", e);
    } else if (c->unsure) {
        refuse(c, "the queue cannot be asked for live jobs", ERR_UNREACHABLE);
    } else if (e == ERR_NOT_FOUND) {
        reply_problem(c->rq, 404, NULL, "there is no such job");
        free(c);
    } else if (c->looks < LOOKS_MAX) {
        look(c);
    } else {
        refuse(c, "the job is neither queued nor ended", ERR_BUSY);
    }
}

static void on_row(void *arg, enum err e, const struct ledger_row *row,
                   const struct ledger_parts *parts)
{
    struct ending *c = arg;

    (void)parts;
    if (e == ERR_OK && job_state_is_terminal(row->state))
        reply_ended(c, row->state);
    else if (c->done || c->requested)
        begun(c);
    else
        absent(c, e);
}

static void recall(struct ending *c)
{
    struct pg *pg = c->rq->api->pg;
    enum err e = pg_is_up(pg) ? ledger_job(pg, &c->id, on_row, c) : ERR_UNREACHABLE;

    if (e == ERR_OK)
        return;
    if (c->done || c->requested)
        begun(c);
    else
        absent(c, e);
}

/* --- the queue ------------------------------------------------------------------------------- */

static void on_cancelled(void *arg, enum err e, const enum cancel_answer *answers, size_t n)
{
    struct ending *c = arg;

    (void)n;
    if (e != ERR_OK) {
        refuse(c, "the queue was cut off while it cancelled the job; it may have done so", e);
        return;
    }
    c->done = answers[0] == CANCEL_DONE;
    c->requested = answers[0] == CANCEL_REQUESTED;
    if (c->requested || (c->done && !c->begun))
        begun(c);
    else
        recall(c);
}

static void on_live(void *arg, enum err e, const struct live_job *job)
{
    struct ending *c = arg;

    if (e != ERR_OK) {
        c->unsure = e != ERR_NOT_FOUND;
        recall(c);
        return;
    }
    (void)snprintf(c->queue, sizeof c->queue, "%s", job->queue);
    c->begun = job->attempt > 0;
    e = cancel_jobs(c->rq->api->redis, &(struct cancel_order){c->queue, &c->id, 1},
                    on_cancelled, c);
    if (e != ERR_OK)
        refuse(c, "the queue cannot be reached", e);
}

static void look(struct ending *c)
{
    c->looks++;
    c->unsure = inspect_job(c->rq->api->redis, &c->id, on_live, c) != ERR_OK;
    if (c->unsure)
        recall(c);
}

static void on_end(struct request *rq)
{
    struct ending *c;
    struct uuid id;

    if (!by_id_read(rq, "job", &id))
        return;
    c = calloc(1, sizeof *c);
    if (c == NULL) {
        reply_problem(rq, 503, NULL, "no memory for the answer");
        return;
    }
    c->rq = rq;
    c->id = id;
    look(c);
}

const struct endpoint endpoint_job_cancel = {.method = "POST",
                                             .pattern = "/v1/jobs/{id}/cancel",
                                             .body = BODY_BUFFERED,
                                             .on_end = on_end};
