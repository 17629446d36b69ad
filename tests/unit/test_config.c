#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <unistd.h>

#include "tests/unit/config_demo.h"

static char dir[64], conf[80], secret[80];

static void write_file(const char *path, struct slice text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text.ptr, text.len), (ssize_t)text.len);
    assert_int_equal(close(fd), 0);
}

static int set_up(void **state)
{
    const char *tmp = getenv("TMPDIR");

    (void)state;
    demo_clear_environment();
    (void)snprintf(dir, sizeof dir, "%s/configXXXXXX", tmp == NULL ? "/tmp" : tmp);
    assert_non_null(mkdtemp(dir));
    (void)snprintf(conf, sizeof conf, "%s/conf", dir);
    (void)snprintf(secret, sizeof secret, "%s/secret", dir);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    (void)unlink(conf);
    (void)unlink(secret);
    assert_int_equal(rmdir(dir), 0);
    return 0;
}

/* --- where values come from ---------------------------------------------------------------- */

static void what_is_not_set_has_its_default(void **state)
{
    struct demo_run r;

    (void)state;
    RUN(&r, URL);
    assert_string_equal(r.errors, "");
    assert_int_equal(r.verdict, CFG_GO);
    assert_string_equal(r.config.redis_url, "redis://h");
    assert_string_equal(r.config.name, "demo");
    assert_null(r.config.api_key);
    assert_int_equal(r.config.slots, 4);
    assert_int_equal(r.config.body, 65536);
    assert_int_equal(r.config.drain, 30000);
    assert_false(r.config.tls);
    assert_int_equal(r.config.level, 1);
    demo_run_done(&r);
}

static void flag_wins_over_environment_over_file_over_default(void **state)
{
    struct demo_run r;

    (void)state;
    write_file(conf, SLICE_LIT("SLOTS=5\nBODY_MAX=2k\nDRAIN=1s\nNAME=file\n"));
    (void)setenv("MILLRACE_BODY_MAX", "3k", 1);
    (void)setenv("MILLRACE_DRAIN", "2s", 1);
    (void)setenv("MILLRACE_NO_SUCH_KEY_HERE", "1", 1);
    RUN(&r, URL, "--drain", "3s", "--config", conf);
    (void)unsetenv("MILLRACE_NO_SUCH_KEY_HERE");
    assert_string_equal(r.errors, "");
    assert_int_equal(r.config.slots, 5);
    assert_int_equal(r.config.body, 3072);
    assert_int_equal(r.config.drain, 3000);
    assert_string_equal(r.config.name, "file");
    assert_int_equal(r.config.level, 1);
    demo_run_done(&r);
}

static void an_empty_text_is_unset_again(void **state)
{
    struct demo_run r;

    (void)state;
    (void)setenv("MILLRACE_NAME", "", 1);
    RUN(&r, URL);
    assert_int_equal(r.verdict, CFG_GO);
    assert_null(r.config.name);
    demo_run_done(&r);

    (void)setenv("MILLRACE_REDIS_URL", "redis://h", 1);
    RUN(&r, "--redis-url=");
    assert_int_equal(r.verdict, CFG_EXIT_BAD);
    assert_non_null(strstr(r.errors, "REDIS_URL is not set"));
    demo_run_done(&r);
}

static void every_kind_of_value_parses(void **state)
{
    static const struct {
        const char *flag;
        size_t offset;
        uint64_t want;
    } rows[] = {
        {"--slots=1", AT(slots), 1},
        {"--slots=256", AT(slots), 256},
        {"--slots=007", AT(slots), 7},
        {"--body-max=1024", AT(body), 1024},
        {"--body-max=64k", AT(body), 65536},
        {"--body-max=64K", AT(body), 65536},
        {"--body-max=3m", AT(body), 3145728},
        {"--body-max=1g", AT(body), 1073741824},
        {"--drain=0", AT(drain), 0},
        {"--drain=250", AT(drain), 250},
        {"--drain=250ms", AT(drain), 250},
        {"--drain=5s", AT(drain), 5000},
        {"--drain=5m", AT(drain), 300000},
        {"--drain=1h", AT(drain), 3600000},
        {"--salt=18446744073709551615", AT(salt), UINT64_MAX},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct demo_run r;
        uint64_t got;

        RUN(&r, URL, rows[i].flag);
        assert_string_equal(r.errors, "");
        memcpy(&got, (const char *)&r.config + rows[i].offset, sizeof got);
        assert_int_equal(got, rows[i].want);
        demo_run_done(&r);
    }
}

static void choices_are_numbered(void **state)
{
    static const char *const words[] = {"debug", "info", "warn", "error", "off"};

    (void)state;
    for (unsigned i = 0; i < COUNT_OF(words); i++) {
        struct demo_run r;

        RUN(&r, URL, "--log-level", words[i]);
        assert_int_equal(r.verdict, CFG_GO);
        assert_int_equal(r.config.level, i);
        demo_run_done(&r);
    }
}

