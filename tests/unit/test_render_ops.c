/* What each operation makes of pixels: sizes exactly, colours by hand-computed values. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/render_help.h"

static const double white[] = {255, 255, 255};

/* Takes source; ops: the array's inside. PNG in and out: nothing is lost. */
static VipsImage *run(VipsImage *source, const char *ops)
{
    char output[1024];

    (void)snprintf(output, sizeof output, "'ops': [%s], 'format': 'png'", ops);
    return render_one(source, "png", output);
}

static void check_size(VipsImage *im, int w, int h, const char *what)
{
    if (im->Xsize != w || im->Ysize != h)
        fail_msg("%s: %d x %d and not %d x %d", what, im->Xsize, im->Ysize, w, h);
}

/* The quarters of what ops make of "rg/by". */
static void check_quarters(VipsImage *im, const char *want, const char *what)
{
    char got[5] = {quarter_name(im, 0, 0), quarter_name(im, 1, 0), quarter_name(im, 0, 1),
                   quarter_name(im, 1, 1)};

    if (strcmp(got, want) != 0)
        fail_msg("%s: %s and not %s", what, got, want);
}

/* --- sizes ----------------------------------------------------------------------------------- */

static const struct {
    const char *ops;
    int w, h;
    const char *quarters; /* NULL: not looked at */
} sizes[] = {
    /* resize of 400 x 200 */
    {"{'resize': {'width': 100, 'height': 100, 'fit': 'outside'}}", 200, 100, "rgby"},
    {"{'resize': {'width': 500, 'height': 100, 'fit': 'outside'}}", 400, 200, "rgby"},
    {"{'resize': {'width': 500, 'height': 100, 'fit': 'outside', 'enlarge': true}}", 500, 250,
     "rgby"},
    {"{'resize': {'width': 100, 'dpr': 2}}", 200, 100, "rgby"},
    {"{'resize': {'width': 100, 'height': 60, 'fit': 'cover', 'dpr': 0.5}}", 50, 30, "rgby"},
    {"{'resize': {'width': 100, 'min_height': 80}}", 160, 80, "rgby"},
    {"{'resize': {'width': 100, 'min_height': 300}}", 400, 200, "rgby"},
    {"{'resize': {'width': 100, 'min_height': 300, 'enlarge': true}}", 600, 300, "rgby"},
    {"{'resize': {'max_width': 150}}", 150, 75, "rgby"},
    {"{'resize': {'width': 300, 'dpr': 2, 'enlarge': true, 'max_height': 120}}", 240, 120,
     "rgby"},
    {"{'resize': {'width': 200, 'height': 200, 'fit': 'fill', 'max_height': 50}}", 50, 50,
     "rgby"},
    {"{'resize': {'width': 10, 'height': 10, 'fit': 'fill', 'min_width': 40}}", 40, 10, "rgby"},
    {"{'resize': {'width': 40, 'kernel': 'nearest'}}", 40, 20, "rgby"},
    {"{'resize': {'width': 40, 'kernel': 'linear'}}", 40, 20, "rgby"},
    {"{'resize': {'width': 40, 'kernel': 'cubic'}}", 40, 20, "rgby"},
    {"{'resize': {'width': 40, 'kernel': 'mitchell'}}", 40, 20, "rgby"},
    {"{'resize': {'width': 40, 'kernel': 'lanczos2'}}", 40, 20, "rgby"},
    {"{'resize': {'width': 40, 'kernel': 'lanczos3'}}", 40, 20, "rgby"},
    /* a focus: the square around it */
    {"{'resize': {'width': 100, 'height': 200, 'fit': 'cover', 'gravity': {'x': 1, 'y': 0}}}",
     100, 200, "ggyy"},
    {"{'resize': {'width': 100, 'height': 200, 'fit': 'cover', 'gravity': {'x': 0.1, 'y': 1}}}",
     100, 200, "rrbb"},
    {"{'resize': {'width': 100, 'height': 200, 'fit': 'cover', 'gravity': {'x': 0.5, 'y': 0}}}",
     100, 200, "rgby"},
    /* extract */
    {"{'extract': {'left': 200, 'top': 0, 'width': 100, 'height': 100}}", 100, 100, "gggg"},
    {"{'extract': {'left': 0.25, 'top': 0.5, 'width': 0.5, 'height': 0.5}}", 200, 100, "byby"},
    {"{'extract': {'left': 300, 'width': 1000}}", 100, 200, "ggyy"},
    {"{'extract': {'width': 100, 'height': 100}}", 100, 100, "rgby"},
    {"{'extract': {'width': 100, 'height': 100, 'gravity': 'southwest'}}", 100, 100, "bbbb"},
    {"{'extract': {'width': 100, 'height': 100, 'gravity': 'attention'}}", 100, 100, NULL},
    {"{'extract': {'left': 200}}, {'resize': {'width': 50}}", 50, 50, "ggyy"},
    /* pad, extend */
    {"{'pad': {'all': 10}}", 420, 220, "rgby"},
    {"{'pad': {'all': 10, 'left': 0, 'top': 0.1}}", 410, 230, "rgby"},
    {"{'extend': {'width': 500, 'height': 100}}", 500, 200, NULL},
    {"{'extend': {'aspect': '1:1'}}", 400, 400, NULL},
    {"{'extend': {'aspect': 4}}", 800, 200, NULL},
    {"{'extend': {'width': 600, 'aspect': '2:1', 'gravity': 'west'}}", 600, 300, NULL},
    /* turns */
    {"{'rotate': {'angle': 90}}", 200, 400, "bryg"},
    {"{'rotate': {'angle': 180}}", 400, 200, "ybgr"},
    {"{'rotate': {'angle': -90}}", 200, 400, "gyrb"},
    {"{'rotate': {'angle': 360}}", 400, 200, "rgby"},
    {"{'flip': {}}", 400, 200, "byrg"},
    {"{'flop': {}}", 400, 200, "gryb"},
    {"{'flip': {}}, {'flop': {}}, {'rotate': {'angle': 180}}", 400, 200, "rgby"},
    {"{'round': {'radius': 20}}", 400, 200, "rgby"},
    {"{'circle': {}}", 200, 200, "rgby"},
    {"{'circle': {'gravity': 'east'}}", 200, 200, "ggyy"},
    {"{'resize': {'width': 100}}, {'rotate': {'angle': 90}}, {'resize': {'width': 25}}", 25, 50,
     "bryg"},
};

