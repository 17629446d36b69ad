/* GET /v1/workers: who takes jobs, from which queue, and whether it lives. */
#include "api/api.h"
#include "api/endpoints/endpoints.h"
#include "api/reply.h"
#include "queue/inspect_json.h"

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
        inspect_json_worker(&workers[i], &out);
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
