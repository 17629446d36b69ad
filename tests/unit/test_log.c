#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <unistd.h>

#include "shared/clock.h"
#include "shared/log.h"
#include "shared/rand.h"

#define WALL_MS 1795473781123ULL
#define HEAD    "{\"time\":\"2026-11-23T22:43:01.123Z\",\"level\":\"info\",\"event\":\"e\""

static char lines[32768];
static size_t lines_len;

static void keep(void *arg, const char *line, size_t len)
{
    (void)arg;
    assert_true(lines_len + len < sizeof lines);
    memcpy(lines + lines_len, line, len);
    lines_len += len;
    lines[lines_len] = '\0';
}

static void forget(void)
{
    lines_len = 0;
    lines[0] = '\0';
}

static int set_up(void **state)
{
    (void)state;
    clock_fake(1, WALL_MS);
    log_capture(keep, NULL);
    log_setup(NULL, LOG_INFO, LOG_FORMAT_TEXT);
    forget();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    clock_fake(0, 0);
    log_capture(NULL, NULL);
    log_setup(NULL, LOG_INFO, LOG_FORMAT_TEXT);
    return 0;
}

static void a_text_line_has_time_level_event_context_and_fields(void **state)
{
    struct log_ctx conn;

    (void)state;
    log_ctx_init(&conn, NULL, "conn", "17");
    log_info(&conn, "http.answered", LOG_U("status", 202), LOG_I("left", -3),
             LOG_B("kept", true));
    assert_string_equal(
        lines, "22:43:01.123 info  http.answered conn=17 status=202 left=-3 kept=true\n");
}

static void a_json_line_holds_the_same(void **state)
{
    struct log_ctx conn, job;

    (void)state;
    log_setup("millrace-api", LOG_DEBUG, LOG_FORMAT_JSON);
    log_ctx_init(&conn, NULL, "conn", "17");
    log_ctx_init(&job, &conn, "job", "0192-x");
    log_error(&job, "job.lost", LOG_S("why", "no lease"), LOG_I("left", INT64_MIN),
              LOG_U("most", UINT64_MAX), LOG_B("kept", false));
    assert_string_equal(lines, "{\"time\":\"2026-11-23T22:43:01.123Z\",\"level\":\"error\","
                               "\"event\":\"job.lost\",\"program\":\"millrace-api\","
                               "\"job\":\"0192-x\",\"conn\":17,\"why\":\"no lease\","
                               "\"left\":-9223372036854775808,\"most\":18446744073709551615,"
                               "\"kept\":false}\n");
}

static void an_event_needs_neither_context_nor_fields(void **state)
{
    (void)state;
    log_warn(NULL, "plain");
    assert_string_equal(lines, "22:43:01.123 warn  plain\n");
}

