/* What a file is written as, and read from: animations, pages, options of the formats, profiles. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/render_ops.h"

/* --- animations ------------------------------------------------------------------------------ */

static const double frame_colours[3][3] = {{200, 0, 0}, {0, 200, 0}, {0, 0, 200}};

/* Three frames, red, green, blue, of 40 x 30; 70, 80 and 90 ms. */
static struct bytes animation(const char *suffix)
{
    VipsImage *frames[3], *roll, *copy;
    int delays[] = {70, 80, 90};
    struct bytes b;

    for (int i = 0; i < 3; i++)
        frames[i] = plain(40, 30, frame_colours[i], 3);
    VIPS_OK(vips_arrayjoin(frames, &roll, 3, "across", 1, NULL));
    VIPS_OK(vips_copy(roll, &copy, NULL));
    vips_image_set_int(copy, "page-height", 30);
    vips_image_set_array_int(copy, "delay", delays, 3);
    vips_image_set_int(copy, "loop", 4);
    b = encode(copy, suffix);
    for (int i = 0; i < 3; i++)
        g_object_unref(frames[i]);
    g_object_unref(roll);
    g_object_unref(copy);
    return b;
}

static VipsImage *open_frames(unsigned index)
{
    char path[32];
    VipsImage *im, *m;

    (void)snprintf(path, sizeof path, WORK_OUT "/%u", index);
    im = vips_image_new_from_file(path, "n", -1, NULL);
    assert_non_null(im);
    m = vips_image_copy_memory(im);
    assert_non_null(m);
    g_object_unref(im);
    return m;
}

static void check_frames(unsigned index, int w, int h, const char *what)
{
    VipsImage *im = open_frames(index);
    int *delays, n, loop;

    if (im->Xsize != w || im->Ysize != 3 * h || vips_image_get_page_height(im) != h)
        fail_msg("%s: %d x %d, page %d", what, im->Xsize, im->Ysize,
                 vips_image_get_page_height(im));
    VIPS_OK(vips_image_get_array_int(im, "delay", &delays, &n));
    assert_int_equal(n, 3);
    assert_int_equal(delays[0], 70);
    assert_int_equal(delays[2], 90);
    VIPS_OK(vips_image_get_int(im, "loop", &loop));
    assert_int_equal(loop, 4);
    for (int i = 0; i < 3; i++) {
        double *p;
        int bands;

        VIPS_OK(vips_getpoint(im, &p, &bands, w / 2, i * h + h / 2, NULL));
        for (int b = 0; b < 3; b++)
            assert_near(p[b], frame_colours[i][b], 14);
        /* And no frame's colour has come into its neighbour. */
        g_free(p);
        VIPS_OK(vips_getpoint(im, &p, &bands, w / 2, i * h, NULL));
        for (int b = 0; b < 3; b++)
            assert_near(p[b], frame_colours[i][b], 14);
        g_free(p);
    }
    g_object_unref(im);
}

static void what_moves_goes_on_moving(void **state)
{
    static const char *const suffixes[] = {"gif", "webp[Q=95]"};
    (void)state;

    for (size_t i = 0; i < COUNT_OF(suffixes); i++) {
        struct bytes b = animation(suffixes[i]);
        struct wire_report r;

        assert_int_equal(
            render(
                b,
                "[{'name': 'a', 'ops': [{'resize': {'width': 20}}], 'format': 'webp'},"
                " {'name': 'b', 'ops': [{'resize': {'width': 20}}], 'format': 'gif'},"
                " {'name': 'c'},"
                " {'name': 'd', 'ops': [{'rotate': {'angle': 90}}, {'negate': {}}, {'negate': "
                "{}}, {'extract': {'width': 24, 'height': 24, 'gravity': 'attention'}}]},"
                " {'name': 'e', 'ops': [{'resize': {'width': 20}}], 'format': 'png'}]",
                &r),
            ERR_OK);
        check_frames(0, 20, 15, suffixes[i]);
        check_frames(1, 20, 15, suffixes[i]);
        check_frames(2, 40, 30, suffixes[i]);
        check_frames(3, 24, 24, suffixes[i]);
        for (size_t k = 0; k < r.n_outputs; k++) {
            const struct wire_output *o = &r.outputs[k];

            assert_int_equal(o->frames, o->index == 4 ? 1 : 3);
            assert_int_equal(o->height, o->index == 2 ? 30 : o->index == 3 ? 24 : 15);
        }
        bytes_free(b);
    }
}

