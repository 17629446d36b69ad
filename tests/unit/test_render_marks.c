/* Watermarks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/render_ops.h"

static void put_mark(unsigned i, VipsImage *mark)
{
    struct bytes b = encode(mark, "png");
    char path[32];

    (void)snprintf(path, sizeof path, WORK_MARK "%u", i);
    write_file(path, b);
    bytes_free(b);
    g_object_unref(mark);
}

#define MARK(more) "{'watermark': {'source': {'path': 'm'}" more "}}"

/* Points of what one watermark makes of a grey picture of 200 x 100. */
struct seen {
    int x, y;
    const double *colour;
    double by;
};

static void check_seen(const char *ops, const struct seen *points, size_t n)
{
    static const double grey[] = {100, 100, 100};
    VipsImage *im = run(plain(200, 100, grey, 3), ops);

    for (size_t i = 0; i < n; i++)
        check_point(im, points[i].x, points[i].y, points[i].colour, 3, points[i].by);
    g_object_unref(im);
}

#define SEEN(ops, ...)                                  \
    check_seen(ops, (const struct seen[]){__VA_ARGS__}, \
               COUNT_OF(((struct seen[]){__VA_ARGS__})))

static void a_watermark_is_laid_over(void **state)
{
    static const double grey[] = {100, 100, 100}, red[] = {255, 0, 0, 255};
    static const double half[] = {178, 50, 50}, pure[] = {255, 0, 0};
    VipsImage *im;
    (void)state;

    put_mark(0, plain(20, 10, red, 4));
    SEEN(MARK(""), {199, 99, pure, 0}, {180, 90, pure, 0}, {179, 95, grey, 0});
    SEEN(MARK(", 'gravity': 'northwest', 'x': 5, 'y': 7, 'opacity': 0.5"), {4, 10, grey, 0},
         {5, 7, half, 2}, {24, 16, half, 2}, {25, 17, grey, 0});
    SEEN(MARK(", 'scale': 0.5, 'gravity': 'center'"), {51, 26, pure, 0}, {148, 73, pure, 0},
         {48, 50, grey, 0});
    /* On grey it brings colour; a mark larger than the picture is fitted in. */
    put_mark(0, plain(2000, 1000, red, 4));
    im = run(plain(100, 100, grey, 1), MARK(", 'gravity': 'north'"));
    check_point(im, 50, 10, pure, 3, 0);
    check_point(im, 50, 60, grey, 3, 0);
    g_object_unref(im);
}

/* Marks of 20 x 10, 10 apart: 30 to the right and 20 down it begins again. */
static void a_pattern_of_watermarks_can_be_shifted(void **state)
{
    static const double grey[] = {100, 100, 100}, red[] = {255, 0, 0, 255};
    static const double pure[] = {255, 0, 0};
    (void)state;

    put_mark(0, plain(20, 10, red, 4));
#define TILE ", 'tile': true, 'spacing': 10"
    SEEN(MARK(TILE), {0, 0, pure, 0}, {31, 21, pure, 0}, {25, 5, grey, 0}, {5, 15, grey, 0},
         {199, 89, pure, 0});
    SEEN(MARK(TILE ", 'x': 7, 'y': 4"), {7, 4, pure, 0}, {26, 13, pure, 0}, {27, 13, grey, 0},
         {6, 4, grey, 0}, {7, 3, grey, 0}, {37, 24, pure, 0});
    SEEN(MARK(TILE ", 'x': -25, 'y': -41"), {5, 0, pure, 0}, {4, 0, grey, 0}, {5, 8, pure, 0},
         {5, 9, grey, 0});
    SEEN(MARK(TILE ", 'x': 30, 'y': -20"), {0, 0, pure, 0}, {25, 5, grey, 0});
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

RENDER_TESTS(TEST(a_watermark_is_laid_over), TEST(a_pattern_of_watermarks_can_be_shifted),
             TEST(each_watermark_has_its_file), TEST(a_broken_watermark_is_told_as_such))