static void values_are_escaped_in_both_formats(void **state)
{
    static const struct {
        struct slice in;
        const char *text, *json;
    } rows[] = {
        {SLICE_LIT("plain/word-1.2:3"), "plain/word-1.2:3", "\"plain/word-1.2:3\""},
        {SLICE_LIT("two words"), "\"two words\"", "\"two words\""},
        {SLICE_LIT(""), "\"\"", "\"\""},
        {SLICE_LIT("a=b"), "\"a=b\"", "\"a=b\""},
        {SLICE_LIT("a\nb"), "\"a\\nb\"", "\"a\\nb\""},
        {SLICE_LIT("a\r\tb"), "\"a\\r\\tb\"", "\"a\\r\\tb\""},
        {SLICE_LIT("a\0b"), "\"a\\u0000b\"", "\"a\\u0000b\""},
        {SLICE_LIT("\033[31m"), "\"\\u001b[31m\"", "\"\\u001b[31m\""},
        {SLICE_LIT("\x7f"), "\"\\u007f\"", "\"\\u007f\""},
        {SLICE_LIT("say \"hi\\"), "\"say \\\"hi\\\\\"", "\"say \\\"hi\\\\\""},
        {SLICE_LIT("gr\xc3\xbc\xc3\x9f"), "\"gr\xc3\xbc\xc3\x9f\"", "\"gr\xc3\xbc\xc3\x9f\""},
        {SLICE_LIT("\xf0\x9f\x98\x80"), "\"\xf0\x9f\x98\x80\"", "\"\xf0\x9f\x98\x80\""},
        {SLICE_LIT("\xc2\x85"), "\"\\u0085\"", "\"\\u0085\""},       /* C1: next line */
        {SLICE_LIT("\xe2\x80\xae"), "\"\\u202e\"", "\"\\u202e\""},   /* right to left */
        {SLICE_LIT("\xff"), "\"\xef\xbf\xbd\"", "\"\xef\xbf\xbd\""}, /* never a byte of UTF-8 */
        {SLICE_LIT("\xc3"), "\"\xef\xbf\xbd\"", "\"\xef\xbf\xbd\""}, /* cut short */
        {SLICE_LIT("\xc0\xaf"), "\"\xef\xbf\xbd\xef\xbf\xbd\"", "\"\xef\xbf\xbd\xef\xbf\xbd\""},
        {SLICE_LIT("\xed\xa0\x80"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"",
         "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""}, /* a surrogate */
    };
    char want[256];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        forget();
        log_setup(NULL, LOG_INFO, LOG_FORMAT_TEXT);
        log_info(NULL, "e", LOG_SL("v", rows[i].in));
        (void)snprintf(want, sizeof want, "22:43:01.123 info  e v=%s\n", rows[i].text);
        assert_string_equal(lines, want);

        forget();
        log_setup(NULL, LOG_INFO, LOG_FORMAT_JSON);
        log_info(NULL, "e", LOG_SL("v", rows[i].in));
        (void)snprintf(want, sizeof want, HEAD ",\"v\":%s}\n", rows[i].json);
        assert_string_equal(lines, want);
    }
}

static void no_bytes_can_forge_a_second_line_or_break_the_json(void **state)
{
    unsigned char bytes[64];
    json_error_t error;

    (void)state;
    log_setup(NULL, LOG_INFO, LOG_FORMAT_JSON);
    rand_seed(7);
    for (int round = 0; round < 2000; round++) {
        size_t len = (size_t)rand_below(sizeof bytes);
        json_t *doc;

        for (size_t i = 0; i < len; i++)
            bytes[i] = (unsigned char)rand_below(256);
        forget();
        log_info(NULL, "e", LOG_SL("v", slice_of(bytes, len)));
        assert_ptr_equal(strchr(lines, '\n'), lines + lines_len - 1);
        doc = json_loadb(lines, lines_len, JSON_ALLOW_NUL, &error);
        assert_non_null(doc);
        json_decref(doc);
    }
    rand_seed(0);
}

static void only_plain_numbers_in_a_context_are_numbers(void **state)
{
    static const struct {
        const char *in, *json;
    } rows[] = {
        {"0", "0"},
        {"17", "17"},
        {"017", "\"017\""},
        {"-1", "\"-1\""},
        {"", "\"\""},
        {"1e5", "\"1e5\""},
        {"123456789012345", "123456789012345"},
        {"1234567890123456", "\"1234567890123456\""},
    };
    char want[256];

    (void)state;
    log_setup(NULL, LOG_INFO, LOG_FORMAT_JSON);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct log_ctx ctx;

        forget();
        log_ctx_init(&ctx, NULL, "c", rows[i].in);
        log_info(&ctx, "e");
        (void)snprintf(want, sizeof want, HEAD ",\"c\":%s}\n", rows[i].json);
        assert_string_equal(lines, want);
    }
}

static void a_context_value_is_cut_to_its_place(void **state)
{
    struct log_ctx ctx;
    char longer[100];

    (void)state;
    memset(longer, 'x', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    log_ctx_init(&ctx, NULL, "c", longer);
    assert_int_equal(strlen(ctx.value), sizeof ctx.value - 1);
}

static void long_text_is_cut_at_a_character(void **state)
{
    char in[800], want[900];

    (void)state;
    log_setup(NULL, LOG_INFO, LOG_FORMAT_JSON);
    memset(in, 'x', sizeof in);
    memcpy(in + 499, "\xc3\xbc", 2);
    log_info(NULL, "e", LOG_SL("v", slice_of(in, sizeof in)));
    (void)snprintf(want, sizeof want, HEAD ",\"v\":\"%.501s\xe2\x80\xa6\"}\n", in);
    assert_string_equal(lines, want);
}

static void a_line_that_grows_too_long_is_still_whole(void **state)
{
    struct log_field fields[100];
    char in[400];
    json_error_t error;
    json_t *doc;

    (void)state;
    log_setup(NULL, LOG_INFO, LOG_FORMAT_JSON);
    memset(in, '\n', sizeof in);
    for (size_t i = 0; i < COUNT_OF(fields); i++)
        fields[i] = (struct log_field)LOG_SL("v", slice_of(in, sizeof in));
    log_write(LOG_INFO, NULL, "e", fields, COUNT_OF(fields));
    assert_true(lines_len <= 16384);
    doc = json_loadb(lines, lines_len, 0, &error);
    assert_non_null(doc);
    assert_true(json_is_true(json_object_get(doc, "cut")));
    json_decref(doc);
}

static void what_is_below_the_threshold_is_not_written(void **state)
{
    static const enum log_level levels[] = {LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR, LOG_OFF};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(levels); i++) {
        log_setup(NULL, levels[i], LOG_FORMAT_TEXT);
        assert_int_equal(log_threshold(), levels[i]);
        for (size_t j = 0; j + 1 < COUNT_OF(levels); j++) {
            forget();
            log_write(levels[j], NULL, "e", NULL, 0);
            assert_int_equal(lines_len > 0, levels[j] >= levels[i]);
        }
    }
}

