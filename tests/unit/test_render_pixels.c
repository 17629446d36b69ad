/* What the pixels are after each operation: sizes, directions, what is cut and what is added. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/render_help.h"

/* --- orientation
 * ------------------------------------------------------------------------------- */

/* Where the quarters of "rg/by" lie once the orientation is undone. */
static const struct {
    int orientation;
    char want[5];
    bool turned;
} orientations[] = {
    {1, "rgby", false}, {2, "gryb", false}, {3, "ybgr", false}, {4, "byrg", false},
    {5, "rbgy", true},  {6, "bryg", true},  {7, "ygbr", true},  {8, "gyrb", true},
};

static VipsImage *oriented(int w, int h, int orientation)
{
    VipsImage *im = quarters(w, h), *copy;

    VIPS_OK(vips_copy(im, &copy, NULL));
    vips_image_set_int(copy, VIPS_META_ORIENTATION, orientation);
    g_object_unref(im);
    return copy;
}

static void check_layout(VipsImage *im, const char *want, int orientation)
{
    char got[5] = {quarter_name(im, 0, 0), quarter_name(im, 1, 0), quarter_name(im, 0, 1),
                   quarter_name(im, 1, 1)};

    if (strcmp(got, want) != 0)
        fail_msg("orientation %d: %s and not %s", orientation, got, want);
    assert_int_equal(vips_image_get_orientation(im), 1);
    g_object_unref(im);
}

static void each_orientation_is_undone(void **state)
{
    static const char *const suffixes[] = {"jpg[Q=95]", "webp[Q=95]", "png"};
    size_t n = VIMAGE_815 ? 3 : 2; /* before 8.15 libvips writes no EXIF into a PNG */
    (void)state;
    for (size_t i = 0; i < COUNT_OF(orientations) * n; i++) {
        int o = orientations[i / n].orientation;
        bool turned = orientations[i / n].turned;
        VipsImage *im = render_one(oriented(400, 200, o), suffixes[i % n],
                                   "'ops': [{'resize': {'width': 100}}], 'format': 'jpeg'");

        assert_int_equal(im->Xsize, 100);
        assert_int_equal(im->Ysize, turned ? 200 : 50);
        check_layout(im, orientations[i / n].want, o);
    }
}

/* What is cut out and what is kept is told in the picture as it is seen: its upper right quarter, the
 * square at its right edge. */
static void cuts_are_in_the_axes_of_the_viewer(void **state)
{
    static const char *const cuts[] = {
        "{'extract': {'left': 0.5, 'top': 0.0, 'height': 0.5}}",
        "{'resize': {'width': 40, 'height': 40, 'fit': 'cover', 'gravity': 'northeast'}}, "
        "{'extract': {'left': 0.5, 'top': 0, 'height': 0.5}}",
        "{'extract': {'width': 0.5, 'gravity': {'x': 1, 'y': 0}}}, "
        "{'extract': {'height': 0.5, 'gravity': {'x': 1, 'y': 0}}}",
    };
    (void)state;

    for (size_t i = 0; i < COUNT_OF(orientations) * COUNT_OF(cuts); i++) {
        const char *seen = orientations[i / COUNT_OF(cuts)].want;
        int o = orientations[i / COUNT_OF(cuts)].orientation;
        char output[256];
        char quarter[5] = {seen[1], seen[1], seen[1], seen[1]};

        (void)snprintf(output, sizeof output, "'ops': [%s], 'format': 'png'",
                       cuts[i % COUNT_OF(cuts)]);
        check_layout(render_one(oriented(400, 200, o), "jpg[Q=95]", output), quarter, o);
    }
}

