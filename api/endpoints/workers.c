/* GET /v1/workers: who takes jobs, from which queue, and whether it lives. */
#include "api/api.h"
#include "api/endpoints/endpoints.h"
#include "api/reply.h"
#include "queue/inspect.h"
#include "shared/clock.h"
#include "shared/json.h"

static void add_worker(struct buf *out, const struct worker_info *w)
{
    char started[CLOCK_RFC3339_SIZE], beat[CLOCK_RFC3339_SIZE];

    buf_add_str(out, "{\"name\":");
    json_quote(slice_str(w->name), out);
    buf_add_str(out, ",\"queue\":");
    json_quote(slice_str(w->queue), out);
    buf_add_str(out, ",\"version\":");
    json_quote(slice_str(w->version), out);
    buf_addf(out,
             ",\"alive\":%s,\"pid\":%u,\"slots\":%u,\"running\":%u,\"started_at\":\"%s\","
             "\"beat_at\":\"%s\"}",
             w->alive ? "true" : "false", w->pid, w->slots, w->active,
             clock_rfc3339(w->started_ms, started), clock_rfc3339(w->beat_ms, beat));
}

static void on_workers(void *arg, enum err e, const struct worker_info *workers, size_t n)
{
    struct request *rq = arg;
    AUTO(buf_done) struct buf out = {0};

    if (e != ERR_OK) {
        reply_unavailable(rq, "the workers cannot be read", e);
        return;
    }
    buf_add_str(&out, "{\"workers\":[");
    for (size_t i = 0; i < n; i++) {
        buf_add_str(&out, i > 0 ? "," : "");
        add_worker(&out, &workers[i]);
    }
    buf_add_str(&out, "]}");
    reply_json(rq, 200, &out);
}

static void on_end(struct request *rq)
{
    enum err e = inspect_workers(rq->api->redis, on_workers, rq);

    if (e != ERR_OK)
        reply_unavailable(rq, "the workers cannot be read", e);
}

const struct endpoint endpoint_workers = {
    .method = "GET", .pattern = "/v1/workers", .on_end = on_end};
