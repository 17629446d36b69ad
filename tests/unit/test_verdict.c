#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shared/rand.h"
#include "worker/verdict.h"

#define BASE 1000u
#define CAP  60000u

static void what_is_to_be_cancelled_ends_so_unless_it_has_succeeded(void **state)
{
    static const struct {
        enum err err;
        bool released;
        enum verdict_kind want;
    } table[] = {
        {ERR_OK, false, VERDICT_SUCCEEDED},       {ERR_CANCELED, false, VERDICT_CANCELLED},
        {ERR_CANCELED, true, VERDICT_CANCELLED},  {ERR_TIMEOUT, false, VERDICT_CANCELLED},
        {ERR_REJECTED, false, VERDICT_CANCELLED}, {ERR_EXPIRED, false, VERDICT_CANCELLED},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++)
        assert_int_equal(verdict_of(&(struct attempt_end){.err = table[i].err,
                                                          .released = table[i].released,
                                                          .cancelled = true,
                                                          .attempt = 1,
                                                          .max_attempts = 5,
                                                          .retry_after_ms = -1})
                             .kind,
                         table[i].want);
    assert_int_equal(verdict_state(VERDICT_CANCELLED), JOB_CANCELLED);
    assert_int_equal(verdict_state(VERDICT_EXPIRED), JOB_EXPIRED);
}

static void an_end_leads_to_its_verdict(void **state)
{
    static const struct {
        const char *what;
        enum err err;
        bool released;
        uint32_t attempt, excused, max;
        enum verdict_kind want;
    } table[] = {
        {"success", ERR_OK, false, 1, 0, 1, VERDICT_SUCCEEDED},
        {"success while draining", ERR_OK, true, 1, 0, 1, VERDICT_SUCCEEDED},
        {"success over the limit", ERR_OK, false, 9, 0, 3, VERDICT_SUCCEEDED},
        {"draining", ERR_CANCELED, true, 1, 0, 1, VERDICT_RELEASE},
        {"draining, last attempt", ERR_CANCELED, true, 3, 0, 3, VERDICT_RELEASE},
        {"a first failure", ERR_TIMEOUT, false, 1, 0, 3, VERDICT_RETRY},
        {"the last but one", ERR_TIMEOUT, false, 2, 0, 3, VERDICT_RETRY},
        {"the last", ERR_TIMEOUT, false, 3, 0, 3, VERDICT_DEAD},
        {"one attempt only", ERR_CRASHED, false, 1, 0, 1, VERDICT_DEAD},
        {"excused attempts do not count", ERR_BUSY, false, 5, 3, 3, VERDICT_RETRY},
        {"excused ones and used up", ERR_BUSY, false, 6, 3, 3, VERDICT_DEAD},
        {"more excused than attempts", ERR_BUSY, false, 2, 5, 1, VERDICT_RETRY},
        {"final", ERR_MALFORMED, false, 1, 0, 100, VERDICT_DEAD},
        {"final: rejected", ERR_REJECTED, false, 1, 0, 100, VERDICT_DEAD},
        {"final: not found", ERR_NOT_FOUND, false, 1, 0, 100, VERDICT_DEAD},
        {"final: forbidden", ERR_FORBIDDEN, false, 1, 0, 100, VERDICT_DEAD},
        {"final: too big", ERR_TOO_BIG, false, 1, 0, 100, VERDICT_DEAD},
        {"final: unsupported", ERR_UNSUPPORTED, false, 1, 0, 100, VERDICT_DEAD},
        {"too late", ERR_EXPIRED, false, 1, 0, 100, VERDICT_EXPIRED},
        {"not understood", ERR_INTERNAL, false, 1, 0, 2, VERDICT_RETRY},
        {"stopped, but not by a drain", ERR_CANCELED, false, 1, 0, 2, VERDICT_RETRY},
        {"out of memory", ERR_NOMEM, false, 1, 0, 2, VERDICT_RETRY},
        {"no limit is met at nought", ERR_IO, false, 1, 0, 0, VERDICT_DEAD},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct verdict v = verdict_of(&(struct attempt_end){.err = table[i].err,
                                                            .released = table[i].released,
                                                            .attempt = table[i].attempt,
                                                            .excused = table[i].excused,
                                                            .max_attempts = table[i].max,
                                                            .retry_after_ms = -1,
                                                            .retry_base_ms = BASE,
                                                            .retry_cap_ms = CAP});

        if (v.kind != table[i].want)
            fail_msg("%s: %d", table[i].what, (int)v.kind);
    }
}