static void boxes_are_in_the_axes_of_the_viewer(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(orientations); i++) {
        int o = orientations[i].orientation;
        VipsImage *im = render_one(oriented(400, 200, o), "jpg[Q=95]",
                                   "'ops': [{'resize': {'width': 120, 'height': 60, 'fit': "
                                   "'fill'}}], 'format': 'png'");

        assert_int_equal(im->Xsize, 120);
        assert_int_equal(im->Ysize, 60);
        check_layout(im, orientations[i].want, o);
        im = render_one(oriented(400, 200, o), "jpg[Q=95]", "'format': 'png'");
        assert_int_equal(im->Xsize, orientations[i].turned ? 200 : 400);
        check_layout(im, orientations[i].want, o);
    }
}

static void smaller_outputs_are_turned_once(void **state)
{
    struct bytes b;
    VipsImage *im = oriented(800, 400, 6);
    struct wire_report r;
    (void)state;

    b = encode(im, "jpg[Q=95]");
    assert_int_equal(
        render(b,
               "[{'name': 'a', 'ops': [{'resize': {'width': 200}}], 'format': 'png'},"
               " {'name': 'b', 'ops': [{'resize': {'width': 50}}], 'format': 'png'},"
               " {'name': 'c', 'ops': [{'resize': {'width': 150}}], 'format': 'png'}]",
               &r),
        ERR_OK);
    assert_int_equal(r.source_width, 800);
    for (unsigned i = 0; i < 3; i++) {
        VipsImage *out = open_output(i);

        assert_int_equal(out->Ysize, 2 * out->Xsize);
        check_layout(out, "bryg", 6);
    }
    bytes_free(b);
    g_object_unref(im);
}

static void orientation_stays_when_asked_for(void **state)
{
    VipsImage *im = oriented(400, 200, 6);
    struct bytes b = encode(im, "jpg[Q=95]");
    struct wire_report r;
    (void)state;

    write_file(WORK_SOURCE, b);
    assert_int_equal(
        run_order("{'source': {'path': 'x'}, 'auto_orient': false, 'outputs':"
                  " [{'name': 'a', 'ops': [{'resize': {'width': 100}}], 'format': 'png'}]}",
                  &r),
        ERR_OK);
    assert_int_equal(r.outputs[0].height, 50);
    check_layout(open_output(0), "rgby", 6);
    bytes_free(b);
    g_object_unref(im);
}

/* --- cover and contain
 * ------------------------------------------------------------------------- */

static void gravity_chooses_what_is_kept(void **state)
{
    static const struct {
        const char *gravity;
        char want; /* of the upper left quarter of the result */
    } rows[] = {{"northwest", 'r'}, {"west", 'r'},   {"southwest", 'r'}, {"northeast", 'g'},
                {"east", 'g'},      {"center", 'r'}, {"attention", 0},   {"entropy", 0}};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char output[256];
        VipsImage *im;

        (void)snprintf(output, sizeof output,
                       "'ops': [{'resize': {'width': 100, 'height': 100, 'fit': 'cover', "
                       "'gravity': '%s'}}], 'format': 'png'",
                       rows[i].gravity);
        im = render_one(quarters(400, 200), "png", output);
        assert_int_equal(im->Xsize, 100);
        assert_int_equal(im->Ysize, 100);
        if (rows[i].want != 0 && quarter_name(im, 0, 0) != rows[i].want)
            fail_msg("%s: %c", rows[i].gravity, quarter_name(im, 0, 0));
        g_object_unref(im);
    }
}

static void attention_finds_the_spot_that_stands_out(void **state)
{
    static const double grey[] = {120, 120, 120}, red[] = {230, 30, 30};
    VipsImage *back = plain(600, 200, grey, 3), *spot = plain(40, 40, red, 3), *im, *out;
    double max;
    (void)state;

    VIPS_OK(vips_insert(back, spot, &im, 540, 80, NULL));
    g_object_unref(back);
    g_object_unref(spot);
    out = render_one(im, "png",
                     "'ops': [{'resize': {'width': 200, 'height': 200, 'fit': 'cover', "
                     "'gravity': 'attention'}}], 'format': 'png'");
    VIPS_OK(vips_max(out, &max, NULL));
    assert_true(max > 200);
    g_object_unref(out);
}

