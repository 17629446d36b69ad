/* The pool with the real renderer of the build tree. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>

#include "tests/unit/pool_help.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SHADOW_MEMORY 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SHADOW_MEMORY 1
#endif

static void fail_at(const char *points)
{
#ifdef MILLRACE_FAILPOINTS
    assert_int_equal(setenv("MILLRACE_FAILPOINTS", points, 1), 0);
#else
    (void)points;
    skip();
#endif
}

/* --- orders
 * ------------------------------------------------------------------------------------ */

static void an_order_gives_files_and_their_measures(void **state)
{
    struct rig *r = *state;
    struct ended d;
    struct stat st;

    put_png(r->source, 300, 200);
    rig_open(r, (struct render_pool_options){0});
    give_order(r, &d,
               "[{'name': 'card', 'ops': [{'resize': {'width': 64, 'height': 64, 'fit': "
               "'cover', 'gravity': 'attention'}},"
               " {'sharpen': {}}], 'format': 'webp'}, {'name': 'thumb', 'ops': [{'resize': "
               "{'width': 30}}]},"
               " {'name': 'big', 'format': 'avif'}]",
               TIMEOUT);
    wait_for(&d);
    if (d.err != ERR_OK)
        fail_msg("%s", d.why.text);
    assert_int_equal(d.report.source_format, IMAGE_PNG);
    assert_int_equal(d.report.source_width, 300);
    assert_int_equal(d.report.source_height, 200);
    assert_true(d.report.peak_rss > 1 << 20);
    assert_int_equal(d.report.n_outputs, 3);
    assert_string_equal(d.outputs[0].name, "card");
    assert_int_equal(d.outputs[0].format, IMAGE_WEBP);
    assert_int_equal(d.outputs[0].width, 64);
    assert_int_equal(d.outputs[0].height, 64);
    assert_string_equal(d.outputs[1].name, "thumb");
    assert_int_equal(d.outputs[1].format, IMAGE_PNG);
    assert_int_equal(d.outputs[1].height, 20);
    assert_string_equal(d.outputs[2].name, "big");
    assert_int_equal(d.outputs[2].width, 300);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(stat(d.outputs[i].path, &st), 0);
        assert_int_equal(st.st_size, d.outputs[i].bytes);
        assert_non_null(
            strstr(d.outputs[i].path, "/out/01020304-0506-7708-890a-0b0c0d0e0f10-2-"));
    }
    drop(&d);
    assert_int_equal(stat(r->source, &st), 0);
    assert_int_equal(st.st_nlink, 1); /* the renderer's link is gone */
    assert_int_equal(count_of(r, "millrace_render_orders_total", "result=\"ok\""), 1);
}

static void what_is_no_picture_is_told_so(void **state)
{
    static const struct {
        struct slice source;
        enum err want;
        const char *text;
    } rows[] = {
        {SLICE_LIT("%PDF-1.7"), ERR_UNSUPPORTED, "PDF"},
        {SLICE_LIT(""), ERR_MALFORMED, "empty"},
        {SLICE_LIT("\x89PNG\r\n\x1a\n"), ERR_MALFORMED, "broken png"},
        {SLICE_LIT("GIF89a\xff\xff\xff\xff\x80\0\0\0\0\0\xff\xff\xff,"
                   "\0\0\0\0\xff\xff\xff\xff\0\2\2L\1\0;"),
         ERR_TOO_BIG, "65535 x 65535"},
    };
    struct rig *r = *state;

    rig_open(r, (struct render_pool_options){0});
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        put_file(r->source, rows[i].source);
        expect_order(r, SMALL, TIMEOUT, rows[i].want, rows[i].text);
    }
    /* The renderer lives on. */
    put_png(r->source, 64, 64);
    expect_order(r, SMALL, TIMEOUT, ERR_OK, "");
    assert_int_equal(count_of(r, "millrace_renderers_spawned_total", NULL), 2);
}

