/* The search for a size (max_bytes) and for a format (auto). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/render_ops.h"

static void quality_is_what_fits(void **state)
{
    static const char *const formats[] = {"jpeg", "webp", "avif"};
    struct bytes b = photo();
    struct wire_report r;
    (void)state;

    for (size_t i = 0; i < COUNT_OF(formats); i++) {
        char outputs[160], higher[160];
        uint64_t whole, max;

        (void)snprintf(outputs, sizeof outputs, "'format': '%s'", formats[i]);
        whole = size_of(b, outputs);
        max = whole * 6 / 10;
        (void)snprintf(outputs, sizeof outputs,
                       "[{'name': 'a', 'format': '%s', 'max_bytes': %llu}]", formats[i],
                       (unsigned long long)max);
        assert_int_equal(render(b, outputs, &r), ERR_OK);
        assert_true(r.outputs[0].bytes <= max && r.outputs[0].quality >= 1);
        /* One more would be too much. */
        (void)snprintf(higher, sizeof higher, "'format': '%s', 'quality': %u", formats[i],
                       r.outputs[0].quality + 1);
        if (size_of(b, higher) <= max)
            fail_msg("%s: quality %u would do", formats[i], r.outputs[0].quality + 1);
        (void)snprintf(outputs, sizeof outputs,
                       "[{'name': 'a', 'format': '%s', 'max_bytes': 100000}]", formats[i]);
        assert_int_equal(render(b, outputs, &r), ERR_OK);
        assert_int_equal(r.outputs[0].bytes, whole);
    }
    assert_int_equal(render(b, "[{'name': 'a', 'format': 'jpeg', 'max_bytes': 300}]", &r),
                     ERR_TOO_BIG);
    assert_non_null(strstr(r.text, "output a: "));
    assert_non_null(strstr(r.text, "at quality 1, and max_bytes is 300"));
    /* Where there is no quality to lower. */
    assert_int_equal(render(b, "[{'name': 'a', 'max_bytes': 300}]", &r), ERR_TOO_BIG);
    bytes_free(b);
}

static void auto_is_the_smallest(void **state)
{
    static const char *const names[] = {"jpeg", "webp", "avif"};
    static const unsigned qualities[] = {80, 80, 50};
    static const double clear[] = {200, 100, 50, 100}, opaque[] = {200, 100, 50, 255};
    struct bytes b = photo();
    struct wire_report r;
    uint64_t least = UINT64_MAX;
    VipsImage *im;
    (void)state;

    for (size_t i = 0; i < COUNT_OF(names); i++) {
        char output[96];
        uint64_t n;

        (void)snprintf(output, sizeof output, "'format': '%s', 'quality': %u", names[i],
                       qualities[i]);
        n = size_of(b, output);
        least = n < least ? n : least;
    }
    assert_int_equal(render(b, "[{'name': 'a', 'format': 'auto', 'quality': 80}]", &r), ERR_OK);
    assert_int_equal(r.outputs[0].bytes, least);
    assert_int_equal(render(b, "[{'name': 'a', 'format': 'auto', 'candidates': ['jpeg']}]", &r),
                     ERR_OK);
    assert_int_equal(r.outputs[0].format, IMAGE_JPEG);
    bytes_free(b);
    /* What is transparent does not become JPEG; alpha that hides nothing goes. */
    im = plain(64, 64, clear, 4);
    b = encode(im, "png");
    assert_int_equal(
        render(b, "[{'name': 'a', 'format': 'auto', 'candidates': ['jpeg', 'png']}]", &r),
        ERR_OK);
    assert_int_equal(r.outputs[0].format, IMAGE_PNG);
    bytes_free(b);
    g_object_unref(im);
    im = plain(64, 64, opaque, 4);
    b = encode(im, "png");
    assert_int_equal(render(b, "[{'name': 'a', 'format': 'auto', 'candidates': ['png']}]", &r),
                     ERR_OK);
    g_object_unref(im);
    im = open_output(0);
    assert_int_equal(im->Bands, 3);
    g_object_unref(im);
    bytes_free(b);
}

/* Above 80, AVIF's quality rises until it reaches 92: five eighths of 100 would be visibly less than
 * what JPEG's 100 gives. */
static void auto_stays_alike_at_high_quality(void **state)
{
    static const struct {
        unsigned asked, got;
    } rows[] = {{1, 1}, {50, 31}, {80, 50}, {90, 71}, {95, 81}, {100, 92}};
    struct bytes b = photo();
    (void)state;

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct wire_report r;
        char outputs[128];

        (void)snprintf(
            outputs, sizeof outputs,
            "[{'name': 'a', 'format': 'auto', 'candidates': ['avif'], 'quality': %u}]",
            rows[i].asked);
        assert_int_equal(render(b, outputs, &r), ERR_OK);
        assert_int_equal(r.outputs[0].quality, rows[i].got);
    }
    bytes_free(b);
}

/* Noise of two colours. */
static VipsImage *noise(int side)
{
    uint32_t seed = 7;
    uint8_t *bytes = g_malloc((size_t)side * side);
    VipsImage *im;

    for (int i = 0; i < side * side; i++) {
        seed = seed * 1664525 + 1013904223;
        bytes[i] = seed >> 31 ? 230 : 20;
    }
    im = vips_image_new_from_memory_copy(bytes, (size_t)side * side, side, side, 1,
                                         VIPS_FORMAT_UCHAR);
    g_free(bytes);
    assert_non_null(im);
    return im;
}

/* PNG has no quality: where its file is the smallest and too large, another one is lowered. */
static void auto_lowers_what_can_be_lowered(void **state)
{
#define EITHER "'format': 'auto', 'candidates': ['webp', 'png'], 'quality': 100"
    VipsImage *dots = noise(24), *three[3] = {dots, dots, dots}, *rgb, *im;
    struct bytes b;
    struct wire_report r;
    uint64_t png;
    char outputs[160];
    (void)state;

    VIPS_OK(vips_bandjoin(three, &rgb, 3, NULL));
    VIPS_OK(vips_zoom(rgb, &im, 8, 8, NULL));
    b = encode(im, "png");
    assert_int_equal(render(b, "[{'name': 'a', " EITHER "}]", &r), ERR_OK);
    assert_int_equal(r.outputs[0].format, IMAGE_PNG);
    png = r.outputs[0].bytes;
    (void)snprintf(outputs, sizeof outputs, "[{'name': 'a', " EITHER ", 'max_bytes': %llu}]",
                   (unsigned long long)png - 1);
    assert_int_equal(render(b, outputs, &r), ERR_OK);
    assert_int_equal(r.outputs[0].format, IMAGE_WEBP);
    assert_true(r.outputs[0].bytes < png && r.outputs[0].quality < 100);
    bytes_free(b);
    g_object_unref(dots);
    g_object_unref(rgb);
    g_object_unref(im);
}

RENDER_TESTS(TEST(quality_is_what_fits), TEST(auto_is_the_smallest),
             TEST(auto_stays_alike_at_high_quality), TEST(auto_lowers_what_can_be_lowered))
