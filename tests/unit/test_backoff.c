#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shared/backoff.h"
#include "shared/rand.h"

static int random_again(void **state)
{
    (void)state;
    rand_seed(0);
    return 0;
}

static void each_wait_lies_between_half_and_the_whole_of_the_doubled_base(void **state)
{
    static const struct {
        uint64_t base_ms, cap_ms;
        unsigned tries;
        uint64_t whole_ms;
    } table[] = {
        {100, 30000, 0, 100},
        {100, 30000, 1, 200},
        {100, 30000, 8, 25600},
        {100, 30000, 9, 30000},
        {100, 30000, 1000, 30000},
        {100, 30000, UINT32_MAX, 30000},
        {50000, 30000, 0, 30000},
        {1, 1, 5, 1},
        {1, UINT64_MAX, 63, UINT64_C(1) << 63},
        {1, UINT64_MAX, 64, UINT64_MAX},
        {3, UINT64_MAX, 63, UINT64_MAX},
    };

    (void)state;
    rand_seed(7);
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        uint64_t least = table[i].whole_ms - table[i].whole_ms / 2;

        for (int k = 0; k < 200; k++) {
            uint64_t ms = backoff_ms(table[i].base_ms, table[i].cap_ms, table[i].tries);

            assert_true(ms >= least && ms <= table[i].whole_ms);
        }
    }
}

static void a_base_of_nothing_waits_nothing(void **state)
{
    (void)state;
    assert_int_equal(backoff_ms(0, 1000, 10), 0);
    assert_int_equal(backoff_ms(0, 0, 0), 0);
    assert_int_equal(backoff_ms(5, 0, 3), 0);
}

static void many_who_fail_at_once_do_not_come_back_at_once(void **state)
{
    unsigned seen[51] = {0}, different = 0;

    (void)state;
    rand_seed(7);
    for (int i = 0; i < 1000; i++)
        seen[backoff_ms(100, 100, 0) - 50]++;
    for (size_t i = 0; i < COUNT_OF(seen); i++)
        different += seen[i] > 0;
    assert_int_equal(different, COUNT_OF(seen));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_wait_lies_between_half_and_the_whole_of_the_doubled_base),
        cmocka_unit_test(a_base_of_nothing_waits_nothing),
        cmocka_unit_test(many_who_fail_at_once_do_not_come_back_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, random_again);
}