static void each_operation_gives_the_size_it_promises(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        VipsImage *im = run(quarters(400, 200), sizes[i].ops);

        check_size(im, sizes[i].w, sizes[i].h, sizes[i].ops);
        if (sizes[i].quarters != NULL)
            check_quarters(im, sizes[i].quarters, sizes[i].ops);
        g_object_unref(im);
    }
}

static void a_jpeg_is_shrunk_alike_with_high_fidelity(void **state)
{
    struct bytes b;
    struct wire_report r;
    VipsImage *im = quarters(1600, 800);
    (void)state;

    b = encode(im, "jpg[Q=95]");
    write_file(WORK_SOURCE, b);
    assert_int_equal(run_order("{'source': {'path': 'x'}, 'fidelity': 'high', 'outputs': "
                               "[{'name': 'a', 'ops': [{'resize': {'width': 200}}]}]}",
                               &r),
                     ERR_OK);
    g_object_unref(im);
    im = open_output(0);
    check_size(im, 200, 100, "high");
    check_quarters(im, "rgby", "high");
    g_object_unref(im);
    bytes_free(b);
}

static void what_lies_outside_is_refused(void **state)
{
    VipsImage *im = quarters(400, 200);
    struct bytes b = encode(im, "png");
    struct wire_report r;
    (void)state;

    assert_int_equal(render(b, "[{'name': 'a', 'ops': [{'extract': {'left': 400}}]}]", &r),
                     ERR_MALFORMED);
    assert_non_null(strstr(r.text, "output a: op 0 begins outside of the picture (400 x 200)"));
    /* After a trim it is seen only then. */
    assert_int_equal(
        render(b,
               "[{'name': 'a', 'ops': [{'trim': {'background': '#000000', 'threshold': 220}}, "
               "{'extract': {'left': 400}}]}]",
               &r),
        ERR_MALFORMED);
    bytes_free(b);
    g_object_unref(im);
}

