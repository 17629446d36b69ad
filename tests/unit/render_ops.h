/* render_ops: what the tests of operations share: PNG in and out, sizes, quarters, halves. */
#ifndef TESTS_UNIT_RENDER_OPS_H
#define TESTS_UNIT_RENDER_OPS_H

#include "tests/unit/image_ops.h"
#include "tests/unit/render_help.h"

/* Takes source; ops: the array's inside. PNG in and out: nothing is lost. */
static UNUSED_OK VipsImage *run(VipsImage *source, const char *ops)
{
    char output[1024];

    (void)snprintf(output, sizeof output, "'ops': [%s], 'format': 'png'", ops);
    return render_one(source, "png", output);
}

static UNUSED_OK void check_size(VipsImage *im, int w, int h, const char *what)
{
    if (im->Xsize != w || im->Ysize != h)
        fail_msg("%s: %d x %d and not %d x %d", what, im->Xsize, im->Ysize, w, h);
}

/* The quarters of what ops make of "rg/by". */
static UNUSED_OK void check_quarters(VipsImage *im, const char *want, const char *what)
{
    char got[5] = {quarter_name(im, 0, 0), quarter_name(im, 1, 0), quarter_name(im, 0, 1),
                   quarter_name(im, 1, 1)};

    if (strcmp(got, want) != 0)
        fail_msg("%s: %s and not %s", what, got, want);
}

/* What ops make of source, which is taken: one point of it. */
static UNUSED_OK void check_run(VipsImage *source, const char *ops, int x, int y,
                                const double *want, int bands, double by)
{
    VipsImage *im = run(source, ops);

    check_point(im, x, y, want, bands, by);
    g_object_unref(im);
}

/* As smooth and as noisy as a photograph, 300 x 200; to be freed. */
static UNUSED_OK struct bytes photo(void)
{
    VipsImage *noise, *smooth, *bytes, *bands[3], *rgb, *typed;
    struct bytes b;

    for (int i = 0; i < 3; i++) {
        VIPS_OK(vips_gaussnoise(&noise, 300, 200, "mean", 128.0, "sigma", 60.0, "seed", i + 1,
                                NULL));
        VIPS_OK(vips_gaussblur(noise, &smooth, 2, NULL));
        VIPS_OK(vips_linear1(smooth, &bytes, 3, -256, "uchar", TRUE, NULL));
        g_object_unref(noise);
        g_object_unref(smooth);
        bands[i] = bytes;
    }
    VIPS_OK(vips_bandjoin(bands, &rgb, 3, NULL));
    VIPS_OK(vips_copy(rgb, &typed, "interpretation", VIPS_INTERPRETATION_sRGB, NULL));
    b = encode(typed, "png");
    for (int i = 0; i < 3; i++)
        g_object_unref(bands[i]);
    g_object_unref(rgb);
    g_object_unref(typed);
    return b;
}

/* The bytes of the file that output makes. */
static UNUSED_OK uint64_t size_of(struct bytes source, const char *output)
{
    struct wire_report r;
    char outputs[512];

    (void)snprintf(outputs, sizeof outputs, "[{'name': 'a', %s}]", output);
    if (render(source, outputs, &r) != ERR_OK)
        fail_msg("%s: %s", output, r.text);
    return r.outputs[0].bytes;
}

#endif