/* The colour of the one frame that there is. */
static void check_still(const char *args, int frame)
{
    struct wire_report r;
    VipsImage *im;

    if (run_order(args, &r) != ERR_OK)
        fail_msg("%s: %s", args, r.text);
    assert_int_equal(r.outputs[0].frames, 1);
    im = open_output(0);
    assert_int_equal(im->Ysize, 30);
    {
        double *p;
        int n;

        VIPS_OK(vips_getpoint(im, &p, &n, 5, 5, NULL));
        for (int b = 0; b < 3; b++)
            assert_near(p[b], frame_colours[frame][b], 12);
        g_free(p);
    }
    g_object_unref(im);
}

static void a_page_can_be_picked(void **state)
{
    struct bytes b = animation("gif");
    struct wire_report r;
    (void)state;

    write_file(WORK_SOURCE, b);
    check_still("{'source': {'path': 'x'}, 'page': 2, 'outputs': [{'name': 'a'}]}", 2);
    check_still("{'source': {'path': 'x'}, 'page': 0, 'outputs': [{'name': 'a'}]}", 0);
    check_still(
        "{'source': {'path': 'x'}, 'page': 1, 'outputs': [{'name': 'a', 'format': 'jpeg', "
        "'quality': 100}]}",
        1);
    check_still("{'source': {'path': 'x'}, 'animated': false, 'outputs': [{'name': 'a'}]}", 0);
    check_still("{'source': {'path': 'x'}, 'outputs': [{'name': 'a', 'format': 'png'}]}", 0);
    assert_int_equal(
        run_order("{'source': {'path': 'x'}, 'page': 3, 'outputs': [{'name': 'a'}]}", &r),
        ERR_MALFORMED);
    assert_string_equal(r.text, "page 3: the source has 3, the first is 0");
    bytes_free(b);
}

static void pages_of_a_tiff_are_pages(void **state)
{
    struct bytes b = animation("tiff");
    (void)state;

    write_file(WORK_SOURCE, b);
    check_still("{'source': {'path': 'x'}, 'outputs': [{'name': 'a', 'format': 'webp'}]}", 0);
    check_still("{'source': {'path': 'x'}, 'page': 1, 'outputs': [{'name': 'a'}]}", 1);
    bytes_free(b);
}

static void frames_are_limited(void **state)
{
    struct bytes b = animation("gif");
    struct buf args = {0};
    struct wire_order order = {.id = 7, .pixels = 100000, .output_pixels = 3600, .frames = 2};
    struct wire_report r;
    (void)state;

    write_file(WORK_SOURCE, b);
    json_pack("{'source': {'path': 'x'}, 'outputs': [{'name': 'a'}]}", &args);
    order.args = buf_slice(&args);
    work_run(&order, &no_events, &r);
    assert_int_equal(r.err, ERR_TOO_BIG);
    assert_string_equal(r.text, "the source has 3 frames, the limit is 2 (SOURCE_FRAMES)");
    order.frames = 3;
    work_run(&order, &no_events, &r);
    assert_int_equal(r.err, ERR_OK);
    order.output_pixels = 3599; /* 40 x 30 x 3 */
    work_run(&order, &no_events, &r);
    assert_int_equal(r.err, ERR_TOO_BIG);
    buf_done(&args);
    /* A still one is not asked how many it has. */
    json_pack("{'source': {'path': 'x'}, 'outputs': [{'name': 'a', 'format': 'png'}]}", &args);
    order.args = buf_slice(&args);
    order.frames = 1;
    work_run(&order, &no_events, &r);
    assert_int_equal(r.err, ERR_OK);
    buf_done(&args);
    bytes_free(b);
}

