/* The pool with renderers that misbehave: shell scripts that say what a renderer must not say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>

#include "tests/unit/pool_help.h"
#include "worker/render/wire.h"

/* --- a renderer made of a script
 * --------------------------------------------------------------- */

static void put_frame(const struct rig *r, const char *name, struct buf *frame)
{
    char path[128];

    assert_false(buf_failed(frame));
    (void)snprintf(path, sizeof path, "%s/%s", r->dir, name);
    put_file(path, buf_slice(frame));
    buf_done(frame);
}

static void put_hello(const struct rig *r, const char *name, uint32_t version)
{
    struct buf b = {0};

    wire_add_hello(&b, &(struct wire_hello){.version = version, .landlock = 7, .vips = "none"});
    put_frame(r, name, &b);
}

/* A report of one output, as the order SMALL wants it, but for what the test changes. */
static struct wire_report good_report(void)
{
    return (struct wire_report){.id = 1,
                                .source_format = IMAGE_PNG,
                                .source_width = 64,
                                .source_height = 64,
                                .n_outputs = 1,
                                .outputs = {{0, IMAGE_JPEG, 32, 32, 1, 80, 3}}};
}

static void put_report(const struct rig *r, const char *name, const struct wire_report *m)
{
    struct buf b = {0};

    wire_add_report(&b, m);
    put_frame(r, name, &b);
}

/* In the script, $D is the directory of the frames, say writes one, and wait reads an
 * order's head. */
static void put_script(struct rig *r, const char *body)
{
    char text[2048];

    (void)snprintf(text, sizeof text,
                   "#!/bin/sh\nD='%s'\nsay() { /bin/cat \"$D/$1\" >&0; }\n"
                   "await() { /usr/bin/head -c 4 <&0 >/dev/null; }\n%s\n",
                   r->dir, body);
    (void)snprintf(r->program, sizeof r->program, "%s/renderer", r->dir);
    put_file(r->program, slice_str(text));
    assert_int_equal(chmod(r->program, 0700), 0);
}

static void put_slow(const struct rig *r, const char *name)
{
    struct buf b = {0};

    wire_add_slow(&b, &(struct wire_slow){.id = 1, .us = 1000});
    put_frame(r, name, &b);
}

static int set_up(void **state)
{
    int rc = rig_set_up(state);
    struct rig *r = *state;
    struct wire_report m = good_report();

    put_png(r->source, 64, 64);
    put_hello(r, "hello", WIRE_VERSION);
    put_hello(r, "hello9", 9);
    put_report(r, "good", &m);
    put_slow(r, "slow");
    m.id = 2;
    put_report(r, "other_id", &m);
    m = good_report();
    m.n_outputs = 0;
    put_report(r, "none", &m);
    m.n_outputs = 2;
    m.outputs[1] = m.outputs[0];
    put_report(r, "twice", &m);
    m = good_report();
    m.outputs[0].index = 1;
    put_report(r, "index", &m);
    m = good_report();
    m.outputs[0].format = IMAGE_PNG;
    put_report(r, "format", &m);
    m = good_report();
    m.outputs[0].bytes = 4;
    put_report(r, "bytes", &m);
    m = good_report();
    m.outputs[0].width = 0;
    put_report(r, "size", &m);
    m = good_report();
    m.outputs[0].width = UINT32_MAX;
    m.outputs[0].height = UINT32_MAX;
    put_report(r, "huge", &m);
    m = (struct wire_report){.id = 1, .err = ERR_FORBIDDEN, .text = "let me decide"};
    put_report(r, "verdict", &m);
    return rc;
}

/* "exec": a script that ends by itself holds nothing open; one that lives does so as one
 * process, so that a kill ends it. */
#define OUTPUT "printf '\\377\\330\\377' > out/0; "
#define LIVE   "; exec /bin/cat <&0 >/dev/null"

