/* SVG: what the look before the parser refuses, and what is drawn: size, place, sharpness. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shared/hash.h"
#include "tests/unit/render_help.h"

#define NS  " xmlns='http://www.w3.org/2000/svg' xmlns:xlink='http://www.w3.org/1999/xlink'"
#define SVG "<svg" NS " width='16' height='9'>"
#define PIXEL                                                                                  \
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR42mP4z8AAAAMBAQD3A0FDAAAAAElFTkSu" \
    "QmCC"
#define DATA    "data:image/png;base64," PIXEL
#define XINC    "http://www.w3.org/2001/XInclude"
#define DOCTYPE "<!DOCTYPE svg PUBLIC '-//W3C//DTD SVG 1.1//EN' 'http://www.w3.org/a>b.dtd' "

/* --- the look before ------------------------------------------------------------------------- */

static const struct {
    const char *in;
    enum err want;
    const char *text; /* part of the fault */
} files[] = {
    {SVG "</svg>", ERR_OK, ""},
    {"<svg" NS " width='16' height='9'/>", ERR_OK, ""},
    {"\xef\xbb\xbf" SVG "</svg>", ERR_OK, ""},
    {" \n<!-- <svg width='9'> --><?pi <svg>?>" SVG "</svg>", ERR_OK, ""},
    {"<?xml version='1.0' encoding='ISO-8859-1'?>\n" DOCTYPE ">\n" SVG "</svg>", ERR_OK, ""},
    {DOCTYPE "[ <!-- ]> --> <!ENTITY a ']>'> <?pi ]>?> ] >" SVG "&a;</svg>", ERR_OK, ""},
    {"<s:svg xmlns:s='http://www.w3.org/2000/svg' width='16px' height=' 9 '><a/></s:svg>",
     ERR_OK, ""},
    {"<svg" NS " width='4.2333mm' height='6.75pt'/>", ERR_OK, ""},
    {"<svg" NS " viewBox='0 0 16 9'/>", ERR_OK, ""},
    {"<svg" NS " viewBox='0,0,\n16\t9' width='100%' height='100%'/>", ERR_OK, ""},
    {"<svg" NS " viewBox='0 0 32 18' width='16'/>", ERR_OK, ""},
    {"<svg" NS " viewBox='0 0 32 18' height='9'/>", ERR_OK, ""},
    {SVG "<![CDATA[ <a> ]]><a b='<>'></a></svg> and what follows", ERR_OK, ""},
    {SVG "<image href='" DATA "'/></svg>", ERR_OK, ""},
    {SVG "<image xlink:href='&#32;d&#x61;ta:image/png;base64,&#10;" PIXEL "'/></svg>", ERR_OK,
     ""},
    {SVG "<image href='http://127.0.0.1/a.png'/><use href='file:///etc/passwd#a'/></svg>",
     ERR_OK, ""},
    {SVG "<style>@font-face{src:url(data:font/woff;base64,AAAA)}</style></svg>", ERR_OK, ""},

    {"<svg", ERR_UNSUPPORTED, "begins with"},
    {SVG, ERR_MALFORMED, "cut off"},
    {SVG "<a></svg", ERR_MALFORMED, "cut off"},
    {SVG "<a><b/></svg>", ERR_MALFORMED, "cut off"},
    {SVG "<!-- </svg>", ERR_MALFORMED, "cut off"},
    {"<svg a=b></svg>", ERR_MALFORMED, "an attribute"},
    {"<svg" NS " width='1e7' height='1e7'/>", ERR_TOO_BIG,
     "10000000 x 10000000 = 100000000000000 pixels, the limit is 1000000 (SOURCE_PIXELS)"},
    {"<svg" NS " width='1e300' height='9'/>", ERR_TOO_BIG, "4294967295 x 9"},
    {"<svg" NS " width='1001in' height='1001in'/>", ERR_TOO_BIG, "96096 x 96096"},
    {"<svg" NS " viewBox='0 0 1001 1001'/>", ERR_TOO_BIG, "1001 x 1001"},
    {"<svg" NS " viewBox='0 0 1 1e9' width='9'/>", ERR_TOO_BIG, "9 x 4294967295"},
    {"<!DOCTYPE svg [<!ENTITY w '9999'>]><svg" NS " width='&w;' height='&w;'/>", ERR_TOO_BIG,
     "9999 x 9999"},

    {"<?xml version='1.0' encoding='UTF-7'?>" SVG "</svg>", ERR_UNSUPPORTED,
     "an encoding other than UTF-8"},
    {"<?xml version='1.0' encoding='UTF-16'?>" SVG "</svg>", ERR_UNSUPPORTED, "an encoding"},
    {"<!DOCTYPE svg [<!ENTITY x SYSTEM 'file:///etc/passwd'>]>" SVG "&x;</svg>",
     ERR_UNSUPPORTED, "an entity that is not in the file"},
    {"<!DOCTYPE svg [<!ENTITY x PUBLIC 'a' \"file:///etc/passwd\">]>" SVG "&x;</svg>",
     ERR_UNSUPPORTED, "an entity that"},
    {"<!DOCTYPE svg [<!ENTITY % x SYSTEM 'http://127.0.0.1/'>%x;]>" SVG "</svg>",
     ERR_UNSUPPORTED, "an entity that is not in the file"},
    {"<!DOCTYPE svg [%x;]>" SVG "</svg>", ERR_UNSUPPORTED, "declarations"},
    {"<!DOCTYPE svg [<!ENTITY a 'a'><!ENTITY b '&a;&a;'>]>" SVG "&b;</svg>", ERR_UNSUPPORTED,
     "more than text"},
    {"<!DOCTYPE svg [<!ENTITY a '&#60;image/>'>]>" SVG "&a;</svg>", ERR_UNSUPPORTED,
     "more than text"},
    {"<!DOCTYPE svg [<!ENTITY a '<image/>'>]>" SVG "&a;</svg>", ERR_UNSUPPORTED,
     "more than text"},
    {"<!DOCTYPE svg [<!ATTLIST svg xmlns:xi CDATA '" XINC "'>]>" SVG "</svg>", ERR_UNSUPPORTED,
     "declarations"},
    {"<!DOCTYPE svg [<!ENTITY a 'a'>" SVG "</svg>", ERR_UNSUPPORTED, "HTML or XML"},
    {"<svg" NS " xmlns:xi='" XINC "'><xi:include href='/etc/passwd' parse='text'/></svg>",
     ERR_UNSUPPORTED, "XInclude"},
    {"<!DOCTYPE svg [<!ENTITY a 'XInc'>]><svg xmlns:b='http://www.w3.org/2001/&a;l&#117;de'/>",
     ERR_UNSUPPORTED, "XInclude"},

    {SVG "<image href='data:image/svg+xml,%3Csvg/%3E'/></svg>", ERR_UNSUPPORTED,
     "embeds: it is SVG"},
    {SVG "<image href='DATA:;base64,PHN2Zy8+'/></svg>", ERR_UNSUPPORTED, "embeds: it is SVG"},
    {SVG "<use href='\x01 d&#10;ata:,%3C!--a--%3E%3Csvg/%3E#a'/></svg>", ERR_UNSUPPORTED,
     "embeds: it is SVG"},
    {SVG "<rect fill='url( &#34;data:,%3Csvg/%3E#a&quot;)'/></svg>", ERR_UNSUPPORTED,
     "a document that it embeds"},
    {"<!DOCTYPE svg [<!ENTITY d 'data:'>]>" SVG "<image href='&d;,%3Csvg/%3E'/></svg>",
     ERR_UNSUPPORTED, "embeds: it is SVG"},
    {SVG "<image "
         "href='data:,GIF89a%01%00%01%00%00%00%00,%00%00%00%00%01%00%01%00%00%02%00;'/></svg>",
     ERR_UNSUPPORTED, "embeds: it is gif; PNG and JPEG are drawn"},
    {SVG "<image href='data:image/png;base64,!!!!'/></svg>", ERR_UNSUPPORTED, "cannot be read"},
    {SVG "<image href='data:image/png'/></svg>", ERR_UNSUPPORTED, "cannot be read"},
    {SVG "<image href='data:,hello'/></svg>", ERR_UNSUPPORTED,
     "embeds: the source is no image"},
    {SVG "<image href='data:,%89PNG%0d%0a%1a%0a'/></svg>", ERR_MALFORMED, "embeds: broken png"},
};

