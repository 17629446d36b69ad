/* Whole commands without a server: help, version, exit codes, what is refused before anything is
 * connected. */
#include "tests/unit/test_cli_help.h"

#include "cli/command.h"
#include "shared/config_name.h"

#define NO_REDIS "--redis-url=unix:///nonexistent/redis.sock"
#define NO_PG    "--pg-url=host=/nonexistent dbname=x user=x"
#define A_JOB    "0190b5a0-0000-7000-8000-000000000000"

/* --- help and version ------------------------------------------------------------------------ */

static void help_lists_every_command_and_each_has_its_own(void **state)
{
    (void)state;
    for (const struct command *const *c = command_table; *c != NULL; c++) {
        char usage[64];

        (void)snprintf(usage, sizeof usage, "usage: millrace %s", (*c)->name);
        assert_said(CLI("help"), CLI_DONE, (*c)->summary, "");
        assert_said(CLI("--help"), CLI_DONE, (*c)->name, "");
        assert_said(CLI((*c)->name, "--help"), CLI_DONE, usage, "");
        assert_said(CLI("help", (*c)->name), CLI_DONE, usage, "");
        assert_said(CLI((*c)->name, "-h"), CLI_DONE, "Exit status", "");
        for (size_t i = 0; i < (*c)->flags.n_keys; i++) {
            char flag[CONFIG_FLAG_SIZE];

            config_name_flag(&(*c)->flags.keys[i], false, flag);
            assert_said(CLI("help", (*c)->name), CLI_DONE, flag, "");
        }
    }
}

static void version_and_help_have_json(void **state)
{
    json_t *root = json_of(CLI("version", "--json"));

    (void)state;
    assert_string_equal(text_of(root, "version"), MILLRACE_VERSION);
    assert_non_null(text_of(json_object_get(root, "libraries"), "libpq"));
    json_decref(root);
    root = json_of(CLI("help", "--json"));
    assert_true(json_array_size(json_object_get(root, "commands")) > 5);
    json_decref(root);
    assert_said(CLI("--version"), CLI_DONE, "millrace " MILLRACE_VERSION "\n", "");
}

static void a_wrong_setting_does_not_stop_help_and_version(void **state)
{
    (void)state;
    assert_int_equal(setenv("MILLRACE_TIMEOUT", "soon", 1), 0);
    assert_said(CLI("version"), CLI_DONE, "millrace", "");
    assert_said(CLI("help"), CLI_DONE, "Commands", "");
    assert_said(CLI("queues"), CLI_CONFIG, "", "MILLRACE_TIMEOUT=soon");
    assert_int_equal(unsetenv("MILLRACE_TIMEOUT"), 0);
}

static void check_and_the_markdown_table_answer_without_a_command(void **state)
{
    (void)state;
    assert_said(CLI("--check"), CLI_DONE, "configuration ok", "");
    assert_said(CLI("--check", "--timeout", "0"), CLI_CONFIG, "", "--timeout=0");
    assert_said(CLI("--config-markdown"), CLI_DONE, "| `MILLRACE_REDIS_URL`", "");
}

/* --- exit codes ------------------------------------------------------------------------------ */

static void each_command_says_which_setting_it_misses(void **state)
{
    (void)state;
    assert_said(CLI("queues"), CLI_CONFIG, "", "REDIS_URL is not set: give --redis-url");
    assert_said(CLI("workers"), CLI_CONFIG, "", "REDIS_URL is not set");
    assert_said(CLI("pause", "a"), CLI_CONFIG, "", "REDIS_URL is not set");
    assert_said(CLI("jobs"), CLI_CONFIG, "", "PG_URL is not set: give --pg-url");
    assert_said(CLI("jobs", "--state", "running"), CLI_CONFIG, "", "REDIS_URL is not set");
    assert_said(CLI("migrate"), CLI_CONFIG, "", "PG_URL is not set");
    assert_said(CLI("enqueue", "noop"), CLI_CONFIG, "", "REDIS_URL is not set");
    assert_said(CLI("enqueue", "image", "{}", "--upload", "x"), CLI_CONFIG, "",
                "--upload needs BLOB_DIR");
    assert_said(CLI("job", A_JOB), CLI_CONFIG, "", "PG_URL is not set");
}

static void a_wrong_setting_is_78(void **state)
{
    (void)state;
    assert_said(CLI("queues", "--redis-url", "http://x"), CLI_CONFIG, "", "REDIS_URL: ");
    assert_said(CLI("jobs", "--pg-url", "no such thing"), CLI_CONFIG, "", "PG_URL: ");
    assert_said(CLI("migrate", "--pg-url", "no such thing"), CLI_CONFIG, "", "PG_URL: ");
    assert_said(CLI("queues", "--timeout", "soon"), CLI_CONFIG, "", "--timeout=soon");
}

