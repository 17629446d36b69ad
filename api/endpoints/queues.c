/* GET /v1/queues, POST /v1/queues/{queue}/pause and /resume. */
#include "api/api.h"
#include "api/endpoints/endpoints.h"
#include "api/reply.h"
#include "queue/inspect_json.h"

static void on_queues(void *arg, enum err e, const struct queue_info *queues, size_t n)
{
    struct request *rq = arg;
    AUTO(buf_done) struct buf out = {0};

    if (e != ERR_OK) {
        reply_unavailable(rq, "the queues cannot be read", e);
        return;
    }
    buf_add_str(&out, "{\"queues\":[");
    for (size_t i = 0; i < n; i++) {
        buf_add_str(&out, i > 0 ? "," : "");
        inspect_json_queue(&queues[i], &out);
    }
    buf_add_str(&out, "]}");
    reply_json(rq, 200, &out);
}

static void list_queues(struct request *rq)
{
    enum err e = inspect_queues(rq->api->redis, on_queues, rq);

    if (e != ERR_OK)
        reply_unavailable(rq, "the queues cannot be read", e);
}

static void on_paused(void *arg, enum err e)
{
    struct request *rq = arg;

    if (e == ERR_OK)
        reply_send(rq, &(struct reply){.status = 204});
    else if (e == ERR_NOT_FOUND)
        reply_problem(rq, 404, NULL, "there is no such queue");
    else
        reply_unavailable(rq, "the queue cannot be changed", e);
}

static void set_paused(struct request *rq, bool paused)
{
    char name[JOB_NAME_MAX + 1];
    enum err e;

    if (!job_name_is_valid(rq->params[0]) || !slice_to_cstr(rq->params[0], name, sizeof name)) {
        reply_problem(rq, 404, NULL, "there is no such queue");
        return;
    }
    e = inspect_pause(rq->api->redis, name, paused, on_paused, rq);
    if (e != ERR_OK)
        reply_unavailable(rq, "the queue cannot be changed", e);
}

static void pause_queue(struct request *rq)
{
    set_paused(rq, true);
}

static void resume_queue(struct request *rq)
{
    set_paused(rq, false);
}

const struct endpoint endpoint_queues = {
    .method = "GET", .pattern = "/v1/queues", .on_end = list_queues};
const struct endpoint endpoint_pause = {.method = "POST",
                                        .pattern = "/v1/queues/{queue}/pause",
                                        .body = BODY_BUFFERED,
                                        .on_end = pause_queue};
const struct endpoint endpoint_resume = {.method = "POST",
                                         .pattern = "/v1/queues/{queue}/resume",
                                         .body = BODY_BUFFERED,
                                         .on_end = resume_queue};
