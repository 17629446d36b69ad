#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "queue/explain_reasons.h"

#define NOW 1700000000000u

static struct explain_facts plain(void)
{
    return (struct explain_facts){
        .state = {.state = JOB_QUEUED, .attempt = 2, .consumer = SLICE_LIT("h:1:x")},
        .now_ms = NOW,
        .workers = 1,
        .slots = 4,
        .place = PLACE_READY,
        .exact = true,
    };
}

static void expect(const struct explain_facts *f, const char *codes, uint64_t may_start_ms)
{
    struct explanation e = {.n_reasons = 0};
    char got[256] = "";
    size_t n = 0;

    explain_reasons(f, &e);
    for (size_t i = 0; i < e.n_reasons; i++)
        n += (size_t)snprintf(got + n, sizeof got - n, "%s%s", i > 0 ? " " : "",
                              e.reasons[i].code);
    assert_string_equal(got, codes);
    assert_int_equal(e.may_start_ms, may_start_ms);
}

static void each_reason_has_its_code(void **state)
{
    struct explain_facts f = plain();

    (void)state;
    expect(&f, "next", NOW);
    f.ahead = 3;
    expect(&f, "jobs_ahead", 0);
    f = plain();
    f.state.state = JOB_RUNNING;
    expect(&f, "running", 0);
    f = plain();
    f.state.state = JOB_SCHEDULED;
    f.state.due_ms = NOW + 5000;
    expect(&f, "scheduled", NOW + 5000);
    f.state.state = JOB_RETRYING;
    expect(&f, "retry_backoff", NOW + 5000);
    f = plain();
    f.paused = true;
    expect(&f, "queue_paused", 0);
    f = plain();
    f.workers = f.slots = 0;
    expect(&f, "no_worker", 0);
    f = plain();
    f.busy = 4;
    expect(&f, "workers_busy", 0);
    f = plain();
    f.limits.whole.running = 2;
    f.held = 1;
    expect(&f, "next", NOW);
    f.held = 2;
    expect(&f, "queue_running_limit", 0);
    f = plain();
    f.limits.per_key.running = 1;
    f.key_held = 1;
    expect(&f, "next", NOW); /* it has no key */
    f.key = SLICE_LIT("a");
    f.place = PLACE_PARKED;
    expect(&f, "key_running_limit key_turn", 0);
}

static void a_rate_says_when_its_next_token_comes(void **state)
{
    struct explain_facts f = plain();

    (void)state;
    f.limits.whole.rate = (struct rate_limit){10, 1000, 5};
    f.full_ms = NOW + 400; /* one token is there */
    expect(&f, "next", NOW);
    f.full_ms = NOW + 500;
    expect(&f, "queue_rate_limit", NOW + 100);
    f.full_ms = NOW + 950;
    expect(&f, "queue_rate_limit", NOW + 550);
    f.limits.per_key.rate = (struct rate_limit){1, 60000, 1};
    f.key_full_ms = NOW + 60000;
    f.key = SLICE_LIT("a");
    f.place = PLACE_PARKED;
    expect(&f, "queue_rate_limit key_rate_limit key_turn", NOW + 60000);
    f.ahead = 1; /* then the one before it takes the token */
    expect(&f, "queue_rate_limit key_rate_limit key_turn", 0);
}

static void reasons_stand_in_order(void **state)
{
    struct explain_facts f = plain();

    (void)state;
    f.state.state = JOB_RETRYING;
    f.state.due_ms = NOW + 5000;
    f.paused = true;
    f.workers = 0;
    f.limits = (struct queue_limits){{1, {1, 1000, 1}}, {1, {1, 1000, 1}}};
    f.held = f.key_held = 1;
    f.full_ms = f.key_full_ms = NOW + 9000;
    f.key = SLICE_LIT("a");
    expect(&f,
           "retry_backoff queue_paused no_worker queue_running_limit queue_rate_limit "
           "key_running_limit key_rate_limit",
           0);
}

static void what_is_expected_comes_from_what_was_measured(void **state)
{
    struct explain_facts f = plain();
    struct explanation e = {.n_reasons = 0};

    (void)state;
    f.ahead = 99;
    f.claims = 50;
    f.claims_ms = 10000;
    explain_reasons(&f, &e);
    assert_int_equal(e.expected_ms, NOW + 20000);
    f.claims = 0;
    e = (struct explanation){.n_reasons = 0};
    explain_reasons(&f, &e);
    assert_int_equal(e.expected_ms, 0);
    f.claims = 50;
    f.paused = true;
    e = (struct explanation){.n_reasons = 0};
    explain_reasons(&f, &e);
    assert_int_equal(e.expected_ms, 0);
    f.paused = false;
    f.place = PLACE_UNKNOWN;
    e = (struct explanation){.n_reasons = 0};
    explain_reasons(&f, &e);
    assert_int_equal(e.expected_ms, 0);
    assert_non_null(strstr(e.reasons[0].text, "at least 99"));
    assert_string_equal(e.reasons[0].facts[0].name, "jobs_at_least");
}

static void text_from_outside_is_quoted(void **state)
{
    struct explain_facts f = plain();
    struct explanation e = {.queue = "q"};
    AUTO(buf_done) struct buf out = {0};

    (void)state;
    f.limits.per_key.running = 1;
    f.key_held = 1;
    f.key = SLICE_LIT("a\"b\xff");
    explain_reasons(&f, &e);
    explain_json(&e, &out);
    assert_non_null(strstr(buf_cstr(&out), "\"key\":\"a\\\"b\xef\xbf\xbd\""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_reason_has_its_code),
        cmocka_unit_test(a_rate_says_when_its_next_token_comes),
        cmocka_unit_test(reasons_stand_in_order),
        cmocka_unit_test(what_is_expected_comes_from_what_was_measured),
        cmocka_unit_test(text_from_outside_is_quoted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
