#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "worker/render/child/icc.h"
#include "worker/render/child/probe.h"

#define MAX_PIXELS 100000000u
#define B(s)       ((struct slice){"" s, sizeof(s) - 1})
#define PNG_MAGIC  "\x89PNG\r\n\x1a\n"
/* 16 x 9, 8 bits RGB; the CRCs are left to the decoder. */
#define IHDR              "\0\0\0\x0dIHDR\0\0\0\x10\0\0\0\x09\x08\2\0\0\0crc!"
#define IDAT              "\0\0\0\4IDATdatacrc!"
#define IEND              "\0\0\0\0IENDcrc!"
#define SOF               "\xff\xc0\0\x0b\x08\0\x09\0\x10\1\1\x11\0"
#define SOS               "\xff\xda\0\x08\1\1\0\0\x3f\0"
#define GIFH              "GIF89a\x10\0\x09\0\0\0\0"
#define GIMG              ",\0\0\0\0\x10\0\x09\0\0\2\1x\0"
#define WEBP(len, chunks) "RIFF" len "WEBP" chunks
#define VP8(w, h)         "VP8 \x0a\0\0\0\x10\0\0\x9d\x01\x2a" w h
#define FTYP     \
    "\0\0\0\x14" \
    "ftypavif\0\0\0\0avif"
#define ISPE "\0\0\0\x14ispe\0\0\0\0\0\0\0\x10\0\0\0\x09"
#define META "\0\0\0\x30meta\0\0\0\0\0\0\0\x24iprp\0\0\0\x1cipco" ISPE

static const struct probe_limits limits = {.pixels = MAX_PIXELS, .svg_bytes = 4096};

