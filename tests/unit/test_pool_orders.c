/* The pool with the real renderer in its sandbox: all formats, all operations, watermarks, text,
 * descriptions, and the limits that a whole process is needed for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/image_ops.h"
#include "tests/unit/pool_help.h"

struct asked {
    const char *args;
    const char *marks[2];
    size_t n_marks;
};

static enum err ask(struct rig *r, struct ended *d, const struct asked *a, struct fault *why)
{
    static const struct uuid job = {
        {1, 2, 3, 4, 5, 6, 0x77, 8, 0x89, 10, 11, 12, 13, 14, 15, 16}};
    struct render_order order = {.job = &job,
                                 .attempt = 1,
                                 .source_path = r->source,
                                 .mark_paths = a->marks,
                                 .n_marks = a->n_marks,
                                 .timeout_ms = TIMEOUT};
    struct buf args = {0};
    enum err e;

    *d = (struct ended){.rig = r};
    json_pack(a->args, &args);
    order.args = buf_slice(&args);
    e = render_pool_run(r->pool, &order, on_order_progress, on_order_done, d, &d->ticket, why);
    buf_done(&args);
    if (e == ERR_OK)
        wait_for(d);
    return e == ERR_OK ? d->err : e;
}

static void expect(struct rig *r, struct ended *d, const struct asked *a)
{
    struct fault why = {0};

    if (ask(r, d, a, &why) != ERR_OK)
        fail_msg("%s: %s%s", a->args, why.text, d->why.text);
}

#define ARGS(outputs) "{'source': {'path': 'x'}, 'outputs': [" outputs "]}"

static void every_format_is_written_in_the_sandbox(void **state)
{
    static const enum image_format formats[] = {IMAGE_JPEG, IMAGE_PNG, IMAGE_WEBP,
                                                IMAGE_AVIF, IMAGE_GIF, IMAGE_TIFF};
    struct rig *r = *state;
    struct ended d;

    put_png(r->source, 120, 80);
    rig_open(r, (struct render_pool_options){0});
    expect(
        r, &d,
        &(struct asked){ARGS("{'name': 'a', 'format': 'jpeg', 'optimise': true},"
                             "{'name': 'b', 'format': 'png', 'palette': true, 'colours': 16},"
                             "{'name': 'c', 'format': 'webp', 'near_lossless': 60},"
                             "{'name': 'd', 'format': 'avif', 'lossless': true},"
                             "{'name': 'e', 'format': 'gif'},"
                             "{'name': 'f', 'format': 'tiff', 'tiff_compression': 'lzw'},"
                             "{'name': 'g', 'format': 'auto'},"
                             "{'name': 'h', 'format': 'jpeg', 'max_bytes': 2000}"),
                        {NULL},
                        0});
    for (size_t i = 0; i < COUNT_OF(formats); i++)
        assert_int_equal(d.outputs[i].format, formats[i]);
    assert_true(d.outputs[7].bytes <= 2000 && d.outputs[7].quality > 0);
    drop(&d);
}

/* Whatever libvips, its codecs and Pango call for them, the filter of calls lets through. */
static void every_operation_runs_in_the_sandbox(void **state)
{
    struct rig *r = *state;

    put_png(r->source, 120, 80);
    rig_open(r, (struct render_pool_options){0});
    for (size_t i = 0; i < COUNT_OF(image_op_samples); i++) {
        struct ended d;
        char args[512];

        (void)snprintf(args, sizeof args, ARGS("{'name': 'a', 'ops': [%s], 'format': 'png'}"),
                       image_op_samples[i].json);
        expect(r, &d, &(struct asked){args, {NULL}, 0});
        drop(&d);
    }
}

static void watermarks_reach_the_renderer_and_leave_it(void **state)
{
    struct rig *r = *state;
    char mark[128];
    struct ended d;
    struct fault why = {0};

    put_png(r->source, 120, 80);
    (void)snprintf(mark, sizeof mark, "%s/mark", r->dir);
    put_png(mark, 20, 10);
    rig_open(r, (struct render_pool_options){0});
#define MARK "{'watermark': {'source': {'path': 'm'}, 'opacity': 0.5, 'tile': true}}"
    expect(r, &d, &(struct asked){ARGS("{'name': 'a', 'ops': [" MARK "]}"), {mark}, 1});
    drop(&d);
    for (int i = 0; i < 4; i++) {
        char left[160];

        (void)snprintf(left, sizeof left, "%s/r%d/in/%s", r->spool, i % 2,
                       i < 2 ? "source" : "mark0");
        assert_int_not_equal(access(left, F_OK), 0);
    }
    /* As many files as the args have watermarks. */
    assert_int_equal(
        ask(r, &d, &(struct asked){ARGS("{'name': 'a', 'ops': [" MARK "]}"), {NULL}, 0}, &why),
        ERR_MALFORMED);
    assert_int_equal(unlink(mark), 0);
    assert_int_equal(
        ask(r, &d, &(struct asked){ARGS("{'name': 'a', 'ops': [" MARK "]}"), {mark}, 1}, &why),
        ERR_NOT_FOUND);
    assert_non_null(strstr(d.why.text, "/args/outputs/0/ops/0/watermark/source: "));
    expect(r, &d, &(struct asked){ARGS("{'name': 'a'}"), {NULL}, 0});
    drop(&d);
}

