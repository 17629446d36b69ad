#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shared/civil.h"

static void days_and_seconds_go_there_and_back(void **state)
{
    static const unsigned lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int64_t days = civil_days(1600, 1, 1);

    (void)state;
    assert_int_equal(civil_days(1970, 1, 1), 0);
    assert_int_equal(civil_days(2000, 3, 1), 11017);
    assert_int_equal(civil_weekday(0), 4);
    assert_int_equal(civil_weekday(-4), 0);
    for (int year = 1600; year <= 2410; year++) {
        for (unsigned month = 1; month <= 12; month++) {
            bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

            assert_int_equal(civil_month_days(year, month),
                             lengths[month - 1] + (month == 2 && leap));
            for (unsigned day = 1; day <= civil_month_days(year, month); day++, days++) {
                struct civil c = civil_of(days * CIVIL_DAY_S + 86399);

                assert_int_equal(civil_days(year, month, day), days);
                assert_true(c.year == year && c.month == month && c.day == day);
                assert_true(c.hour == 23 && c.minute == 59 && c.second == 59);
                assert_int_equal(civil_seconds(&c), days * CIVIL_DAY_S + 86399);
            }
        }
    }
}

static void rfc_3339_times_are_read(void **state)
{
    static const struct {
        const char *text;
        uint64_t want;
    } good[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"2026-11-25T08:30:01Z", 1795595401000},
        {"2026-11-25T08:30:01.5z", 1795595401500},
        {"2026-11-25 08:30:01.123456789Z", 1795595401123},
        {"2026-11-25T10:30:01+02:00", 1795595401000},
        {"2026-11-25T00:00:01-08:30", 1795595401000},
        {"2024-02-29T00:00:00Z", 1709164800000},
        {"9999-12-31T23:59:59.999Z", 253402300799999},
    };
    static const char *const bad[] = {
        "",
        "2026-11-25",
        "2026-11-25T08:30Z",
        "2026-11-25T08:30:01",
        "2026-11-25T08:30:60Z",
        "2026-11-25T24:00:00Z",
        "2026-02-29T00:00:00Z",
        "2026-00-10T00:00:00Z",
        "2026-13-10T00:00:00Z",
        "2026-01-00T00:00:00Z",
        "2026-11-25T08:30:01.Z",
        "2026-11-25T08:30:01.1234567890Z",
        "2026-11-25T08:30:01+0200",
        "2026-11-25T08:30:01+24:00",
        "2026-11-25T08:30:01Zx",
        "1969-12-31T23:59:59Z",
        "1970-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
        " 2026-11-25T08:30:01Z",
    };
    uint64_t ms;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        if (!civil_parse_rfc3339(slice_str(good[i].text), &ms) || ms != good[i].want)
            fail_msg("%s: %llu", good[i].text, (unsigned long long)ms);
    }
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        if (civil_parse_rfc3339(slice_str(bad[i]), &ms))
            fail_msg("\"%s\" was taken", bad[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(days_and_seconds_go_there_and_back),
        cmocka_unit_test(rfc_3339_times_are_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
