/* PUT /v1/schedules/{name}: creates or replaces a schedule. */
#include "api/api.h"
#include "api/endpoints/endpoints.h"
#include "api/endpoints/schedule_reply.h"
#include "api/reply.h"
#include "queue/schedule_json.h"

void schedule_reply(struct request *rq, unsigned status, const struct schedule_view *v)
{
    AUTO(buf_done) struct buf out = {0};

    schedule_json_whole(v, &out);
    reply_json(rq, status, &out);
}

void schedule_reply_failure(struct request *rq, enum err e, const struct fault *why)
{
    const char *text = why == NULL ? err_text(e) : why->text;

    if (e == ERR_NOT_FOUND)
        reply_problem(rq, 404, NULL, "there is no such schedule");
    else if (e == ERR_REJECTED || e == ERR_FORBIDDEN)
        reply_problem(rq, 409, NULL, "%s", text);
    else if (e == ERR_MALFORMED)
        reply_problem(rq, 409, NULL, "what is kept of it is of another version: %s", text);
    else
        reply_unavailable(rq, "the schedules cannot be reached", e);
}

static void on_put(void *arg, enum err e, const struct schedule_view *v,
                   const struct fault *why)
{
    if (e == ERR_OK)
        schedule_reply(arg, v->created ? 201 : 200, v);
    else
        schedule_reply_failure(arg, e, why);
}

static void refuse(struct request *rq, enum err e, const struct spec_fault *why)
{
    if (e == ERR_NOMEM || e == ERR_IO)
        reply_problem(rq, 503, NULL, "%s", why->text);
    else if (e == ERR_TOO_BIG)
        reply_problem(rq, 413, NULL, "%s", why->text);
    else if (why->pointer[0] == '\0')
        reply_problem(rq, 400, NULL, "%s", why->text);
    else
        reply_problem(rq, 422, why->pointer, "%s %s", why->pointer, why->text);
}

static void on_end(struct request *rq)
{
    char name[JOB_NAME_MAX + 1];
    struct schedule_body body;
    struct spec_fault why;
    enum err e;

    if (request_header(rq, "content-type").len > 0 &&
        !request_is_of_type(rq, "application/json")) {
        reply_problem(rq, 415, NULL, "the body must be application/json");
        return;
    }
    if (!job_name_is_valid(rq->params[0]) || !slice_to_cstr(rq->params[0], name, sizeof name)) {
        reply_problem(rq, 400, NULL,
                      "a schedule's name: 1 to %d of a-z 0-9 . _ -, first a letter",
                      JOB_NAME_MAX);
        return;
    }
    e = schedule_body_parse(buf_slice(&rq->body), (unsigned)rq->api->opt->depth_max, &body,
                            &why);
    if (e != ERR_OK) {
        refuse(rq, e, &why);
        return;
    }
    e = schedules_put(rq->api->redis, name, &body, rq->api->opt->schedules_max, on_put, rq);
    schedule_body_done(&body);
    if (e != ERR_OK)
        schedule_reply_failure(rq, e, NULL);
}

const struct endpoint endpoint_schedule_put = {.method = "PUT",
                                               .pattern = "/v1/schedules/{name}",
                                               .body = BODY_BUFFERED,
                                               .on_end = on_end};
