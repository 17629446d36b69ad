#include "worker/render/child/probe_svg.h"

#include <math.h>
#include <stdlib.h>
#include <strings.h>

#include "worker/render/child/probe_text.h"
#include "worker/render/child/probe_xml.h"

#define XINCLUDE "http://www.w3.org/2001/XInclude"

struct scan {
    struct xml xml;
    uint64_t bytes_left;  /* that entities may add */
    uint64_t pixels_left; /* that embedded pictures may have */
    struct probe_entities entities;
    unsigned depth;
    struct buf value; /* of an attribute with references */
    struct probe *probe;
    double box_width, box_height; /* of the root's viewBox */
};

static enum err unsupported(struct fault *reterr, const char *what)
{
    return fault_set(reterr, ERR_UNSUPPORTED, 0, "the source is SVG with %s", what);
}

static enum err broken(struct fault *reterr, const char *what)
{
    return fault_set(reterr, ERR_MALFORMED, 0, "broken svg: %s", what);
}

bool probe_is_svg(struct slice file)
{
    struct xml x = xml_of(file);
    struct xml_token t;

    do {
        xml_next(&x, &t);
        if (t.kind == XML_TEXT && xml_trim(t.body).len > 0)
            return false;
    } while (t.kind == XML_TEXT || t.kind == XML_PI || t.kind == XML_COMMENT ||
             t.kind == XML_DOCTYPE);
    return (t.kind == XML_OPEN || t.kind == XML_EMPTY) && slice_is(xml_local(t.name), "svg");
}

/* --- size ---------------------------------------------------------------------------------- */

/* A number and what stands behind it; NAN: there is none. */
static double number(struct slice *s)
{
    char text[40], *end;
    size_t n = 0;
    double v;

    *s = xml_trim(*s);
    while (n < s->len && n < sizeof text - 1 && strchr("+-.0123456789eE", s->ptr[n]) != NULL &&
           s->ptr[n] != '\0')
        n++;
    (void)slice_to_cstr(slice_of(s->ptr, n), text, sizeof text);
    v = strtod(text, &end);
    if (end == text)
        return (double)NAN;
    *s = slice_of(s->ptr + (end - text), s->len - (size_t)(end - text));
    return v;
}

/* In pixels, or 0 where the unit says nothing by itself. */
static double length(struct slice s)
{
    static const struct {
        const char *unit;
        double pixels;
    } units[] = {{"", 1},           {"px", 1},          {"in", 96},
                 {"cm", 96 / 2.54}, {"mm", 9.6 / 2.54}, {"pt", 96.0 / 72},
                 {"pc", 16},        {"em", 16},         {"ex", 8}};
    double v = number(&s);

    s = xml_trim(s);
    for (size_t i = 0; i < COUNT_OF(units) && v > 0; i++) {
        if (s.len == strlen(units[i].unit) && strncasecmp(s.ptr, units[i].unit, s.len) == 0)
            return v * units[i].pixels;
    }
    return 0;
}

static void take_box(struct scan *s, struct slice value)
{
    double v[4];

    for (size_t i = 0; i < 4; i++) {
        v[i] = number(&value);
        value = xml_trim(value);
        if (slice_starts(value, ","))
            value = slice_of(value.ptr + 1, value.len - 1);
    }
    if (v[2] > 0 && v[3] > 0) {
        s->box_width = v[2];
        s->box_height = v[3];
    }
}

static uint32_t whole(double pixels)
{
    double up = ceil(pixels);

    return up >= UINT32_MAX ? UINT32_MAX : (uint32_t)up;
}

static void take_root_attr(struct scan *s, struct slice name, struct slice value)
{
    if (slice_is(name, "width"))
        s->probe->width = whole(length(value));
    else if (slice_is(name, "height"))
        s->probe->height = whole(length(value));
    else if (slice_is(name, "viewBox"))
        take_box(s, value);
}

/* A side that is missing follows from the other by the box's shape, or is the box's. */
static void settle_size(struct scan *s)
{
    struct probe *p = s->probe;

    if (s->box_width > 0 && p->width == 0 && p->height == 0) {
        p->width = whole(s->box_width);
        p->height = whole(s->box_height);
    } else if (s->box_width > 0 && p->width == 0) {
        p->width = whole(p->height * (s->box_width / s->box_height));
    } else if (s->box_width > 0 && p->height == 0) {
        p->height = whole(p->width * (s->box_height / s->box_width));
    }
}

/* --- what is declared ---------------------------------------------------------------------- */

