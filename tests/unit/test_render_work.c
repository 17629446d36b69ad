/* Whole orders, in this process and without the sandbox: pictures in, pictures out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/render_help.h"
#include "worker/render/child/vfault.h"

static enum err render_image(VipsImage *im, const char *suffix, const char *outputs,
                             struct wire_report *ret)
{
    struct bytes b = encode(im, suffix);
    enum err e = render(b, outputs, ret);

    bytes_free(b);
    if (e != ERR_OK)
        print_message("%s\n", ret->text);
    return e;
}

/* --- formats
 * ----------------------------------------------------------------------------------- */

static const struct {
    const char *suffix;
    enum image_format format;
} sources[] = {
    {"jpg[Q=95]", IMAGE_JPEG},
    {"jpg[interlace]", IMAGE_JPEG},
    {"png", IMAGE_PNG},
    {"png[interlace]", IMAGE_PNG},
    {"png[palette]", IMAGE_PNG},
    {"webp[Q=95]", IMAGE_WEBP},
    {"webp[lossless]", IMAGE_WEBP},
    {"avif[Q=90,effort=0]", IMAGE_AVIF},
    {"avif[lossless,effort=0]", IMAGE_AVIF},
    {"gif", IMAGE_GIF},
    {"tiff", IMAGE_TIFF},
    {"tiff[compression=lzw,predictor=none]", IMAGE_TIFF},
};
static const enum image_format written[] = {IMAGE_JPEG, IMAGE_PNG, IMAGE_WEBP, IMAGE_AVIF};

static void check_quarters(unsigned index, int w, int h, const char *what)
{
    VipsImage *im = open_output(index);

    if (im->Xsize != w || im->Ysize != h || quarter_name(im, 0, 0) != 'r' ||
        quarter_name(im, 1, 0) != 'g' || quarter_name(im, 0, 1) != 'b' ||
        quarter_name(im, 1, 1) != 'y')
        fail_msg("%s, output %u: %d x %d, %c%c/%c%c", what, index, im->Xsize, im->Ysize,
                 quarter_name(im, 0, 0), quarter_name(im, 1, 0), quarter_name(im, 0, 1),
                 quarter_name(im, 1, 1));
    g_object_unref(im);
}

static void every_format_becomes_every_other(void **state)
{
    VipsImage *im = quarters(320, 240);
    (void)state;

    for (size_t i = 0; i < COUNT_OF(sources); i++) {
        struct wire_report r;

        assert_int_equal(
            render_image(
                im, sources[i].suffix,
                "[{'name': 'a', 'ops': [{'resize': {'width': 160}}], 'format': 'jpeg'},"
                " {'name': 'b', 'ops': [{'resize': {'width': 160}}], 'format': 'png'},"
                " {'name': 'c', 'ops': [{'resize': {'width': 80}}], 'format': 'webp'},"
                " {'name': 'd', 'ops': [{'resize': {'width': 80}}], 'format': 'avif'}]",
                &r),
            ERR_OK);
        assert_int_equal(r.source_format, sources[i].format);
        assert_int_equal(r.source_width, 320);
        assert_int_equal(r.source_height, 240);
        assert_int_equal(r.n_outputs, 4);
        assert_true(r.cpu_us > 0 && r.peak_rss > 0 && r.rss > 0);
        for (unsigned k = 0; k < 4; k++) {
            const struct wire_output *o = &r.outputs[k];
            struct stat st;
            char path[16];

            assert_int_equal(o->format, written[o->index]);
            assert_int_equal(o->width, o->index < 2 ? 160 : 80);
            (void)snprintf(path, sizeof path, WORK_OUT "/%u", o->index);
            assert_int_equal(stat(path, &st), 0);
            assert_int_equal(st.st_size, o->bytes);
            check_quarters(o->index, (int)o->width, (int)o->height, sources[i].suffix);
        }
    }
    g_object_unref(im);
}

