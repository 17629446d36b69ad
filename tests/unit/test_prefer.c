#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/prefer.h"

static uint64_t wait_of(const char *first, const char *second)
{
    struct request rq = {.n_headers = 0};

    rq.headers[rq.n_headers++] =
        (struct request_header){slice_str("Host"), slice_str("wait=99")};
    rq.headers[rq.n_headers++] = (struct request_header){slice_str("PREFER"), slice_str(first)};
    if (second != NULL)
        rq.headers[rq.n_headers++] =
            (struct request_header){slice_str("prefer"), slice_str(second)};
    return prefer_wait(&rq);
}

static void seconds_are_found_among_other_preferences(void **state)
{
    static const struct {
        const char *first, *second;
        uint64_t want;
    } table[] = {
        {"wait=10", NULL, 10},
        {"Wait=10", NULL, 10},
        {"respond-async, wait=10", NULL, 10},
        {"respond-async,wait = 10 ; x=y , return=minimal", NULL, 10},
        {"wait=\"10\"", NULL, 10},
        {"x=\"a, wait=7, \\\" b\", wait=10", NULL, 10},
        {"x; wait=7, wait=10", NULL, 10},
        {"return=minimal", "wait=10", 10},
        {"wait=10", "wait=20", 10},
        {"wait=0", NULL, 0},
        {"wait=99999999999999999999999999", NULL, 1000000000},
        {"wait", NULL, 0},
        {"wait=", NULL, 0},
        {"wait=-1", NULL, 0},
        {"wait=1.5", NULL, 0},
        {"wait=1s", NULL, 0},
        {"waits=10", NULL, 0},
        {"wai=10", NULL, 0},
        {"x=\"wait=10", NULL, 0},
        {"", NULL, 0},
        {",;=\"\\", NULL, 0},
        {" , , ", "wait=1", 1},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        uint64_t got = wait_of(table[i].first, table[i].second);

        if (got != table[i].want)
            fail_msg("%s: %llu", table[i].first, (unsigned long long)got);
    }
}

static void without_the_field_nothing_is_preferred(void **state)
{
    struct request rq = {.n_headers = 0};

    (void)state;
    assert_int_equal(prefer_wait(&rq), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seconds_are_found_among_other_preferences),
        cmocka_unit_test(without_the_field_nothing_is_preferred),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