/* --- options --------------------------------------------------------------------------------- */

static bool file_has(const char *words, size_t n)
{
    gchar *text;
    gsize len;
    bool found;

    assert_true(g_file_get_contents("out/0", &text, &len, NULL));
    found = memmem(text, len, words, n) != NULL;
    g_free(text);
    return found;
}

static void options_reach_their_encoders(void **state)
{
    struct bytes b = photo();
    VipsImage *im;
    uint64_t plain_size;
    (void)state;

    plain_size = size_of(b, "'format': 'jpeg'");
    assert_true(file_has("\xff\xc0", 2) && !file_has("\xff\xc2", 2));
    assert_true(size_of(b, "'format': 'jpeg', 'progressive': true") > 0);
    assert_true(file_has("\xff\xc2", 2));
    /* Components of 1 x 1 against 2 x 2. */
    assert_true(size_of(b, "'format': 'jpeg', 'chroma': '4:4:4'") > plain_size);
    assert_true(file_has("\x01\x11\x00", 3));
    assert_true(size_of(b, "'format': 'jpeg', 'quality': 95, 'chroma': '4:2:0'") > 0);
    assert_true(file_has("\x01\x22\x00", 3));
    assert_true(size_of(b, "'format': 'jpeg', 'quality': 30") < plain_size);
#if VIMAGE_815
    assert_true(size_of(b, "'format': 'jpeg', 'optimise': true") < plain_size);
#endif
    assert_true(size_of(b, "'format': 'png', 'palette': true, 'colours': 16") <
                size_of(b, "'format': 'png'") / 2);
    assert_true(size_of(b, "'format': 'png', 'palette': true, 'colours': 2") > 0);
    assert_true(file_has("PLTE", 4));
    assert_true(size_of(b, "'format': 'png', 'compression': 0") >
                size_of(b, "'format': 'png', 'compression': 9"));
    assert_true(size_of(b, "'format': 'webp', 'lossless': true") > 0);
    assert_true(file_has("VP8L", 4));
    assert_true(size_of(b, "'format': 'webp', 'near_lossless': 20") <
                size_of(b, "'format': 'webp', 'lossless': true"));
    assert_true(size_of(b, "'format': 'avif', 'lossless': true") >
                size_of(b, "'format': 'avif'") * 2);
    assert_true(size_of(b, "'format': 'tiff', 'tiff_compression': 'none'") > 180000);
    assert_true(size_of(b, "'format': 'tiff', 'tiff_compression': 'jpeg', 'quality': 50") <
                60000);
    assert_true(size_of(b, "'format': 'gif', 'colours': 4, 'effort': 1") <
                size_of(b, "'format': 'gif', 'effort': 1"));
    im = open_output(0);
    assert_int_equal(im->Xsize, 300);
    g_object_unref(im);
    bytes_free(b);
}

/* Encoders join frames that are the same into one that stays for longer. */
static void frames_that_look_alike_are_counted_as_they_are(void **state)
{
    static const char *const formats[] = {"gif", "webp"};
    struct bytes b = animation("webp[lossless]");
    (void)state;

    for (size_t i = 0; i < COUNT_OF(formats); i++) {
        struct wire_report r;
        char outputs[160];
        VipsImage *im;

        (void)snprintf(outputs, sizeof outputs,
                       "[{'name': 'a', 'format': '%s', 'ops': [{'contrast': {'amount': 0}}]}]",
                       formats[i]);
        assert_int_equal(render(b, outputs, &r), ERR_OK);
        im = open_frames(0);
        /* Most encoders join them; Debian 12's for GIF does not. */
        assert_int_equal(r.outputs[0].frames, vips_image_get_n_pages(im));
        assert_int_equal(r.outputs[0].height, 30);
        g_object_unref(im);
    }
    bytes_free(b);
}

/* --- profiles -------------------------------------------------------------------------------- */

