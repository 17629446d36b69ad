/* GET /healthz: this process lives. GET /readyz: it can serve: which dependency is down, if one is. GET /metrics. */
#include "api/api.h"
#include "api/endpoints/endpoints.h"
#include "api/reply.h"
#include "api/server.h"
#include "queue/ledger.h"

static void health(struct request *rq)
{
    reply_send(rq, &(struct reply){.status = 200,
                                   .content_type = "application/json",
                                   .body = SLICE_LIT("{\"status\":\"ok\"}")});
}

static const char *schema_says(const struct api *api)
{
    if (!api->schema_known)
        return pg_is_up(api->pg) ? "unknown" : "down";
    return api->schema_version == ledger_version_wanted()
               ? "ok"
               : "wrong schema: run millrace migrate";
}

/* Taking jobs needs Redis alone, so that alone decides the status; PostgreSQL's state is told. */
static void ready(struct request *rq)
{
    const struct api *api = rq->api;
    AUTO(buf_done) struct buf out = {0};
    bool redis = redis_is_up(api->redis), draining = server_is_draining(api->server);
    bool ok = redis && !draining;

    buf_addf(&out,
             "{\"status\":\"%s\",\"checks\":{\"redis\":\"%s\",\"postgres\":\"%s\",\"schema\":"
             "\"%s\"}}",
             draining ? "draining"
             : ok     ? "ok"
                      : "unavailable",
             redis ? "ok" : "down", pg_is_up(api->pg) ? "ok" : "down", schema_says(api));
    reply_json(rq, ok ? 200 : 503, &out);
}

static void metrics(struct request *rq)
{
    const struct api *api = rq->api;
    AUTO(buf_done) struct buf out = {0};

    gauge_set(api->body_bytes, (int64_t)api->bodies);
    gauge_set(api->redis_up, redis_is_up(api->redis));
    gauge_set(api->pg_up, pg_is_up(api->pg));
    metrics_print(rq->api->metrics, &out);
    if (buf_failed(&out))
        reply_problem(rq, 503, NULL, "no memory for the answer");
    else
        reply_send(rq,
                   &(struct reply){.status = 200,
                                   .content_type = "text/plain; version=0.0.4; charset=utf-8",
                                   .body = buf_slice(&out)});
}

const struct endpoint endpoint_health = {
    .method = "GET", .pattern = "/healthz", .on_end = health};
const struct endpoint endpoint_ready = {.method = "GET", .pattern = "/readyz", .on_end = ready};
const struct endpoint endpoint_metrics = {
    .method = "GET", .pattern = "/metrics", .on_end = metrics};
