/* The command line taken apart: words, flags and settings in any order; what is wrong is named. */
#include "tests/unit/test_cli_help.h"

#include "cli/arguments.h"

struct parsed {
    struct arguments args;
    enum cli_exit code;
};

static struct parsed parse(char *const *words)
{
    struct parsed p;
    char *argv[CLI_WORDS_MAX] = {(char[]){"millrace"}};
    FILE *err = fopen("/dev/null", "we");
    int argc = 1;

    assert_non_null(err);
    for (; *words != NULL; words++)
        argv[argc++] = *words;
    p.code = arguments_read(argc, argv, err, &p.args);
    (void)fclose(err);
    return p;
}

/* The words live as long as the caller's block. */
#define W(s)       ((char[]){s})
#define PARSE(...) parse((char *const[]){__VA_ARGS__, NULL})

static void flags_words_and_settings_mix_freely(void **state)
{
    char *argv[] = {W("millrace"), W("--redis-url"), W("unix:///r"),   W("enqueue"),
                    W("--json"),   W("image"),       W("--queue=big"), W("--timeout"),
                    W("2s"),       W("{}"),          W("--count"),     W("3")};
    struct arguments a;

    (void)state;
    assert_int_equal(arguments_read((int)COUNT_OF(argv), argv, stderr, &a), CLI_DONE);
    assert_ptr_equal(a.command, &command_enqueue);
    assert_true(a.json && !a.help && !a.version && !a.check);
    assert_int_equal(a.n_words, 2);
    assert_string_equal(a.words[0], "image");
    assert_string_equal(a.words[1], "{}");
    assert_string_equal(a.flags.queue, "big");
    assert_int_equal(a.flags.count, 3);
    assert_int_equal(a.n_settings, 5);
    assert_string_equal(a.settings[1], "--redis-url");
    assert_string_equal(a.settings[2], "unix:///r");
    assert_string_equal(a.settings[3], "--timeout");
    assert_string_equal(a.settings[4], "2s");
    arguments_done(&a);
}

static void what_is_not_given_has_its_default(void **state)
{
    struct parsed p;

    (void)state;
    p = PARSE(W("enqueue"), W("noop"));
    assert_int_equal(p.code, CLI_DONE);
    assert_int_equal(p.args.flags.count, 1);
    assert_int_equal(p.args.flags.wait_s, 0);
    assert_int_equal(p.args.flags.max_attempts, 0);
    assert_int_equal(p.args.flags.priority, 2);
    arguments_done(&p.args);
    p = PARSE(W("jobs"));
    assert_int_equal(p.args.flags.limit, 50);
    assert_int_equal(p.args.flags.state, 0);
    arguments_done(&p.args);
}

static void wait_takes_its_seconds_only_where_they_are_a_number(void **state)
{
    struct parsed p;

    (void)state;
    p = PARSE(W("enqueue"), W("--wait"), W("noop"));
    assert_int_equal(p.args.n_words, 1);
    assert_int_equal(p.args.flags.wait_s, 31536000);
    arguments_done(&p.args);
    p = PARSE(W("enqueue"), W("noop"), W("--wait"), W("30"));
    assert_int_equal(p.args.n_words, 1);
    assert_int_equal(p.args.flags.wait_s, 30);
    arguments_done(&p.args);
    p = PARSE(W("enqueue"), W("noop"), W("--wait=7"));
    assert_int_equal(p.args.flags.wait_s, 7);
    arguments_done(&p.args);
    p = PARSE(W("enqueue"), W("noop"), W("--wait"));
    assert_int_equal(p.args.flags.wait_s, 31536000);
    arguments_done(&p.args);
}

static void two_dashes_end_the_flags_and_one_is_a_word(void **state)
{
    struct parsed p;

    (void)state;
    p = PARSE(W("enqueue"), W("noop"), W("-"));
    assert_int_equal(p.code, CLI_DONE);
    assert_string_equal(p.args.words[1], "-");
    arguments_done(&p.args);
    p = PARSE(W("enqueue"), W("--"), W("noop"), W("--json"));
    assert_int_equal(p.code, CLI_DONE);
    assert_false(p.args.json);
    assert_string_equal(p.args.words[1], "--json");
    arguments_done(&p.args);
}

static void what_is_wrong_is_named_and_ends_with_2(void **state)
{
    static const struct {
        const char *words[6];
        const char *want;
    } table[] = {
        {{NULL}, "a command is missing"},
        {{"jobz"}, "unknown command jobz, did you mean jobs?"},
        {{"enqeue", "noop"}, "did you mean enqueue?"},
        {{"completely-else"}, "unknown command completely-else; millrace help lists them"},
        {{"\033[2J"}, "unknown command ?[2J"},
        {{"job"}, "too few words; usage: millrace job ID"},
        {{"job", "a", "b"}, "too many words; usage: millrace job ID"},
        {{"queues", "x"}, "too many words; usage: millrace queues"},
        {{"jobs", "--stat", "dead"}, "unknown flag --stat, did you mean --state?"},
        {{"jobs", "--redis-ulr", "x"}, "unknown flag --redis-ulr, did you mean --redis-url?"},
        {{"queues", "--state", "dead"}, "unknown flag --state"},
        {{"--limit", "3", "jobs"}, "a command's flags stand behind the command"},
        {{"jobs", "-x"}, "unknown flag -x"},
        {{"jobs", "--limit"}, "--limit: a value is missing"},
        {{"jobs", "--limit", "--json"}, "--limit: a value is missing"},
        {{"jobs", "--redis-url"}, "--redis-url: a value is missing"},
        {{"jobs", "--limit", "0"}, "--limit=0: out of range, 1 to 200"},
        {{"jobs", "--limit=x"}, "--limit=x: not a whole number"},
        {{"jobs", "--state", "gone"}, "--state=gone: must be one of any, queued"},
        {{"jobs", "--json=yes"}, "--json takes no value"},
        {{"enqueue", "noop", "--count", "100001"}, "out of range, 1 to 100000"},
        {{"enqueue", "noop", "--priority", "urgent"}, "one of critical, high, normal, low"},
        {{"enqueue", "noop", "--wait", "0"}, "--wait=0: out of range"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++)
        assert_said(cli_say(table[i].words), CLI_USAGE, "", table[i].want);
}

static void a_name_that_is_nearly_a_command_finds_it(void **state)
{
    static const struct {
        const char *typed;
        const struct command *want;
    } table[] = {
        {"Jobs", &command_jobs},       {"worker", &command_workers},
        {"queue", &command_queues},    {"enque", &command_enqueue},
        {"resum", &command_resume},    {"migrat", &command_migrate},
        {"something-different", NULL}, {"", NULL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++)
        assert_ptr_equal(command_nearest(table[i].typed), table[i].want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flags_words_and_settings_mix_freely),
        cmocka_unit_test(what_is_not_given_has_its_default),
        cmocka_unit_test(wait_takes_its_seconds_only_where_they_are_a_number),
        cmocka_unit_test(two_dashes_end_the_flags_and_one_is_a_word),
        cmocka_unit_test(what_is_wrong_is_named_and_ends_with_2),
        cmocka_unit_test(a_name_that_is_nearly_a_command_finds_it),
    };

    return cmocka_run_group_tests(tests, forget_environment, NULL);
}
