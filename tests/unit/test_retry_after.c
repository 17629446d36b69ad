#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shared/retry_after.h"

static const int64_t now_ms = INT64_C(1762300800123); /* Wed, 05 Nov 2025 00:00:00.123 GMT */

static const struct {
    const char *text;
    int64_t want;
} table[] = {
    {"0", 0},
    {"120", 120000},
    {" 120\t", 120000},
    {"1.5", 1500},
    {"0.0019", 1},
    {"007", 7000},
    {"86400", RETRY_AFTER_MAX_MS},
    {"86401", RETRY_AFTER_MAX_MS},
    {"86400.9", RETRY_AFTER_MAX_MS},
    {"99999999999999999999999999999999999999", RETRY_AFTER_MAX_MS},
    {"Wed, 05 Nov 2025 00:02:00 GMT", 119877},
    {"Wednesday, 05-Nov-25 00:02:00 GMT", 119877},
    {"Wed Nov  5 00:02:00 2025", 119877},
    {"Tue, 04 Nov 2025 00:00:00 GMT", 0},
    {"Thu, 05 Nov 2026 00:00:00 GMT", RETRY_AFTER_MAX_MS},
    {"", -1},
    {"   ", -1},
    {"-5", -1},
    {"+5", -1},
    {"5s", -1},
    {"1.", -1},
    {"1.5.5", -1},
    {".5", -1},
    {"1e3", -1},
    {"soon", -1},
    {"Wed, 99 Nov 2025 00:00:00 GMT", -1},
    {"2025-11-05T00:02:00Z", -1},
};

static void seconds_and_dates_are_read_and_all_else_is_none(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        int64_t got = retry_after_parse(slice_str(table[i].text), now_ms);

        if (got != table[i].want)
            fail_msg("\"%s\": %lld, not %lld", table[i].text, (long long)got,
                     (long long)table[i].want);
    }
}

static void a_nul_does_not_hide_what_follows_it(void **state)
{
    (void)state;
    assert_int_equal(retry_after_parse(SLICE_LIT("Wed, 05 Nov 2025 00:02:00 GMT\0x"), now_ms),
                     -1);
    assert_int_equal(retry_after_parse(SLICE_LIT("12\0"), now_ms), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seconds_and_dates_are_read_and_all_else_is_none),
        cmocka_unit_test(a_nul_does_not_hide_what_follows_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