/* --- errors -------------------------------------------------------------------------------- */

static void a_wrong_flag_is_named_with_what_would_be_right(void **state)
{
    static const struct {
        const char *flag, *want;
    } rows[] = {
        {"--slots=9999", "demo: --slots=9999: out of range, 1 to 256\n"},
        {"--slots=0", "demo: --slots=0: out of range, 1 to 256\n"},
        {"--slots=99999999999999999999",
         "demo: --slots=99999999999999999999: out of range, 1 to 256\n"},
        {"--slots=", "demo: --slots=: not a whole number\n"},
        {"--slots=-1", "demo: --slots=-1: not a whole number\n"},
        {"--slots=+1", "demo: --slots=+1: not a whole number\n"},
        {"--slots= 1", "demo: --slots= 1: not a whole number\n"},
        {"--slots=1 ", "demo: --slots=1 : not a whole number\n"},
        {"--slots=0x10", "demo: --slots=0x10: not a whole number\n"},
        {"--slots=1.5", "demo: --slots=1.5: not a whole number\n"},
        {"--slots=4k", "demo: --slots=4k: not a whole number\n"},
        {"--slots=4\n5", "demo: --slots=4?5: not a whole number\n"},
        {"--body-max=1t", "demo: --body-max=1t: not a size such as 512, 64k, 16m or 1g\n"},
        {"--body-max=2g", "demo: --body-max=2g: out of range, 1k to 1g\n"},
        {"--body-max=99999999999999999g",
         "demo: --body-max=99999999999999999g: out of range, 1k to 1g\n"},
        {"--drain=2h", "demo: --drain=2h: out of range, at most 1h\n"},
        {"--drain=soon",
         "demo: --drain=soon: not a time such as 250, 250ms, 30s, 5m, 1h or 1d\n"},
        {"--tls=perhaps", "demo: --tls=perhaps: not true or false\n"},
        {"--log-level=loud",
         "demo: --log-level=loud: must be one of debug, info, warn, error, off\n"},
        {"--log-level=inf",
         "demo: --log-level=inf: must be one of debug, info, warn, error, off\n"},
        {"--log-level=", "demo: --log-level=: must be one of debug, info, warn, error, off\n"},
        {"--name=x", "demo: --name=x: wrong length, 2 to 8 bytes\n"},
        {"--name=123456789", "demo: --name=123456789: wrong length, 2 to 8 bytes\n"},
        {"--slot=4", "demo: unknown flag --slot, did you mean --slots?\n"},
        {"--SLOTS=4", "demo: unknown flag --SLOTS, did you mean --slots?\n"},
        {"--body_max=4", "demo: unknown flag --body_max, did you mean --body-max?\n"},
        {"--zebra=4", "demo: unknown flag --zebra\n"},
        {"--=4", "demo: unknown flag --\n"},
        {"-x", "demo: unknown flag -x\n"},
        {"--slots", "demo: --slots: a value is missing\n"},
        {"--config", "demo: --config: a value is missing\n"},
        {"--check=1", "demo: --check takes no value\n"},
        {"--slots-file=x", "demo: unknown flag --slots-file\n"},
        {"word", "demo: unexpected argument word\n"},
        {"--config=/nonexistent/file",
         "demo: --config=/nonexistent/file: No such file or directory\n"},
    };
    char want[256];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct demo_run r;

        RUN(&r, URL, rows[i].flag);
        assert_int_equal(r.verdict, CFG_EXIT_BAD);
        (void)snprintf(want, sizeof want, "%sdemo: --help lists every setting\n", rows[i].want);
        assert_string_equal(r.errors, want);
        assert_string_equal(r.out, "");
        assert_null(r.config.redis_url);
        demo_run_done(&r);
    }
}