static void limits_are_the_pools(void **state)
{
    struct rig *r = *state;
    struct stat st;
    char text[64];

    put_png(r->source, 100, 100);
    assert_int_equal(stat(r->source, &st), 0);
    rig_open(r, (struct render_pool_options){.limits = {.source_bytes = (uint64_t)st.st_size,
                                                        .pixels = 10000,
                                                        .output_pixels = 2500}});
    expect_order(r, SMALL, TIMEOUT, ERR_OK, "");
    expect_order(r, "[{'name': 'a', 'ops': [{'resize': {'width': 51}}]}]", TIMEOUT, ERR_TOO_BIG,
                 "output a");
    put_png(r->source, 101, 100);
    (void)snprintf(text, sizeof text, "the limit is %llu", (unsigned long long)st.st_size);
    expect_order(r, SMALL, TIMEOUT, ERR_TOO_BIG, text);
    (void)unlink(r->source);
    expect_order(r, SMALL, TIMEOUT, ERR_NOT_FOUND, "source");
    assert_int_equal(mkdir(r->source, 0700), 0);
    expect_order(r, SMALL, TIMEOUT, ERR_MALFORMED, "not a regular file");
}

static void args_that_do_not_parse_are_refused_at_once(void **state)
{
    struct rig *r = *state;
    struct fault why;
    struct ended d;

    rig_open(r, (struct render_pool_options){0});
    assert_int_equal(try_order(r, &d, "[{'name': 'a', 'format': 'bmp'}]", TIMEOUT, &why),
                     ERR_MALFORMED);
    assert_non_null(strstr(why.text, "/args/outputs/0/format"));
}

static void a_source_on_another_file_system_is_copied(void **state)
{
    struct rig *r = *state;
    struct stat here, there;

    (void)snprintf(r->source, sizeof r->source, "/dev/shm/pool-test-%d", (int)getpid());
    if (stat(r->dir, &here) != 0 || stat("/dev/shm", &there) != 0 ||
        here.st_dev == there.st_dev)
        skip();
    put_png(r->source, 64, 64);
    rig_open(r, (struct render_pool_options){0});
    expect_order(r, SMALL, TIMEOUT, ERR_OK, "");
    assert_int_equal(unlink(r->source), 0);
}

static void orders_wait_their_turn(void **state)
{
    struct rig *r = *state;
    struct ended d[12];

    put_png(r->source, 200, 200);
    rig_open(r, (struct render_pool_options){.renderers = 2});
    assert_int_equal(render_pool_size(r->pool), 2);
    for (size_t i = 0; i < COUNT_OF(d); i++)
        give_order(r, &d[i], SMALL, TIMEOUT);
    for (size_t i = 0; i < COUNT_OF(d); i++) {
        wait_for(&d[i]);
        assert_int_equal(d[i].err, ERR_OK);
        free(d[i].outputs[0].path);
    }
    /* All have the same name, as they are of one job and attempt: the last is there. */
    assert_int_equal(count_entries(r->spool, "out"), 1);
    assert_true(r->idle_calls > 0);
    put_png(r->source, 1, 1);
    expect_order(r, SMALL, TIMEOUT, ERR_OK, "");
}

static void the_line_has_an_end(void **state)
{
    struct rig *r = *state;
    struct ended *d = calloc(1001, sizeof *d);
    struct fault why;
    struct render_pool_options opt = {
        .program = r->program, .spool_dir = r->spool, .renderers = 1};

    assert_non_null(d);
    put_png(r->source, 1, 1);
    assert_int_equal(render_pool_new(&r->loop, &opt, &r->pool, &why), ERR_OK); /* not started */
    for (size_t i = 0; i < 1000; i++)
        give_order(r, &d[i], SMALL, TIMEOUT);
    assert_int_equal(try_order(r, &d[1000], SMALL, TIMEOUT, &why), ERR_BUSY);
    rig_close(r);
    for (size_t i = 0; i < 1000; i++)
        assert_true(d[i].done && d[i].err == ERR_CANCELED);
    free(d);
}