static const struct probe_limits limits = {.pixels = 1000000, .svg_bytes = SVG_BYTES};

static enum err probe_copy(struct slice s, const struct probe_limits *l, struct probe *p,
                           struct fault *why)
{
    char *copy =
        malloc(s.len + 1); /* of its own size, so that ASan sees a read beyond the end */
    enum err e;

    assert_non_null(copy);
    memcpy(copy, s.ptr, s.len);
    copy = realloc(copy, s.len);
    e = probe_bytes(slice_of(copy, s.len), l, p, why);
    free(copy);
    return e;
}

static void each_file_is_judged_before_it_is_parsed(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(files); i++) {
        struct fault why = {0};
        struct probe p = {0};
        enum err e = probe_copy(slice_str(files[i].in), &limits, &p, &why);

        if (e != files[i].want || strstr(why.text, files[i].text) == NULL)
            fail_msg("%s: %s, \"%s\" and not \"%s\"", files[i].in, err_name(e), why.text,
                     files[i].text);
        if (e == ERR_OK && (p.format != IMAGE_SVG || p.width != 16 || p.height != 9))
            fail_msg("%s: %u x %u", files[i].in, p.width, p.height);
    }
}

static void no_prefix_is_taken_for_whole(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(files); i++) {
        const char *end = strstr(files[i].in, "</svg>");
        size_t len = end == NULL ? 0 : (size_t)(end - files[i].in) + 5;
        struct probe p;

        for (size_t n = 1; files[i].want == ERR_OK && n <= len; n++)
            assert_int_not_equal(probe_copy(slice_of(files[i].in, n), &limits, &p, NULL),
                                 ERR_OK);
    }
}