static void everything_that_is_wrong_is_listed(void **state)
{
    struct demo_run r;
    char want[2048];

    (void)state;
    write_file(conf,
               SLICE_LIT("SLOTS=0\n# fine\nSLOST=3\nMILLRACE_NAME=ab\nno equals\nZEBRA=1\n"
                         "SLOTS_FILE=/x\nDRAIN=\"1s"));
    (void)setenv("MILLRACE_SLOTS", "9999", 1);
    (void)setenv("MILLRACE_TLS", "maybe", 1);
    RUN(&r, "--config", conf, "--slots=8", "--body-max=1", "--bad");
    assert_int_equal(r.verdict, CFG_EXIT_BAD);
    (void)snprintf(want, sizeof want,
                   "demo: unknown flag --bad\n"
                   "demo: %s:1: SLOTS=0: out of range, 1 to 256\n"
                   "demo: %s:3: unknown key SLOST, did you mean SLOTS?\n"
                   "demo: %s:4: unknown key MILLRACE_NAME, did you mean NAME?\n"
                   "demo: %s:5: no '=' in this line\n"
                   "demo: %s:6: unknown key ZEBRA\n"
                   "demo: %s:7: unknown key SLOTS_FILE\n"
                   "demo: %s:8: a quote that is never closed\n"
                   "demo: MILLRACE_SLOTS=9999: out of range, 1 to 256\n"
                   "demo: MILLRACE_TLS=maybe: not true or false\n"
                   "demo: --body-max=1: out of range, 1k to 1g\n"
                   "demo: REDIS_URL is not set: give --redis-url, or MILLRACE_REDIS_URL in the "
                   "environment, or REDIS_URL in the --config file\n"
                   "demo: --help lists every setting\n",
                   conf, conf, conf, conf, conf, conf, conf);
    assert_string_equal(r.errors, want);
    demo_run_done(&r);
}

static void an_overlong_wrong_value_is_cut(void **state)
{
    struct demo_run r;
    char flag[500] = "--slots=";

    (void)state;
    memset(flag + 8, 'x', sizeof flag - 9);
    RUN(&r, URL, flag);
    assert_non_null(strstr(r.errors, "xxx...: not a whole number"));
    assert_true(strlen(r.errors) < 200);
    demo_run_done(&r);
}

/* --- secrets ------------------------------------------------------------------------------- */

static void a_secret_is_read_from_the_file_that_is_named(void **state)
{
    static const struct {
        struct slice text;
        const char *want;
    } rows[] = {
        {SLICE_LIT("hush"), "hush"},
        {SLICE_LIT("hush\n"), "hush"},
        {SLICE_LIT("hush\r\n"), "hush"},
        {SLICE_LIT("hush\n\n"), "hush\n"},
        {SLICE_LIT(" hush # \n"), " hush # "},
        {SLICE_LIT(""), NULL},
        {SLICE_LIT("\n"), NULL},
    };
    char flag[128], text[128];

    (void)state;
    (void)snprintf(flag, sizeof flag, "--api-key-file=%s", secret);
    (void)snprintf(text, sizeof text, "API_KEY_FILE=%s\n", secret);
    write_file(conf, slice_str(text));
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        for (int place = 0; place < 3; place++) {
            struct demo_run r;

            write_file(secret, rows[i].text);
            (void)unsetenv("MILLRACE_API_KEY_FILE");
            if (place == 1)
                (void)setenv("MILLRACE_API_KEY_FILE", secret, 1);
            if (place == 0)
                RUN(&r, URL, flag);
            else if (place == 1)
                RUN(&r, URL);
            else
                RUN(&r, URL, "--config", conf);
            assert_string_equal(r.errors, "");
            if (rows[i].want == NULL)
                assert_null(r.config.api_key);
            else
                assert_string_equal(r.config.api_key, rows[i].want);
            demo_run_done(&r);
        }
    }
}

static void a_later_place_wins_whether_it_is_a_file_or_not(void **state)
{
    struct demo_run r;
    char flag[128];

    (void)state;
    write_file(secret, SLICE_LIT("from-file"));
    (void)snprintf(flag, sizeof flag, "--api-key-file=%s", secret);
    (void)setenv("MILLRACE_API_KEY", "from-env", 1);
    RUN(&r, URL);
    assert_string_equal(r.config.api_key, "from-env");
    demo_run_done(&r);
    RUN(&r, URL, flag);
    assert_string_equal(r.config.api_key, "from-file");
    demo_run_done(&r);
    (void)unsetenv("MILLRACE_API_KEY");
    (void)setenv("MILLRACE_API_KEY_FILE", secret, 1);
    RUN(&r, URL, "--api-key", "from-flag");
    assert_string_equal(r.config.api_key, "from-flag");
    demo_run_done(&r);
    (void)setenv("MILLRACE_API_KEY_FILE", "", 1);
    RUN(&r, URL);
    assert_string_equal(r.errors, "");
    assert_null(r.config.api_key);
    demo_run_done(&r);
}

static void both_ways_in_one_place_are_an_error(void **state)
{
    struct demo_run r;

    (void)state;
    write_file(secret, SLICE_LIT("hush"));
    (void)setenv("MILLRACE_API_KEY", "from-env", 1);
    (void)setenv("MILLRACE_API_KEY_FILE", secret, 1);
    RUN(&r, URL);
    assert_int_equal(r.verdict, CFG_EXIT_BAD);
    assert_non_null(strstr(
        r.errors, "MILLRACE_API_KEY_FILE and MILLRACE_API_KEY are both set, one must go\n"));
    demo_run_done(&r);
}

