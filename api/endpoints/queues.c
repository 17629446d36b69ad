/* GET /v1/queues, POST /v1/queues/{queue}/pause and /resume. */
#include "api/api.h"
#include "api/endpoints/endpoints.h"
#include "api/reply.h"
#include "queue/inspect.h"
#include "shared/json.h"

static void add_queue(struct buf *out, const struct queue_info *q)
{
    uint64_t ready = 0;

    buf_add_str(out, "{\"name\":");
    json_quote(slice_str(q->name), out);
    buf_addf(out, ",\"paused\":%s,\"ready\":{", q->paused ? "true" : "false");
    for (int p = 0; p < JOB_PRIORITIES; p++) {
        buf_addf(out, "%s\"%s\":%llu", p > 0 ? "," : "",
                 job_priority_name((enum job_priority)p), (unsigned long long)q->ready[p]);
        ready += q->ready[p];
    }
    buf_addf(out, "},\"waiting\":%llu,\"delayed\":%llu,\"running\":%llu,\"workers\":%llu",
             (unsigned long long)ready, (unsigned long long)q->delayed,
             (unsigned long long)q->active, (unsigned long long)q->consumers);
    buf_addf(out,
             ",\"totals\":{\"enqueued\":%llu,\"claimed\":%llu,\"settled\":%llu,\"retried\":%"
             "llu,\"released\":%llu,\"reaped\":%llu}}",
             (unsigned long long)q->enqueued, (unsigned long long)q->claimed,
             (unsigned long long)q->settled, (unsigned long long)q->retried,
             (unsigned long long)q->released, (unsigned long long)q->reaped);
}

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
        add_queue(&out, &queues[i]);
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