static void without_a_size_the_look_says_nothing(void **state)
{
    static const char *const table[] = {"<svg/>",
                                        "<svg width='50%' height='-3'/>",
                                        "<svg width='nan' height='inf'/>",
                                        "<svg width='0x9' height='9q'/>",
                                        "<svg viewBox='0 0 0 5'/>",
                                        "<svg viewBox='1 2 3'/>"};
    (void)state;

    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct probe p = {.width = 7};

        assert_int_equal(probe_bytes(slice_str(table[i]), &limits, &p, NULL), ERR_OK);
        assert_true(p.width == 0 && p.height == 0);
    }
}

static void where_the_operator_takes_none_the_key_is_named(void **state)
{
    const struct probe_limits none = {.pixels = 1000000};
    struct fault why;
    struct probe p;
    (void)state;

    for (size_t i = 0; i < COUNT_OF(files); i++) {
        if (strcmp(files[i].in, "<svg") == 0 || strstr(files[i].text, "HTML") != NULL)
            continue; /* not even that can be told */
        assert_int_equal(probe_bytes(slice_str(files[i].in), &none, &p, &why), ERR_UNSUPPORTED);
        assert_string_equal(why.text,
                            "the source is SVG, which is not taken here (SOURCE_SVG is off)");
    }
}

/* n references to an entity of so many bytes, in a text or in an attribute. */
static enum err refer(size_t bytes, size_t n, bool attr, struct fault *why)
{
    struct buf b = {0};
    struct probe p;
    enum err e;

    buf_add_str(&b, "<!DOCTYPE svg [<!ENTITY a '");
    for (size_t i = 0; i < bytes; i++)
        buf_add_char(&b, 'A');
    buf_addf(&b, "'>]>%s%s", SVG, attr ? "<a b='" : "");
    for (size_t i = 0; i < n; i++)
        buf_add_str(&b, "&a;");
    buf_addf(&b, "%s</svg>", attr ? "'/>" : "");
    e = probe_copy(buf_slice(&b), &limits, &p, why);
    buf_done(&b);
    return e;
}

