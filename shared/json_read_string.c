#include "shared/json_read_internal.h"
#include "shared/utf8.h"

#define WORD sizeof(uint64_t)

/* Steps over characters that stand for themselves, eight at a time: a byte's top bit in `stop` is set if it is
 * not ASCII, a control, a quote or a backslash. A borrow may set one too many, never one too few. */
static const char *skip_plain(const char *p, const char *end)
{
    const uint64_t ones = ~(uint64_t)0 / 255;

    while ((size_t)(end - p) >= WORD) {
        uint64_t x, stop;

        memcpy(&x, p, WORD);
        stop = x | (x - ones * 0x20) | ((x ^ ones * '"') - ones) | ((x ^ ones * '\\') - ones);
        if ((stop & ones * 0x80) != 0)
            break;
        p += WORD;
    }
    while (p < end && (uint8_t)*p >= 0x20 && (uint8_t)*p < 0x80 && *p != '"' && *p != '\\')
        p++;
    return p;
}

static int hex_value(char c)
{
    if (json_is_digit(c))
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static enum err scan_escape(struct json_reader *r, const char *p, const char **ret)
{
    char c = json_peek(r, p + 1);

    if (c == '\0' || strchr("\"\\/bfnrtu", c) == NULL)
        return json_fail_char(r, p + 1, "invalid escape");
    p += 2;
    for (int i = 0; c == 'u' && i < 4; i++, p++) {
        if (hex_value(json_peek(r, p)) < 0)
            return json_fail_char(r, p, "invalid escape");
    }
    *ret = p;
    return ERR_OK;
}

/* One character that skip_plain() does not step over, and that is not the closing quote. */
static enum err scan_special(struct json_reader *r, const char *p, struct json_raw *raw,
                             const char **ret)
{
    size_t n;

    if (p == r->end)
        return json_fail_end(r, "premature end of input");
    if (*p == '\\') {
        raw->escapes = true;
        return scan_escape(r, p, ret);
    }
    if (*p == '\n')
        return json_fail(r, p, "unexpected newline");
    if ((uint8_t)*p < 0x20)
        return json_fail_byte(r, p, "control character");
    n = utf8_step(p, (size_t)(r->end - p));
    if (n == 0)
        return json_fail_byte(r, p, "unable to decode byte");
    *ret = p + n;
    return ERR_OK;
}

enum err json_scan_string(struct json_reader *r, const char *quote, struct json_raw *ret)
{
    struct json_raw raw = {.ptr = quote + 1};
    const char *p = skip_plain(raw.ptr, r->end);

    while (p == r->end || *p != '"') {
        enum err e = scan_special(r, p, &raw, &p);

        if (e != ERR_OK)
            return e;
        p = skip_plain(p, r->end);
    }
    raw.end = p;
    *ret = raw;
    return ERR_OK;
}

static uint32_t hex4(const char *p)
{
    uint32_t v = 0;

    for (int i = 0; i < 4; i++)
        v = v << 4 | (uint32_t)hex_value(p[i]);
    return v;
}

static size_t put_utf8(uint32_t c, char *to) /* to: NULL, or room for 4 */
{
    char bytes[4];
    size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const uint8_t first[] = {0, 0x00, 0xc0, 0xe0, 0xf0};

    for (size_t i = n; i > 1; i--, c >>= 6)
        bytes[i - 1] = (char)(0x80 | (c & 0x3f));
    bytes[0] = (char)(first[n] | c);
    if (to != NULL)
        memcpy(to, bytes, n);
    return n;
}

/* p: behind the u. Gives the character, and the end of its one or two escapes; false: half of a pair. */
static bool take_unicode(const char *p, const char *end, uint32_t *ret, const char **ret_end)
{
    uint32_t c = hex4(p), low;

    *ret_end = p + 4;
    *ret = c;
    if (c < 0xd800 || c > 0xdfff)
        return true;
    if (c > 0xdbff || end - p < 10 || p[4] != '\\' || p[5] != 'u')
        return false;
    low = hex4(p + 6);
    *ret_end = p + 10;
    *ret = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
    return low >= 0xdc00 && low <= 0xdfff;
}

static const char escaped_nul[] = "\\u0000 in a string";

/* Resolves escapes into `to`, or only counts (NULL). Gives NULL, or the rule that is broken. */
static const char *unescape(const struct json_raw *raw, char *to, size_t *ret_len)
{
    static const char letters[] = "\"\\/bfnrt", bytes[] = "\"\\/\b\f\n\r\t";
    size_t len = 0;

    for (const char *p = raw->ptr; p < raw->end;) {
        const char *stop = memchr(p, '\\', (size_t)(raw->end - p));
        size_t run = (size_t)((stop == NULL ? raw->end : stop) - p);
        uint32_t c;

        if (to != NULL)
            memcpy(to + len, p, run);
        len += run;
        if (stop == NULL)
            break;
        p = stop + 2;
        if (stop[1] != 'u')
            c = (uint8_t)bytes[strchr(letters, stop[1]) - letters];
        else if (!take_unicode(stop + 2, raw->end, &c, &p))
            return "invalid Unicode: half of a surrogate pair";
        if (c == 0)
            return escaped_nul;
        len += put_utf8(c, to == NULL ? NULL : to + len);
    }
    *ret_len = len;
    return NULL;
}

size_t json_put_be(char *to, uint8_t head, uint64_t n, size_t width)
{
    to[0] = (char)head;
    for (size_t i = width; i > 0; i--, n >>= 8)
        to[i] = (char)(n & 0xff);
    return 1 + width;
}

static size_t str_head_len(size_t len)
{
    return len < 32 ? 1 : len <= UINT8_MAX ? 2 : len <= UINT16_MAX ? 3 : 5;
}

static size_t put_str_head(char *to, size_t len)
{
    size_t head = str_head_len(len);

    if (head == 1)
        return json_put_be(to, (uint8_t)(0xa0 | len), 0, 0);
    return json_put_be(to, head == 2 ? 0xd9 : head == 3 ? 0xda : 0xdb, len, head - 1);
}

enum err json_write_string(struct json_reader *r, const struct json_raw *raw, bool is_key)
{
    size_t len = (size_t)(raw->end - raw->ptr), head;
    const char *rule = raw->escapes ? unescape(raw, NULL, &len) : NULL;
    char *to;

    if (rule != NULL)
        return json_fail(r, raw->end + 1,
                         is_key && rule == escaped_nul ? "NUL byte in object key" : rule);
    if (len > UINT32_MAX)
        return json_no_room(r);
    to = buf_reserve(r->out, str_head_len(len) + len);
    if (to == NULL)
        return json_no_room(r);
    head = put_str_head(to, len);
    if (raw->escapes)
        (void)unescape(raw, to + head, &len);
    else
        memcpy(to + head, raw->ptr, len);
    buf_commit(r->out, head + len);
    return ERR_OK;
}
