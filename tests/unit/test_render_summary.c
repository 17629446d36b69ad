/* What is said of a picture: placeholders and hashes by the reference encoders' vectors, colours, EXIF,
 * header. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shared/utf8.h"
#include "tests/unit/hash_vectors.h"
#include "tests/unit/render_help.h"
#include "worker/render/child/describe.h"
#include "worker/render/child/summary.h"

/* --- vectors --------------------------------------------------------------------------------- */

/* As tests/support/hash_vectors.mjs draws them. */
static void pixel(int pattern, int x, int y, const int size[2], uint8_t ret[4])
{
    static const uint8_t squares[2][4] = {{20, 120, 200, 255}, {230, 40, 60, 255}};

    if (pattern == 1) {
        memcpy(ret, squares[(x / 8 + y / 8) % 2], 4);
        return;
    }
    if (pattern == 4) {
        ret[0] = (uint8_t)(255 - x * 255 / size[0]);
        ret[1] = (uint8_t)(255 - y * 255 / size[1]);
        ret[2] = 128;
        ret[3] = 255;
        return;
    }
    ret[3] = (uint8_t)(pattern == 2 ? x * 255 / size[0] : 255);
    ret[0] = (uint8_t)(pattern == 3 ? (x * 37 + y * 101) % 256 : x * 255 / size[0]);
    ret[1] = (uint8_t)(pattern == 3 ? (x * 53 + y * 17) % 256 : y * 255 / size[1]);
    ret[2] = (uint8_t)(pattern == 3 ? (x * 7 + y * 211) % 256 : x * y % 256);
}

/* by: each pixel so many times in both directions. */
static struct summary_picture draw(int pattern, int w, int h, int by)
{
    int size[2] = {w, h};
    uint8_t *rgba = malloc((size_t)w * h * by * by * 4);

    assert_non_null(rgba);
    for (int y = 0; y < h * by; y++) {
        for (int x = 0; x < w * by; x++)
            pixel(pattern, x / by, y / by, size, rgba + 4 * ((size_t)y * w * by + x));
    }
    return (struct summary_picture){rgba, (unsigned)(w * by), (unsigned)(h * by)};
}

static void drop_picture(struct summary_picture *p)
{
    free((void *)(uintptr_t)p->rgba);
}

static void check_text(size_t row, const char *what, const char *got, const char *want)
{
    if (want != NULL && strcmp(got, want) != 0)
        fail_msg("row %zu, %s: %s and not %s", row, what, got, want);
}

static size_t unbase64(const char *text, uint8_t *ret)
{
    gsize n;
    guchar *bytes = g_base64_decode(text, &n);

    assert_true(n <= 40);
    memcpy(ret, bytes, n);
    g_free(bytes);
    return n;
}

/* A term that is nothing but the last digit of a cosine lies between two steps, and two libraries
 * round it to either: a few may differ by one step. The header may not. */
static void check_thumbhash(size_t row, const char *got, const char *want)
{
    uint8_t a[40], b[40];
    size_t n = unbase64(got, a);
    unsigned off = 0;

    if (unbase64(want, b) != n || memcmp(a, b, 5) != 0)
        fail_msg("row %zu, thumbhash: %s and not %s", row, got, want);
    for (size_t i = 5; i < n; i++) {
        off += a[i] >> 4 != b[i] >> 4;
        off += (a[i] & 15) != (b[i] & 15);
        if (abs((a[i] >> 4) - (b[i] >> 4)) > 1 || abs((a[i] & 15) - (b[i] & 15)) > 1 || off > 4)
            fail_msg("row %zu, thumbhash: %s and not %s", row, got, want);
    }
}

static void hashes_are_those_of_the_reference_encoders(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(vectors); i++) {
        struct summary_picture p =
            draw(vectors[i].pattern, vectors[i].width, vectors[i].height, 1);
        char text[48];

        summary_blurhash(&p, text);
        check_text(i, "blurhash", text, vectors[i].blurhash);
        summary_thumbhash(&p, text);
        check_thumbhash(i, text, vectors[i].thumbhash);
        summary_dhash(&p, text);
        check_text(i, "dhash", text, vectors[i].dhash);
        summary_phash(&p, text);
        check_text(i, "phash", text, vectors[i].phash);
        drop_picture(&p);
    }
}

static void hashes_do_not_depend_on_the_size(void **state)
{
    (void)state;
    for (int pattern = 0; pattern < 5; pattern++) {
        char one[17], three[17];
        struct summary_picture p = draw(pattern, 9, 8, 1), q = draw(pattern, 9, 8, 3);

        summary_dhash(&p, one);
        summary_dhash(&q, three);
        assert_string_equal(one, three);
        drop_picture(&p);
        drop_picture(&q);
        p = draw(pattern, 32, 32, 1);
        q = draw(pattern, 32, 32, 3);
        summary_phash(&p, one);
        summary_phash(&q, three);
        assert_string_equal(one, three);
        drop_picture(&p);
        drop_picture(&q);
    }
}

static void dominant_colours_are_in_the_order_of_their_share(void **state)
{
    static uint8_t rgba[100 * 4];
    struct summary_picture p = {rgba, 10, 10};
    struct wire_colour colours[WIRE_COLOURS_MAX];
    (void)state;

    for (int i = 0; i < 100; i++) {
        uint8_t *c = rgba + 4 * i;

        memset(c, 0, 4);
        c[i < 60 ? 2 : 0] = (uint8_t)(i < 60 ? 200 : 250);
        c[3] = i < 90 ? 255 : 0; /* what is not seen does not count */
    }
    assert_int_equal(summary_colours(&p, colours), 2);
    assert_memory_equal(colours[0].rgb, "\0\0\xc8", 3);
    assert_int_equal(colours[0].share, 666);
    assert_memory_equal(colours[1].rgb, "\xfa\0\0", 3);
    assert_int_equal(colours[1].share, 333);
    memset(rgba, 0, sizeof rgba);
    assert_int_equal(summary_colours(&p, colours), 0);
}

