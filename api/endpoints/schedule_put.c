/* PUT /v1/schedules/{name}: creates or replaces a schedule: check (api/recipe_flow.h) -> put -> reply. */
#include "api/api.h"
#include "api/endpoints/endpoints.h"
#include "api/endpoints/schedule_reply.h"
#include "api/recipe_flow.h"
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

struct put {
    struct request *rq;
    char name[JOB_NAME_MAX + 1];
    struct recipe_flow recipes;
    struct schedule_body body;
    struct spec_fault why;
};

static void put_free(struct put *p)
{
    recipe_flow_done(&p->recipes);
    free(p);
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

static enum err check(void *arg, struct recipe_book *book)
{
    struct put *p = arg;

    return schedule_body_parse(buf_slice(&p->rq->body), (unsigned)p->rq->api->opt->depth_max,
                               book, &p->body, &p->why);
}

static void on_checked(void *arg, enum err e)
{
    struct put *p = arg;
    struct api *api = p->rq->api;

    if (e != ERR_OK) {
        refuse(p->rq, e, &p->why);
        put_free(p);
        return;
    }
    e = schedules_put(api->redis, p->name, &p->body, api->opt->schedules_max, on_put, p->rq);
    schedule_body_done(&p->body);
    if (e != ERR_OK)
        schedule_reply_failure(p->rq, e, NULL);
    put_free(p);
}

static void on_away(void *arg, enum err e)
{
    struct put *p = arg;

    recipe_flow_unavailable(p->rq, e);
    put_free(p);
}

/* False: answered. */
static bool check_request(struct request *rq, char name[JOB_NAME_MAX + 1])
{
    if (request_header(rq, "content-type").len > 0 &&
        !request_is_of_type(rq, "application/json")) {
        reply_problem(rq, 415, NULL, "the body must be application/json");
        return false;
    }
    if (job_name_is_valid(rq->params[0]) &&
        slice_to_cstr(rq->params[0], name, JOB_NAME_MAX + 1))
        return true;
    reply_problem(rq, 400, NULL, "a schedule's name: 1 to %d of a-z 0-9 . _ -, first a letter",
                  JOB_NAME_MAX);
    return false;
}

static void on_end(struct request *rq)
{
    static const struct recipe_user user = {check, on_checked, on_away};
    char name[JOB_NAME_MAX + 1];
    struct put *p;

    if (!check_request(rq, name))
        return;
    p = calloc(1, sizeof *p);
    if (p == NULL) {
        reply_problem(rq, 503, NULL, "no memory for the schedule");
        return;
    }
    p->rq = rq;
    memcpy(p->name, name, sizeof p->name);
    recipe_flow_init(&p->recipes, rq->api, RECIPES_PER_JOB);
    recipe_flow_run(&p->recipes, &user, p);
}

const struct endpoint endpoint_schedule_put = {.method = "PUT",
                                               .pattern = "/v1/schedules/{name}",
                                               .body = BODY_BUFFERED,
                                               .on_end = on_end};