static const struct {
    struct slice in;
    enum err want;
    const char *text; /* part of the fault, or the format's name */
} files[] = {
    {B(PNG_MAGIC IHDR IDAT IEND), ERR_OK, "png"},
    {B(PNG_MAGIC IHDR IDAT IEND "and a ZIP behind it"), ERR_OK, "png"},
    {B("\xff\xd8\xff\xe0\0\4ab" SOF SOS "data\xff\xd9"), ERR_OK, "jpeg"},
    {B("\xff\xd8\xff\xff\xff\xe0\0\4ab padding " SOF SOS "data\xff\xd9 more"), ERR_OK, "jpeg"},
    {B(GIFH GIMG ";"), ERR_OK, "gif"},
    {B("GIF87a\x10\0\x09\0\x80\0\0abcdef!\xf9\4\0\0\0\0\0" GIMG), ERR_OK, "gif"},
    {B(WEBP("\x16\0\0\0", VP8("\x10\0", "\x09\0"))), ERR_OK, "webp"},
    {B(WEBP("\x12\0\0\0", "VP8L\5\0\0\0\x2f\x0f\0\2\0\0")), ERR_OK, "webp"},
    {B(WEBP("\x28\0\0\0", "VP8X\x0a\0\0\0\0\0\0\0\x0f\0\0\x08\0\0" VP8("\x10\0", "\x09\0"))),
     ERR_OK, "webp"},
    {B(FTYP META "\0\0\0\x0cmdatdata"), ERR_OK, "avif"},
    {B(FTYP META "\0\0\0\0mdatto the end"), ERR_OK, "avif"},
    {B("\0\0\0\x18"
       "ftypmif1\0\0\0\0mif1avif" META),
     ERR_OK, "avif"},

    /* Cut off, or with lengths that lie. */
    {B(""), ERR_MALFORMED, "empty"},
    {B(PNG_MAGIC), ERR_MALFORMED, "does not begin with a header"},
    {B(PNG_MAGIC IHDR), ERR_MALFORMED, "cut off"},
    {B(PNG_MAGIC IHDR IDAT), ERR_MALFORMED, "cut off"},
    {B(PNG_MAGIC IHDR IEND), ERR_MALFORMED, "no picture"},
    {B(PNG_MAGIC IHDR "\x7f\xff\xff\xffiCCPxxxxcrc!" IDAT IEND), ERR_MALFORMED,
     "longer than the file"},
    {B(PNG_MAGIC IHDR "\xff\xff\xff\xffIDATxxxxcrc!" IEND), ERR_MALFORMED,
     "longer than the file"},
    {B(PNG_MAGIC "\0\0\0\x0dIHDR\0\0\0\0\0\0\0\x09\x08\2\0\0\0crc!" IDAT IEND), ERR_MALFORMED,
     "no size"},
    {B("\xff\xd8\xff"), ERR_MALFORMED, "cut off"},
    {B("\xff\xd8\xff\xe0\xff\xff"
       "a short segment"),
     ERR_MALFORMED, "longer than the file"},
    {B("\xff\xd8\xff\xe0\0\1xx"), ERR_MALFORMED, "longer than the file"},
    {B("\xff\xd8" SOS), ERR_MALFORMED, "no header"},
    {B("\xff\xd8" SOF SOS "data\xff"), ERR_MALFORMED, "cut off"},
    {B("\xff\xd8" SOF SOF SOS), ERR_MALFORMED, "two frames"},
    {B("\xff\xd8\xff\xc0\0\x0b\x08\0\0\0\x10\1\1\x11\0" SOS), ERR_MALFORMED, "no size"},
    {B("\xff\xd8\xff\xd9\0\0\0"), ERR_MALFORMED, "ends before its picture"},
    {B("GIF89a"), ERR_MALFORMED, "cut off"},
    {B(GIFH ";"), ERR_MALFORMED, "no picture"},
    {B(GIFH ",\0\0\0\0\x10\0\x09\0\0\2\x20x"), ERR_MALFORMED, "cut off"},
    {B(GIFH "!\xf9\xff\0"), ERR_MALFORMED, "cut off"},
    {B(GIFH "?"), ERR_MALFORMED, "unknown block"},
    {B("GIF89a\x10\0\x09\0\xf7\0\0,"), ERR_MALFORMED, "cut off"},
    {B(WEBP("\x17\0\0\0", VP8("\x10\0", "\x09\0"))), ERR_MALFORMED,
     "shorter than its header says"},
    {B(WEBP("\x12\0\0\0", "VP8L\x08\0\0\0\x2f\x0f\0\2\0\0")), ERR_MALFORMED,
     "longer than the file"},
    {B(WEBP("\4\0\0\0", "")), ERR_MALFORMED, "no picture"},
    {B(WEBP("\x0c\0\0\0", "VP8 \0\0\0\0")), ERR_MALFORMED, "no header"},
    {B(FTYP "\0\0\1\0meta\0\0\0\0"), ERR_MALFORMED, "longer than the file"},
    {B(FTYP META "\0\0\0\xffmdatdata"), ERR_MALFORMED, "longer than the file"},
    {B(FTYP META "\0\0\0\1mdat\xff\xff\xff\xff\xff\xff\xff\xff"), ERR_MALFORMED,
     "longer than the file"},
    {B(FTYP "\0\0\0\4meta\0\0\0\0"), ERR_MALFORMED, "longer than the file"},
    {B(FTYP "\0\0\0\x0c"
            "freedata"),
     ERR_MALFORMED, "no picture"},

    /* Bombs: small files that claim to be large. */
    {B(PNG_MAGIC "\0\0\0\x0dIHDR\0\0\xc3\x50\0\0\xc3\x50\x08\2\0\0\0crc!" IDAT IEND),
     ERR_TOO_BIG, "50000 x 50000 = 2500000000 pixels, the limit is 100000000"},
    {B(WEBP("\x14\0\0\0", "VP8L\x08\0\0\0\x2f\xfe\xbf\xff\x0f\0\0\0")), ERR_TOO_BIG,
     "16383 x 16383"},
    {B("GIF89a\xff\xff\xff\xff\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\xff\xff\xff\xff\0\2\2L\1\0;"),
     ERR_TOO_BIG, "65535 x 65535"},
    {B("GIF89a\1\0\1\0\0\0\0,\0\0\0\0\xff\xff\xff\xff\0\2\2L\1\0;"), ERR_TOO_BIG,
     "65535 x 65535"},
    {B("\xff\xd8\xff\xc2\0\x0b\x08\xff\xdc\xff\xdc\1\1\x11\0" SOS "\xff\xd9"), ERR_TOO_BIG,
     "65500 x 65500"},
    {B(FTYP "\0\0\0\x30meta\0\0\0\0\0\0\0\x24iprp\0\0\0\x1cipco\0\0\0\x14ispe\0\0\0\0\0\0\x42"
            "\x68\0\0\x42\x68"),
     ERR_TOO_BIG, "17000 x 17000"},

    /* Strangers are named. */
    {B("II*\0\x08\0\0\0"), ERR_MALFORMED, "broken tiff: a directory lies outside"},
    {B("%PDF-1.7"), ERR_UNSUPPORTED, "PDF"},
    {B("<svg xmlns="), ERR_UNSUPPORTED, "begins with 3c 73 76 67"},
    {B("<?xml version='1.0'?><html/>"), ERR_UNSUPPORTED, "XML"},
    {B("\xff\xfe<\0s\0v\0g\0"), ERR_UNSUPPORTED, "UTF-16"},
    {B("\0\0\0\x18"
       "ftypheic\0\0\0\0mif1heic"),
     ERR_MALFORMED, "broken heif: it holds no picture"},
    {B("\0\0\0\x18"
       "ftypmp42\0\0\0\0mp42isom"),
     ERR_UNSUPPORTED, "MP4"},
    {B("BM\x36\0\0\0"), ERR_UNSUPPORTED, "BMP"},
    {B("RIFF\x24\0\0\0WAVEfmt "), ERR_UNSUPPORTED, "WAV"},
    {B("\xff\x0a\0\0"), ERR_UNSUPPORTED, "JPEG XL"},
    {B("\x1f\x8b\x08\0"), ERR_UNSUPPORTED, "gzip"},
    {B("<!DOCTYPE html>"), ERR_UNSUPPORTED, "HTML"},
    {B("hello"), ERR_UNSUPPORTED, "begins with 68 65 6c 6c 6f"},
    {B("\x89PN"), ERR_UNSUPPORTED, "begins with 89 50 4e"},
};

