/* What the pixels are after each operation: shapes, directions, colours, alpha; and that nothing
 * but pixels comes out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/render_help.h"
#include "worker/render/child/decode.h"
#include "worker/render/child/self.h"

static char dir[64];

static int set_up(void **state)
{
    (void)state;
    dir_enter(dir);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    dir_leave(dir);
    return 0;
}

/* Takes source; gives the first output. */
static VipsImage *render_one(VipsImage *source, const char *suffix, const char *output)
{
    struct bytes b = encode(source, suffix);
    struct wire_report r;
    char outputs[1024];
    VipsImage *im;

    (void)snprintf(outputs, sizeof outputs, "[{'name': 'a', %s}]", output);
    if (render(b, outputs, &r) != ERR_OK)
        fail_msg("%s, %s: %s %s", suffix, output, err_name(r.err), r.text);
    bytes_free(b);
    g_object_unref(source);
    im = open_output(0);
    assert_int_equal(im->Xsize, r.outputs[0].width);
    assert_int_equal(im->Ysize, r.outputs[0].height);
    return im;
}

static void check_point(VipsImage *im, int x, int y, const double *want, int bands, double by)
{
    double *point;
    int n;

    VIPS_OK(vips_getpoint(im, &point, &n, x, y, NULL));
    if (n != bands)
        fail_msg("%d bands and not %d", n, bands);
    for (int i = 0; i < n; i++) {
        if (point[i] < want[i] - by || point[i] > want[i] + by)
            fail_msg("band %d at %d,%d is %g and not %g", i, x, y, point[i], want[i]);
    }
    g_free(point);
}

/* --- orientation ------------------------------------------------------------------------------- */

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

/* --- cover and contain ------------------------------------------------------------------------- */

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

/* --- grey, alpha, depth, ink ------------------------------------------------------------------- */

static void grey_stays_grey_where_the_format_can(void **state)
{
    static const double grey[] = {100};
    static const double three[] = {100, 100, 100};
    static const double padded[] = {16, 32, 48};
    VipsImage *im;
    (void)state;

    im = render_one(plain(200, 100, grey, 1), "jpg",
                    "'ops': [{'resize': {'width': 50}}], 'format': 'png'");
    check_point(im, 25, 10, grey, 1, 1);
    g_object_unref(im);
    im = render_one(plain(200, 100, grey, 1), "png",
                    "'ops': [{'resize': {'width': 50}}], 'format': 'jpeg'");
    check_point(im, 25, 10, grey, 1, 2);
    g_object_unref(im);
    im = render_one(plain(200, 100, grey, 1), "png",
                    "'ops': [{'resize': {'width': 50}}, {'sharpen': {}}], 'format': 'webp'");
    check_point(im, 25, 10, three, 3, 3);
    g_object_unref(im);
    /* A background with a hue makes it coloured. */
    im = render_one(plain(200, 100, grey, 1), "png",
                    "'ops': [{'resize': {'width': 50, 'height': 50, 'fit': 'contain', "
                    "'background': '#102030'}}]");
    check_point(im, 25, 2, padded, 3, 0);
    check_point(im, 25, 25, three, 3, 1);
    g_object_unref(im);
}

static void alpha_survives_and_is_flattened_for_jpeg(void **state)
{
    static const double half[] = {200, 100, 0, 128};
    static const double on_white[] = {227, 177, 127};
    static const double on_black[] = {100, 50, 0};
    static const char *const formats[] = {"png", "webp", "avif"};
    VipsImage *im;
    (void)state;

    for (size_t i = 0; i < COUNT_OF(formats); i++) {
        char output[128];

        (void)snprintf(output, sizeof output,
                       "'ops': [{'resize': {'width': 50}}], 'format': '%s'", formats[i]);
        im = render_one(plain(200, 100, half, 4), "png", output);
        check_point(im, 25, 10, half, 4, 6);
        g_object_unref(im);
    }
    im = render_one(plain(200, 100, half, 4), "png",
                    "'ops': [{'resize': {'width': 50}}], 'format': 'jpeg', 'quality': 95");
    check_point(im, 25, 10, on_white, 3, 4);
    g_object_unref(im);
    im = render_one(plain(200, 100, half, 4), "png",
                    "'ops': [{'resize': {'width': 50, 'background': '#000000'}}], 'format': "
                    "'jpeg', 'quality': 95");
    check_point(im, 25, 10, on_black, 3, 4);
    g_object_unref(im);
}

