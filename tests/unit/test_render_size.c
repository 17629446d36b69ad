/* What changes the size, turns and cuts: sizes exactly, colours by hand-computed values. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/render_ops.h"

static const double white[] = {255, 255, 255};

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
    {"{'extract': {'left': 0.0, 'top': 0.5, 'width': 0.5}}", 200, 100, "bbbb"},
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

/* Of a single pixel, row or column there is an edge, too. */
static void trim_takes_the_smallest_pictures(void **state)
{
    static const double grey[] = {200, 200, 200}, red[] = {200, 0, 0};
    static const struct {
        int w, h, left, top, w2, h2; /* red within grey */
        int out_w, out_h;
    } rows[] = {{1, 1, 0, 0, 1, 1, 1, 1},    {1, 30, 0, 10, 1, 5, 1, 5},
                {40, 1, 3, 0, 30, 1, 30, 1}, {2, 30, 0, 10, 2, 20, 2, 20},
                {40, 2, 0, 0, 0, 0, 40, 2},  {30, 1, 20, 0, 10, 1, 10, 1}};
    (void)state;

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        VipsImage *im = plain(rows[i].w, rows[i].h, grey, 3), *in, *both;

        if (rows[i].w2 > 0) {
            in = plain(rows[i].w2, rows[i].h2, red, 3);
            VIPS_OK(vips_insert(im, in, &both, rows[i].left, rows[i].top, NULL));
            g_object_unref(in);
            g_object_unref(im);
            im = both;
        }
        im = run(im, "{'trim': {}}");
        check_size(im, rows[i].out_w, rows[i].out_h, "trim of little");
        g_object_unref(im);
    }
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

/* A JPEG shows white where something became transparent, unless a flatten names a colour later. */
static void flatten_fills_what_was_cut_before(void **state)
{
    static const double green[] = {0, 128, 0};
    static const char *const cuts[] = {
        "{'circle': {}}",
        "{'round': {'radius': 0.5}}",
        "{'pad': {'all': 10}}",
        "{'extend': {'width': 80, 'height': 80}}",
        "{'resize': {'width': 80, 'height': 30, 'fit': 'contain'}}",
        "{'rotate': {'angle': 45}}",
    };
    static const double red[] = {200, 0, 0};
    (void)state;

    for (size_t i = 0; i < COUNT_OF(cuts); i++) {
        char output[256];
        VipsImage *im;

        (void)snprintf(output, sizeof output,
                       "'ops': [%s, {'flip': {}}, {'flatten': {'background': '#008000'}}], "
                       "'format': 'jpeg', 'quality': 100",
                       cuts[i]);
        im = render_one(plain(40, 40, red, 3), "png", output);
        check_point(im, 0, 0, green, 3, 8);
        check_point(im, im->Xsize / 2, im->Ysize / 2, red, 3, 8);
        g_object_unref(im);
        (void)snprintf(output, sizeof output, "'ops': [%s], 'format': 'jpeg', 'quality': 100",
                       cuts[i]);
        im = render_one(plain(40, 40, red, 3), "png", output);
        check_point(im, 0, 0, white, 3, 8);
        g_object_unref(im);
    }
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

RENDER_TESTS(TEST(each_operation_gives_the_size_it_promises),
             TEST(a_jpeg_is_shrunk_alike_with_high_fidelity),
             TEST(what_lies_outside_is_refused), TEST(trim_takes_the_edge_away),
             TEST(trim_takes_the_smallest_pictures), TEST(what_is_added_has_its_background),
             TEST(flatten_fills_what_was_cut_before), TEST(corners_are_round_and_smooth),
             TEST(any_angle_turns_clockwise_onto_a_background))
