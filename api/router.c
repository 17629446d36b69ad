#include "api/router.h"

#include "api/endpoints/endpoints.h"

/* clang-format off */
static const struct endpoint *const table[] = {
    &endpoint_jobs_post,
    &endpoint_jobs_list,
    &endpoint_job_get,
    &endpoint_output_get,
    &endpoint_uploads_post,
    &endpoint_queues,
    &endpoint_workers,
    &endpoint_health,
    &endpoint_ready,
    &endpoint_metrics,
    &endpoint_pause,
    &endpoint_resume,
    &endpoint_job_retry,
    &endpoint_jobs_retry,
    &endpoint_schedules,
    &endpoint_schedule_get,
    &endpoint_schedule_put,
    &endpoint_schedule_delete,
    &endpoint_schedule_pause,
    &endpoint_schedule_resume,
    &endpoint_schedule_run,
    &endpoint_queue_get,
    &endpoint_limits,
    &endpoint_explain,
    &endpoint_job_cancel,
    &endpoint_job_events,
    &endpoint_caps_put,
    &endpoint_batch_post,
    &endpoint_batch_get,
    &endpoint_jobs_cancel,
    &endpoint_recipes,
    &endpoint_recipe_get,
    &endpoint_recipe_put,
    &endpoint_recipe_delete,
};
/* clang-format on */

/* Cuts the next segment off *rest (without its slash). */
static bool next_segment(struct slice *rest, struct slice *segment)
{
    const char *slash;
    size_t n;

    if (rest->len == 0 || rest->ptr[0] != '/')
        return false;
    *rest = slice_of(rest->ptr + 1, rest->len - 1);
    slash = memchr(rest->ptr, '/', rest->len);
    n = slash == NULL ? rest->len : (size_t)(slash - rest->ptr);
    *segment = slice_of(rest->ptr, n);
    *rest = slice_of(rest->ptr + n, rest->len - n);
    return true;
}

bool router_fits(const char *pattern, struct slice path,
                 struct slice params[REQUEST_PARAMS_MAX])
{
    struct slice want = slice_str(pattern), a, b;
    size_t n = 0;

    while (next_segment(&want, &a)) {
        if (!next_segment(&path, &b))
            return false;
        if (a.len > 0 && a.ptr[0] == '{') {
            if (b.len == 0)
                return false;
            must(n < REQUEST_PARAMS_MAX);
            params[n++] = b;
        } else if (!slice_eq(a, b)) {
            return false;
        }
    }
    return path.len == 0;
}

static bool takes(const struct endpoint *e, struct slice method)
{
    return slice_is(method, e->method) ||
           (slice_is(method, "HEAD") && strcmp(e->method, "GET") == 0);
}

static void add_method(char allow[64], const char *method)
{
    size_t n = strlen(allow);

    (void)snprintf(allow + n, 64 - n, "%s%s", n > 0 ? ", " : "", method);
    if (strcmp(method, "GET") == 0)
        add_method(allow, "HEAD");
}

enum route_verdict router_match(struct request *rq, char allow[64])
{
    allow[0] = '\0';
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        if (!router_fits(table[i]->pattern, rq->path, rq->params))
            continue;
        if (takes(table[i], rq->method)) {
            rq->endpoint = table[i];
            return ROUTE_OK;
        }
        add_method(allow, table[i]->method);
    }
    return allow[0] == '\0' ? ROUTE_NO_PATH : ROUTE_NO_METHOD;
}