static bool is_quoted(struct slice s)
{
    return s.len >= 2 && (s.ptr[0] == '"' || s.ptr[0] == '\'') && s.ptr[s.len - 1] == s.ptr[0];
}

/* <!ENTITY name "text">: without references or markup, so it can neither grow nor hide an element. */
static enum err take_entity(struct scan *s, struct slice body, struct fault *reterr)
{
    struct slice name = xml_word(&body);
    struct slice value = xml_trim(body);

    if (name.len == 0 || slice_is(name, "%") || !is_quoted(value))
        return unsupported(reterr, "an entity that is not in the file");
    value = slice_of(value.ptr + 1, value.len - 2);
    for (size_t i = 0; i < value.len; i++) {
        if (strchr("&<%\"'", value.ptr[i]) != NULL)
            return unsupported(reterr, "an entity that is more than text");
    }
    if (s->entities.n == PROBE_ENTITIES_MAX)
        return unsupported(reterr, "more than 64 entities");
    s->entities.list[s->entities.n].name = name;
    s->entities.list[s->entities.n++].value = value;
    return ERR_OK;
}

static enum err take_doctype(struct scan *s, struct slice declared, struct fault *reterr)
{
    struct xml x = {declared, 0};
    struct xml_token t;

    for (;;) {
        enum err e = ERR_OK;

        xml_next_declared(&x, &t);
        if (t.kind == XML_END)
            return ERR_OK;
        if (t.kind == XML_ENTITY)
            e = take_entity(s, t.body, reterr);
        else if (t.kind == XML_DECLARE)
            e = unsupported(reterr, "declarations other than entities");
        else if (t.kind == XML_BROKEN)
            e = broken(reterr, "its DOCTYPE");
        if (e != ERR_OK)
            return e;
    }
}

/* In these every byte below 128 means what it means in ASCII. */
static bool is_plain_encoding(struct slice s)
{
    static const char *const names[] = {"utf-8",  "utf8",    "us-ascii",  "ascii",
                                        "latin1", "latin-1", "iso-8859-", "windows-125"};

    for (size_t i = 0; i < COUNT_OF(names); i++) {
        size_t n = strlen(names[i]);

        if (s.len >= n && s.len <= n + 2 && strncasecmp(s.ptr, names[i], n) == 0)
            return true;
    }
    return false;
}

/* <?xml version="1.0" encoding="..."?> */
static enum err take_instruction(const struct xml_token *t, struct fault *reterr)
{
    struct slice body = t->body, name, value;

    if (!slice_is(t->name, "xml"))
        return ERR_OK;
    while (xml_attr(&body, &name, &value) == XML_ATTR) {
        if (slice_is(name, "encoding") && !is_plain_encoding(value))
            return unsupported(reterr, "an encoding other than UTF-8");
    }
    return xml_trim(body).len == 0 ? ERR_OK : broken(reterr, "its XML declaration");
}

/* --- attributes ---------------------------------------------------------------------------- */

static enum err check_growth(struct scan *s, struct slice text, struct fault *reterr)
{
    uint64_t growth = probe_text_growth(text, &s->entities);

    if (growth > s->bytes_left)
        return fault_set(reterr, ERR_TOO_BIG, 0,
                         "the source is SVG whose entities make it larger than it may be "
                         "(SOURCE_SVG_BYTES)");
    s->bytes_left -= growth;
    return ERR_OK;
}

/* What the library would not draw is told instead of left out. */
static enum err look_at_picture(struct slice bytes, const struct probe_limits *limits,
                                struct probe *ret, struct fault *reterr)
{
    enum err e;

    if (probe_is_svg(bytes))
        return fault_set(reterr, ERR_UNSUPPORTED, 0, "it is SVG, too");
    e = probe_bytes(bytes, limits, ret, reterr);
    if (e == ERR_OK && ret->format != IMAGE_PNG && ret->format != IMAGE_JPEG)
        return fault_set(reterr, ERR_UNSUPPORTED, 0, "it is %s; PNG and JPEG are drawn",
                         image_format_name(ret->format));
    return e;
}

static enum err check_picture(struct scan *s, struct slice url, struct fault *reterr)
{
    const struct probe_limits limits = {.pixels = s->pixels_left};
    struct buf bytes = {0};
    struct fault why;
    struct probe p = {0};
    enum err e;