static const struct lie {
    const char *body;
    enum err want;
    const char *text;
} lies[] = {
    {"say hello; await; " OUTPUT "say good" LIVE, ERR_OK, ""},
    {"say hello; await; say good" LIVE, ERR_CRASHED, "output 0: No such file"},
    {"say hello; await; " OUTPUT "say none" LIVE, ERR_CRASHED, "reports 0 outputs of 1"},
    {"say hello; await; " OUTPUT "say twice" LIVE, ERR_CRASHED, "reports 2 outputs of 1"},
    {"say hello; await; " OUTPUT "say index" LIVE, ERR_CRASHED, "reports output 1 of 1"},
    {"say hello; await; " OUTPUT "say format" LIVE, ERR_CRASHED, "made png of output a"},
    {"say hello; await; " OUTPUT "say bytes" LIVE, ERR_CRASHED, "has 3 bytes and not 4"},
    {"say hello; await; " OUTPUT "say size" LIVE, ERR_CRASHED, "0 x 32 pixels"},
    {"say hello; await; " OUTPUT "say huge" LIVE, ERR_CRASHED,
     "4294967295 x 4294967295 pixels"},
    {"say hello; await; " OUTPUT "say other_id" LIVE, ERR_CRASHED, "out of turn"},
    {"say hello; await; say hello" LIVE, ERR_CRASHED, "out of turn"},
    {"say hello; await; say slow" LIVE, ERR_CRASHED, "out of turn"}, /* nobody asked */
    {"say hello; await; say verdict" LIVE, ERR_INTERNAL, "let me decide"},
    {"say hello; await; printf abc > out/0; say good" LIVE, ERR_CRASHED,
     "output 0 is not jpeg"},
    {"say hello; await; /bin/ln -s /etc/passwd out/0; say good" LIVE, ERR_CRASHED,
     "output 0: Too many levels"},
    {"say hello; await; /bin/ln in/source out/0; say good" LIVE, ERR_CRASHED,
     "output 0 is no regular file"},
    {"say hello; await; /usr/bin/mkfifo out/0; say good" LIVE, ERR_CRASHED,
     "output 0 is no regular file"},
    {"say hello; await; /bin/mkdir out/0; say good" LIVE, ERR_CRASHED,
     "output 0 is no regular file"},
    {"say hello; await; printf '\\0\\0\\0\\5abcde' >&0" LIVE, ERR_CRASHED, "the renderer sent"},
    {"say hello; await; printf '\\377\\377\\377\\377' >&0" LIVE, ERR_CRASHED,
     "impossible length"},
    {"say hello; await; printf '\\0\\0\\0\\0' >&0" LIVE, ERR_CRASHED, "impossible length"},
    {"say hello; await; printf '\\0\\0\\1' >&0; exit 4", ERR_CRASHED, "exited with status 4"},
    {"say hello; await; echo 'no\tluck' >&2; exit 5", ERR_CRASHED,
     "exited with status 5: no?luck"},
    {"say hello; await; echo \"thread 'x' panicked at 'h >= 0'\" >&2; kill -6 $$",
     ERR_MALFORMED, "gave up on the source: panicked at 'h >= 0'"},
    {"say hello; await; kill -6 $$", ERR_CRASHED, "died of SIGABRT"},
    {"say hello; await; kill -9 $$", ERR_CRASHED, "killed from outside"},
    {"say hello; await; kill -31 $$", ERR_CRASHED, "forbidden system call"},
    {"say hello; await; kill -8 $$", ERR_CRASHED, "died of SIGFPE"},
    /* A flood on stderr is cut off: the writer meets a closed pipe. */
    {"say hello; await; (while :; do echo flood; done) >&2; exit 6", ERR_CRASHED,
     "exited with status 6"},
};

static void check_lie(struct rig *r, const struct lie *lie, uint64_t slow_us)
{
    struct ended d;

    put_script(r, lie->body);
    r->closed = false;
    rig_open(r, (struct render_pool_options){.slow_us = slow_us});
    give_order(r, &d, SMALL, TIMEOUT);
    wait_for(&d);
    if (d.err != lie->want || strstr(d.why.text, lie->text) == NULL)
        fail_msg("\"%s\": %s \"%s\"", lie->body, err_name(d.err), d.why.text);
    drop(&d);
    rig_close(r);
}

static void no_lie_of_a_renderer_is_believed(void **state)
{
    for (size_t i = 0; i < COUNT_OF(lies); i++)
        check_lie(*state, &lies[i], 0);
}