static void what_cannot_be_reached_is_named_with_the_reason(void **state)
{
    (void)state;
    assert_said(CLI("queues", NO_REDIS), CLI_UNREACHABLE, "",
                "Redis at unix:///nonexistent/redis.sock?db=0 cannot be reached: connect: no "
                "such file or directory. Is it running? MILLRACE_REDIS_URL says where it is");
    assert_said(CLI("jobs", NO_PG), CLI_UNREACHABLE, "", "PostgreSQL cannot be reached: ");
    assert_said(CLI("migrate", NO_PG), CLI_UNREACHABLE, "", "/nonexistent");
    assert_said(CLI("enqueue", "noop", NO_REDIS), CLI_UNREACHABLE, "", "cannot be reached");
    assert_said(CLI("job", A_JOB, NO_REDIS, NO_PG), CLI_UNREACHABLE, "", "PostgreSQL");
}

static void a_job_or_cursor_that_cannot_be_is_refused_at_once(void **state)
{
    (void)state;
    assert_said(CLI("job", "17"), CLI_NOT_FOUND, "", "job 17: not found");
    assert_said(CLI("job", "\033]0;x\a"), CLI_NOT_FOUND, "", "job \\x1b]0;x\\x07: not found");
    assert_said(CLI("jobs", "--cursor", "x", NO_PG), CLI_USAGE, "", "--cursor");
}

/* --- jobs that are refused ------------------------------------------------------------------- */

static void a_job_is_checked_before_anything_is_connected(void **state)
{
    static const struct {
        const char *words[6];
        enum cli_exit code;
        const char *want;
    } table[] = {
        {{"enqueue", "nope"}, CLI_FAILED, "there is no job type \"nope\""},
        {{"enqueue", "noop", "{\"x\":1}"}, CLI_FAILED, "/args/x is not a known field"},
        {{"enqueue", "noop", "[]"}, CLI_FAILED, "/args must be an object"},
        {{"enqueue", "noop", "{x"}, CLI_USAGE, "ARGS is not JSON: line 1, column 2"},
        {{"enqueue", "noop", "{\"a\":1,\"a\":2}"}, CLI_USAGE, "ARGS is not JSON"},
        {{"enqueue", "noop", ""}, CLI_USAGE, "ARGS is not JSON"},
        {{"enqueue", "noop", "@/nonexistent"}, CLI_FAILED, "/nonexistent: "},
        {{"enqueue", "noop", "--then", "{"}, CLI_USAGE, "--then is not JSON"},
        {{"enqueue", "noop", "--then", "{}"}, CLI_FAILED, "/then/0"},
        {{"enqueue", "noop", "--queue", "A B"}, CLI_FAILED, "/queue"},
        {{"enqueue", "noop", "--queue", "\xff"}, CLI_USAGE, "UTF-8"},
        {{"enqueue", "\xff"}, CLI_USAGE, "UTF-8"},
        {{"enqueue", "noop", "--wait", "--count", "2"}, CLI_USAGE, "not with --count"},
        {{"enqueue", "image", "[]", "--upload", "x", "--blob-dir=/x"}, CLI_USAGE, "--upload"},
        {{"enqueue", "image", "{\"source\":1}", "--upload", "x", "--blob-dir=/x"},
         CLI_USAGE,
         "without \"source\""},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        const char *words[7] = {NULL};

        memcpy(words, table[i].words, sizeof table[i].words);
        assert_said(cli_say(words), table[i].code, "", table[i].want);
    }
}

static void a_job_that_is_good_needs_redis(void **state)
{
    (void)state;
    assert_said(CLI("enqueue", "noop", "{}", "--then", "{\"type\":\"noop\",\"args\":{}}"),
                CLI_CONFIG, "", "REDIS_URL is not set");
    assert_said(CLI("enqueue", "noop", "--max-attempts", "3", "--timeout-ms", "5",
                    "--delay-ms=9", "--queue=a", "--priority=low"),
                CLI_CONFIG, "", "REDIS_URL is not set");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(help_lists_every_command_and_each_has_its_own),
        cmocka_unit_test(version_and_help_have_json),
        cmocka_unit_test(a_wrong_setting_does_not_stop_help_and_version),
        cmocka_unit_test(check_and_the_markdown_table_answer_without_a_command),
        cmocka_unit_test(each_command_says_which_setting_it_misses),
        cmocka_unit_test(a_wrong_setting_is_78),
        cmocka_unit_test(what_cannot_be_reached_is_named_with_the_reason),
        cmocka_unit_test(a_job_or_cursor_that_cannot_be_is_refused_at_once),
        cmocka_unit_test(a_job_is_checked_before_anything_is_connected),
        cmocka_unit_test(a_job_that_is_good_needs_redis),
    };

    return cmocka_run_group_tests(tests, forget_environment, NULL);
}