/* --- trim ------------------------------------------------------------------------------------ */

static VipsImage *framed(const double *edge, const double *inside, int bands)
{
    VipsImage *in = plain(60, 40, inside, bands), *out = plain(100, 90, edge, bands), *both;

    VIPS_OK(vips_insert(out, in, &both, 15, 25, NULL));
    g_object_unref(in);
    g_object_unref(out);
    return both;
}

static void trim_takes_the_edge_away(void **state)
{
    static const double grey[] = {200, 200, 200}, red[] = {200, 0, 0};
    static const double clear[] = {0, 0, 0, 0}, solid[] = {10, 20, 30, 255};
    static const double dark[] = {20}, light[] = {220};
    VipsImage *im;
    (void)state;

    im = run(framed(grey, red, 3), "{'trim': {}}");
    check_size(im, 60, 40, "trim");
    check_point(im, 0, 0, red, 3, 0);
    g_object_unref(im);
    im = run(framed(clear, solid, 4), "{'trim': {}}");
    check_size(im, 60, 40, "trim of what is transparent");
    g_object_unref(im);
    im = run(framed(dark, light, 1), "{'trim': {}}");
    check_size(im, 60, 40, "trim of grey");
    g_object_unref(im);
    im = run(framed(grey, red, 3), "{'trim': {'background': '#ffffff'}}");
    check_size(im, 100, 90, "trim of another colour");
    g_object_unref(im);
    im = run(framed(grey, red, 3), "{'trim': {'background': '#ffffff', 'threshold': 60}}");
    check_size(im, 60, 40, "trim of about that colour");
    g_object_unref(im);
    im = run(plain(50, 40, grey, 3), "{'trim': {}}");
    check_size(im, 50, 40, "nothing but edge");
    g_object_unref(im);
}

/* --- backgrounds ----------------------------------------------------------------------------- */

static void what_is_added_has_its_background(void **state)
{
    static const double red[] = {200, 0, 0};
    static const double clear[] = {0, 0, 0, 0}, shown[] = {200, 0, 0, 255};
    static const double blue[] = {16, 32, 128}, half[] = {16, 32, 128, 128};
    VipsImage *im;
    (void)state;

    im = run(plain(40, 40, red, 3), "{'pad': {'all': 10}}");
    check_point(im, 2, 2, clear, 4, 0);
    check_point(im, 30, 30, shown, 4, 0);
    g_object_unref(im);
    im = run(plain(40, 40, red, 3), "{'pad': {'top': 10, 'background': '#102080'}}");
    check_point(im, 20, 2, blue, 3, 0);
    check_point(im, 20, 12, red, 3, 0);
    g_object_unref(im);
    im = run(plain(40, 40, red, 3), "{'extend': {'width': 80, 'background': '#10208080'}}");
    check_point(im, 2, 20, half, 4, 0);
    g_object_unref(im);
    im = render_one(plain(40, 40, red, 3), "png",
                    "'ops': [{'pad': {'all': 16}}], 'format': 'jpeg', 'quality': 100");
    check_point(im, 2, 2, white, 3, 2);
    g_object_unref(im);
    im = render_one(
        plain(40, 40, red, 3), "png",
        "'ops': [{'circle': {'background': '#102080'}}], 'format': 'jpeg', 'quality': 100");
    check_point(im, 0, 0, blue, 3, 6);
    check_point(im, 20, 20, red, 3, 4);
    g_object_unref(im);
}

