/* What changes colours and sharpness, by hand-computed values. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/render_ops.h"

/* --- colours --------------------------------------------------------------------------------- */

static const struct {
    const char *ops;
    double in[3], want[3], by;
} colours[] = {
    /* (x - 127.5) 2 + 127.5 */
    {"{'contrast': {'amount': 2}}", {100, 127, 200}, {73, 127, 255}, 1},
    {"{'contrast': {'amount': 0}}", {10, 100, 250}, {128, 128, 128}, 1},
    /* 255 (x / 255)^(1 / 2.2) */
    {"{'gamma': {}}", {0, 64, 255}, {0, 136, 255}, 1},
    {"{'gamma': {'exponent': 0.5}}", {128, 64, 255}, {64, 16, 255}, 1},
    {"{'negate': {}}", {0, 100, 255}, {255, 155, 0}, 0},
    /* 0.393 r + 0.769 g + 0.189 b, ... */
    {"{'sepia': {}}", {100, 50, 20}, {81.5, 72.6, 56.5}, 1},
    {"{'sepia': {'amount': 0}}", {100, 50, 20}, {100, 50, 20}, 0},
    {"{'sepia': {'amount': 0.5}}", {100, 50, 20}, {90.8, 61.3, 38.3}, 1},
    {"{'saturation': {'amount': 1}}", {100, 50, 20}, {100, 50, 20}, 2},
    /* The grey of the same lightness: L* of (100, 50, 20) is 26.6. */
    {"{'saturation': {'amount': 0}}", {100, 50, 20}, {63, 63, 63}, 2},
    {"{'brightness': {'amount': 0}}", {100, 50, 20}, {0, 0, 0}, 1},
    /* L* of grey 119 is 50.0, twice of it is white. */
    {"{'brightness': {'amount': 2}}", {119, 119, 119}, {255, 255, 255}, 2},
    {"{'brightness': {'amount': 0.5}}", {119, 119, 119}, {59, 59, 59}, 2},
    {"{'hue': {'degrees': 360}}", {100, 50, 20}, {100, 50, 20}, 2},
    {"{'tint': {'colour': '#808080'}}", {100, 50, 20}, {63, 63, 63}, 2},
    {"{'grayscale': {}}, {'duotone': {'shadow': '#000080', 'highlight': '#ffff00'}}",
     {255, 255, 255},
     {255, 255, 0},
     0},
    {"{'duotone': {'shadow': '#000080', 'highlight': '#ffff00'}}", {0, 0, 0}, {0, 0, 128}, 0},
    {"{'duotone': {'shadow': '#000000', 'highlight': '#ff8040'}}",
     {102, 102, 102},
     {102, 51, 26},
     1},
    {"{'blur': {'sigma': 3}}", {100, 50, 20}, {100, 50, 20}, 1},
    {"{'pixelate': {'size': 7}}", {100, 50, 20}, {100, 50, 20}, 0},
    {"{'sharpen': {}}", {100, 50, 20}, {100, 50, 20}, 2},
    {"{'flatten': {}}", {100, 50, 20}, {100, 50, 20}, 0},
};

static void each_colour_becomes_what_its_formula_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(colours); i++) {
        VipsImage *im = run(plain(40, 30, colours[i].in, 3), colours[i].ops);
        double *p;
        int n;

        VIPS_OK(vips_getpoint(im, &p, &n, 17, 11, NULL));
        for (int b = 0; b < 3; b++) {
            double got = n < 3 ? p[0] : p[b];

            if (got < colours[i].want[b] - colours[i].by - 0.5 ||
                got > colours[i].want[b] + colours[i].by + 0.5)
                fail_msg("%s: band %d is %g and not %g", colours[i].ops, b, got,
                         colours[i].want[b]);
        }
        g_free(p);
        g_object_unref(im);
    }
}

/* Of 1 to 4 bands: grey or RGB, without and with alpha of 128. */
static VipsImage *of_kind(int bands)
{
    static const double grey[] = {120, 128}, rgb[] = {120, 60, 30, 128};

    return plain(40, 30, bands == 2 ? grey : rgb, bands);
}

static void check_alpha_stays(const char *op, int bands)
{
    VipsImage *im = run(of_kind(bands), op);
    double *p;
    int n;

    VIPS_OK(vips_getpoint(im, &p, &n, 20, 15, NULL));
    assert_int_equal(n % 2, bands % 2);
    if (bands % 2 == 0)
        assert_near(p[n - 1], 128, 1);
    g_free(p);
    g_object_unref(im);
}

/* Every operation on every kind of picture; alpha is what it was. */
static void every_operation_takes_every_kind(void **state)
{
    static const char *const formats[] = {"jpeg", "png", "webp", "gif", "tiff"};
    (void)state;

    for (size_t i = 0; i < COUNT_OF(image_op_samples) * 4; i++) {
        const struct image_op_sample *op = &image_op_samples[i / 4];
        int bands = (int)(i % 4) + 1;
        char output[512];

        (void)snprintf(output, sizeof output, "'ops': [%s], 'format': '%s'", op->json,
                       formats[i % 5]);
        g_object_unref(render_one(of_kind(bands), "png", output));
        if (op->is_look)
            check_alpha_stays(op->json, bands);
    }
}

static void normalise_stretches_to_the_whole_range(void **state)
{
    static const double from[] = {60}, to[] = {180}, black[] = {0}, full[] = {255};
    VipsImage *im =
        run(beside(plain(50, 50, from, 1), plain(50, 50, to, 1)), "{'normalise': {}}");
    (void)state;

    check_point(im, 10, 10, black, 1, 2);
    check_point(im, 90, 10, full, 1, 2);
    g_object_unref(im);
}

static void pixelate_gives_each_block_its_mean(void **state)
{
    static const double a[] = {0}, b[] = {200}, mean[] = {100}, whole[] = {200};
    VipsImage *im =
        run(beside(plain(4, 16, a, 1), plain(13, 16, b, 1)), "{'pixelate': {'size': 8}}");
    (void)state;

    check_size(im, 17, 16, "pixelate");
    check_point(im, 0, 0, mean, 1, 1);
    check_point(im, 7, 7, mean, 1, 1);
    check_point(im, 8, 7, whole, 1, 0);
    check_point(im, 16, 15, whole, 1, 0);
    g_object_unref(im);
}

static void blur_keeps_the_light_and_does_not_bleed(void **state)
{
    static const double hidden[] = {255, 0, 0, 0}, shown[] = {0, 0, 255, 255};
    VipsImage *im = run(beside(plain(50, 50, hidden, 4), plain(50, 50, shown, 4)),
                        "{'blur': {'sigma': 4}}");
    double *p;
    int n;
    (void)state;

    VIPS_OK(vips_getpoint(im, &p, &n, 49, 25, NULL));
    assert_int_equal(n, 4);
    assert_true(p[3] > 90 && p[3] < 165 && p[0] < 6 && p[2] > 245);
    g_free(p);
    g_object_unref(im);
}

RENDER_TESTS(TEST(each_colour_becomes_what_its_formula_says),
             TEST(every_operation_takes_every_kind),
             TEST(normalise_stretches_to_the_whole_range),
             TEST(pixelate_gives_each_block_its_mean),
             TEST(blur_keeps_the_light_and_does_not_bleed))
