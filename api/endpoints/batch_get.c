/* GET /v1/batches/{id}: how far a batch is. */
#include "api/api.h"
#include "api/endpoints/endpoints.h"
#include "api/reply.h"
#include "queue/batch.h"
#include "shared/clock.h"

struct look {
    struct request *rq;
    struct uuid id;
};

static const char *state_of(const struct batch_tally *t)
{
    if (t->left > 0)
        return "running";
    return t->succeeded == t->total ? "succeeded" : "failed";
}

static void reply_tally(const struct look *l, const struct batch_tally *t)
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
    struct look *l = arg;

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
    struct look *l;
    struct uuid id;
    enum err e;

    if (!uuid_parse(rq->params[0], &id)) {
        reply_problem(rq, 404, NULL, "there is no such batch: an id is a UUID");
        return;
    }
    l = calloc(1, sizeof *l);
    if (l == NULL) {
        reply_problem(rq, 503, NULL, "no memory for the answer");
        return;
    }
    *l = (struct look){rq, id};
    e = batch_look(rq->api->redis, &id, on_tally, l);
    if (e == ERR_OK)
        return;
    free(l);
    reply_unavailable(rq, "the batch cannot be looked up", e);
}

const struct endpoint endpoint_batch_get = {
    .method = "GET", .pattern = "/v1/batches/{id}", .on_end = on_end};
