/* GET /v1/jobs/{id}: live state from Redis, else the record from PostgreSQL.
 *
 *     look (Redis) --not live--> recall (PostgreSQL) --no row--> 404
 *
 * In this order a job cannot be missed: its row is written before it leaves Redis. While Redis is away
 * a recorded, ended job is still told. */
#include "api/api.h"
#include "api/endpoints/endpoints.h"
#include "api/reply.h"
#include "queue/job_json.h"

struct look {
    struct request *rq;
    struct uuid id;
    bool unsure; /* Redis could not say whether the job lives */
};

static void reply_absent(struct look *l)
{
    if (l->unsure)
        reply_unavailable(l->rq, "the queue cannot be asked for live jobs", ERR_UNREACHABLE);
    else
        reply_problem(l->rq, 404, NULL, "there is no such job");
}

static void on_row(void *arg, enum err e, const struct ledger_row *row,
                   const struct ledger_parts *parts)
{
    struct look *l = arg;
    AUTO(buf_done) struct buf out = {0};

    if (e == ERR_NOT_FOUND ||
        (e == ERR_OK && l->unsure && !job_state_is_terminal(row->state))) {
        reply_absent(l);
    } else if (e != ERR_OK) {
        reply_unavailable(l->rq, "the record of jobs cannot be read", e);
    } else {
        job_json_recorded(row, parts, &out);
        reply_json(l->rq, 200, &out);
    }
    free(l);
}

static void recall(struct look *l)
{
    struct pg *pg = l->rq->api->pg;
    /* A query waits for a connection until its deadline; a client had better come again. */
    enum err e = pg_is_up(pg) ? ledger_job(pg, &l->id, on_row, l) : ERR_UNREACHABLE;

    if (e == ERR_OK)
        return;
    reply_unavailable(l->rq, "the record of jobs cannot be read", e);
    free(l);
}

static void on_live(void *arg, enum err e, const struct live_job *job)
{
    struct look *l = arg;
    AUTO(buf_done) struct buf out = {0};

    if (e != ERR_OK) {
        l->unsure = e != ERR_NOT_FOUND;
        recall(l);
        return;
    }
    job_json_live(job, &out);
    reply_json(l->rq, 200, &out);
    free(l);
}

static void on_end(struct request *rq)
{
    struct look *l;
    struct uuid id;

    if (!uuid_parse(rq->params[0], &id)) {
        reply_problem(rq, 404, NULL, "there is no such job: an id is a UUID");
        return;
    }
    l = calloc(1, sizeof *l);
    if (l == NULL) {
        reply_problem(rq, 503, NULL, "no memory for the answer");
        return;
    }
    l->rq = rq;
    l->id = id;
    l->unsure = inspect_job(rq->api->redis, &id, on_live, l) != ERR_OK;
    if (l->unsure)
        recall(l);
}

const struct endpoint endpoint_job_get = {
    .method = "GET", .pattern = "/v1/jobs/{id}", .on_end = on_end};