static void entities_count_as_bytes(void **state)
{
    struct fault why;
    (void)state;

    assert_int_equal(refer(1000, 60, false, &why), ERR_OK);
    assert_int_equal(refer(1000, 70, false, &why), ERR_TOO_BIG);
    assert_non_null(strstr(why.text, "SOURCE_SVG_BYTES"));
    assert_int_equal(refer(1000, 60, true, &why), ERR_OK);
    assert_int_equal(refer(1000, 70, true, &why), ERR_TOO_BIG);
    assert_int_equal(refer(SVG_BYTES, 0, false, &why), ERR_TOO_BIG);
    assert_non_null(strstr(why.text, "the limit is 65536 (SOURCE_SVG_BYTES)"));
}

static void entities_are_limited_in_number(void **state)
{
    (void)state;
    for (int n = 64; n <= 65; n++) {
        struct buf b = {0};
        struct probe p;

        buf_add_str(&b, "<!DOCTYPE svg [");
        for (int i = 0; i < n; i++)
            buf_addf(&b, "<!ENTITY e%d 'x'>", i);
        buf_add_str(&b, "]>" SVG "</svg>");
        assert_int_equal(probe_bytes(buf_slice(&b), &limits, &p, NULL),
                         n == 64 ? ERR_OK : ERR_UNSUPPORTED);
        buf_done(&b);
    }
}

/* Each within the limit, and together beyond it. */
static void embedded_pictures_count_together(void **state)
{
    VipsImage *black;
    struct bytes png;
    struct buf b = {0};
    struct probe p;
    struct fault why;
    (void)state;

    VIPS_OK(vips_black(&black, 800, 700, NULL));
    png = encode(black, "png");
    for (int n = 1; n <= 2; n++) {
        buf_clear(&b);
        buf_add_str(&b, SVG);
        for (int i = 0; i < n; i++) {
            buf_add_str(&b, "<image href='data:image/png;base64,");
            base64_add(&b, slice_of(png.ptr, png.len));
            buf_add_str(&b, "'/>");
        }
        buf_add_str(&b, "</svg>");
        assert_int_equal(probe_bytes(buf_slice(&b), &limits, &p, &why),
                         n == 1 ? ERR_OK : ERR_TOO_BIG);
    }
    assert_non_null(strstr(why.text, "embeds: the source is 800 x 700"));
    buf_done(&b);
    bytes_free(png);
    g_object_unref(black);
}

/* --- drawing --------------------------------------------------------------------------------- */

static const double red[] = {255, 0, 0, 255}, clear[] = {0, 0, 0, 0};

static enum err draw(const char *svg, const char *outputs, struct wire_report *r)
{
    enum err e = render((struct bytes){svg, strlen(svg)}, outputs, r);

    if (e != ERR_OK)
        print_message("%s\n", r->text);
    return e;
}

/* The first output, a PNG. */
static VipsImage *drawn(const char *svg, const char *ops, struct wire_report *r)
{
    char outputs[512];

    (void)snprintf(outputs, sizeof outputs, "[{'name': 'a', 'ops': [%s], 'format': 'png'}]",
                   ops);
    if (draw(svg, outputs, r) != ERR_OK)
        fail_msg("%s, %s: %s", svg, ops, r->text);
    return open_output(0);
}

#define RECT(x, y, w, h) \
    "<rect x='" #x "' y='" #y "' width='" #w "' height='" #h "' fill='red'/>"

static void a_rectangle_lies_where_it_is_said_to(void **state)
{
    struct wire_report r;
    VipsImage *im =
        drawn("<svg" NS " width='40' height='30'>" RECT(10, 5, 20, 10) "</svg>", "", &r);
    (void)state;

    assert_int_equal(r.source_format, IMAGE_SVG);
    assert_true(r.source_width == 40 && r.source_height == 30);
    assert_true(im->Xsize == 40 && im->Ysize == 30);
    check_point(im, 9, 9, clear, 4, 0);
    check_point(im, 10, 5, red, 4, 0);
    check_point(im, 29, 14, red, 4, 0);
    check_point(im, 30, 14, clear, 4, 0);
    check_point(im, 29, 15, clear, 4, 0);
    g_object_unref(im);
}

