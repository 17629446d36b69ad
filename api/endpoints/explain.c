/* GET /v1/jobs/{id}/explain: why the job waits, and when it may start.
 *
 *     look (Redis) --not live--> recall (PostgreSQL) --no row--> 404 */
#include "queue/explain.h"

#include "api/api.h"
#include "api/by_id.h"
#include "api/endpoints/endpoints.h"
#include "api/reply.h"

static void answer(struct by_id *l, const struct explanation *what)
{
    AUTO(buf_done) struct buf out = {0};

    explain_json(what, &out);
    reply_json(l->rq, 200, &out);
}

static void on_row(void *arg, enum err e, const struct ledger_row *row,
                   const struct ledger_parts *parts)
{
    struct by_id *l = arg;
    struct explanation what;

    (void)parts;
    if (e == ERR_OK && job_state_is_terminal(row->state)) {
        explain_recorded(row, &what);
        answer(l, &what);
    } else if (e == ERR_OK || e == ERR_NOT_FOUND) {
        reply_problem(l->rq, 404, NULL, "there is no such job");
    } else {
        reply_unavailable(l->rq, "the record of jobs cannot be read", e);
    }
    free(l);
}

static void on_explained(void *arg, enum err e, const struct explanation *what)
{
    struct by_id *l = arg;
    struct pg *pg = l->rq->api->pg;

    if (e == ERR_OK)
        answer(l, what);
    else if (e != ERR_NOT_FOUND)
        reply_unavailable(l->rq, "the queue cannot be asked", e);
    if (e != ERR_NOT_FOUND) {
        free(l);
        return;
    }
    e = pg_is_up(pg) ? ledger_job(pg, &l->id, on_row, l) : ERR_UNREACHABLE;
    if (e == ERR_OK)
        return;
    reply_unavailable(l->rq, "the record of jobs cannot be read", e);
    free(l);
}

static void on_end(struct request *rq)
{
    struct by_id *l = by_id_new(rq, "job");
    enum err e;

    if (l == NULL)
        return;
    e = explain_job(rq->api->redis, &l->id, on_explained, l);
    if (e == ERR_OK)
        return;
    free(l);
    reply_unavailable(rq, "the queue cannot be asked", e);
}

const struct endpoint endpoint_explain = {
    .method = "GET", .pattern = "/v1/jobs/{id}/explain", .on_end = on_end};
