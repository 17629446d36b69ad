/* GET /v1/queues/{queue}, PUT /v1/queues/{queue}/limits. */
#include "api/api.h"
#include "api/endpoints/endpoints.h"
#include "api/reply.h"
#include "queue/inspect_json.h"

/* Takes the name out of the path, or answers. */
static bool take_name(struct request *rq, char name[JOB_NAME_MAX + 1])
{
    if (job_name_is_valid(rq->params[0]) &&
        slice_to_cstr(rq->params[0], name, JOB_NAME_MAX + 1))
        return true;
    reply_problem(rq, 404, NULL, "there is no such queue");
    return false;
}

static void on_queue(void *arg, enum err e, const struct queue_info *queue, size_t n)
{
    struct request *rq = arg;
    AUTO(buf_done) struct buf out = {0};

    (void)n;
    if (e == ERR_NOT_FOUND) {
        reply_problem(rq, 404, NULL, "there is no such queue");
    } else if (e != ERR_OK) {
        reply_unavailable(rq, "the queue cannot be read", e);
    } else {
        inspect_json_queue(queue, &out);
        reply_json(rq, 200, &out);
    }
}

static void get_queue(struct request *rq)
{
    char name[JOB_NAME_MAX + 1];
    enum err e;

    if (!take_name(rq, name))
        return;
    e = inspect_queue(rq->api->redis, name, on_queue, rq);
    if (e != ERR_OK)
        reply_unavailable(rq, "the queue cannot be read", e);
}

static void on_set(void *arg, enum err e)
{
    struct request *rq = arg;

    if (e == ERR_OK)
        reply_send(rq, &(struct reply){.status = 204});
    else
        reply_unavailable(rq, "the queue cannot be changed", e);
}

static void put_limits(struct request *rq)
{
    char name[JOB_NAME_MAX + 1];
    struct queue_limits limits;
    struct spec_fault why;
    enum err e;

    if (!take_name(rq, name))
        return;
    if (request_header(rq, "content-type").len > 0 &&
        !request_is_of_type(rq, "application/json")) {
        reply_problem(rq, 415, NULL, "the body must be application/json");
        return;
    }
    e = limits_parse(buf_slice(&rq->body), &limits, &why);
    if (e == ERR_NOMEM)
        reply_problem(rq, 503, NULL, "no memory for the limits");
    else if (e != ERR_OK && why.pointer[0] == '\0')
        reply_problem(rq, 400, NULL, "%s", why.text);
    else if (e != ERR_OK)
        reply_problem(rq, 422, why.pointer, "%s %s", why.pointer, why.text);
    if (e != ERR_OK)
        return;
    e = inspect_set_limits(rq->api->redis, name, &limits, on_set, rq);
    if (e != ERR_OK)
        reply_unavailable(rq, "the queue cannot be changed", e);
}

const struct endpoint endpoint_queue_get = {
    .method = "GET", .pattern = "/v1/queues/{queue}", .on_end = get_queue};
const struct endpoint endpoint_limits = {.method = "PUT",
                                         .pattern = "/v1/queues/{queue}/limits",
                                         .body = BODY_BUFFERED,
                                         .on_end = put_limits};