    if (!probe_data(url, &bytes)) {
        buf_done(&bytes);
        return unsupported(reterr, "a data: URL that cannot be read");
    }
    e = look_at_picture(buf_slice(&bytes), &limits, &p, &why);
    buf_done(&bytes);
    if (e != ERR_OK)
        return fault_set(reterr, e, 0, "in a picture that the SVG embeds: %.150s", why.text);
    s->pixels_left -= (uint64_t)p.width * p.height;
    return ERR_OK;
}

static enum err check_value(struct scan *s, struct slice name, struct slice value,
                            struct fault *reterr)
{
    if (probe_is_data(value))
        return check_picture(s, value, reterr);
    if (probe_has_data(value))
        return unsupported(reterr, "a document that it embeds");
    if (slice_starts(name, "xmlns") && slice_is(xml_trim(value), XINCLUDE))
        return unsupported(reterr, "XInclude");
    if (s->depth == 0)
        take_root_attr(s, name, value);
    return ERR_OK;
}

static enum err check_attr(struct scan *s, struct slice name, struct slice value,
                           struct fault *reterr)
{
    enum err e = check_growth(s, value, reterr);

    if (e != ERR_OK)
        return e;
    if (value.len > 0 && memchr(value.ptr, '&', value.len) != NULL) {
        buf_clear(&s->value);
        probe_text_add(&s->value, value, &s->entities);
        if (buf_failed(&s->value))
            return fault_set(reterr, ERR_NOMEM, 0, "no memory for an attribute");
        value = buf_slice(&s->value);
    }
    return check_value(s, name, value, reterr);
}

static enum err check_tag(struct scan *s, struct slice attrs, struct fault *reterr)
{
    for (;;) {
        struct slice name, value;
        enum xml_attr got = xml_attr(&attrs, &name, &value);
        enum err e;

        if (got == XML_NO_ATTR)
            return ERR_OK;
        if (got == XML_BAD_ATTR)
            return broken(reterr, "an attribute");
        e = check_attr(s, name, value, reterr);
        if (e != ERR_OK)
            return e;
    }
}

/* --- the whole ----------------------------------------------------------------------------- */

static enum err check_token(struct scan *s, const struct xml_token *t, struct fault *reterr)
{
    switch (t->kind) {
    case XML_PI:
        return take_instruction(t, reterr);
    case XML_DOCTYPE:
        return s->depth > 0 ? broken(reterr, "a DOCTYPE inside")
                            : take_doctype(s, t->body, reterr);
    case XML_OPEN:
    case XML_EMPTY:
        return check_tag(s, t->body, reterr);
    case XML_TEXT:
        return check_growth(s, t->body, reterr);
    case XML_END:
    case XML_BROKEN:
        return broken(reterr, "it is cut off");
    case XML_CLOSE:
    case XML_CDATA:
    case XML_COMMENT:
    case XML_ENTITY:
    case XML_DECLARE:
        break;
    }
    return ERR_OK;
}

/* What stands behind the root is of no account. */
static enum err walk(struct scan *s, struct fault *reterr)
{
    struct xml_token t;

    do {
        enum err e;

        xml_next(&s->xml, &t);
        e = check_token(s, &t, reterr);
        if (e != ERR_OK)
            return e;
        if (t.kind == XML_OPEN)
            s->depth++;
        else if (t.kind == XML_CLOSE && s->depth > 0)
            s->depth--;
    } while (s->depth > 0 || (t.kind != XML_CLOSE && t.kind != XML_EMPTY));
    return ERR_OK;
}

static enum err check_bytes(struct slice file, uint64_t max, struct fault *reterr)
{
    if (max == 0)
        return fault_set(reterr, ERR_UNSUPPORTED, 0,
                         "the source is SVG, which is not taken here (SOURCE_SVG is off)");
    if (file.len > max)
        return fault_set(reterr, ERR_TOO_BIG, 0,
                         "the source is SVG of %zu bytes, the limit is %llu (SOURCE_SVG_BYTES)",
                         file.len, (unsigned long long)max);
    return ERR_OK;
}

enum err probe_svg(struct slice file, const struct probe_limits *limits, struct probe *ret,
                   struct fault *reterr)
{
    struct probe p = {.format = IMAGE_SVG};
    struct scan s = {.xml = xml_of(file), .pixels_left = limits->pixels, .probe = &p};
    enum err e = check_bytes(file, limits->svg_bytes, reterr);

    if (e != ERR_OK)
        return e;
    s.bytes_left = limits->svg_bytes - file.len;
    e = walk(&s, reterr);
    buf_done(&s.value);
    if (e != ERR_OK)
        return e;
    settle_size(&s);
    *ret = p;
    return probe_check_pixels(p.width, p.height, 1, limits->pixels, reterr);
}