/* Without premultiplication, what is hidden under full transparency bleeds out at the edges. */
static void hidden_colours_do_not_bleed(void **state)
{
    static const double shown[] = {255, 255, 255, 255}, hidden[] = {255, 0, 0, 0};
    VipsImage *left = plain(100, 100, shown, 4), *right = plain(100, 100, hidden, 4), *both,
              *im;
    (void)state;

    VIPS_OK(vips_join(left, right, &both, VIPS_DIRECTION_HORIZONTAL, NULL));
    g_object_unref(left);
    g_object_unref(right);
    im = render_one(both, "png", "'ops': [{'resize': {'width': 33}}], 'format': 'png'");
    for (int x = 0; x < im->Xsize; x++) {
        double *p;
        int n;

        VIPS_OK(vips_getpoint(im, &p, &n, x, 5, NULL));
        if (p[3] > 2 && p[1] < 250)
            fail_msg("at %d: %g %g %g %g", x, p[0], p[1], p[2], p[3]);
        g_free(p);
    }
    g_object_unref(im);
}

static void sixteen_bits_become_eight(void **state)
{
    static const double want[] = {200, 100, 50, 128};
    double wide[4], ones[] = {1, 1, 1, 1};
    VipsImage *black, *deep, *typed, *im;
    (void)state;

    for (int i = 0; i < 4; i++)
        wide[i] = want[i] * 257;
    VIPS_OK(vips_black(&black, 200, 100, "bands", 4, NULL));
    VIPS_OK(vips_linear(black, &deep, ones, wide, 4, NULL));
    g_object_unref(black);
    VIPS_OK(vips_cast_ushort(deep, &black, NULL));
    VIPS_OK(vips_copy(black, &typed, "interpretation", VIPS_INTERPRETATION_RGB16, NULL));
    g_object_unref(deep);
    g_object_unref(black);
    g_object_ref(typed);
    im = render_one(typed, "png", "'ops': [{'resize': {'width': 50}}], 'format': 'png'");
    assert_int_equal(im->BandFmt, VIPS_FORMAT_UCHAR);
    check_point(im, 25, 10, want, 4, 1);
    g_object_unref(im);
    im = render_one(typed, "png", "'format': 'webp', 'quality': 100");
    check_point(im, 25, 10, want, 4, 4);
    g_object_unref(im);
}

static void ink_becomes_light(void **state)
{
    static const double cyan[] = {255, 0, 0, 0};
    VipsImage *im = plain(200, 100, cyan, 4), *cmyk;
    double *p;
    int n;
    (void)state;

    VIPS_OK(vips_copy(im, &cmyk, "interpretation", VIPS_INTERPRETATION_CMYK, NULL));
    g_object_unref(im);
    im = render_one(cmyk, "jpg[Q=95]", "'ops': [{'resize': {'width': 50}}], 'format': 'png'");
    VIPS_OK(vips_getpoint(im, &p, &n, 25, 10, NULL));
    assert_int_equal(n, 3);
    assert_true(p[0] < 90 && p[1] > 110 && p[2] > 180); /* by any profile */
    g_free(p);
    g_object_unref(im);
}

/* --- what does not come along ------------------------------------------------------------------ */

static bool contains(const char *path, const char *words)
{
    gchar *text;
    gsize len;
    bool found;

    assert_true(g_file_get_contents(path, &text, &len, NULL));
    found = memmem(text, len, words, strlen(words)) != NULL;
    g_free(text);
    return found;
}

static VipsImage *talkative(void)
{
    VipsImage *im = quarters(100, 80), *copy;
    static const char xmp[] = "<x:xmpmeta>SECRETXMP</x:xmpmeta>";
    VipsBlob *srgb;
    const void *profile;
    size_t len;

    VIPS_OK(vips_copy(im, &copy, NULL));
    vips_image_set_string(copy, "exif-ifd0-Artist", "SECRETARTIST");
    vips_image_set_string(copy, "exif-ifd3-GPSLatitude", "52/1 31/1 12/1");
    vips_image_set_blob_copy(copy, VIPS_META_XMP_NAME, xmp, sizeof xmp - 1);
    VIPS_OK(vips_profile_load("srgb", &srgb, NULL));
    profile = vips_blob_get(srgb, &len);
    vips_image_set_blob_copy(copy, VIPS_META_ICC_NAME, profile, len);
    vips_area_unref(VIPS_AREA(srgb));
    g_object_unref(im);
    return copy;
}

