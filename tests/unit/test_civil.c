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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(days_and_seconds_go_there_and_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