static void contain_pads_with_its_background(void **state)
{
    static const struct {
        const char *format, *background;
        int bands;
        double want[4], by;
    } rows[] = {
        {"png", "", 4, {0, 0, 0, 0}, 0},
        {"webp", "", 4, {0, 0, 0, 0}, 0},
        {"avif", "", 4, {0, 0, 0, 0}, 1},
        {"jpeg", "", 3, {255, 255, 255}, 2},
        {"png", ", 'background': '#102030'", 3, {16, 32, 48}, 0},
        {"jpeg", ", 'background': '#102030'", 3, {16, 32, 48}, 4},
        {"png", ", 'background': '#10203080'", 4, {16, 32, 48, 128}, 0},
        {"jpeg", ", 'background': '#00000080'", 3, {127, 127, 127}, 3},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char output[256];
        VipsImage *im;

        (void)snprintf(output, sizeof output,
                       "'ops': [{'resize': {'width': 100, 'height': 100, 'fit': "
                       "'contain'%s}}], 'format': '%s', 'quality': 95",
                       rows[i].background, rows[i].format);
        if (strcmp(rows[i].format, "png") == 0)
            output[strlen(output) - strlen(", 'quality': 95")] = '\0';
        im = render_one(quarters(400, 200), "png", output);
        assert_int_equal(im->Xsize, 100);
        assert_int_equal(im->Ysize, 100);
        check_point(im, 50, 3, rows[i].want, rows[i].bands, rows[i].by);
        check_point(im, 50, 96, rows[i].want, rows[i].bands, rows[i].by);
        g_object_unref(im);
    }
}

static void contain_lays_the_picture_where_gravity_says(void **state)
{
    static const double clear[] = {0, 0, 0, 0};
    VipsImage *im;
    (void)state;

    im = render_one(quarters(400, 200), "png",
                    "'ops': [{'resize': {'width': 100, 'height': 100, 'fit': 'contain', "
                    "'gravity': 'south'}}]");
    check_point(im, 50, 49, clear, 4, 0);
    assert_int_equal(quarter_name(im, 0, 1), 'b');
    g_object_unref(im);
}

/* --- the rest
 * ---------------------------------------------------------------------------------- */

static void sharpen_makes_edges_steeper(void **state)
{
    static const double dark[] = {80, 80, 80}, light[] = {170, 170, 170};
    double spread[2];
    (void)state;

    for (int i = 0; i < 2; i++) {
        VipsImage *left = plain(100, 100, dark, 3), *right = plain(100, 100, light, 3), *both,
                  *im;
        double max, min;

        VIPS_OK(vips_join(left, right, &both, VIPS_DIRECTION_HORIZONTAL, NULL));
        g_object_unref(left);
        g_object_unref(right);
        im = render_one(
            both, "png",
            i == 0 ? "'ops': [{'resize': {'width': 99}}]"
                   : "'ops': [{'resize': {'width': 99}}, {'sharpen': {'sigma': 1.5}}]");
        VIPS_OK(vips_max(im, &max, NULL));
        VIPS_OK(vips_min(im, &min, NULL));
        spread[i] = max - min;
        g_object_unref(im);
    }
    assert_true(spread[1] > spread[0]);
}

static void operations_run_in_their_order(void **state)
{
    VipsImage *im;
    (void)state;

    im = render_one(quarters(400, 200), "png",
                    "'ops': [{'sharpen': {}}, {'resize': {'width': 100, 'height': 100, 'fit': "
                    "'cover', 'gravity': 'east'}},"
                    " {'resize': {'width': 300, 'height': 50, 'fit': 'contain'}}, {'resize': "
                    "{'width': 150}}]");
    assert_int_equal(im->Xsize, 150);
    assert_int_equal(im->Ysize, 25);
    g_object_unref(im);
}