/* --- a file ---------------------------------------------------------------------------------- */

static VipsImage *camera(void)
{
    VipsImage *im = quarters(200, 100), *copy;

    VIPS_OK(vips_copy(im, &copy, NULL));
    vips_image_set_string(copy, "exif-ifd0-Make", "Caf\u00e9");
    vips_image_set_string(copy, "exif-ifd2-ExposureTime", "1/250");
    vips_image_set_string(copy, "exif-ifd3-GPSLatitude", "52/1 31/1 12/1");
    vips_image_set_int(copy, VIPS_META_ORIENTATION, 6);
    g_object_unref(im);
    return copy;
}

static const char *exif_of(const struct wire_info *info, const char *name)
{
    for (size_t i = 0; i < info->n_exif; i++) {
        if (strcmp(info->exif[i].name, name) == 0)
            return info->exif[i].value;
    }
    return NULL;
}

static void a_camera_s_file_is_described(void **state)
{
    VipsImage *im = camera();
    struct bytes b = encode(im, "jpg");
    struct wire_report r;
    const char *make;
    (void)state;

    write_file(WORK_SOURCE, b);
    assert_int_equal(run_order("{'source': {'path': 'x'}}", &r), ERR_OK);
    assert_int_equal(r.n_outputs, 0);
    assert_true(r.has_info);
    assert_int_equal(r.source_format, IMAGE_JPEG);
    assert_int_equal(r.source_width, 200);
    assert_int_equal(r.info.orientation, 6);
    assert_int_equal(r.info.pages, 1);
    assert_int_equal(r.info.bits, 8);
    assert_false(r.info.has_alpha);
    assert_string_equal(r.info.space, "srgb");
    make = exif_of(&r.info, "Make");
    assert_non_null(make);
    assert_true(strncmp(make, "Caf", 3) == 0 && utf8_is_text(slice_str(make)));
    assert_string_equal(exif_of(&r.info, "ExposureTime"), "1/250");
    assert_null(exif_of(&r.info, "GPSLatitude"));
    assert_int_equal(strlen(r.info.blurhash), 28);
    assert_int_equal(strlen(r.info.phash), 16);
    assert_int_equal(r.info.n_colours, 4);
    assert_int_equal(run_order("{'source': {'path': 'x'}, 'gps': true}", &r), ERR_OK);
    assert_non_null(exif_of(&r.info, "GPSLatitude"));
    bytes_free(b);
    g_object_unref(im);
}

/* The hashes are of what is seen: a turned file has those of the picture that it shows. */
static void a_description_is_of_the_picture_as_shown(void **state)
{
    VipsImage *im = camera(), *shown;
    struct bytes b = encode(im, "png"), c;
    struct wire_report turned, straight;
    (void)state;

    VIPS_OK(vips_rot(im, &shown, VIPS_ANGLE_D90, NULL));
    vips_image_remove(shown, VIPS_META_ORIENTATION);
    c = encode(shown, "png");
    write_file(WORK_SOURCE, c);
    assert_int_equal(run_order("{'source': {'path': 'x'}}", &straight), ERR_OK);
    write_file(WORK_SOURCE, b);
    assert_int_equal(
        run_order("{'source': {'path': 'x'}, 'describe': true, 'outputs': [{'name': "
                  "'a', 'ops': [{'resize': {'width': 50}}]}, {'name': 'b'}]}",
                  &turned),
        ERR_OK);
    assert_int_equal(turned.n_outputs, 2);
#if VIMAGE_815 /* before, libvips wrote no EXIF into a PNG */
    assert_string_equal(turned.info.blurhash, straight.info.blurhash);
    assert_string_equal(turned.info.phash, straight.info.phash);
#endif
    bytes_free(b);
    bytes_free(c);
    g_object_unref(im);
    g_object_unref(shown);
}

static void every_kind_of_picture_is_described(void **state)
{
    static const double colour[] = {120, 60, 30, 128};
    static const char *const suffixes[] = {"png", "gif", "webp", "tiff", "png[palette]"};
    (void)state;

    for (size_t i = 0; i < COUNT_OF(suffixes) * 4; i++) {
        int bands = (int)(i % 4) + 1;
        VipsImage *im = plain(30, 500, colour, bands);
        struct bytes b = encode(im, suffixes[i / 4]);
        struct wire_report r;

        write_file(WORK_SOURCE, b);
        if (run_order("{'source': {'path': 'x'}}", &r) != ERR_OK)
            fail_msg("%s, %d bands: %s", suffixes[i / 4], bands, r.text);
        assert_int_equal(strlen(r.info.dhash), 16);
        bytes_free(b);
        g_object_unref(im);
    }
}

RENDER_TESTS(cmocka_unit_test(hashes_are_those_of_the_reference_encoders),
             cmocka_unit_test(hashes_do_not_depend_on_the_size),
             cmocka_unit_test(dominant_colours_are_in_the_order_of_their_share),
             TEST(a_camera_s_file_is_described), TEST(a_description_is_of_the_picture_as_shown),
             TEST(every_kind_of_picture_is_described))
