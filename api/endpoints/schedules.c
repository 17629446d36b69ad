/* GET /v1/schedules, GET and DELETE /v1/schedules/{name}, POST /v1/schedules/{name}/pause, /resume, /run. */
#include "api/api.h"
#include "api/endpoints/endpoints.h"
#include "api/endpoints/schedule_reply.h"
#include "api/reply.h"
#include "queue/schedule_json.h"
#include "shared/json.h"

#define LIMIT_DEFAULT 50

/* --- the list -------------------------------------------------------------------------------- */

static void on_list(void *arg, enum err e, const struct schedule_view *views, size_t n,
                    bool more)
{
    struct request *rq = arg;
    AUTO(buf_done) struct buf out = {0};

    if (e != ERR_OK) {
        reply_unavailable(rq, "the schedules cannot be read", e);
        return;
    }
    buf_add_str(&out, "{\"schedules\":[");
    for (size_t i = 0; i < n; i++) {
        buf_add_str(&out, i > 0 ? "," : "");
        schedule_json_brief(&views[i], &out);
    }
    buf_add_str(&out, "],\"next_cursor\":");
    if (more && n > 0)
        json_quote(slice_str(views[n - 1].s->name), &out);
    else
        buf_add_str(&out, "null");
    buf_add_char(&out, '}');
    reply_json(rq, 200, &out);
}

struct list_query {
    char queue[JOB_NAME_MAX + 1], cursor[JOB_NAME_MAX + 1];
    size_t limit;
};

/* False: answered. */
static bool take_name(struct request *rq, const char *parameter, char dst[JOB_NAME_MAX + 1])
{
    struct slice text = request_query(rq, parameter);

    dst[0] = '\0';
    if (text.ptr == NULL)
        return true;
    if (request_decode(text, dst, JOB_NAME_MAX + 1) == ERR_OK &&
        job_name_is_valid(slice_str(dst)))
        return true;
    reply_problem(rq, 400, NULL, "%s: must be 1 to %d of a-z 0-9 . _ -, first a letter",
                  parameter, JOB_NAME_MAX);
    return false;
}

static bool take_limit(struct request *rq, size_t *ret)
{
    struct slice text = request_query(rq, "limit");
    size_t n = 0, i = 0;

    *ret = LIMIT_DEFAULT;
    if (text.ptr == NULL)
        return true;
    for (; i < text.len && i < 4 && text.ptr[i] >= '0' && text.ptr[i] <= '9'; i++)
        n = n * 10 + (size_t)(text.ptr[i] - '0');
    *ret = n;
    if (i > 0 && i == text.len && n >= 1 && n <= SCHEDULES_PAGE_MAX)
        return true;
    reply_problem(rq, 400, NULL, "limit: must be a number from 1 to %d", SCHEDULES_PAGE_MAX);
    return false;
}

static bool take_query(struct request *rq, struct list_query *q)
{
    static const char *const known[] = {"queue", "cursor", "limit", NULL};
    struct slice odd = request_unknown_query(rq, known);

    if (odd.ptr != NULL) {
        reply_problem(rq, 400, NULL,
                      SLICE_FMT ": is not a parameter; there are queue, cursor, limit",
                      SLICE_ARG(odd));
        return false;
    }
    odd = request_repeated_query(rq);
    if (odd.ptr != NULL) {
        reply_problem(rq, 400, NULL, SLICE_FMT ": is given twice", SLICE_ARG(odd));
        return false;
    }
    return take_name(rq, "queue", q->queue) && take_name(rq, "cursor", q->cursor) &&
           take_limit(rq, &q->limit);
}

static void list(struct request *rq)
{
    struct list_query q;
    enum err e;

    if (!take_query(rq, &q))
        return;
    e = schedules_list(rq->api->redis,
                       &(struct schedules_filter){.queue = q.queue[0] == '\0' ? NULL : q.queue,
                                                  .after = q.cursor,
                                                  .limit = q.limit},
                       on_list, rq);
    if (e != ERR_OK)
        reply_unavailable(rq, "the schedules cannot be read", e);
}

/* --- one ------------------------------------------------------------------------------------- */

static void on_shown(void *arg, enum err e, const struct schedule_view *v,
                     const struct fault *why)
{
    if (e == ERR_OK)
        schedule_reply(arg, 200, v);
    else
        schedule_reply_failure(arg, e, why);
}

static void on_removed(void *arg, enum err e, const struct schedule_view *v,
                       const struct fault *why)
{
    (void)v;
    if (e == ERR_OK)
        reply_send(arg, &(struct reply){.status = 204});
    else
        schedule_reply_failure(arg, e, why);
}

static void on_run(void *arg, enum err e, const struct schedule_view *v,
                   const struct fault *why)
{
    char id[UUID_TEXT_SIZE], location[64], body[160];
    int n;

    if (e != ERR_OK) {
        schedule_reply_failure(arg, e, why);
        return;
    }
    (void)uuid_text(&v->past.job, id);
    (void)snprintf(location, sizeof location, "/v1/jobs/%s", id);
    n = snprintf(body, sizeof body, "{\"id\":\"%s\",\"queue\":\"%s\"}", id, v->s->queue);
    reply_send(arg, &(struct reply){.status = 202,
                                    .content_type = "application/json",
                                    .body = slice_of(body, (size_t)n),
                                    .headers = {{"location", location}},
                                    .n_headers = 1});
}

enum action { GET, REMOVE, PAUSE, RESUME, RUN };

static enum err ask(struct request *rq, enum action action, const char *name)
{
    struct redis *r = rq->api->redis;

    switch (action) {
    case GET:
        return schedules_get(r, name, on_shown, rq);
    case REMOVE:
        return schedules_remove(r, name, on_removed, rq);
    case PAUSE:
        return schedules_pause(r, name, true, on_shown, rq);
    case RESUME:
        return schedules_pause(r, name, false, on_shown, rq);
    case RUN:
        break;
    }
    return schedules_run(r, name, on_run, rq);
}

static void act(struct request *rq, enum action action)
{
    char name[JOB_NAME_MAX + 1];
    enum err e =
        slice_to_cstr(rq->params[0], name, sizeof name) ? ask(rq, action, name) : ERR_MALFORMED;

    if (e == ERR_MALFORMED)
        schedule_reply_failure(rq, ERR_NOT_FOUND, NULL);
    else if (e != ERR_OK)
        schedule_reply_failure(rq, e, NULL);
}

static void show(struct request *rq)
{
    act(rq, GET);
}

static void remove_one(struct request *rq)
{
    act(rq, REMOVE);
}

static void pause_one(struct request *rq)
{
    act(rq, PAUSE);
}

static void resume(struct request *rq)
{
    act(rq, RESUME);
}

static void run(struct request *rq)
{
    act(rq, RUN);
}

const struct endpoint endpoint_schedules = {
    .method = "GET", .pattern = "/v1/schedules", .on_end = list};
const struct endpoint endpoint_schedule_get = {
    .method = "GET", .pattern = "/v1/schedules/{name}", .on_end = show};
const struct endpoint endpoint_schedule_delete = {
    .method = "DELETE", .pattern = "/v1/schedules/{name}", .on_end = remove_one};
const struct endpoint endpoint_schedule_pause = {
    .method = "POST", .pattern = "/v1/schedules/{name}/pause", .on_end = pause_one};
const struct endpoint endpoint_schedule_resume = {
    .method = "POST", .pattern = "/v1/schedules/{name}/resume", .on_end = resume};
const struct endpoint endpoint_schedule_run = {
    .method = "POST", .pattern = "/v1/schedules/{name}/run", .on_end = run};