static void an_output_without_format_keeps_the_sources(void **state)
{
    static const struct {
        const char *suffix;
        enum image_format want;
    } rows[] = {{"jpg", IMAGE_JPEG},  {"png", IMAGE_PNG},
                {"webp", IMAGE_WEBP}, {"avif[effort=0]", IMAGE_AVIF},
                {"gif", IMAGE_GIF},   {"tiff", IMAGE_TIFF}};
    VipsImage *im = quarters(40, 30);
    (void)state;

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct wire_report r;

        assert_int_equal(render_image(im, rows[i].suffix, "[{'name': 'a'}]", &r), ERR_OK);
        assert_int_equal(r.outputs[0].format, rows[i].want);
        assert_int_equal(r.outputs[0].width, 40);
    }
    g_object_unref(im);
}

static void the_bytes_decide_and_not_the_name(void **state)
{
    VipsImage *im = quarters(40, 30);
    struct bytes png = encode(im, "png");
    char *both = malloc(png.len + 64);
    struct wire_report r;
    (void)state;

    /* A PNG with a script behind it is a PNG, and what comes out is a picture alone. */
    assert_non_null(both);
    memcpy(both, png.ptr, png.len);
    memcpy(both + png.len, "<script>alert(1)</script>", 25);
    assert_int_equal(render((struct bytes){both, png.len + 25}, "[{'name': 'a'}]", &r), ERR_OK);
    assert_int_equal(r.outputs[0].format, IMAGE_PNG);
    assert_int_equal(render((struct bytes){"%PDF-1.7", 8}, "[{'name': 'a'}]", &r),
                     ERR_UNSUPPORTED);
    assert_non_null(strstr(r.text, "PDF"));
    assert_int_equal(render((struct bytes){"", 0}, "[{'name': 'a'}]", &r), ERR_MALFORMED);
    free(both);
    bytes_free(png);
    g_object_unref(im);
}

/* --- broken files
 * ------------------------------------------------------------------------------ */

static VipsImage *noise(int w, int h, int bands)
{
    VipsImage *layers[4], *all, *bytes, *typed;

    for (int i = 0; i < bands; i++)
        VIPS_OK(vips_gaussnoise(&layers[i], w, h, "mean", 128.0, "sigma", 40.0, "seed", i + 1,
                                NULL));
    VIPS_OK(vips_bandjoin(layers, &all, bands, NULL));
    VIPS_OK(vips_cast_uchar(all, &bytes, NULL));
    VIPS_OK(vips_copy(bytes, &typed, "interpretation",
                      bands < 3 ? VIPS_INTERPRETATION_B_W : VIPS_INTERPRETATION_sRGB, NULL));
    for (int i = 0; i < bands; i++)
        g_object_unref(layers[i]);
    g_object_unref(all);
    g_object_unref(bytes);
    return typed;
}

static void truncated_files_fail_wherever_they_end(void **state)
{
    static const char *const outputs[] = {
        "[{'name': 'a', 'ops': [{'resize': {'width': 100}}], 'format': 'jpeg'}]",
        "[{'name': 'a', 'ops': [{'resize': {'width': 30}}], 'format': 'jpeg'}]",
        /* What is missing would have been cut off anyway. */
        "[{'name': 'a', 'ops': [{'resize': {'width': 200, 'height': 20, 'fit': 'cover', "
        "'gravity': 'north'}}], 'format': 'jpeg'}]",
        "[{'name': 'a', 'format': 'png'}, {'name': 'b', 'ops': [{'resize': {'width': 199}}], "
        "'format': 'png'}]",
    };
    static const unsigned parts[] = {99, 90, 60, 30, 5};
    VipsImage *im = noise(400, 300, 3);
    (void)state;

    for (size_t i = 0; i < COUNT_OF(sources); i++) {
        struct bytes b = encode(im, sources[i].suffix);

        for (size_t k = 0; k < COUNT_OF(parts) * COUNT_OF(outputs); k++) {
            struct bytes cut = {b.ptr, b.len * parts[k % COUNT_OF(parts)] / 100};
            struct wire_report r;

            if (render(cut, outputs[k / COUNT_OF(parts)], &r) != ERR_MALFORMED)
                fail_msg("%s cut to %u %%, outputs %zu: %s %s", sources[i].suffix,
                         parts[k % COUNT_OF(parts)], k / COUNT_OF(parts), err_name(r.err),
                         r.text);
        }
        bytes_free(b);
    }
    g_object_unref(im);
}