/* The one output of ops and format, of source, whose profile is to be kept. */
static VipsImage *render_kept(VipsImage *source, const char *ops, const char *format)
{
    struct bytes b = encode(source, "png");
    struct wire_report r;
    char args[512];

    write_file(WORK_SOURCE, b);
    (void)snprintf(args, sizeof args,
                   "{'source': {'path': 'x'}, 'profile': 'keep', 'outputs': [{'name': 'a', "
                   "'ops': [%s], 'format': '%s'}]}",
                   ops, format);
    if (run_order(args, &r) != ERR_OK)
        fail_msg("%s, %s: %s", ops, format, r.text);
    bytes_free(b);
    return open_output(0);
}

static bool has_profile(VipsImage *im)
{
    return vips_image_get_typeof(im, VIPS_META_ICC_NAME) != 0;
}

static void a_profile_is_kept_when_asked_for(void **state)
{
    static const double colour[] = {187, 60, 60};
    static const char *const formats[] = {"jpeg", "png", "webp", "avif", "tiff"};
    VipsImage *im = profiled(plain(64, 64, colour, 3), "p3");
    (void)state;

    for (size_t i = 0; i < COUNT_OF(formats); i++) {
        VipsImage *out = render_kept(im, "{'resize': {'width': 32}}", formats[i]);

        check_point(out, 10, 10, colour, 3, 5);
        if (!has_profile(out))
            fail_msg("%s has no profile", formats[i]);
        g_object_unref(out);
    }
    g_object_unref(im);
}

/* GIF holds none, and grey is not what a profile of RGB speaks of: then the pixels are converted, as
 * without "keep". */
static void pixels_without_their_profile_are_converted(void **state)
{
    static const double colour[] = {187, 60, 60};
    static const struct {
        const char *ops, *format;
    } rows[] = {{"{'resize': {'width': 32}}", "gif"},
                {"{'grayscale': {}}", "png"},
                {"{'duotone': {'highlight': '#ff8000'}}", "jpeg"}};
    VipsImage *im = profiled(plain(64, 64, colour, 3), "p3");
    (void)state;

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char output[160];
        VipsImage *kept = render_kept(im, rows[i].ops, rows[i].format), *converted;
        double *p;
        int n;

        (void)snprintf(output, sizeof output, "'ops': [%s], 'format': '%s'", rows[i].ops,
                       rows[i].format);
        g_object_ref(im);
        converted = render_one(im, "png", output);
        VIPS_OK(vips_getpoint(converted, &p, &n, 10, 10, NULL));
        check_point(kept, 10, 10, p, n, 1);
        assert_false(has_profile(kept));
        g_free(p);
        g_object_unref(kept);
        g_object_unref(converted);
    }
    g_object_unref(im);
}

/* One output converts and the other does not, though the second is made from the first. */
static void outputs_of_one_picture_keep_their_profiles_apart(void **state)
{
    static const double colour[] = {187, 60, 60};
    VipsImage *im = profiled(plain(64, 64, colour, 3), "p3"), *out;
    struct bytes b = encode(im, "png");
    struct wire_report r;
    (void)state;

    write_file(WORK_SOURCE, b);
    assert_int_equal(
        run_order("{'source': {'path': 'x'}, 'profile': 'keep', 'outputs': ["
                  "{'name': 'a', 'ops': [{'resize': {'width': 48}}], 'format': 'gif'},"
                  "{'name': 'b', 'ops': [{'resize': {'width': 24}}], 'format': 'png'}]}",
                  &r),
        ERR_OK);
    out = open_output(1);
    check_point(out, 10, 10, colour, 3, 1);
    assert_true(has_profile(out));
    g_object_unref(out);
    bytes_free(b);
    g_object_unref(im);
}

RENDER_TESTS(TEST(what_moves_goes_on_moving), TEST(a_page_can_be_picked),
             TEST(pages_of_a_tiff_are_pages), TEST(frames_are_limited),
             TEST(options_reach_their_encoders), TEST(a_profile_is_kept_when_asked_for),
             TEST(pixels_without_their_profile_are_converted),
             TEST(outputs_of_one_picture_keep_their_profiles_apart),
             TEST(frames_that_look_alike_are_counted_as_they_are))