static void levels_have_names(void **state)
{
    enum log_level level = LOG_OFF;

    (void)state;
    assert_true(log_level_parse("debug", &level));
    assert_int_equal(level, LOG_DEBUG);
    assert_true(log_level_parse("off", &level));
    assert_int_equal(level, LOG_OFF);
    assert_false(log_level_parse("loud", &level));
    assert_false(log_level_parse("", &level));
    assert_int_equal(level, LOG_OFF);
}

static void errno_survives_a_log_line(void **state)
{
    (void)state;
    log_capture(NULL, NULL);
    log_setup(NULL, LOG_ERROR, LOG_FORMAT_TEXT);
    errno = ENOENT;
    log_info(NULL, "not written");
    assert_int_equal(errno, ENOENT);
}

/* Writes one warning with stderr bound to fd, as log_setup() finds it there. */
static void warn_into(int fd)
{
    int saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);

    assert_true(saved >= 0);
    assert_int_equal(dup2(fd, STDERR_FILENO), STDERR_FILENO);
    log_capture(NULL, NULL);
    log_setup("p", LOG_INFO, LOG_FORMAT_AUTO);
    errno = ENOENT;
    log_warn(NULL, "e", LOG_U("n", 1));
    assert_int_equal(errno, ENOENT);
    assert_int_equal(dup2(saved, STDERR_FILENO), STDERR_FILENO);
    (void)close(saved);
}

static void a_pipe_gets_json(void **state)
{
    char got[256];
    int fds[2];
    ssize_t n;

    (void)state;
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    warn_into(fds[1]);
    n = read(fds[0], got, sizeof got - 1);
    assert_true(n > 0);
    got[n] = '\0';
    assert_string_equal(got, "{\"time\":\"2026-11-23T22:43:01.123Z\",\"level\":\"warn\","
                             "\"event\":\"e\",\"program\":\"p\",\"n\":1}\n");
    (void)close(fds[0]);
    (void)close(fds[1]);
}

static void a_terminal_gets_text_and_a_colour_unless_told_otherwise(void **state)
{
    static const struct {
        const char *no_color, *want;
    } rows[] = {
        {NULL, "22:43:01.123 \033[33mwarn \033[0m e n=1\r\n"},
        {"", "22:43:01.123 \033[33mwarn \033[0m e n=1\r\n"},
        {"1", "22:43:01.123 warn  e n=1\r\n"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), slave;
        char name[64], got[256];
        ssize_t n;

        assert_true(master >= 0);
        assert_int_equal(grantpt(master) + unlockpt(master), 0);
        assert_int_equal(ptsname_r(master, name, sizeof name), 0);
        slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
        assert_true(slave >= 0);
        if (rows[i].no_color == NULL)
            (void)unsetenv("NO_COLOR");
        else
            (void)setenv("NO_COLOR", rows[i].no_color, 1);
        warn_into(slave);
        n = read(master, got, sizeof got - 1);
        assert_true(n > 0);
        got[n] = '\0';
        assert_string_equal(got, rows[i].want);
        (void)close(slave);
        (void)close(master);
    }
    (void)unsetenv("NO_COLOR");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_text_line_has_time_level_event_context_and_fields),
        TEST(a_json_line_holds_the_same),
        TEST(an_event_needs_neither_context_nor_fields),
        TEST(values_are_escaped_in_both_formats),
        TEST(no_bytes_can_forge_a_second_line_or_break_the_json),
        TEST(only_plain_numbers_in_a_context_are_numbers),
        TEST(a_context_value_is_cut_to_its_place),
        TEST(long_text_is_cut_at_a_character),
        TEST(a_line_that_grows_too_long_is_still_whole),
        TEST(what_is_below_the_threshold_is_not_written),
        TEST(levels_have_names),
        TEST(errno_survives_a_log_line),
        TEST(a_pipe_gets_json),
        TEST(a_terminal_gets_text_and_a_colour_unless_told_otherwise),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
