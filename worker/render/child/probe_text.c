#include "worker/render/child/probe_text.h"

#include <strings.h>

#include "shared/hash.h"
#include "worker/render/child/probe_xml.h"

/* --- references ---------------------------------------------------------------------------- */

/* At '&': gives how long the reference is with both ends, 0 for a lonely '&'; *ret_name: between them. */
static size_t reference(struct slice s, size_t at, struct slice *ret_name)
{
    const char *end = memchr(s.ptr + at, ';', s.len - at);

    if (end == NULL)
        return 0;
    *ret_name = slice_of(s.ptr + at + 1, (size_t)(end - s.ptr) - at - 1);
    return ret_name->len + 2;
}

static const struct slice *find_entity(const struct probe_entities *e, struct slice name)
{
    for (size_t i = 0; i < e->n; i++) {
        if (slice_eq(e->list[i].name, name))
            return &e->list[i].value;
    }
    return NULL;
}

uint64_t probe_text_growth(struct slice text, const struct probe_entities *e)
{
    uint64_t growth = 0;
    size_t at = 0;

    while (e->n > 0 && at < text.len) {
        const char *amp = memchr(text.ptr + at, '&', text.len - at);
        const struct slice *value;
        struct slice name;
        size_t len;

        if (amp == NULL)
            break;
        at = (size_t)(amp - text.ptr);
        len = reference(text, at, &name);
        if (len == 0)
            break;
        value = find_entity(e, name);
        growth += value != NULL && value->len > len ? value->len - len : 0;
        at += value != NULL ? len : 1;
    }
    return growth;
}

static int digit_of(char c, unsigned base)
{
    int v = c >= '0' && c <= '9' ? c - '0' : -1;

    if (base == 16 && c >= 'a' && c <= 'f')
        v = c - 'a' + 10;
    if (base == 16 && c >= 'A' && c <= 'F')
        v = c - 'A' + 10;
    return v;
}

/* "#38" or "#x26"; what is not ASCII is of no account here and becomes '?'. */
static char char_of(struct slice name)
{
    unsigned base = name.len > 1 && name.ptr[1] == 'x' ? 16 : 10;
    uint32_t code = 0;

    for (size_t i = base == 16 ? 2 : 1; i < name.len; i++) {
        int v = digit_of(name.ptr[i], base);

        if (v < 0 || code > 0x10ffff)
            return '?';
        code = code * base + (uint32_t)v;
    }
    return (char)(code > 0 && code < 128 ? code : '?');
}

static void add_reference(struct buf *out, struct slice name, const struct probe_entities *e)
{
    static const struct {
        const char *name;
        char c;
    } known[] = {{"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"quot", '"'}, {"apos", '\''}};
    const struct slice *value = find_entity(e, name);
    char c;

    for (size_t i = 0; i < COUNT_OF(known); i++) {
        if (slice_is(name, known[i].name)) {
            buf_add_char(out, known[i].c);
            return;
        }
    }
    if (value != NULL)
        buf_add_slice(out, *value);
    if (name.len == 0 || name.ptr[0] != '#')
        return;
    c = char_of(name);
    if (c != '\t' && c != '\n' && c != '\r')
        buf_add_char(out, c);
}

void probe_text_add(struct buf *out, struct slice value, const struct probe_entities *e)
{
    for (size_t at = 0; at < value.len;) {
        char c = value.ptr[at];
        struct slice name;
        size_t len = c == '&' ? reference(value, at, &name) : 0;

        if (len > 0)
            add_reference(out, name, e);
        else
            buf_add_char(out, (char)(xml_is_space(c) ? ' ' : c));
        at += len > 0 ? len : 1;
    }
}

/* --- data: ---------------------------------------------------------------------------------- */

/* URLs lose white space and control characters at their begin. */
static struct slice begin_of(struct slice s)
{
    while (s.len > 0 && (uint8_t)s.ptr[0] <= ' ')
        s = slice_of(s.ptr + 1, s.len - 1);
    return s;
}

static bool starts(struct slice s, const char *word)
{
    size_t n = strlen(word);

    return s.len >= n && strncasecmp(s.ptr, word, n) == 0;
}

bool probe_is_data(struct slice value)
{
    return starts(begin_of(value), "data:");
}

bool probe_has_data(struct slice value)
{
    bool in_url = false;

    for (size_t i = 0; i < value.len; i++) {
        struct slice rest = slice_of(value.ptr + i, value.len - i);

        in_url = in_url || starts(rest, "url(");
        if (in_url && starts(rest, "data:"))
            return true;
    }
    return false;
}

static bool is_base64(struct slice head)
{
    head = xml_trim(head);
    return head.len >= 6 && starts(slice_of(head.ptr + head.len - 6, 6), "base64");
}

/* What is percent-encoded; without white space, which base64 may hold. */
static void add_plain(struct buf *out, struct slice s, bool spaces)
{
    for (size_t i = 0; i < s.len && s.ptr[i] != '#'; i++) {
        char c = s.ptr[i];
        int high = c == '%' && i + 2 < s.len ? digit_of(s.ptr[i + 1], 16) : -1;
        int low = high >= 0 ? digit_of(s.ptr[i + 2], 16) : -1;

        if (low >= 0) {
            c = (char)(high * 16 + low);
            i += 2;
        }
        if (spaces || !xml_is_space(c))
            buf_add_char(out, c);
    }
}

static bool decode(struct slice body, struct buf *out)
{
    struct buf text = {0};
    bool whole;

    add_plain(&text, body, false);
    while (text.len % 4 != 0 && !buf_failed(&text))
        buf_add_char(&text, '=');
    whole = !buf_failed(&text) && base64_decode(buf_slice(&text), out);
    buf_done(&text);
    return whole;
}

bool probe_data(struct slice url, struct buf *out)
{
    struct slice s = begin_of(url);
    const char *comma = s.len == 0 ? NULL : memchr(s.ptr, ',', s.len);
    size_t head;

    if (comma == NULL)
        return false;
    head = (size_t)(comma - s.ptr);
    url = slice_of(comma + 1, s.len - head - 1);
    if (is_base64(slice_of(s.ptr, head)))
        return decode(url, out);
    add_plain(out, url, true);
    return !buf_failed(out);
}
