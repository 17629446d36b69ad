#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/config_demo.h"

static int set_up(void **state)
{
    (void)state;
    demo_clear_environment();
    return 0;
}

static void a_flag_that_is_true_or_false_may_stand_alone(void **state)
{
    static const struct {
        const char *first, *second;
        bool want;
    } rows[] = {
        {"--tls", "--slots=4", true}, {"--tls", "true", true},
        {"--tls", "off", false},      {"--tls=1", "--tls=0", false},
        {"--tls=no", "--tls", true},  {"--tls=ON", "--slots=4", true},
        {"--slots=4", "--tls", true},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct demo_run r;

        RUN(&r, URL, rows[i].first, rows[i].second);
        assert_string_equal(r.errors, "");
        assert_int_equal(r.config.tls, rows[i].want);
        demo_run_done(&r);
    }
}

static void a_flag_is_no_value_for_the_one_before(void **state)
{
    struct demo_run r;

    (void)state;
    RUN(&r, URL, "--slots", "--tls");
    assert_non_null(strstr(r.errors, "--slots: a value is missing"));
    demo_run_done(&r);
}

static void flags_end_at_the_first_word_for_a_program_that_takes_words(void **state)
{
    static const struct {
        const char *args[4];
        int want;
        uint64_t slots;
    } rows[] = {
        {{NULL}, 2, 4},
        {{"look", NULL}, 2, 4},
        {{"--slots", "5", "look", NULL}, 4, 5},
        {{"look", "--slots", "5", NULL}, 2, 4},
        {{"--slots=5", "--", "--look", NULL}, 4, 5},
        {{"-", "--slots", "5", NULL}, 2, 4},
    };
    static const char *const words[] = {"COMMAND", "[ARGUMENT...]", NULL};
    struct cfg_spec of = demo_spec;
    int first = -1;

    (void)state;
    of.positional = words;
    of.ret_first_positional = &first;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const char *argv[8] = {"demo", URL};
        struct demo_run r;

        for (size_t j = 0; j < COUNT_OF(rows[i].args) && rows[i].args[j] != NULL; j++)
            argv[2 + j] = rows[i].args[j];
        demo_run_spec(&r, &of, argv);
        assert_string_equal(r.errors, "");
        assert_int_equal(first, rows[i].want);
        assert_int_equal(r.config.slots, rows[i].slots);
        demo_run_done(&r);
    }
}

static void the_usage_names_the_words(void **state)
{
    static const char *const words[] = {"COMMAND", "[ARGUMENT...]", NULL};
    struct cfg_spec of = demo_spec;
    struct demo_run r;

    (void)state;
    of.positional = words;
    demo_run_spec(&r, &of, (const char *const[]){"demo", "--help", NULL});
    assert_non_null(strstr(r.out, "usage: demo [--KEY VALUE ...] COMMAND [ARGUMENT...]\n"));
    demo_run_done(&r);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, NULL)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_flag_that_is_true_or_false_may_stand_alone),
        TEST(a_flag_is_no_value_for_the_one_before),
        TEST(flags_end_at_the_first_word_for_a_program_that_takes_words),
        TEST(the_usage_names_the_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