static void corners_are_round_and_smooth(void **state)
{
    static const double red[] = {200, 0, 0};
    static const double clear[] = {200, 0, 0, 0}, shown[] = {200, 0, 0, 255};
    VipsImage *im = run(plain(100, 60, red, 3), "{'round': {'radius': 20}}");
    double sum;
    VipsImage *alpha;
    (void)state;

    check_point(im, 0, 0, clear, 4, 0);
    check_point(im, 99, 59, clear, 4, 0);
    check_point(im, 20, 0, shown, 4, 0);
    check_point(im, 0, 30, shown, 4, 0);
    check_point(im, 50, 30, shown, 4, 0);
    /* What the four arcs leave: 100 x 60 - (4 - pi) 20^2. */
    VIPS_OK(vips_extract_band(im, &alpha, 3, NULL));
    VIPS_OK(vips_avg(alpha, &sum, NULL));
    assert_near(sum / 255 * 6000, 6000 - (4 - G_PI) * 400, 2);
    g_object_unref(alpha);
    g_object_unref(im);
    im = run(plain(80, 80, red, 3), "{'circle': {}}");
    VIPS_OK(vips_extract_band(im, &alpha, 3, NULL));
    VIPS_OK(vips_avg(alpha, &sum, NULL));
    assert_near(sum / 255 * 6400, G_PI * 1600, 3);
    g_object_unref(alpha);
    g_object_unref(im);
    /* Half of the shorter side is the most. */
    im = run(plain(80, 40, red, 3), "{'round': {'radius': 0.9}}");
    check_point(im, 40, 0, shown, 4, 0);
    check_point(im, 0, 20, shown, 4, 64);
    g_object_unref(im);
}

static void any_angle_turns_clockwise_onto_a_background(void **state)
{
    static const double red[] = {200, 0, 0}, shown[] = {200, 0, 0, 255};
    static const double clear[] = {0, 0, 0, 0}, green[] = {0, 128, 0};
    VipsImage *im = run(plain(100, 100, red, 3), "{'rotate': {'angle': 45}}");
    (void)state;

    assert_near(im->Xsize, 142, 1);
    assert_near(im->Ysize, 142, 1);
    check_point(im, 2, 2, clear, 4, 0);
    check_point(im, 71, 71, shown, 4, 0);
    g_object_unref(im);
    im = run(plain(100, 100, red, 3), "{'rotate': {'angle': 45, 'background': '#008000'}}");
    check_point(im, 2, 2, green, 3, 0);
    check_point(im, 71, 71, red, 3, 0);
    g_object_unref(im);
    /* By a little, clockwise: the left edge's middle stays, its top moves right. */
    im = run(quarters(200, 200), "{'rotate': {'angle': 10, 'background': '#000000'}}");
    check_quarters(im, "rgby", "10 degrees");
    assert_true(quarter_name(im, 0, 0) == 'r');
    g_object_unref(im);
}

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

/* Every operation on every kind of picture; alpha is what it was. */
static void every_operation_takes_every_kind(void **state)
{
    static const char *const ops[] = {
        "{'blur': {'sigma': 1.5}}",
        "{'sharpen': {}}",
        "{'pixelate': {'size': 5}}",
        "{'brightness': {'amount': 1.1}}",
        "{'contrast': {'amount': 1.1}}",
        "{'saturation': {'amount': 1.1}}",
        "{'hue': {'degrees': 20}}",
        "{'gamma': {}}",
        "{'grayscale': {}}",
        "{'sepia': {}}",
        "{'tint': {'colour': '#ff8000'}}",
        "{'duotone': {}}",
        "{'negate': {}}",
        "{'normalise': {}}",
        "{'trim': {}}",
        "{'pad': {'all': 3}}",
        "{'rotate': {'angle': 30}}",
        "{'rotate': {'angle': 90}}",
        "{'round': {'radius': 5}}",
        "{'circle': {}}",
        "{'flatten': {'background': '#ff000080'}}",
        "{'flip': {}}",
        "{'extract': {'width': 20}}",
        "{'resize': {'width': 20, 'kernel': 'mitchell'}}",
    };
    static const double colour[] = {120, 60, 30, 128};
    static const char *const formats[] = {"jpeg", "png", "webp", "gif", "tiff"};
    (void)state;

    for (size_t i = 0; i < COUNT_OF(ops) * 4; i++) {
        int bands = (int)(i % 4) + 1;
        double two[] = {120, 128};
        char output[512];
        VipsImage *im = plain(40, 30, bands == 2 ? two : colour, bands);

        (void)snprintf(output, sizeof output, "'ops': [%s], 'format': '%s'", ops[i / 4],
                       formats[i % 5]);
        im = render_one(im, "png", output);
        g_object_unref(im);
        if (i / 4 < 14) {
            double *p;
            int n;

            (void)snprintf(output, sizeof output, "'ops': [%s], 'format': 'png'", ops[i / 4]);
            im = render_one(plain(40, 30, bands == 2 ? two : colour, bands), "png", output);
            VIPS_OK(vips_getpoint(im, &p, &n, 20, 15, NULL));
            assert_int_equal(n % 2, bands % 2);
            if (bands % 2 == 0)
                assert_near(p[n - 1], 128, 1);
            g_free(p);
            g_object_unref(im);
        }
    }
}