static void what_is_slow_is_said_once(void **state)
{
    static const struct lie rows[] = {
        {"say hello; await; say slow; " OUTPUT "say good" LIVE, ERR_OK, ""},
        {"say hello; await; say slow; say slow" LIVE, ERR_CRASHED, "out of turn"},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++)
        check_lie(*state, &rows[i], 1);
}

/* --- renderers that do not start
 * --------------------------------------------------------------- */

static const struct {
    const char *body;
    uint32_t hello_ms;
    const char *text;
} starts[] = {
    {"exit 7", 0, "renderers do not start: the renderer exited with status 7"},
    {"echo 'libvips does not start' >&2; exit 1", 0, "libvips does not start"},
    {"say hello9" LIVE, 0, "speaks version 9"},
    {"say good" LIVE, 0, "out of turn"},
    {"exec /bin/cat <&0 >/dev/null", 50, "was not ready after 50 ms"},
};

static void orders_are_given_back_when_no_renderer_starts(void **state)
{
    struct rig *r = *state;

    for (size_t i = 0; i < COUNT_OF(starts); i++) {
        struct ended d;

        put_script(r, starts[i].body);
        r->closed = false;
        rig_open(r, (struct render_pool_options){.hello_ms = starts[i].hello_ms});
        give_order(r, &d, SMALL, TIMEOUT);
        wait_for(&d);
        if (d.err != ERR_CRASHED || strstr(d.why.text, starts[i].text) == NULL)
            fail_msg("row %zu: %s \"%s\"", i, err_name(d.err), d.why.text);
        rig_close(r);
    }
    assert_true(count_of(r, "millrace_renderer_deaths_total", "cause=\"start\"") >=
                3 * COUNT_OF(starts));
}

static void a_program_that_is_missing_is_named(void **state)
{
    struct rig *r = *state;

    (void)snprintf(r->program, sizeof r->program, "%s/nowhere", r->dir);
    rig_open(r, (struct render_pool_options){.renderers = 3});
    expect_order(r, SMALL, TIMEOUT, ERR_CRASHED, "nowhere: no such file");
}

static void a_renderer_that_is_mended_is_taken_up_again(void **state)
{
    struct rig *r = *state;

    put_script(r, "exit 7");
    rig_open(r, (struct render_pool_options){0});
    expect_order(r, SMALL, TIMEOUT, ERR_CRASHED, "do not start");
    put_script(r, "say hello; await; " OUTPUT "say good" LIVE);
    /* The script tells the id of the first order, and this is the first that a renderer gets. */
    expect_order(r, SMALL, TIMEOUT, ERR_OK, "");
}

/* --- what a renderer is given
 * ------------------------------------------------------------------ */

static void a_renderer_gets_no_environment(void **state)
{
    struct rig *r = *state;
    char path[128];
    struct buf b = {0};
    struct slice text;

    assert_int_equal(setenv("MILLRACE_TEST_SECRET", "hunter2", 1), 0);
    put_script(r, "/usr/bin/env > $D/env; say hello; await; " OUTPUT "say good" LIVE);
    rig_open(r, (struct render_pool_options){0});
    expect_order(r, SMALL, TIMEOUT, ERR_OK, "");
    (void)snprintf(path, sizeof path, "%s/env", r->dir);
    text = get_file(path, &b);
    assert_null(memmem(text.ptr, text.len, "hunter2", 7));
    assert_non_null(memmem(text.ptr, text.len, "LC_ALL=C", 8));
    assert_null(memmem(text.ptr, text.len, "HOME=", 5));
    buf_done(&b);
    (void)unsetenv("MILLRACE_TEST_SECRET");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(no_lie_of_a_renderer_is_believed),
        TEST(what_is_slow_is_said_once),
        TEST(orders_are_given_back_when_no_renderer_starts),
        TEST(a_program_that_is_missing_is_named),
        TEST(a_renderer_that_is_mended_is_taken_up_again),
        TEST(a_renderer_gets_no_environment),
    };

    (void)signal(SIGPIPE, SIG_IGN);
    log_setup("test", LOG_OFF, LOG_FORMAT_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