/* Pixels that are neither the one colour nor the other. */
static unsigned count_soft(VipsImage *im)
{
    unsigned n = 0;

    for (int y = 0; y < im->Ysize; y++) {
        const VipsPel *row = VIPS_IMAGE_ADDR(im, 0, y);

        for (int x = 0; x < im->Xsize; x++)
            n += row[4 * x + 3] != 0 && row[4 * x + 3] != 255;
    }
    return n;
}

static void it_is_drawn_as_large_as_it_is_needed(void **state)
{
    static const struct {
        const char *size, *resize;
        int width, height, left; /* of the rectangle, which begins at a quarter of the width */
    } rows[] = {
        {"width='40' height='40'", "'width': 400", 400, 400, 100},
        {"width='40' height='40'", "'width': 400, 'enlarge': true", 400, 400, 100},
        {"width='40' height='40'", "'width': 400, 'kernel': 'nearest'", 400, 400, 100},
        {"width='40' height='40'", "'height': 20", 20, 20, 5},
        {"width='39.6' height='39.6'", "'width': 400", 400, 400, 100},
        {"width='40.4' height='40.4'", "'width': 400", 400, 400, 100},
        {"", "'width': 400", 400, 400, 100},
        {"width='100%' height='100%'", "'width': 400", 400, 400, 100},
        {"width='40' height='40'", "'width': 400, 'height': 200, 'fit': 'cover'", 400, 200,
         100},
        {"width='40' height='40'", "'width': 400, 'max_width': 200", 200, 200, 50},
        {"width='40' height='40'", "'width': 100, 'dpr': 4", 400, 400, 100},
        {"width='40' height='40'", "'width': 400, 'height': 4, 'fit': 'fill'", 400, 4, 100},
    };
    (void)state;

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char svg[512], ops[128];
        struct wire_report r;
        VipsImage *im;

        (void)snprintf(svg, sizeof svg,
                       "<svg" NS " viewBox='0 0 40 40' %s>" RECT(10, 0, 20, 40) "</svg>",
                       rows[i].size);
        (void)snprintf(ops, sizeof ops, "{'resize': {%s}}", rows[i].resize);
        im = drawn(svg, ops, &r);
        if (im->Xsize != rows[i].width || im->Ysize != rows[i].height)
            fail_msg("%s, %s: %d x %d", rows[i].size, rows[i].resize, im->Xsize, im->Ysize);
        check_point(im, rows[i].left - 2, rows[i].height / 2, clear, 4, 0);
        check_point(im, rows[i].left + 1, rows[i].height / 2, red, 4, 0);
        /* At most the column, at each end of the rectangle, that its edge runs through. */
        if (count_soft(im) > 2u * (unsigned)im->Ysize)
            fail_msg("%s, %s: %u soft pixels", rows[i].size, rows[i].resize, count_soft(im));
        g_object_unref(im);
    }
}

/* Drawn once, as large as the largest needs it. */
static void all_outputs_come_from_one_drawing(void **state)
{
    struct wire_report r;
    static const double white[] = {255, 255, 255}, on[] = {255, 0, 0};
    static const int sides[] = {32, 500, 64};
    (void)state;

    assert_int_equal(draw("<svg" NS " width='64' height='64'>" RECT(16, 0, 32, 64) "</svg>",
                          "[{'name': 'a', 'ops': [{'resize': {'width': 32}}, {'flatten': {}}], "
                          "'format': 'png'},"
                          " {'name': 'b', 'ops': [{'resize': {'width': 500}}, {'flatten': "
                          "{}}], 'format': 'png'},"
                          " {'name': 'c', 'ops': [{'flatten': {}}], 'format': 'png'}]",
                          &r),
                     ERR_OK);
    for (unsigned i = 0; i < COUNT_OF(sides); i++) {
        VipsImage *im = open_output(i);

        assert_int_equal(im->Xsize, sides[i]);
        check_point(im, im->Xsize / 2, im->Ysize / 2, on, 3, 3);
        check_point(im, im->Xsize / 8, im->Ysize / 2, white, 3, 3);
        g_object_unref(im);
    }
}

