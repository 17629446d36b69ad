#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shared/clock.h"

static int real_clock(void **state)
{
    (void)state;
    clock_fake(0, 0);
    return 0;
}

static void monotonic_time_does_not_go_back(void **state)
{
    uint64_t last = clock_now_us();

    (void)state;
    for (int i = 0; i < 10000; i++) {
        uint64_t now = clock_now_us();

        assert_true(now >= last);
        last = now;
    }
    assert_true(clock_now_ms() >= last / 1000);
}

static void a_set_clock_stands_still_until_it_is_let_go(void **state)
{
    (void)state;
    clock_fake(5000999, 1700000000123);
    assert_int_equal(clock_now_us(), 5000999);
    assert_int_equal(clock_now_ms(), 5000);
    assert_int_equal(clock_wall_ms(), 1700000000123);
    clock_fake(0, 7);
    assert_int_equal(clock_now_us(), 0);
    clock_fake(0, 0);
    assert_true(clock_wall_ms() > 1700000000123);
}

static void moments_are_written_as_rfc_3339(void **state)
{
    static const struct {
        uint64_t wall_ms;
        const char *want;
    } table[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {1, "1970-01-01T00:00:00.001Z"},
        {951782400000, "2000-02-29T00:00:00.000Z"},
        {1795473781123, "2026-11-23T22:43:01.123Z"},
        {4102444799999, "2099-12-31T23:59:59.999Z"},
        {253402300799999, "9999-12-31T23:59:59.999Z"},
        {253402300800000, "9999-12-31T23:59:59.999Z"},
        {UINT64_MAX, "9999-12-31T23:59:59.999Z"},
    };
    char text[CLOCK_RFC3339_SIZE];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++)
        assert_string_equal(clock_rfc3339(table[i].wall_ms, text), table[i].want);
}

static void what_rfc_3339_allows_is_read(void **state)
{
    static const struct {
        const char *text;
        uint64_t want_ms;
    } table[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"1970-01-01T00:00:00.0019Z", 1},
        {"2000-02-29t00:00:00.000z", 951782400000},
        {"2026-11-23 22:43:01.123Z", 1795473781123},
        {"2026-11-24T01:13:01.123+02:30", 1795473781123},
        {"2026-11-23T20:43:01.12-02:00", 1795473781120},
        {"2016-12-31T23:59:60Z", 1483228800000},
        {"9999-12-31T23:59:59.999Z", 253402300799999},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        uint64_t got = 7;

        if (!clock_parse_rfc3339(slice_str(table[i].text), &got) || got != table[i].want_ms)
            fail_msg("%s: %llu", table[i].text, (unsigned long long)got);
    }
}

static void what_is_no_moment_is_refused(void **state)
{
    static const char *const table[] = {
        "",
        "2026-11-23",
        "2026-11-23T22:43Z",
        "2026-11-23T22:43:01",
        "2026-11-23T22:43:01.Z",
        "2026-11-23T22:43:01Zx",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-04-31T00:00:00Z",
        "2100-02-29T00:00:00Z",
        "2026-11-23T24:00:00Z",
        "2026-11-23T22:60:00Z",
        "2026-11-23T22:43:61Z",
        "2026-11-23T22:43:01+24:00",
        "2026-11-23T22:43:01+0100",
        "1969-12-31T23:59:59Z",
        "1970-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
        "2026-11-23T22:43:01.0000000000000000000000000000000000000000000000000000000Z",
    };
    uint64_t ms = 7;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        if (clock_parse_rfc3339(slice_str(table[i]), &ms))
            fail_msg("%s is taken for %llu", table[i], (unsigned long long)ms);
    }
    assert_false(clock_parse_rfc3339(slice_of("2026-11-23T22:43:01Z\0", 21), &ms));
    assert_true(ms == 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(monotonic_time_does_not_go_back),
        cmocka_unit_test_teardown(a_set_clock_stands_still_until_it_is_let_go, real_clock),
        cmocka_unit_test(moments_are_written_as_rfc_3339),
        cmocka_unit_test(what_rfc_3339_allows_is_read),
        cmocka_unit_test(what_is_no_moment_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
