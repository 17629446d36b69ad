/* Colours, alpha and depth; and that nothing but pixels comes out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/render_help.h"

/* --- grey, alpha, depth, ink
 * ------------------------------------------------------------------- */

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
    VipsImage *both = beside(plain(100, 100, shown, 4), plain(100, 100, hidden, 4)), *im;
    (void)state;

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

/* --- what does not come along
 * ------------------------------------------------------------------ */

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

    VIPS_OK(vips_copy(im, &copy, NULL));
    vips_image_set_string(copy, "exif-ifd0-Artist", "SECRETARTIST");
    vips_image_set_string(copy, "exif-ifd3-GPSLatitude", "52/1 31/1 12/1");
    vips_image_set_blob_copy(copy, VIPS_META_XMP_NAME, xmp, sizeof xmp - 1);
    g_object_unref(im);
    return profiled(copy, "srgb");
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

/* Pixels that carry another profile (here one that swaps nothing but has other primaries:
 * "p3") are converted, and one that is broken is as none. */
static void pixels_are_converted_by_their_profile(void **state)
{
    /* P3's red lies outside of sRGB and clips; a mild one moves. */
    static const double mild[] = {187, 60, 60};
    VipsImage *out;
    double *p;
    int n;
    (void)state;

    out = render_one(profiled(plain(100, 80, mild, 3), "p3"), "png",
                     "'ops': [{'resize': {'width': 50}}], 'format': 'png'");
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

RENDER_TESTS(TEST(grey_stays_grey_where_the_format_can),
             TEST(alpha_survives_and_is_flattened_for_jpeg), TEST(hidden_colours_do_not_bleed),
             TEST(sixteen_bits_become_eight), TEST(ink_becomes_light),
             TEST(no_metadata_comes_out), TEST(pixels_are_converted_by_their_profile),
             TEST(a_broken_profile_is_as_none))