static void normalise_stretches_to_the_whole_range(void **state)
{
    static const double from[] = {60}, to[] = {180}, black[] = {0}, full[] = {255};
    VipsImage *left = plain(50, 50, from, 1), *right = plain(50, 50, to, 1), *both, *im;
    (void)state;

    VIPS_OK(vips_join(left, right, &both, VIPS_DIRECTION_HORIZONTAL, NULL));
    g_object_unref(left);
    g_object_unref(right);
    im = run(both, "{'normalise': {}}");
    check_point(im, 10, 10, black, 1, 2);
    check_point(im, 90, 10, full, 1, 2);
    g_object_unref(im);
}

static void pixelate_gives_each_block_its_mean(void **state)
{
    static const double a[] = {0}, b[] = {200}, mean[] = {100}, whole[] = {200};
    VipsImage *left = plain(4, 16, a, 1), *right = plain(13, 16, b, 1), *both, *im;
    (void)state;

    VIPS_OK(vips_join(left, right, &both, VIPS_DIRECTION_HORIZONTAL, NULL));
    g_object_unref(left);
    g_object_unref(right);
    im = run(both, "{'pixelate': {'size': 8}}");
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
    VipsImage *left = plain(50, 50, hidden, 4), *right = plain(50, 50, shown, 4), *both, *im;
    double *p;
    int n;
    (void)state;

    VIPS_OK(vips_join(left, right, &both, VIPS_DIRECTION_HORIZONTAL, NULL));
    g_object_unref(left);
    g_object_unref(right);
    im = run(both, "{'blur': {'sigma': 4}}");
    VIPS_OK(vips_getpoint(im, &p, &n, 49, 25, NULL));
    assert_int_equal(n, 4);
    assert_true(p[3] > 90 && p[3] < 165 && p[0] < 6 && p[2] > 245);
    g_free(p);
    g_object_unref(im);
}

/* --- watermarks ------------------------------------------------------------------------------ */

static void put_mark(unsigned i, VipsImage *mark)
{
    struct bytes b = encode(mark, "png");
    char path[32];

    (void)snprintf(path, sizeof path, WORK_MARK "%u", i);
    write_file(path, b);
    bytes_free(b);
    g_object_unref(mark);
}