static void progress_comes_from_the_pixels(void **state)
{
    struct rig *r = *state;
    struct ended d;

    put_png(r->source, 3000, 2000);
    rig_open(r, (struct render_pool_options){0});
    give_order(r, &d,
               "[{'name': 'a', 'format': 'png'}, {'name': 'b', 'ops': [{'resize': {'width': "
               "2900}}], 'format': 'png'}]",
               TIMEOUT);
    wait_for(&d);
    assert_int_equal(d.err, ERR_OK);
    assert_true(d.progress_calls > 0);
    drop(&d);
}

/* --- deadlines, crashes, cancelling
 * ------------------------------------------------------------ */

static void a_renderer_past_its_deadline_is_killed(void **state)
{
    struct rig *r = *state;

    fail_at("render.decode=2*spin");
    put_png(r->source, 64, 64);
    rig_open(r, (struct render_pool_options){0});
    expect_order(r, SMALL, TIMEOUT, ERR_OK, "");
    expect_order(r, SMALL, 100, ERR_TIMEOUT, "the renderer was killed after 100 ms");
    expect_order(r, SMALL, TIMEOUT, ERR_OK, "");
    assert_int_equal(count_of(r, "millrace_renderer_deaths_total", "cause=\"timeout\""), 1);
}

static void a_crash_names_its_signal(void **state)
{
    static const struct {
        const char *points, *text;
        int signal;
    } rows[] = {
        {"render.decode=1*segv", "the renderer died of SIGSEGV (peak", SIGSEGV},
        {"render.encode=1*abort", "the renderer died of SIGABRT (peak", SIGABRT},
        {"render.decode=1*kill", "killed from outside", SIGKILL},
        {"render.decode=1*exit", "the renderer exited with status 3", 0},
    };
    struct rig *r = *state;

    put_png(r->source, 64, 64);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct ended d;

        fail_at(rows[i].points);
        r->closed = false;
        rig_open(r, (struct render_pool_options){0});
        give_order(r, &d, SMALL, TIMEOUT);
        wait_for(&d);
        if (d.err != ERR_CRASHED || strstr(d.why.text, rows[i].text) == NULL ||
            d.why.native != rows[i].signal)
            fail_msg("%s: %s %d \"%s\"", rows[i].points, err_name(d.err), d.why.native,
                     d.why.text);
        rig_close(r);
    }
}

static void an_error_of_the_disk_may_be_tried_again(void **state)
{
    struct rig *r = *state;

    fail_at("render.encode=1*error");
    put_png(r->source, 64, 64);
    rig_open(r, (struct render_pool_options){0});
    expect_order(r, SMALL, TIMEOUT, ERR_IO, "encode");
    expect_order(r, SMALL, TIMEOUT, ERR_OK, "");
}

static void a_hog_meets_the_limit_of_memory(void **state)
{
    struct rig *r = *state;

#ifdef SHADOW_MEMORY
    skip(); /* no limit on address space there */
#endif
    fail_at("render.encode=1*hog");
    put_png(r->source, 64, 64);
    rig_open(r, (struct render_pool_options){.limits = {.memory_bytes = 512 << 20}});
    expect_order(r, SMALL, TIMEOUT, ERR_CRASHED,
                 "the renderer ran out of memory (limit 512 MiB, peak 5");
    put_png(r->source, 64, 64);
    expect_order(r, SMALL, TIMEOUT, ERR_CRASHED,
                 "ran out of memory"); /* the spare hogs as well */
}

