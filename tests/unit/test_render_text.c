/* Text over a picture. Apart from the other operations, because fontconfig never gives back what it has
 * read, which would hide what we forget. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/render_ops.h"

const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libvips-cpp\nleak:libfontconfig\nleak:libpango\n";
}

static double mean_of(VipsImage *im, int left, int top, int w, int h)
{
    VipsImage *part;
    double mean;

    VIPS_OK(vips_extract_area(im, &part, left, top, w, h, NULL));
    VIPS_OK(vips_avg(part, &mean, NULL));
    g_object_unref(part);
    return mean;
}

/* Skipped where the machine has no font at all. */
static bool has_fonts(void)
{
    VipsImage *im = NULL;
    bool has = vips_text(&im, "x", "font", "sans 20", "dpi", 72, NULL) == 0 && im->Xsize > 2;

    vimage_drop(&im);
    vips_error_clear();
    return has;
}

static void text_stands_where_gravity_puts_it(void **state)
{
    static const struct {
        const char *gravity;
        int x, y; /* thirds in which there is ink */
    } rows[] = {{"northwest", 0, 0}, {"north", 1, 0},     {"east", 2, 1},
                {"southeast", 2, 2}, {"southwest", 0, 2}, {"center", 1, 1}};
    static const double grey[] = {0, 0, 0};
    (void)state;

    if (!has_fonts())
        skip();
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char ops[256];
        VipsImage *im;

        (void)snprintf(ops, sizeof ops,
                       "{'text': {'text': '<M&M>', 'size': 16, 'gravity': '%s', 'bold': true}}",
                       rows[i].gravity);
        im = run(plain(300, 150, grey, 3), ops);
        assert_int_equal(im->Xsize, 300);
        assert_int_equal(im->Ysize, 150);
        assert_int_equal(im->Bands, 3);
        for (int k = 0; k < 9; k++) {
            bool ink = mean_of(im, k % 3 * 100, k / 3 * 50, 100, 50) > 1;

            if (ink != (k % 3 == rows[i].x && k / 3 == rows[i].y))
                fail_msg("%s: ink in %d,%d is %d", rows[i].gravity, k % 3, k / 3, ink);
        }
        g_object_unref(im);
    }
}

static void text_is_painted_as_asked(void **state)
{
    static const double black[] = {0, 0, 0};
    VipsImage *plain_text, *im;
    double full;
    (void)state;

    if (!has_fonts())
        skip();
    plain_text = run(plain(400, 200, black, 3), "{'text': {'text': 'Hello', 'size': 60}}");
    full = mean_of(plain_text, 0, 0, 400, 200);
    g_object_unref(plain_text);
    im = run(plain(400, 200, black, 3),
             "{'text': {'text': 'Hello', 'size': 60, 'opacity': 0.5}}");
    assert_near(mean_of(im, 0, 0, 400, 200), full / 2, full / 50);
    g_object_unref(im);
    im = run(plain(400, 200, black, 3),
             "{'text': {'text': 'Hello', 'size': 60, 'colour': '#ff0000'}}");
    assert_near(mean_of(im, 0, 0, 400, 200), full / 3, full / 50);
    g_object_unref(im);
    /* A white stroke adds to white letters; a line break and wrapping make it taller. */
    im =
        run(plain(400, 200, black, 3),
            "{'text': {'text': 'Hello', 'size': 60, 'stroke': 3, 'stroke_colour': '#ffffff'}}");
    assert_true(mean_of(im, 0, 0, 400, 200) > full * 1.3);
    g_object_unref(im);
    im = run(plain(400, 200, black, 3),
             "{'text': {'text': 'Hello Hello', 'size': 40, 'wrap': 0.4, 'gravity': "
             "'northwest'}}");
    assert_true(mean_of(im, 0, 60, 400, 60) > 1 && mean_of(im, 200, 0, 200, 200) < 0.5);
    g_object_unref(im);
    im =
        run(plain(400, 200, black, 3),
            "{'text': {'text': 'Gr\u00fc\u00dfe \u4f60\u597d <b>&amp;', 'size': 40, 'gravity': "
            "'northwest', 'x': 20, 'y': 30}}");
    assert_true(mean_of(im, 0, 0, 400, 28) < 0.5 && mean_of(im, 20, 30, 380, 60) > 1);
    g_object_unref(im);
}

