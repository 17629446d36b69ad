#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/endpoints/endpoints.h"
#include "api/router.h"

#define ID "0192f0c1-2345-7abc-8def-0123456789ab"

static const struct {
    const char *method, *path;
    const struct endpoint *want;
    const char *first, *second; /* parameters */
} found[] = {
    {"POST", "/v1/jobs", &endpoint_jobs_post, NULL, NULL},
    {"GET", "/v1/jobs", &endpoint_jobs_list, NULL, NULL},
    {"HEAD", "/v1/jobs", &endpoint_jobs_list, NULL, NULL},
    {"GET", "/v1/jobs/" ID, &endpoint_job_get, ID, NULL},
    {"HEAD", "/v1/jobs/" ID, &endpoint_job_get, ID, NULL},
    {"GET", "/v1/jobs/" ID "/outputs/card.webp", &endpoint_output_get, ID, "card.webp"},
    {"POST", "/v1/uploads", &endpoint_uploads_post, NULL, NULL},
    {"GET", "/v1/queues", &endpoint_queues, NULL, NULL},
    {"POST", "/v1/queues/image/pause", &endpoint_pause, "image", NULL},
    {"POST", "/v1/queues/image/resume", &endpoint_resume, "image", NULL},
    {"GET", "/v1/workers", &endpoint_workers, NULL, NULL},
    {"GET", "/healthz", &endpoint_health, NULL, NULL},
    {"GET", "/readyz", &endpoint_ready, NULL, NULL},
    {"GET", "/metrics", &endpoint_metrics, NULL, NULL},
};

static enum route_verdict match(const char *method, const char *path, struct request *rq,
                                char allow[64])
{
    *rq = (struct request){.method = slice_str(method), .path = slice_str(path)};
    return router_match(rq, allow);
}

static void every_route_leads_to_its_endpoint(void **state)
{
    struct request rq;
    char allow[64];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(found); i++) {
        if (match(found[i].method, found[i].path, &rq, allow) != ROUTE_OK ||
            rq.endpoint != found[i].want)
            fail_msg("%s %s", found[i].method, found[i].path);
        if (found[i].first != NULL)
            assert_true(slice_is(rq.params[0], found[i].first));
        if (found[i].second != NULL)
            assert_true(slice_is(rq.params[1], found[i].second));
    }
}

static void a_path_that_is_nearly_right_is_wrong(void **state)
{
    static const char *const paths[] = {
        "/",
        "/v1",
        "/v1/",
        "/v1/jobs/",
        "/v1/jobsx",
        "/v1/job",
        "/V1/jobs",
        "/v1/jobs/" ID "/",
        "/healthz/",
        "/v1/queues/",
        "/v1/jobs/x/outputs",
        "/v1/jobs/x/outputs/",
        "/v1/jobs/x/outputs/a/b",
        "/v1/queues/image/depth",
    };
    struct request rq;
    char allow[64];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        if (match("GET", paths[i], &rq, allow) != ROUTE_NO_PATH)
            fail_msg("%s", paths[i]);
    }
}

static void a_wrong_method_is_told_the_right_ones(void **state)
{
    static const struct {
        const char *method, *path, *allow;
    } table[] = {
        {"DELETE", "/v1/jobs", "POST, GET, HEAD"},
        {"PUT", "/v1/jobs/" ID, "GET, HEAD"},
        {"GET", "/v1/uploads", "POST"},
        {"POST", "/healthz", "GET, HEAD"},
        {"GET", "/v1/queues/image/pause", "POST"},
        {"OPTIONS", "/metrics", "GET, HEAD"},
    };
    struct request rq;
    char allow[64];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        assert_int_equal(match(table[i].method, table[i].path, &rq, allow), ROUTE_NO_METHOD);
        if (strcmp(allow, table[i].allow) != 0)
            fail_msg("%s %s: \"%s\"", table[i].method, table[i].path, allow);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_route_leads_to_its_endpoint),
        cmocka_unit_test(a_path_that_is_nearly_right_is_wrong),
        cmocka_unit_test(a_wrong_method_is_told_the_right_ones),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