/* Only a resize that comes first decides how large it is drawn: what comes later counts in its pixels. */
static void other_operations_see_its_own_size(void **state)
{
    struct wire_report r;
    VipsImage *im = drawn("<svg" NS " width='40' height='40'>" RECT(20, 0, 20, 40) "</svg>",
                          "{'extract': {'left': 20}}, {'resize': {'width': 100}}", &r);
    (void)state;

    assert_true(im->Xsize == 20 && im->Ysize == 40);
    check_point(im, 0, 0, red, 4, 0);
    g_object_unref(im);
}

static void limits_hold_for_drawings(void **state)
{
    struct wire_report r;
    (void)state;

    assert_int_equal(draw("<svg" NS " width='10' height='10'/>",
                          "[{'name': 'a', 'ops': [{'resize': {'width': 16384}}]}]", &r),
                     ERR_TOO_BIG);
    assert_non_null(strstr(r.text, "(OUTPUT_PIXELS)"));
    /* By its style alone, which only the library reads. */
    assert_int_equal(
        draw("<svg" NS " style='width:20000px;height:20000px'/>", "[{'name': 'a'}]", &r),
        ERR_TOO_BIG);
    assert_non_null(strstr(r.text, "20000 x 20000 = 400000000 pixels, the limit is 100000000"));
    /* Stretched to a shape that its own would need far too many pixels for. */
    assert_int_equal(draw("<svg" NS
                          " width='10' height='10000'>" RECT(0, 0, 10, 10000) "</svg>",
                          "[{'name': 'a', 'ops': [{'resize': {'width': 10000, 'height': 10, "
                          "'fit': 'fill'}}], 'format': 'png'}]",
                          &r),
                     ERR_OK);
    assert_true(r.outputs[0].width == 10000 && r.outputs[0].height == 10);
    assert_int_equal(draw("<svg" NS " width='1000' height='10'>" RECT(0, 0, 1000, 10) "</svg>",
                          "[{'name': 'a', 'ops': [{'resize': {'width': 16}}]}]", &r),
                     ERR_OK);
    assert_true(r.outputs[0].width == 16 && r.outputs[0].height == 1);
    assert_int_equal(draw("<svg" NS "/>", "[{'name': 'a'}]", &r), ERR_MALFORMED);
    assert_non_null(strstr(r.text, "broken svg: it has no size"));
}

static void what_is_refused_while_it_is_drawn(void **state)
{
    struct buf b = {0};
    struct wire_report r;
    (void)state;

    buf_add_str(&b, SVG);
    for (int i = 0; i < 3000; i++)
        buf_add_str(&b, "<g>");
    for (int i = 0; i < 3000; i++)
        buf_add_str(&b, "</g>");
    buf_add_str(&b, "</svg>");
    assert_int_equal(draw(buf_cstr(&b), "[{'name': 'a'}]", &r), ERR_TOO_BIG);
    buf_clear(&b);
    buf_add_str(&b, SVG "<defs><rect id='a0' width='1' height='1'/>");
    for (int i = 1; i < 10; i++) {
        buf_addf(&b, "<g id='a%d'>", i);
        for (int k = 0; k < 10; k++)
            buf_addf(&b, "<use href='#a%d'/>", i - 1);
        buf_add_str(&b, "</g>");
    }
    buf_add_str(&b, "</defs><use href='#a9'/></svg>");
    assert_int_equal(draw(buf_cstr(&b), "[{'name': 'a', 'format': 'png'}]", &r), ERR_TOO_BIG);
    buf_done(&b);
}

