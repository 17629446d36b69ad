/* GET /v1/batches/{id}: how far a batch is. */
#include "api/api.h"
#include "api/by_id.h"
#include "api/endpoints/endpoints.h"
#include "api/reply.h"
#include "queue/batch.h"
#include "shared/clock.h"

static const char *state_of(const struct batch_tally *t)
{
    if (t->left > 0)
        return "running";
    return t->succeeded == t->total ? "succeeded" : "failed";
}

static void reply_tally(const struct by_id *l, const struct batch_tally *t)
{
    AUTO(buf_done) struct buf out = {0};
    char id[UUID_TEXT_SIZE], when[CLOCK_RFC3339_SIZE];

    buf_addf(&out,
             "{\"id\":\"%s\",\"state\":\"%s\",\"total\":%llu,\"left\":%llu,\"succeeded\":%llu,"
             "\"dead\":%llu,\"cancelled\":%llu,\"expired\":%llu,\"followed\":%s,"
             "\"created_at\":\"%s\"}",
             uuid_text(&l->id, id), state_of(t), (unsigned long long)t->total,
             (unsigned long long)t->left, (unsigned long long)t->succeeded,
             (unsigned long long)t->dead, (unsigned long long)t->cancelled,
             (unsigned long long)t->expired, t->closed ? "true" : "false",
             clock_rfc3339(t->created_ms, when));
    reply_json(l->rq, 200, &out);
}

static void on_tally(void *arg, enum err e, const struct batch_tally *tally)
{
    struct by_id *l = arg;

    if (e == ERR_OK)
        reply_tally(l, tally);
    else if (e == ERR_NOT_FOUND)
        reply_problem(l->rq, 404, NULL, "there is no such batch, or it ended long ago");
    else
        reply_unavailable(l->rq, "the batch cannot be looked up", e);
    free(l);
}

static void on_end(struct request *rq)
{
    struct by_id *l = by_id_new(rq, "batch");
    enum err e;

    if (l == NULL)
        return;
    e = batch_look(rq->api->redis, &l->id, on_tally, l);
    if (e == ERR_OK)
        return;
    free(l);
    reply_unavailable(rq, "the batch cannot be looked up", e);
}

const struct endpoint endpoint_batch_get = {
    .method = "GET", .pattern = "/v1/batches/{id}", .on_end = on_end};