static void no_error_shows_a_secret(void **state)
{
    struct demo_run r;
    char flag[128], want[2048];

    (void)state;
    write_file(secret, SLICE_LIT("hush-hush-hush-hush\n"));
    write_file(
        conf,
        SLICE_LIT("API_KEY=hush-hush-hush-hush\nSALT=hush\nAPI_KEYS=hush\nAPI_KEY hush\n"));
    (void)setenv("MILLRACE_API_KEY", "hush-hush-hush-hush", 1);
    (void)setenv("MILLRACE_SALT", "hush", 1);
    (void)snprintf(flag, sizeof flag, "--api-key-file=%s", secret);
    RUN(&r, URL, "--config", conf, "--salt=999", flag, "--api-kee=hush");
    assert_int_equal(r.verdict, CFG_EXIT_BAD);
    assert_null(strstr(r.errors, "hush"));
    (void)snprintf(want, sizeof want,
                   "demo: unknown flag --api-kee, did you mean --api-key?\n"
                   "demo: %s:1: API_KEY=***: wrong length, at most 16 bytes\n"
                   "demo: %s:2: SALT=***: not a whole number\n"
                   "demo: %s:3: unknown key API_KEYS, did you mean API_KEY?\n"
                   "demo: %s:4: no '=' in this line\n"
                   "demo: MILLRACE_API_KEY=***: wrong length, at most 16 bytes\n"
                   "demo: MILLRACE_SALT=***: not a whole number\n"
                   "demo: --salt=***: out of range, at least 1000\n"
                   "demo: --api-key-file=%s: wrong length, at most 16 bytes\n"
                   "demo: --help lists every setting\n",
                   conf, conf, conf, conf, secret);
    assert_string_equal(r.errors, want);
    demo_run_done(&r);
}

static void a_secret_file_that_cannot_be_read_says_why(void **state)
{
    struct demo_run r;
    char want[256];

    (void)state;
    (void)setenv("MILLRACE_API_KEY_FILE", "/nonexistent/key", 1);
    RUN(&r, URL);
    assert_non_null(strstr(r.errors,
                           "demo: MILLRACE_API_KEY_FILE=/nonexistent/key: No such file or "
                           "directory\n"));
    demo_run_done(&r);
    write_file(secret, SLICE_LIT("a\0b"));
    (void)setenv("MILLRACE_API_KEY_FILE", secret, 1);
    RUN(&r, URL);
    (void)snprintf(want, sizeof want, "demo: MILLRACE_API_KEY_FILE=%s: holds a NUL byte\n",
                   secret);
    assert_non_null(strstr(r.errors, want));
    demo_run_done(&r);
    (void)setenv("MILLRACE_API_KEY_FILE", dir, 1);
    RUN(&r, URL);
    assert_non_null(strstr(r.errors, "Is a directory"));
    demo_run_done(&r);
    (void)setenv("MILLRACE_API_KEY_FILE", "/dev/zero", 1);
    RUN(&r, URL);
    assert_non_null(strstr(r.errors, "/dev/zero: too long"));
    demo_run_done(&r);
}

static void a_missing_secret_may_come_from_a_file(void **state)
{
    static const struct cfg_key one[] = {
        {"API_KEY", CFG_TEXT, AT(api_key), NULL, NULL, NULL, CFG_SECRET | CFG_REQUIRED, "key"}};
    static const struct cfg_spec of = {"demo", "S", one, COUNT_OF(one), NULL, NULL};
    struct demo_run r;

    (void)state;
    demo_run_spec(&r, &of, (const char *const[]){"demo", NULL});
    assert_int_equal(r.verdict, CFG_EXIT_BAD);
    assert_non_null(strstr(
        r.errors,
        "demo: API_KEY is not set: give --api-key, or MILLRACE_API_KEY in the environment, or "
        "API_KEY in the --config file (with _FILE behind the name: a file that holds it)\n"));
    demo_run_done(&r);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_not_set_has_its_default),
        TEST(flag_wins_over_environment_over_file_over_default),
        TEST(an_empty_text_is_unset_again),
        TEST(every_kind_of_value_parses),
        TEST(choices_are_numbered),
        TEST(a_wrong_flag_is_named_with_what_would_be_right),
        TEST(everything_that_is_wrong_is_listed),
        TEST(an_overlong_wrong_value_is_cut),
        TEST(a_secret_is_read_from_the_file_that_is_named),
        TEST(a_later_place_wins_whether_it_is_a_file_or_not),
        TEST(both_ways_in_one_place_are_an_error),
        TEST(no_error_shows_a_secret),
        TEST(a_secret_file_that_cannot_be_read_says_why),
        TEST(a_missing_secret_may_come_from_a_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