/* Padding between segments, and bytes behind the end: seen from cameras. */
static void what_cameras_get_slightly_wrong_passes(void **state)
{
    VipsImage *im = noise(100, 80, 3);
    struct bytes b = encode(im, "jpg");
    const uint8_t *from = b.ptr;
    size_t first = 4 + (size_t)from[4] * 256 + from[5]; /* where the first segment ends */
    char *padded = malloc(b.len + 7);
    struct wire_report r;
    (void)state;

    assert_non_null(padded);
    memcpy(padded, from, first);
    memcpy(padded + first, "\0\0\0", 3);
    memcpy(padded + first + 3, from + first, b.len - first);
    memcpy(padded + b.len + 3, "MORE", 4);
    assert_int_equal(render((struct bytes){padded, b.len + 7}, "[{'name': 'a'}]", &r), ERR_OK);
    free(padded);
    bytes_free(b);
    g_object_unref(im);
}

/* Be it by a byte, and whether or not somebody wants the last rows. */
static void a_jpeg_without_its_end_fails(void **state)
{
    VipsImage *im = noise(800, 600, 3);
    struct bytes b = encode(im, "jpg");
    struct wire_report r;
    (void)state;

    for (size_t cut = 1; cut < 6; cut++) {
        assert_int_equal(render((struct bytes){b.ptr, b.len - cut}, "[{'name': 'a'}]", &r),
                         ERR_MALFORMED);
        assert_int_equal(render((struct bytes){b.ptr, b.len - cut},
                                "[{'name': 'a', 'ops': [{'resize': {'width': 211}}]}]", &r),
                         ERR_MALFORMED);
    }
    bytes_free(b);
    g_object_unref(im);
}

static void damaged_files_never_crash_the_decoders(void **state)
{
    VipsImage *im = noise(64, 48, 3);
    unsigned seed = 1;
    (void)state;

    for (size_t i = 0; i < COUNT_OF(sources); i++) {
        struct bytes b = encode(im, sources[i].suffix);
        uint8_t *copy = malloc(b.len);

        assert_non_null(copy);
        for (unsigned k = 0; k < 40; k++) {
            struct wire_report r;

            memcpy(copy, b.ptr, b.len);
            for (unsigned n = 0; n <= k % 8; n++) {
                seed = seed * 1103515245u + 12345u;
                copy[(seed >> 8) % b.len] ^= (uint8_t)(1u << (seed >> 4 & 7));
            }
            /* Any end will do but a crash, or a fault of ours. */
            (void)render((struct bytes){copy, b.len},
                         "[{'name': 'a', 'ops': [{'resize': {'width': 16}}], 'format': 'png'}]",
                         &r);
            if (r.err == ERR_INTERNAL || (r.err != ERR_OK && r.text[0] == '\0'))
                fail_msg("%s, change %u: %s %s", sources[i].suffix, k, err_name(r.err), r.text);
        }
        free(copy);
        bytes_free(b);
    }
    g_object_unref(im);
}