static void each_file_is_judged_by_its_bytes(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(files); i++) {
        /* A copy of its own, so that ASan sees a read beyond the end. */
        char *copy = malloc(files[i].in.len + 1);
        struct fault why = {0};
        struct probe p = {0};
        enum err e;

        assert_non_null(copy);
        memcpy(copy, files[i].in.ptr, files[i].in.len);
        copy = realloc(copy, files[i].in.len > 0 ? files[i].in.len : 1);
        e = probe_bytes(slice_of(copy, files[i].in.len), &limits, &p, &why);
        free(copy);
        if (e != files[i].want || (e != ERR_OK && strstr(why.text, files[i].text) == NULL))
            fail_msg("row %zu: %s, \"%s\" and not \"%s\"", i, err_name(e), why.text,
                     files[i].text);
        if (e == ERR_OK && (p.width != 16 || p.height != 9))
            fail_msg("row %zu: %u x %u", i, p.width, p.height);
        if (e == ERR_OK)
            assert_string_equal(image_format_name(p.format), files[i].text);
    }
}

/* Whole files but for the last byte, the last two, ...: never taken for whole where lengths
 * tell. */
static void no_prefix_of_a_png_or_webp_passes(void **state)
{
    static const struct slice whole[] = {
        B(PNG_MAGIC IHDR IDAT IEND),
        B(WEBP("\x16\0\0\0", VP8("\x10\0", "\x09\0"))),
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(whole); i++) {
        for (size_t n = 0; n < whole[i].len; n++) {
            struct probe p;

            assert_int_not_equal(probe_bytes(slice_of(whole[i].ptr, n), &limits, &p, NULL),
                                 ERR_OK);
        }
    }
}