static void a_watermark_is_laid_over(void **state)
{
    static const double grey[] = {100, 100, 100}, red[] = {255, 0, 0, 255};
    static const double half[] = {178, 50, 50}, pure[] = {255, 0, 0};
#define MARK(more) "{'watermark': {'source': {'path': 'm'}" more "}}"
    VipsImage *im;
    (void)state;

    put_mark(0, plain(20, 10, red, 4));
    im = run(plain(200, 100, grey, 3), MARK(""));
    check_point(im, 199, 99, pure, 3, 0);
    check_point(im, 180, 90, pure, 3, 0);
    check_point(im, 179, 95, grey, 3, 0);
    g_object_unref(im);
    im = run(plain(200, 100, grey, 3),
             MARK(", 'gravity': 'northwest', 'x': 5, 'y': 7, 'opacity': 0.5"));
    check_point(im, 4, 10, grey, 3, 0);
    check_point(im, 5, 7, half, 3, 2);
    check_point(im, 24, 16, half, 3, 2);
    check_point(im, 25, 17, grey, 3, 0);
    g_object_unref(im);
    im = run(plain(200, 100, grey, 3), MARK(", 'scale': 0.5, 'gravity': 'center'"));
    check_point(im, 51, 26, pure, 3, 0);
    check_point(im, 148, 73, pure, 3, 0);
    check_point(im, 48, 50, grey, 3, 0);
    g_object_unref(im);
    im = run(plain(200, 100, grey, 3), MARK(", 'tile': true, 'spacing': 10"));
    check_point(im, 0, 0, pure, 3, 0);
    check_point(im, 31, 21, pure, 3, 0);
    check_point(im, 25, 5, grey, 3, 0);
    check_point(im, 5, 15, grey, 3, 0);
    g_object_unref(im);
    /* On grey it brings colour; a mark larger than the picture is fitted in. */
    put_mark(0, plain(2000, 1000, red, 4));
    im = run(plain(100, 100, grey, 1), MARK(", 'gravity': 'north'"));
    check_point(im, 50, 10, pure, 3, 0);
    check_point(im, 50, 60, grey, 3, 0);
    g_object_unref(im);
}

static void each_watermark_has_its_file(void **state)
{
    static const double grey[] = {100, 100, 100}, red[] = {255, 0, 0}, blue[] = {0, 0, 255};
    VipsImage *im;
    (void)state;

    put_mark(0, plain(10, 10, red, 3));
    put_mark(1, plain(10, 10, blue, 3));
    im = run(plain(100, 50, grey, 3),
             "{'watermark': {'source': {'path': 'one'}, 'gravity': 'west'}}, "
             "{'watermark': {'source': {'path': 'two'}, 'gravity': 'east'}}, "
             "{'watermark': {'source': {'path': 'one'}, 'gravity': 'center'}}");
    check_point(im, 5, 25, red, 3, 0);
    check_point(im, 95, 25, blue, 3, 0);
    check_point(im, 50, 25, red, 3, 0);
    g_object_unref(im);
}

static void a_broken_watermark_is_told_as_such(void **state)
{
    static const double grey[] = {100, 100, 100};
    VipsImage *im = plain(100, 50, grey, 3);
    struct bytes b = encode(im, "png");
    struct wire_report r;
    (void)state;

    write_file(WORK_MARK "0", (struct bytes){"GIF89a", 6});
    assert_int_equal(
        render(b, "[{'name': 'a', 'ops': [{'watermark': {'source': {'path': 'm'}}}]}]", &r),
        ERR_MALFORMED);
    assert_non_null(strstr(r.text, "/args/outputs/0/ops/0/watermark/source: broken gif"));
    bytes_free(b);
    g_object_unref(im);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(each_operation_gives_the_size_it_promises),
        TEST(a_jpeg_is_shrunk_alike_with_high_fidelity),
        TEST(what_lies_outside_is_refused),
        TEST(trim_takes_the_edge_away),
        TEST(what_is_added_has_its_background),
        TEST(corners_are_round_and_smooth),
        TEST(any_angle_turns_clockwise_onto_a_background),
        TEST(each_colour_becomes_what_its_formula_says),
        TEST(every_operation_takes_every_kind),
        TEST(normalise_stretches_to_the_whole_range),
        TEST(pixelate_gives_each_block_its_mean),
        TEST(blur_keeps_the_light_and_does_not_bleed),
        TEST(a_watermark_is_laid_over),
        TEST(each_watermark_has_its_file),
        TEST(a_broken_watermark_is_told_as_such),
    };

    (void)argc;
    if (!start_vips(argv[0]))
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