static void the_wait_grows_with_the_attempts_that_count(void **state)
{
    static const struct {
        uint32_t attempt, excused;
        int64_t retry_after_ms;
        uint64_t least, most;
    } table[] = {
        {1, 0, -1, BASE / 2, BASE},      {2, 0, -1, BASE, 2 * BASE},
        {5, 0, -1, 8 * BASE, 16 * BASE}, {50, 0, -1, CAP / 2, CAP},
        {99, 97, -1, BASE, 2 * BASE},    {1, 3, -1, BASE / 2, BASE},
        {1, 0, 0, BASE / 2, BASE},       {1, 0, 5000, 5000, 5000},
        {50, 0, 5000, CAP / 2, CAP},     {1, 0, 86400000, 86400000, 86400000},
    };

    (void)state;
    rand_seed(1);
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct verdict v =
            verdict_of(&(struct attempt_end){.err = ERR_BUSY,
                                             .attempt = table[i].attempt,
                                             .excused = table[i].excused,
                                             .max_attempts = 100,
                                             .retry_after_ms = table[i].retry_after_ms,
                                             .retry_base_ms = BASE,
                                             .retry_cap_ms = CAP});

        assert_int_equal(v.kind, VERDICT_RETRY);
        if (v.delay_ms < table[i].least || v.delay_ms > table[i].most)
            fail_msg("row %zu: %llu ms", i, (unsigned long long)v.delay_ms);
    }
}

static void a_job_may_have_a_policy_of_its_own(void **state)
{
    static const struct {
        const char *what;
        struct retry_policy policy;
        uint32_t attempt;
        int64_t retry_after_ms;
        uint64_t least, most;
    } table[] = {
        {"fixed", {RETRY_FIXED, 700, 0, 0, {0}, 0}, 9, -1, 700, 700},
        {"fixed, the worker's base", {RETRY_FIXED, 0, 0, 0, {0}, 0}, 3, -1, BASE, BASE},
        {"fixed, half to chance", {RETRY_FIXED, 700, 0, 50, {0}, 0}, 1, -1, 350, 700},
        {"all to chance", {RETRY_FIXED, 700, 0, 100, {0}, 0}, 1, -1, 0, 700},
        {"doubled", {RETRY_EXPONENTIAL, 10, 1000, 0, {0}, 0}, 4, -1, 80, 80},
        {"its cap", {RETRY_EXPONENTIAL, 10, 1000, 0, {0}, 0}, 60, -1, 1000, 1000},
        {"the worker's cap", {RETRY_EXPONENTIAL, 10, 0, 0, {0}, 0}, 99, -1, CAP, CAP},
        {"first of a list", {RETRY_LIST, 0, 0, 0, {5, 60}, 2}, 1, -1, 5, 5},
        {"second of a list", {RETRY_LIST, 0, 0, 0, {5, 60}, 2}, 2, -1, 60, 60},
        {"past the list", {RETRY_LIST, 0, 0, 0, {5, 60}, 2}, 50, -1, 60, 60},
        {"the peer asks for more", {RETRY_LIST, 0, 0, 0, {5, 60}, 2}, 1, 900, 900, 900},
        {"the peer asks for less", {RETRY_FIXED, 700, 0, 0, {0}, 0}, 1, 20, 700, 700},
    };

    (void)state;
    rand_seed(1);
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct verdict v =
            verdict_of(&(struct attempt_end){.err = ERR_BUSY,
                                             .attempt = table[i].attempt,
                                             .max_attempts = 100,
                                             .retry_after_ms = table[i].retry_after_ms,
                                             .retry_base_ms = BASE,
                                             .retry_cap_ms = CAP,
                                             .retry = &table[i].policy});

        assert_int_equal(v.kind, VERDICT_RETRY);
        if (v.delay_ms < table[i].least || v.delay_ms > table[i].most)
            fail_msg("%s: %llu ms", table[i].what, (unsigned long long)v.delay_ms);
    }
}

static void a_verdict_is_a_state_of_the_job(void **state)
{
    (void)state;
    assert_int_equal(verdict_state(VERDICT_SUCCEEDED), JOB_SUCCEEDED);
    assert_int_equal(verdict_state(VERDICT_DEAD), JOB_DEAD);
    assert_int_equal(verdict_state(VERDICT_RETRY), JOB_RETRYING);
    assert_int_equal(verdict_state(VERDICT_RELEASE), JOB_QUEUED);
    assert_int_equal(verdict_counted(5, 2), 3);
    assert_int_equal(verdict_counted(2, 2), 0);
    assert_int_equal(verdict_counted(1, 7), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_end_leads_to_its_verdict),
        cmocka_unit_test(what_is_to_be_cancelled_ends_so_unless_it_has_succeeded),
        cmocka_unit_test(the_wait_grows_with_the_attempts_that_count),
        cmocka_unit_test(a_job_may_have_a_policy_of_its_own),
        cmocka_unit_test(a_verdict_is_a_state_of_the_job),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