/* A word that is longer than the line breaks too, instead of going on beyond it. */
static void a_long_word_is_broken(void **state)
{
    static const double black[] = {0, 0, 0};
    VipsImage *im;
    (void)state;

    if (!has_fonts())
        skip();
    im = run(plain(400, 200, black, 3),
             "{'text': {'text': 'Donaudampfschifffahrtsgesellschaft', 'size': 30, 'wrap': 150, "
             "'gravity': 'northwest'}}");
    assert_true(mean_of(im, 165, 0, 235, 200) == 0);
    assert_true(mean_of(im, 0, 40, 160, 60) > 1);
    g_object_unref(im);
}

static double brightest(VipsImage *im)
{
    double most;

    VIPS_OK(vips_max(im, &most, NULL));
    return most;
}

/* Half of white is 128 over black, with a stroke below it or without. */
static void a_stroke_does_not_show_through_faded_letters(void **state)
{
    static const double black[] = {0, 0, 0}, white[] = {255, 255, 255};
    VipsImage *im, *dark;
    double least;
    (void)state;

    if (!has_fonts())
        skip();
    im = run(plain(200, 100, black, 3), "{'text': {'text': 'III', 'size': 80, 'opacity': 0.5, "
                                        "'bold': true, 'stroke': 4}}");
    assert_near(brightest(im), 128, 2);
    g_object_unref(im);
    /* And over white, letters of white are white: only the stroke is grey. */
    im = run(plain(200, 100, white, 3), "{'text': {'text': 'III', 'size': 80, 'opacity': 0.5, "
                                        "'bold': true, 'stroke': 4}}");
    VIPS_OK(vips_min(im, &least, NULL));
    assert_near(least, 127, 2);
    g_object_unref(im);
    /* A colour that lets through does so over the stroke as well. */
    dark = run(plain(200, 100, black, 3), "{'text': {'text': 'III', 'size': 80, 'bold': true, "
                                          "'colour': '#ffffff80', 'stroke': 4}}");
    assert_near(brightest(dark), 128, 2);
    g_object_unref(dark);
}

static void a_text_that_would_be_too_big_is_refused(void **state)
{
    static const double black[] = {0, 0, 0};
    VipsImage *im = plain(100, 100, black, 3);
    struct bytes b = encode(im, "png");
    struct wire_report r;
    char outputs[2200], text[1500];
    (void)state;

    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    (void)snprintf(outputs, sizeof outputs,
                   "[{'name': 'a', 'ops': [{'text': {'text': '%s', 'size': 1000}}]}]", text);
    assert_int_equal(render(b, outputs, &r), ERR_TOO_BIG);
    assert_non_null(strstr(r.text, "a text of about 1499000000 pixels"));
    /* 40 x 200 x 200 x (1 + 20 x 20 / 4) */
    text[40] = '\0';
    (void)snprintf(
        outputs, sizeof outputs,
        "[{'name': 'a', 'ops': [{'text': {'text': '%s', 'size': 200, 'stroke': 20}}]}]", text);
    assert_int_equal(render(b, outputs, &r), ERR_TOO_BIG);
    assert_non_null(strstr(r.text, "a text of about 161600000 pixels"));
    bytes_free(b);
    g_object_unref(im);
}

static void text_takes_every_kind(void **state)
{
    static const double colour[] = {120, 60, 30, 128};
    (void)state;

    if (!has_fonts())
        skip();
    for (int bands = 1; bands <= 4; bands++) {
        VipsImage *im = run(plain(40, 30, colour, bands), "{'text': {'text': 'x'}}");

        assert_int_equal(im->Bands, bands % 2 == 0 ? 4 : 3);
        g_object_unref(im);
    }
}

RENDER_TESTS(TEST(text_stands_where_gravity_puts_it), TEST(text_is_painted_as_asked),
             TEST(a_long_word_is_broken), TEST(a_stroke_does_not_show_through_faded_letters),
             TEST(a_text_that_would_be_too_big_is_refused), TEST(text_takes_every_kind))
