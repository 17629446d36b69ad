#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shared/clock.h"
#include "tests/unit/config_demo.h"

static int set_up(void **state)
{
    (void)state;
    demo_clear_environment();
    return 0;
}

static void check_says_that_all_is_well(void **state)
{
    struct demo_run r;

    (void)state;
    RUN(&r, URL, "--check");
    assert_int_equal(r.verdict, CFG_EXIT_OK);
    assert_string_equal(r.out, "configuration ok\n");
    assert_string_equal(r.errors, "");
    assert_null(r.config.redis_url);
    demo_run_done(&r);
    RUN(&r, "--check");
    assert_int_equal(r.verdict, CFG_EXIT_BAD);
    assert_string_equal(r.out, "");
    demo_run_done(&r);
}

static void version_prints_the_version(void **state)
{
    struct demo_run r;

    (void)state;
    RUN(&r, "--version");
    assert_int_equal(r.verdict, CFG_EXIT_OK);
    assert_string_equal(r.out, "demo " MILLRACE_VERSION "\n");
    demo_run_done(&r);
}

static void help_lists_every_key_within_100_columns(void **state)
{
    static const char *const rows[] = {
        "demo: A program for tests\n\nusage: demo [--KEY VALUE ...]\n",
        "  --redis-url TEXT  where the queue lives (required)\n",
        "  --name TEXT       what this process calls itself (default demo; 2 to 8 bytes)\n",
        "  --api-key TEXT    who may enqueue (secret; at most 16 bytes)\n",
        "  --slots N         jobs in flight at once (default 4; 1 to 256)\n",
        "  --drain TIME      how long a stop may take (default 30s; at most 1h)\n",
        "  --tls BOOL        speak TLS (default false)\n",
        "  --log-level WORD  what is logged (default info; one of debug, info, warn, err",
        "  --config FILE     read settings from this file\n",
        "MILLRACE_FOO_BAR",
    };
    static const char *const flags[] = {"--help", "-h"};

    (void)state;
    for (size_t f = 0; f < COUNT_OF(flags); f++) {
        struct demo_run r;

        RUN(&r, "--bad", flags[f]);
        assert_int_equal(r.verdict, CFG_EXIT_OK);
        for (size_t i = 0; i < COUNT_OF(rows); i++)
            assert_non_null(strstr(r.out, rows[i]));
        for (const char *p = r.out; *p != '\0'; p += strcspn(p, "\n") + 1)
            assert_true(strcspn(p, "\n") <= 100);
        demo_run_done(&r);
    }
}

static void long_help_is_wrapped_under_its_column(void **state)
{
    static const struct cfg_key two[] = {
        {"A", CFG_TEXT, AT(name), NULL, NULL, NULL, 0,
         "a sentence that goes on and on, far beyond what fits into one line of a terminal, so "
         "that "
         "it has to be broken, more than once if need be, where a word ends and nowhere else, "
         "please"},
        {"A_NAME_OF_A_SETTING_AS_LONG_AS_CAN_BE", CFG_COUNT, AT(slots), "1", NULL, NULL, 0,
         "short"},
    };
    static const struct cfg_spec of = {"demo", "S", two, COUNT_OF(two), NULL, NULL};
    struct demo_run r;

    (void)state;
    demo_run_spec(&r, &of, (const char *const[]){"demo", "--help", NULL});
    assert_non_null(strstr(r.out, "  --a TEXT       a sentence that goes on and on, far beyond "
                                  "what fits into one line of a terminal,\n"
                                  "                 so that it has to be broken, more than "
                                  "once if need be, where a word ends and\n"
                                  "                 nowhere else, please\n"
                                  "  --a-name-of-a-setting-as-long-as-can-be N\n"
                                  "                 short (default 1)\n"));
    demo_run_done(&r);
}

static void the_table_is_printed_as_markdown(void **state)
{
    struct demo_run r;

    (void)state;
    RUN(&r, "--config-markdown");
    assert_int_equal(r.verdict, CFG_EXIT_OK);
    assert_string_equal(
        r.out,
        "## demo\n\nA program for tests.\n\n"
        "| key | default | range | meaning |\n|---|---|---|---|\n"
        "| `MILLRACE_REDIS_URL` / `--redis-url` | required |  | where the queue lives |\n"
        "| `MILLRACE_NAME` / `--name` | `demo` | 2 to 8 bytes | what this process calls itself "
        "|\n"
        "| `MILLRACE_API_KEY` / `--api-key` |  | at most 16 bytes | who may enqueue. Secret: "
        "better "
        "`MILLRACE_API_KEY_FILE` / `--api-key-file` |\n"
        "| `MILLRACE_SLOTS` / `--slots` | `4` | 1 to 256 | jobs in flight at once |\n"
        "| `MILLRACE_BODY_MAX` / `--body-max` | `64k` | 1k to 1g | longest body |\n"
        "| `MILLRACE_DRAIN` / `--drain` | `30s` | at most 1h | how long a stop may take |\n"
        "| `MILLRACE_SALT` / `--salt` |  | at least 1000 | number that nobody may know. "
        "Secret: better "
        "`MILLRACE_SALT_FILE` / `--salt-file` |\n"
        "| `MILLRACE_TLS` / `--tls` | `false` |  | speak TLS |\n"
        "| `MILLRACE_LOG_LEVEL` / `--log-level` | `info` | one of debug, info, warn, error, "
        "off | what is "
        "logged |\n");
    demo_run_done(&r);
}

static char logged[1024];

static void keep_line(void *arg, const char *line, size_t len)
{
    (void)arg;
    (void)snprintf(logged, sizeof logged, "%.*s", (int)len, line);
}

static void the_start_line_shows_what_is_not_default_and_no_secret(void **state)
{
    struct demo_run r;

    (void)state;
    RUN(&r, URL, "--api-key=hush", "--slots=4", "--body-max=65537", "--tls",
        "--log-level=warn");
    assert_int_equal(r.verdict, CFG_GO);
    clock_fake(1, 1000);
    log_setup(NULL, LOG_INFO, LOG_FORMAT_TEXT);
    log_capture(keep_line, NULL);
    cfg_log(&demo_spec, &r.config, NULL);
    log_capture(NULL, NULL);
    clock_fake(0, 0);
    assert_string_equal(logged, "00:00:01.000 info  start version=" MILLRACE_VERSION
                                " REDIS_URL=redis://h API_KEY=*** BODY_MAX=65537 TLS=true "
                                "LOG_LEVEL=warn\n");
    demo_run_done(&r);
}
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, NULL)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(check_says_that_all_is_well),
        TEST(version_prints_the_version),
        TEST(help_lists_every_key_within_100_columns),
        TEST(long_help_is_wrapped_under_its_column),
        TEST(the_table_is_printed_as_markdown),
        TEST(the_start_line_shows_what_is_not_default_and_no_secret),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