static void only_our_loaders_can_be_called(void **state)
{
    static const char ppm[] = "P6 1 1 255\nabc";
    static const char svg[] = "<svg xmlns='http://www.w3.org/2000/svg' width='1' height='1'/>";
    VipsImage *im = NULL;
    (void)state;

    decode_allow_list(false);
    assert_null(vips_image_new_from_buffer(ppm, sizeof ppm - 1, "", NULL));
    assert_null(vips_image_new_from_buffer(svg, sizeof svg - 1, "", NULL));
    assert_int_not_equal(vips_svgload_buffer((void *)(uintptr_t)svg, sizeof svg - 1, &im, NULL),
                         0);
    decode_allow_list(true);
    assert_int_equal(vips_svgload_buffer((void *)(uintptr_t)svg, sizeof svg - 1, &im, NULL), 0);
    g_object_unref(im);
    vips_error_clear();
}

/* --- texts of libvips ------------------------------------------------------------------------ */

static void texts_become_errors(void **state)
{
    static const struct {
        const char *text;
        enum err want;
    } rows[] = {
        {"heif: Memory allocation error: Security limit exceeded: iloc box contains 65535 "
         "items",
         ERR_TOO_BIG},
        {"pngload: out of memory", ERR_NOMEM},
        {"heif: Support for this compression format has not been built in: HEVC",
         ERR_UNSUPPORTED},
        {"webp: unable to parse image", ERR_MALFORMED},
    };
    struct fault why;
    (void)state;

    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_int_equal(vfault_classify(rows[i].text, ERR_MALFORMED), rows[i].want);
    /* What is only a note is not told. */
    vips_error("source", "bad seek to %d", 1024);
    vips_error("source", "bad seek to %d", 1000);
    vips_error("heif", "no image");
    assert_int_equal(vfault_take(&why, ERR_MALFORMED, "decode"), ERR_MALFORMED);
    assert_string_equal(why.text, "decode: heif: no image");
    vips_error("source", "bad seek to %d", 1024);
    (void)vfault_take(&why, ERR_MALFORMED, "decode");
    assert_string_equal(why.text, "decode: libvips gave no reason");
}

/* --- limits
 * ------------------------------------------------------------------------------------ */

static enum err render_limited(uint64_t pixels, uint64_t output_pixels, const char *outputs,
                               struct wire_report *ret)
{
    struct buf args = {0};
    char json[1024];
    struct wire_order order = {
        .id = 1, .pixels = pixels, .output_pixels = output_pixels, .frames = 500};

    (void)snprintf(json, sizeof json, "{'source': {'path': 'x'}, 'outputs': %s}", outputs);
    json_pack(json, &args);
    order.args = buf_slice(&args);
    work_run(&order, &no_events, ret);
    buf_done(&args);
    return ret->err;
}

static void limits_name_the_measured_value(void **state)
{
    VipsImage *im = quarters(400, 300);
    struct bytes b = encode(im, "png");
    struct wire_report r;
    (void)state;

    write_file(WORK_SOURCE, b);
    assert_int_equal(render_limited(120000, 1000000, "[{'name': 'a'}]", &r), ERR_OK);
    assert_int_equal(render_limited(119999, 1000000, "[{'name': 'a'}]", &r), ERR_TOO_BIG);
    assert_string_equal(
        r.text, "the source is 400 x 300 = 120000 pixels, the limit is 119999 (SOURCE_PIXELS)");
    assert_int_equal(render_limited(1000000, 119999, "[{'name': 'a'}]", &r), ERR_TOO_BIG);
    assert_non_null(strstr(r.text, "output a: 400 x 300"));
    assert_int_equal(
        render_limited(
            1000000, 1000000,
            "[{'name': 'a', 'ops': [{'resize': {'width': 16384, 'enlarge': true}}]}]", &r),
        ERR_TOO_BIG);
    bytes_free(b);
    g_object_unref(im);
}