static void no_metadata_comes_out(void **state)
{
    static const char *const formats[] = {"jpeg", "png", "webp", "avif"};
    static const char *const suffixes[] = {"jpg", "png", "webp"};
    static const char *const words[] = {
        "SECRETARTIST",
        "SECRETXMP",
        "ICC_PROFILE",
        "iCCP",
        "eXIf",
        "xmpmeta",
#if VIMAGE_815
        "Exif", /* 8.14 leaves a block of sizes in a WebP */
#endif
    };
    (void)state;

    for (size_t i = 0; i < COUNT_OF(formats) * COUNT_OF(suffixes); i++) {
        char output[64];
        VipsImage *im;

        (void)snprintf(output, sizeof output, "'format': '%s'", formats[i % 4]);
        im = render_one(talkative(), suffixes[i / 4], output);
        if (suffixes[i / 4][0] == 'j')
            assert_true(contains("in/source", "SECRETARTIST") &&
                        contains("in/source", "SECRETXMP"));
        for (size_t k = 0; k < COUNT_OF(words); k++) {
            if (contains("out/0", words[k]))
                fail_msg("%s in %s from %s", words[k], formats[i % 4], suffixes[i / 4]);
        }
        assert_int_equal(vips_image_get_typeof(im, VIPS_META_ICC_NAME), 0);
        g_object_unref(im);
    }
}

/* Pixels that carry another profile (here one that swaps nothing but has other primaries: "p3") are
 * converted, and one that is broken is as none. */
static void pixels_are_converted_by_their_profile(void **state)
{
    static const double red[] = {255, 0, 0};
    VipsImage *im = plain(100, 80, red, 3), *copy, *out;
    VipsBlob *p3;
    const void *profile;
    size_t len;
    double *p;
    int n;
    (void)state;

    VIPS_OK(vips_profile_load("p3", &p3, NULL));
    profile = vips_blob_get(p3, &len);
    VIPS_OK(vips_copy(im, &copy, NULL));
    vips_image_set_blob_copy(copy, VIPS_META_ICC_NAME, profile, len);
    vips_area_unref(VIPS_AREA(p3));
    /* P3's red lies outside of sRGB: it clips to the brightest. A mild colour moves, so take one. */
    g_object_unref(im);
    VIPS_OK(vips_linear1(copy, &im, 0.5, 60, "uchar", TRUE, NULL));
    g_object_unref(copy);
    out = render_one(im, "png", "'ops': [{'resize': {'width': 50}}], 'format': 'png'");
    VIPS_OK(vips_getpoint(out, &p, &n, 20, 20, NULL));
    assert_int_equal(n, 3);
    assert_true(p[0] > 194 && p[1] < 58); /* 187, 60, 60 in P3 is redder in sRGB */
    g_free(p);
    g_object_unref(out);
}

static void a_broken_profile_is_as_none(void **state)
{
    static const double colour[] = {187, 60, 60};
    VipsImage *im = plain(100, 80, colour, 3), *copy, *out;
    char junk[300];
    (void)state;

    memset(junk, 'x', sizeof junk);
    VIPS_OK(vips_copy(im, &copy, NULL));
    vips_image_set_blob_copy(copy, VIPS_META_ICC_NAME, junk, sizeof junk);
    g_object_unref(im);
    out = render_one(copy, "jpg[Q=95]", "'ops': [{'resize': {'width': 50}}], 'format': 'png'");
    check_point(out, 20, 20, colour, 3, 3);
    g_object_unref(out);
}

/* --- the rest ---------------------------------------------------------------------------------- */

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

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(each_orientation_is_undone),
        TEST(boxes_are_in_the_axes_of_the_viewer),
        TEST(smaller_outputs_are_turned_once),
        TEST(orientation_stays_when_asked_for),
        TEST(gravity_chooses_what_is_kept),
        TEST(attention_finds_the_spot_that_stands_out),
        TEST(contain_pads_with_its_background),
        TEST(contain_lays_the_picture_where_gravity_says),
        TEST(grey_stays_grey_where_the_format_can),
        TEST(alpha_survives_and_is_flattened_for_jpeg),
        TEST(hidden_colours_do_not_bleed),
        TEST(sixteen_bits_become_eight),
        TEST(ink_becomes_light),
        TEST(no_metadata_comes_out),
        TEST(pixels_are_converted_by_their_profile),
        TEST(a_broken_profile_is_as_none),
        TEST(sharpen_makes_edges_steeper),
        TEST(operations_run_in_their_order),
        TEST(quality_makes_the_file_larger),
        TEST(sizes_are_as_planned),
        TEST(pictures_grow_only_when_asked),
    };

    (void)argc;
    (void)setenv("VIPS_WARNING", "0", 1);
    if (VIPS_INIT(argv[0]) != 0)
        return 1;
    vips_concurrency_set(1);
    vips_cache_set_max(0);
    decode_allow_list();
    self_open();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
