#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "worker/share.h"

#define N 3

static void expect(enum share_order order, const struct share *given, size_t n, size_t free,
                   const size_t *want, const char *what)
{
    struct share s[8];

    memcpy(s, given, n * sizeof *s);
    share_out(order, s, n, free);
    for (size_t i = 0; i < n; i++) {
        if (s[i].room != want[i])
            fail_msg("%s: queue %zu has %zu, not %zu", what, i, s[i].room, want[i]);
    }
}

static void separate_queues_do_not_see_each_other(void **state)
{
    const struct share s[] = {{.bound = 10, .asked = 4, .weight = 1},
                              {.bound = 7, .dry = true, .weight = 1}};

    (void)state;
    expect(SHARE_SEPARATE, s, 2, 0, (const size_t[]){10, 7}, "separate");
}

static void strict_gives_a_queue_what_those_before_it_leave(void **state)
{
    static const struct {
        const char *what;
        struct share s[N];
        size_t free, want[N];
    } table[] = {
        {"all idle: all wait",
         {{.bound = 9, .dry = true}, {.bound = 9, .dry = true}, {.bound = 9, .dry = true}},
         4,
         {4, 4, 4}},
        {"the first has jobs",
         {{.bound = 9}, {.bound = 9}, {.bound = 9, .dry = true}},
         4,
         {4, 0, 0}},
        {"only the second has jobs",
         {{.bound = 9, .dry = true}, {.bound = 9}, {.bound = 9}},
         4,
         {4, 4, 0}},
        {"the first has few slots of its own",
         {{.bound = 1}, {.bound = 9}, {.bound = 9}},
         4,
         {1, 3, 0}},
        {"the first cannot take any", {{.bound = 0}, {.bound = 9}, {.bound = 9}}, 4, {0, 4, 0}},
        {"the first is being asked",
         {{.bound = 9, .asked = 2}, {.bound = 9}, {.bound = 9}},
         4,
         {2, 0, 0}},
        {"the first is being asked for all that is free",
         {{.bound = 9, .asked = 4}, {.bound = 9}, {.bound = 9}},
         4,
         {0, 0, 0}},
        {"the second is being asked: the first may come before what is left",
         {{.bound = 9}, {.bound = 9, .asked = 3}, {.bound = 9}},
         4,
         {1, 0, 0}},
        {"nothing is free", {{.bound = 9}, {.bound = 9}, {.bound = 9}}, 0, {0, 0, 0}},
        {"more was asked for than is free now",
         {{.bound = 9, .asked = 8}, {.bound = 9}, {.bound = 9}},
         4,
         {0, 0, 0}},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++)
        expect(SHARE_STRICT, table[i].s, N, table[i].free, table[i].want, table[i].what);
}

static void weights_share_what_is_free(void **state)
{
    static const struct {
        const char *what;
        struct share s[N];
        size_t free, want[N];
    } table[] = {
        {"nine slots, five to three to one",
         {{.bound = 99, .weight = 5}, {.bound = 99, .weight = 3}, {.bound = 99, .weight = 1}},
         9,
         {5, 3, 1}},
        {"who is dry waits, and the others share all",
         {{.bound = 99, .weight = 5, .dry = true},
          {.bound = 99, .weight = 3},
          {.bound = 99, .weight = 1}},
         8,
         {8, 6, 2}},
        {"who has few slots of its own leaves the rest",
         {{.bound = 1, .weight = 5}, {.bound = 99, .weight = 1}, {.bound = 99, .weight = 1}},
         9,
         {1, 4, 4}},
        {"who is behind comes first",
         {{.bound = 99, .weight = 5, .pass = 3},
          {.bound = 99, .weight = 3, .pass = 3},
          {.bound = 99, .weight = 1, .pass = 1}},
         2,
         {0, 0, 2}},
        {"what is being asked for counts as had",
         {{.bound = 99, .weight = 1, .asked = 2},
          {.bound = 99, .weight = 1},
          {.bound = 99, .weight = 1}},
         6,
         {0, 2, 2}},
        {"no more than a claim takes",
         {{.bound = 10000, .weight = 1},
          {.bound = 10000, .weight = 1},
          {.bound = 5, .weight = 1}},
         10000,
         {SHARE_BATCH, SHARE_BATCH, 5}},
        {"nothing is free",
         {{.bound = 9, .weight = 1}, {.bound = 9, .weight = 1}, {.bound = 9, .weight = 1}},
         0,
         {0, 0, 0}},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++)
        expect(SHARE_WEIGHTED, table[i].s, N, table[i].free, table[i].want, table[i].what);
}

/* One slot, all have jobs: each turn one of them gets it. */
static void over_time_the_shares_are_the_weights_and_nobody_starves(void **state)
{
    struct share s[N] = {
        {.bound = 1, .weight = 1000}, {.bound = 1, .weight = 30}, {.bound = 1, .weight = 1}};
    size_t had[N] = {0}, turns = 103100;

    (void)state;
    for (size_t turn = 0; turn < turns; turn++) {
        size_t given = 0;

        share_out(SHARE_WEIGHTED, s, N, 1);
        for (size_t i = 0; i < N; i++) {
            if (s[i].room == 0)
                continue;
            given += s[i].room;
            had[i]++;
            s[i].pass = share_pass(s[i].pass, s[i].weight, 1);
        }
        assert_int_equal(given, 1);
    }
    assert_in_range(had[0], 99990, 100010);
    assert_in_range(had[1], 2998, 3002);
    assert_in_range(had[2], 99, 101);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(separate_queues_do_not_see_each_other),
        cmocka_unit_test(strict_gives_a_queue_what_those_before_it_leave),
        cmocka_unit_test(weights_share_what_is_free),
        cmocka_unit_test(over_time_the_shares_are_the_weights_and_nobody_starves),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