static void a_picture_over_the_memory_is_no_crash(void **state)
{
    struct rig *r = *state;
    struct ended d;

#ifdef SHADOW_MEMORY
    skip();
#endif
    put_png(r->source, 64, 48);
    rig_open(r, (struct render_pool_options){.limits = {.memory_bytes = 400 << 20}});
    /* 256 MB of pixels before the cut; what breaks first is libvips' or glib's business. */
    give_order(
        r, &d,
        "[{'name': 'a', 'ops': [{'resize': {'width': 8000, 'height': 8000, 'fit': 'cover',"
        " 'gravity': 'attention', 'enlarge': true}}], 'format': 'jpeg'}]",
        TIMEOUT);
    wait_for(&d);
    if (d.err != ERR_NOMEM &&
        (d.err != ERR_CRASHED || strstr(d.why.text, "ran out of memory") == NULL))
        fail_msg("%s: %s", err_name(d.err), d.why.text);
    put_png(r->source, 64, 64);
    expect_order(r, SMALL, TIMEOUT, ERR_OK, "");
}

static void orders_can_be_cancelled_at_any_time(void **state)
{
    struct rig *r = *state;
    struct ended busy, waiting, third;

    /* Of the two that are spawned now, each spins once; those that replace them do not. */
    fail_at("render.decode=1*spin");
    put_png(r->source, 64, 64);
    rig_open(r, (struct render_pool_options){0});
    fail_at("");
    give_order(r, &busy, SMALL, TIMEOUT);
    give_order(r, &waiting, SMALL, TIMEOUT);
    /* Both are up: else the one that replaces the first could be ready before the second. */
    while (gauge_of(r, "busy") == 0 || gauge_of(r, "idle") == 0)
        (void)uv_run(&r->loop, UV_RUN_ONCE);
    render_pool_cancel(waiting.ticket);
    render_pool_cancel(waiting.ticket); /* again: harmless until on_done */
    render_pool_cancel(busy.ticket);
    render_pool_cancel(busy.ticket);
    assert_false(waiting.done || busy.done);
    wait_for(&waiting);
    wait_for(&busy);
    assert_int_equal(waiting.err, ERR_CANCELED);
    assert_int_equal(busy.err, ERR_CANCELED);
    give_order(r, &third, SMALL, 100);
    wait_for(&third);
    assert_int_equal(third.err, ERR_TIMEOUT);
    expect_order(r, SMALL, TIMEOUT, ERR_OK, "");
}

static void closing_ends_all_orders(void **state)
{
    struct rig *r = *state;
    struct ended d[6];

    fail_at("render.decode=spin");
    put_png(r->source, 64, 64);
    rig_open(r, (struct render_pool_options){.renderers = 2});
    for (size_t i = 0; i < COUNT_OF(d); i++)
        give_order(r, &d[i], SMALL, TIMEOUT);
    while (gauge_of(r, "busy") < 2)
        (void)uv_run(&r->loop, UV_RUN_ONCE);
    rig_close(r);
    for (size_t i = 0; i < COUNT_OF(d); i++)
        assert_true(d[i].done && d[i].err == ERR_CANCELED);
}

static void a_pool_can_be_closed_before_its_renderers_are_up(void **state)
{
    struct rig *r = *state;

    rig_open(r, (struct render_pool_options){.renderers = 3});
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_set_up, rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_order_gives_files_and_their_measures),
        TEST(what_is_no_picture_is_told_so),
        TEST(limits_are_the_pools),
        TEST(args_that_do_not_parse_are_refused_at_once),
        TEST(a_source_on_another_file_system_is_copied),
        TEST(orders_wait_their_turn),
        TEST(the_line_has_an_end),
        TEST(progress_comes_from_the_pixels),
        TEST(a_renderer_past_its_deadline_is_killed),
        TEST(a_crash_names_its_signal),
        TEST(an_error_of_the_disk_may_be_tried_again),
        TEST(a_hog_meets_the_limit_of_memory),
        TEST(a_picture_over_the_memory_is_no_crash),
        TEST(orders_can_be_cancelled_at_any_time),
        TEST(closing_ends_all_orders),
        TEST(a_pool_can_be_closed_before_its_renderers_are_up),
    };

    (void)signal(SIGPIPE, SIG_IGN);
    log_setup("test", LOG_OFF, LOG_FORMAT_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
