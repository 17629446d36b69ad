/* Any bytes as an SVG: the look before the parser. What passes is within its limits with all entities replaced,
 * and holds no declared entity that could grow again; the same bytes get the same answer, whether SVG is
 * allowed or not they are told to be one; attributes are taken apart within their bounds. */
#include "worker/render/child/probe_svg.h"
#include "worker/render/child/probe_text.h"
#include "worker/render/child/probe_xml.h"

#define MAX_PIXELS 100000000u
#define MAX_BYTES  4096u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_inside(struct slice part, struct slice whole)
{
    must(part.len <= whole.len && part.ptr >= whole.ptr &&
         part.ptr + part.len <= whole.ptr + whole.len);
}

static void check_attrs(struct slice body)
{
    const struct probe_entities some = {
        .list = {{SLICE_LIT("a"), SLICE_LIT("longer than its name")}}, .n = 1};
    struct slice rest = body, name, value;

    while (xml_attr(&rest, &name, &value) == XML_ATTR) {
        struct buf text = {0}, content = {0};

        check_inside(name, body);
        check_inside(value, body);
        probe_text_add(&text, value, &some);
        must(text.len <= value.len + probe_text_growth(value, &some));
        if (probe_is_data(buf_slice(&text)))
            (void)!probe_data(buf_slice(&text), &content);
        must(content.len <= text.len);
        (void)probe_has_data(buf_slice(&text));
        buf_done(&text);
        buf_done(&content);
    }
}

static void check_tokens(struct slice file)
{
    struct xml x = xml_of(file);
    struct xml_token t;
    size_t before;

    do {
        before = x.at;
        xml_next(&x, &t);
        must(x.at <= file.len);
        if (t.kind == XML_END || t.kind == XML_BROKEN)
            return;
        if (t.body.len > 0)
            check_inside(t.body, file);
        check_attrs(t.body);
    } while (x.at > before);
    must(x.at > before);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    const struct probe_limits allowed = {.pixels = MAX_PIXELS, .svg_bytes = MAX_BYTES};
    const struct probe_limits refused = {.pixels = MAX_PIXELS};
    struct slice file = slice_of(data, len);
    struct probe p = {0};
    struct fault why = {0};
    enum err e;

    if (len == 0)
        return 0;
    check_tokens(file);
    e = probe_bytes(file, &allowed, &p, &why);
    must((e == ERR_OK) == (why.text[0] == '\0'));
    if (!probe_is_svg(file)) {
        must(e != ERR_OK || p.format != IMAGE_SVG);
        return 0;
    }
    must(probe_svg(file, &refused, &p, NULL) == ERR_UNSUPPORTED);
    must(e == ERR_OK || e == ERR_MALFORMED || e == ERR_UNSUPPORTED || e == ERR_TOO_BIG);
    if (e == ERR_OK)
        must(len <= MAX_BYTES && (uint64_t)p.width * p.height <= MAX_PIXELS);
    return 0;
}