static void pages_multiply_the_pixels(void **state)
{
    struct fault why;
    (void)state;
    assert_int_equal(probe_check_pixels(1000, 1000, 100, MAX_PIXELS, &why), ERR_OK);
    assert_int_equal(probe_check_pixels(1000, 1000, 101, MAX_PIXELS, &why), ERR_TOO_BIG);
    assert_string_equal(why.text, "the source is 1000 x 1000 pixels in 101 pages, the limit is "
                                  "100000000 in all (SOURCE_PIXELS)");
    assert_int_equal(probe_check_pixels(UINT32_MAX, UINT32_MAX, UINT32_MAX, MAX_PIXELS, &why),
                     ERR_TOO_BIG);
}

/* --- colour profiles
 * --------------------------------------------------------------------------- */

static size_t make_profile(char *dst, const char *space, const char *tag, size_t tag_len)
{
    memset(dst, 0, 128);
    memcpy(dst + 16, space, 4);
    memcpy(dst + 128, "\0\0\0\1desc\0\0\0\x90", 12);
    dst[140] = 0;
    dst[141] = 0;
    dst[142] = 0;
    dst[143] = (char)tag_len;
    memcpy(dst + 144, tag, tag_len);
    return 144 + tag_len;
}

static const struct {
    const char *space;
    struct slice tag;
    bool want;
} profiles[] = {
    {"RGB ", B("desc\0\0\0\0\0\0\0\x12sRGB IEC61966-2.1\0"), true},
    {"RGB ",
     B("desc\0\0\0\0\0\0\0\3"
       "c2\0"),
     true},
    {"RGB ",
     B("mluc\0\0\0\0\0\0\0\1\0\0\0\x0c"
       "enUS\0\0\0\x08\0\0\0\x1c\0s\0R\0G\0B"),
     true},
    {"RGB ",
     B("desc\0\0\0\0\0\0\0\x0a"
       "Adobe RGB\0"),
     false},
    {"RGB ", B("desc\0\0\0\0\0\0\0\x11sRGB-elle-V2-g10\0"), false},
    {"GRAY", B("desc\0\0\0\0\0\0\0\5sRGB\0"), false},
    {"RGB ", B("desc\0\0\0\0\xff\xff\xff\xffsRGB"), false},
    {"RGB ",
     B("mluc\0\0\0\0\0\0\0\1\0\0\0\x0c"
       "enUS\0\0\0\x08\xff\xff\xff\xf0\0s\0R\0G\0B"),
     false},
    {"RGB ",
     B("mluc\0\0\0\0\0\0\0\1\0\0\0\x0c"
       "enUS\xff\xff\xff\xff\0\0\0\x1c\0s\0R\0G\0B"),
     false},
    {"RGB ", B("desc"), false},
    {"RGB ", B(""), false},
};

static void only_profiles_that_are_srgb_are_taken_for_it(void **state)
{
    char bytes[256];
    (void)state;
    for (size_t i = 0; i < COUNT_OF(profiles); i++) {
        size_t n =
            make_profile(bytes, profiles[i].space, profiles[i].tag.ptr, profiles[i].tag.len);

        if (icc_is_srgb(slice_of(bytes, n)) != profiles[i].want)
            fail_msg("row %zu", i);
        for (size_t cut = 0; cut < n; cut++)
            assert_false(icc_is_srgb(slice_of(bytes, cut)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_file_is_judged_by_its_bytes),
        cmocka_unit_test(no_prefix_of_a_png_or_webp_passes),
        cmocka_unit_test(pages_multiply_the_pixels),
        cmocka_unit_test(only_profiles_that_are_srgb_are_taken_for_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