/* A file beside it, by every name that it might have: what is drawn is the same as without. */
static void no_file_is_read(void **state)
{
    static const char *const refs[] = {
        "<image width='16' height='9' href='@'/>",
        "<image width='16' height='9' xlink:href='file://@'/>",
        "<use href='@#a'/>",
        "<use xlink:href='file://@#a'/>",
        "<rect width='16' height='9' fill='url(@#b)'/>",
        "<rect width='16' height='9' fill='none' filter='url(file://@#a)'/>",
        "<filter id='f'><feImage href='file://@'/></filter><rect width='16' height='9' "
        "fill='none' filter='url(#f)'/>",
        "<style>@import url('@');</style><rect class='a' width='16' height='9' fill='none'/>",
    };
    static const char *const names[] = {"secret.svg", "secret.png", "secret.css"};
    VipsImage *im = plain(16, 9, red, 3);
    struct bytes png = encode(im, "png");
    char cwd[128];
    (void)state;

    assert_non_null(getcwd(cwd, sizeof cwd));
    write_file("secret.png", png);
    write_file("secret.css", (struct bytes){".a{fill:red !important}", 23});
    write_file("secret.svg",
               (struct bytes){SVG "<g id='a'>" RECT(0, 0, 16, 9) "</g></svg>",
                              sizeof(SVG "<g id='a'>" RECT(0, 0, 16, 9) "</g></svg>") - 1});
    for (size_t i = 0; i < COUNT_OF(refs) * COUNT_OF(names); i++) {
        const char *ref = refs[i / COUNT_OF(names)];
        size_t at = strcspn(ref, "@");
        char svg[1024];
        struct wire_report r;
        VipsImage *got;
        double most;

        (void)snprintf(svg, sizeof svg, SVG "%.*s%s/%s%s</svg>", (int)at, ref, cwd,
                       names[i % COUNT_OF(names)], ref + at + 1);
        got = drawn(svg, "", &r);
        VIPS_OK(vips_max(got, &most, NULL));
        if (most > 0)
            fail_msg("%s shows something", svg);
        g_object_unref(got);
    }
    bytes_free(png);
    g_object_unref(im);
}

/* --- as a watermark -------------------------------------------------------------------------- */

static void a_watermark_is_drawn_as_large_as_it_is_laid(void **state)
{
    static const char mark[] = "<svg" NS " width='8' height='8'>" RECT(2, 0, 4, 8) "</svg>";
    static const double grey[] = {100, 100, 100}, over[] = {255, 0, 0};
    VipsImage *im = plain(400, 400, grey, 3);
    struct bytes b = encode(im, "png");
    struct wire_report r;
    VipsImage *got;
    (void)state;

#define MARK(more) "{'watermark': {'source': {'path': 'm'}, " more "}}"
    write_file(WORK_MARK "0", (struct bytes){mark, sizeof mark - 1});
    assert_int_equal(
        render(b,
               "[{'name': 'a', 'ops': [" MARK(
                   "'scale': 1") "], 'format': 'png'},"
                                 " {'name': 'b', 'ops': [" MARK(
                                     "'gravity': 'northwest'") "], 'format': 'png'}]",
               &r),
        ERR_OK);
    got = open_output(0);
    check_point(got, 97, 200, grey, 3, 0);
    check_point(got, 102, 200, over, 3, 0);
    check_point(got, 297, 200, over, 3, 0);
    check_point(got, 302, 200, grey, 3, 0);
    g_object_unref(got);
    /* Its own size is what it says, however large it was drawn for the other. */
    got = open_output(1);
    check_point(got, 4, 4, over, 3, 3);
    check_point(got, 12, 4, grey, 3, 0);
    check_point(got, 4, 12, grey, 3, 0);
    g_object_unref(got);
    bytes_free(b);
    g_object_unref(im);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_file_is_judged_before_it_is_parsed),
        cmocka_unit_test(no_prefix_is_taken_for_whole),
        cmocka_unit_test(without_a_size_the_look_says_nothing),
        cmocka_unit_test(where_the_operator_takes_none_the_key_is_named),
        cmocka_unit_test(entities_count_as_bytes),
        cmocka_unit_test(entities_are_limited_in_number),
        cmocka_unit_test(embedded_pictures_count_together),
        TEST(a_rectangle_lies_where_it_is_said_to),
        TEST(it_is_drawn_as_large_as_it_is_needed),
        TEST(all_outputs_come_from_one_drawing),
        TEST(other_operations_see_its_own_size),
        TEST(limits_hold_for_drawings),
        TEST(what_is_refused_while_it_is_drawn),
        TEST(no_file_is_read),
        TEST(a_watermark_is_drawn_as_large_as_it_is_laid),
    };

    (void)argc;
    return start_vips(argv[0]) ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