static void quality_makes_the_file_larger(void **state)
{
    static const char *const formats[] = {"jpeg", "webp", "avif"};
    VipsImage *im, *bytes;
    (void)state;

    VIPS_OK(vips_gaussnoise(&im, 200, 150, "mean", 128.0, "sigma", 30.0, NULL));
    VIPS_OK(vips_cast_uchar(im, &bytes, NULL));
    g_object_unref(im);
    for (size_t i = 0; i < COUNT_OF(formats); i++) {
        struct bytes b = encode(bytes, "png");
        struct wire_report r;
        char outputs[256];

        (void)snprintf(
            outputs, sizeof outputs,
            "[{'name': 'a', 'format': '%s', 'quality': 20}, {'name': 'b', 'format': '%s'},"
            " {'name': 'c', 'format': '%s', 'quality': 98}]",
            formats[i], formats[i], formats[i]);
        assert_int_equal(render(b, outputs, &r), ERR_OK);
        assert_true(r.outputs[0].bytes < r.outputs[1].bytes &&
                    r.outputs[1].bytes < r.outputs[2].bytes);
        bytes_free(b);
    }
    g_object_unref(bytes);
}

/* What the plan says is what libvips makes, for odd sizes, shrunk JPEG included. */
static void sizes_are_as_planned(void **state)
{
    static const int widths[] = {1,   2,   7,   31,  64,  99,  100, 101, 125, 126,
                                 249, 250, 251, 333, 499, 500, 501, 998, 999};
    VipsImage *im = quarters(999, 701);
    static const char *const suffixes[] = {"jpg", "png", "webp"};
    (void)state;

    for (size_t i = 0; i < COUNT_OF(suffixes); i++) {
        struct bytes b = encode(im, suffixes[i]);

        for (size_t k = 0; k < COUNT_OF(widths); k++) {
            struct wire_report r;
            char outputs[200];

            (void)snprintf(
                outputs, sizeof outputs,
                "[{'name': 'a', 'ops': [{'resize': {'width': %d}}], 'format': 'png'}]",
                widths[k]);
            if (render(b, outputs, &r) != ERR_OK)
                fail_msg("%s to %d: %s", suffixes[i], widths[k], r.text);
            assert_int_equal(r.outputs[0].width, widths[k]);
            assert_int_equal(r.outputs[0].height, (int)(701.0 * widths[k] / 999 + 0.5) > 0
                                                      ? (int)(701.0 * widths[k] / 999 + 0.5)
                                                      : 1);
        }
        bytes_free(b);
    }
    g_object_unref(im);
}

static void pictures_grow_only_when_asked(void **state)
{
    VipsImage *im;
    (void)state;

    im = render_one(quarters(40, 20), "png", "'ops': [{'resize': {'width': 100}}]");
    assert_int_equal(im->Xsize, 40);
    g_object_unref(im);
    im = render_one(quarters(40, 20), "jpg",
                    "'ops': [{'resize': {'width': 100, 'enlarge': true}}], 'format': 'png'");
    assert_int_equal(im->Xsize, 100);
    assert_int_equal(im->Ysize, 50);
    assert_int_equal(quarter_name(im, 1, 1), 'y');
    g_object_unref(im);
}

RENDER_TESTS(TEST(each_orientation_is_undone), TEST(cuts_are_in_the_axes_of_the_viewer),
             TEST(boxes_are_in_the_axes_of_the_viewer), TEST(smaller_outputs_are_turned_once),
             TEST(orientation_stays_when_asked_for), TEST(gravity_chooses_what_is_kept),
             TEST(attention_finds_the_spot_that_stands_out),
             TEST(contain_pads_with_its_background),
             TEST(contain_lays_the_picture_where_gravity_says),
             TEST(sharpen_makes_edges_steeper), TEST(operations_run_in_their_order),
             TEST(quality_makes_the_file_larger), TEST(sizes_are_as_planned),
             TEST(pictures_grow_only_when_asked))