static void frames_count_as_pixels_and_only_the_first_is_taken(void **state)
{
    VipsImage *frames[2] = {quarters(40, 30), noise(40, 30, 3)}, *roll;
    static const char *const suffixes[] = {"gif[page-height=30]",
                                           "webp[page-height=30,lossless]"};
    struct wire_report r;
    (void)state;

    VIPS_OK(vips_arrayjoin(frames, &roll, 2, "across", 1, NULL));
    vips_image_set_int(roll, "page-height", 30);
    for (size_t i = 0; i < COUNT_OF(suffixes); i++) {
        struct bytes b = encode(roll, suffixes[i]);

        write_file(WORK_SOURCE, b);
        assert_int_equal(render_limited(2399, 1000000, "[{'name': 'a', 'format': 'png'}]", &r),
                         ERR_TOO_BIG);
        assert_non_null(strstr(r.text, "in 2 pages"));
        assert_int_equal(render_limited(2400, 1000000, "[{'name': 'a', 'format': 'png'}]", &r),
                         ERR_OK);
        assert_int_equal(r.outputs[0].height, 30);
        check_quarters(0, 40, 30, suffixes[i]);
        bytes_free(b);
    }
    g_object_unref(roll);
    g_object_unref(frames[0]);
    g_object_unref(frames[1]);
}

static void args_that_break_the_rules_are_refused_by_their_pointer(void **state)
{
    struct wire_report r;
    (void)state;

    assert_int_equal(render((struct bytes){"x", 1}, "[{'name': 'a', 'format': 'bmp'}]", &r),
                     ERR_MALFORMED);
    assert_non_null(strstr(r.text, "/args/outputs/0/format"));
}

static void a_source_that_is_not_there_is_an_io_error(void **state)
{
    struct wire_report r;
    (void)state;

    assert_int_equal(run_order("{'source': {'path': 'x'}, 'outputs': [{'name': 'a'}]}", &r),
                     ERR_IO);
}

/* --- progress
 * ---------------------------------------------------------------------------------- */

struct seen {
    unsigned n, last;
};

static void on_progress(void *arg, unsigned pct)
{
    struct seen *s = arg;

    assert_true(pct > s->last && pct < 100);
    s->last = pct;
    s->n++;
}

static void progress_rises_and_is_not_a_flood(void **state)
{
    VipsImage *im = noise(2000, 1500, 3);
    struct bytes b = encode(im, "png[compression=1]");
    struct buf args = {0};
    struct wire_order order = {.pixels = 100000000, .output_pixels = 100000000, .frames = 500};
    struct seen seen = {0};
    struct wire_report r;
    (void)state;

    write_file(WORK_SOURCE, b);
    json_pack("{'source': {'path': 'x'}, 'outputs': [{'name': 'a', 'format': 'png'},"
              " {'name': 'b', 'ops': [{'resize': {'width': 1900}}], 'format': 'png'}]}",
              &args);
    order.args = buf_slice(&args);
    work_run(
        &order,
        &(struct work_events){.arg = &seen, .on_progress = on_progress, .on_slow = never_slow},
        &r);
    assert_int_equal(r.err, ERR_OK);
    /* At most one each 100 ms of a time that is at most what it cost. */
    assert_true(seen.n > 0 && seen.n <= 99);
    buf_done(&args);
    bytes_free(b);
    g_object_unref(im);
}

RENDER_TESTS(TEST(every_format_becomes_every_other),
             TEST(an_output_without_format_keeps_the_sources),
             TEST(the_bytes_decide_and_not_the_name),
             TEST(truncated_files_fail_wherever_they_end),
             TEST(what_cameras_get_slightly_wrong_passes), TEST(a_jpeg_without_its_end_fails),
             TEST(damaged_files_never_crash_the_decoders), TEST(only_our_loaders_can_be_called),
             TEST(texts_become_errors), TEST(limits_name_the_measured_value),
             TEST(frames_count_as_pixels_and_only_the_first_is_taken),
             TEST(args_that_break_the_rules_are_refused_by_their_pointer),
             TEST(a_source_that_is_not_there_is_an_io_error),
             TEST(progress_rises_and_is_not_a_flood))