static void text_is_drawn_in_the_sandbox(void **state)
{
    struct rig *r = *state;
    struct ended with, without;
    uint64_t bytes;

    put_png(r->source, 300, 100);
    if (access("/usr/share/fonts/truetype", R_OK) != 0)
        skip();
    rig_open(r, (struct render_pool_options){.fonts = "/nonexistent"});
    for (int i = 0; i < 3; i++) {
        expect(
            r, &with,
            &(struct asked){ARGS("{'name': 'a', 'ops': [{'text': {'text': 'Gr\u00fc\u00dfe', "
                                 "'size': 60, 'stroke': 2, 'bold': true}}]}"),
                            {NULL},
                            0});
        bytes = with.outputs[0].bytes;
        drop(&with);
        expect(r, &without, &(struct asked){ARGS("{'name': 'a'}"), {NULL}, 0});
        assert_true(bytes != without.outputs[0].bytes);
        drop(&without);
    }
}

#define SVG(inside) \
    "<svg xmlns='http://www.w3.org/2000/svg' width='60' height='40'>" inside "</svg>"
#define PIXEL                                                                            \
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR42mP4" \
    "z8AAAAMBAQD3A0FDAAAAAElFTkSuQmCC"

/* How many bytes the picture has that is made of it. */
static uint64_t draw(struct rig *r, const char *svg)
{
    struct ended d;
    uint64_t bytes;

    put_file(r->source, slice_str(svg));
    expect(r, &d, &(struct asked){ARGS("{'name': 'a', 'format': 'png'}"), {NULL}, 0});
    bytes = d.outputs[0].bytes;
    drop(&d);
    return bytes;
}

/* Letters, pictures inside, filters; and of a file beside it there is nothing to be seen. */
static void svg_is_drawn_in_the_sandbox(void **state)
{
    struct rig *r = *state;
    char reach[256];
    uint64_t empty;

    rig_open(r, (struct render_pool_options){.limits = {.svg_bytes = 65536}});
    empty = draw(r, SVG(""));
    assert_true(draw(r, SVG("<rect width='9' height='9' fill='red'/>")) > empty);
    assert_true(draw(r, SVG("<image width='9' height='9' href='" PIXEL "'/>")) > empty);
    assert_true(draw(r, SVG("<filter id='f'><feGaussianBlur stdDeviation='3'/></filter><circle "
                            "r='9' filter='url(#f)'/>")) > empty);
    if (access("/usr/share/fonts/truetype", R_OK) == 0)
        assert_true(draw(r, SVG("<text y='20' font-size='20'>Gr\u00fc\u00dfe</text>")) > empty);
    (void)snprintf(reach, sizeof reach, SVG("<image width='9' height='9' href='file://%s/p'/>"),
                   r->dir);
    (void)snprintf(r->source, sizeof r->source, "%s/p", r->dir);
    put_png(r->source, 9, 9);
    (void)snprintf(r->source, sizeof r->source, "%s/source", r->dir);
    assert_int_equal(draw(r, reach), empty);
    assert_int_equal(count_of(r, "millrace_renderer_deaths_total", "cause=\"crash\""), 0);
}

static void svg_is_refused_where_nobody_allows_it(void **state)
{
    struct rig *r = *state;

    put_file(r->source, SLICE_LIT(SVG("")));
    rig_open(r, (struct render_pool_options){0});
    expect_order(r, "[{'name': 'a'}]", TIMEOUT, ERR_UNSUPPORTED, "(SOURCE_SVG is off)");
}

static void an_svg_that_takes_for_ever_is_ended(void **state)
{
    struct rig *r = *state;

    put_file(r->source,
             SLICE_LIT(SVG("<filter id='f'><feTurbulence numOctaves='1000000000' "
                           "baseFrequency='0.05'/><feMorphology operator='dilate' "
                           "radius='5000'/></filter><rect filter='url(#f)' width='60' "
                           "height='40'/>")));
    rig_open(r, (struct render_pool_options){.limits = {.svg_bytes = 65536, .cpu_ms = 1000}});
    expect_order(r, "[{'name': 'a', 'ops': [{'resize': {'width': 9000}}]}]", TIMEOUT,
                 ERR_TOO_BIG, "RENDER_CPU");
}

/* A font that nobody else has: DejaVu's monospaced one by another name. */
static bool put_font(const char *path)
{
    struct buf b = {0};
    struct slice from;
    bool named = false;

    if (access("/usr/share/fonts/truetype/dejavu/DejaVuSansMono.ttf", R_OK) != 0)
        return false;
    from = get_file("/usr/share/fonts/truetype/dejavu/DejaVuSansMono.ttf", &b);
    for (size_t i = 0; i + 12 < from.len; i++) {
        if (memcmp(from.ptr + i, "\0D\0e\0j\0a\0V\0u", 12) == 0) {
            b.data[i + 1] = 'Q';
            named = true;
        } else if (memcmp(from.ptr + i, "DejaVu", 6) == 0) {
            b.data[i] = 'Q';
        }
    }
    put_file(path, from);
    buf_done(&b);
    return named;
}

#define IN_FONT(f) \
    ARGS("{'name': 'a', 'ops': [{'text': {'text': 'Will', 'size': 60, 'font': '" f "'}}]}")

static void an_operator_s_fonts_are_found(void **state)
{
    struct rig *r = *state;
    char dir[96], path[128];
    struct ended d;
    uint64_t sans, mono;

    (void)snprintf(dir, sizeof dir, "%s/fonts", r->dir);
    (void)snprintf(path, sizeof path, "%s/Q.ttf", dir);
    assert_int_equal(mkdir(dir, 0755), 0);
    put_png(r->source, 300, 100);
    if (!put_font(path))
        skip();
    rig_open(r, (struct render_pool_options){.fonts = dir});
    expect(r, &d, &(struct asked){IN_FONT("sans"), {NULL}, 0});
    sans = d.outputs[0].bytes;
    drop(&d);
    expect(r, &d, &(struct asked){IN_FONT("DejaVu Sans Mono"), {NULL}, 0});
    mono = d.outputs[0].bytes;
    drop(&d);
    expect(r, &d, &(struct asked){IN_FONT("QejaVu Sans Mono"), {NULL}, 0});
    assert_true(mono != sans);
    assert_true(d.outputs[0].bytes == mono);
    drop(&d);
}

static void a_source_is_described(void **state)
{
    struct rig *r = *state;
    struct ended d;
    const struct wire_info *info;

    put_png(r->source, 200, 100);
    rig_open(r, (struct render_pool_options){0});
    expect(r, &d, &(struct asked){"{'source': {'path': 'x'}}", {NULL}, 0});
    assert_int_equal(d.report.n_outputs, 0);
    assert_int_equal(d.report.source_width, 200);
    assert_non_null(d.report.info);
    drop(&d);
    expect(r, &d,
           &(struct asked){"{'source': {'path': 'x'}, 'describe': true, 'outputs': [{'name': "
                           "'a', 'ops': [{'resize': {'width': 50}}]}]}",
                           {NULL},
                           0});
    info = d.report.info;
    assert_non_null(info);
    assert_int_equal(d.report.n_outputs, 1);
    drop(&d);
    expect(r, &d, &(struct asked){ARGS("{'name': 'a'}"), {NULL}, 0});
    assert_null(d.report.info);
    drop(&d);
}

static void an_output_over_its_bytes_is_refused(void **state)
{
    struct rig *r = *state;
    struct ended d;
    struct fault why = {0};

    put_png(r->source, 300, 200);
    rig_open(r, (struct render_pool_options){.limits = {.output_bytes = 3000}});
    assert_int_equal(ask(r, &d, &(struct asked){ARGS("{'name': 'a'}"), {NULL}, 0}, &why),
                     ERR_TOO_BIG);
    assert_non_null(strstr(d.why.text, "the limit is 3000 (OUTPUT_BYTES)"));
    expect(
        r, &d,
        &(struct asked){ARGS("{'name': 'a', 'ops': [{'resize': {'width': 10}}]}"), {NULL}, 0});
    drop(&d);
}

/* The slowest that can be had: many frames' worth of AVIF. */
static void an_order_over_its_processor_time_is_ended(void **state)
{
    struct rig *r = *state;
    struct ended d;
    struct fault why = {0};
    char args[4096] = "{'source': {'path': 'x'}, 'outputs': [";
    size_t n = strlen(args);

    for (int i = 0; i < 32; i++)
        n += (size_t)snprintf(args + n, sizeof args - n,
                              "%s{'name': 'o%d', 'format': 'avif', 'effort': 4}",
                              i == 0 ? "" : ",", i);
    (void)snprintf(args + n, sizeof args - n, "]}");
    put_png(r->source, 1200, 900);
    rig_open(r, (struct render_pool_options){.limits = {.cpu_ms = 1000}});
    assert_int_equal(ask(r, &d, &(struct asked){args, {NULL}, 0}, &why), ERR_TOO_BIG);
    assert_non_null(strstr(d.why.text, "more processor time than it may (RENDER_CPU)"));
    /* The next has its own. */
    expect(
        r, &d,
        &(struct asked){ARGS("{'name': 'a', 'ops': [{'resize': {'width': 10}}]}"), {NULL}, 0});
    drop(&d);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_set_up, rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_format_is_written_in_the_sandbox),
        TEST(every_operation_runs_in_the_sandbox),
        TEST(watermarks_reach_the_renderer_and_leave_it),
        TEST(text_is_drawn_in_the_sandbox),
        TEST(svg_is_drawn_in_the_sandbox),
        TEST(svg_is_refused_where_nobody_allows_it),
        TEST(an_svg_that_takes_for_ever_is_ended),
        TEST(an_operator_s_fonts_are_found),
        TEST(a_source_is_described),
        TEST(an_output_over_its_bytes_is_refused),
        TEST(an_order_over_its_processor_time_is_ended),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
