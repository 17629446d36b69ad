#include "shared/json_read_internal.h"

/* --- tokens -------------------------------------------------------------------------------- */

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static void skip_space(struct json_reader *r)
{
    while (r->at < r->end &&
           (*r->at == ' ' || *r->at == '\n' || *r->at == '\t' || *r->at == '\r'))
        r->at++;
}

static const char *skip_letters(const struct json_reader *r, const char *p)
{
    while (p < r->end && is_letter(*p))
        p++;
    return p;
}

static enum err read_word(struct json_reader *r)
{
    static const struct {
        const char *text;
        uint8_t code;
    } words[] = {{"true", 0xc3}, {"false", 0xc2}, {"null", 0xc0}};
    const char *end = skip_letters(r, r->at);
    struct slice word = slice_of(r->at, (size_t)(end - r->at));

    for (size_t i = 0; i < COUNT_OF(words); i++) {
        if (slice_is(word, words[i].text)) {
            buf_add_char(r->out, (char)words[i].code);
            r->at = end;
            return ERR_OK;
        }
    }
    return json_fail(r, end, "invalid token");
}

static enum err read_string(struct json_reader *r)
{
    struct json_raw raw;
    enum err e = json_scan_string(r, r->at, &raw);

    if (e != ERR_OK)
        return e;
    r->at = raw.end + 1;
    return json_write_string(r, &raw, false);
}

/* Something else stands here than the grammar wants. A token that is wrong in itself says so first. */
static enum err refuse_token(struct json_reader *r, const char *rule)
{
    const char *end;
    struct json_raw raw;
    enum err e;

    if (r->at == r->end)
        return json_fail_end(r, rule);
    if (*r->at == '"') {
        e = json_scan_string(r, r->at, &raw);
        return e != ERR_OK ? e : json_fail(r, raw.end + 1, rule);
    }
    if (is_letter(*r->at)) {
        end = skip_letters(r, r->at);
    } else if (*r->at == '-' || json_is_digit(*r->at)) {
        end = json_number_end(r);
    } else {
        return json_fail_char(r, r->at, rule);
    }
    return json_fail(r, end, rule);
}

static bool take(struct json_reader *r, char c)
{
    skip_space(r);
    if (json_peek(r, r->at) != c)
        return false;
    r->at++;
    return true;
}

/* --- containers: the head is written last, when their length is known ---------------------------------- */

static enum err open_container(struct json_reader *r, size_t *ret_head)
{
    if (r->depth == r->max_depth)
        return refuse_token(r, "nested too deep");
    r->depth++;
    r->at++;
    *ret_head = r->out->len;
    buf_add_char(r->out, '\0');
    return buf_failed(r->out) ? json_no_room(r) : ERR_OK;
}

/* small: the code of an empty one; wide: the code with a length of two bytes, to which one with four follows. */
static enum err close_container(struct json_reader *r, size_t head, size_t n, uint8_t small,
                                uint8_t wide)
{
    size_t more = n < 16 ? 0 : n <= UINT16_MAX ? 2 : 4;
    size_t behind = r->out->len - head - 1;
    char *to;

    r->depth--;
    if (more == 0) {
        r->out->data[head] = (char)(small | n);
        return ERR_OK;
    }
    if (buf_reserve(r->out, more) == NULL)
        return json_no_room(r);
    to = r->out->data + head;
    memmove(to + 1 + more, to + 1, behind);
    (void)json_put_be(to, more == 2 ? wide : wide + 1, n, more);
    buf_commit(r->out, more);
    return ERR_OK;
}

static enum err read_value(struct json_reader *r);

static enum err read_array(struct json_reader *r)
{
    size_t head = 0, n = 0;
    enum err e = open_container(r, &head);

    if (e != ERR_OK)
        return e;
    if (take(r, ']'))
        return close_container(r, head, 0, 0x90, 0xdc);
    do {
        e = read_value(r);
        if (e != ERR_OK)
            return e;
        n++;
    } while (take(r, ','));
    if (!take(r, ']'))
        return refuse_token(r, "']' expected");
    return close_container(r, head, n, 0x90, 0xdc);
}

/* The encoded keys of an object that is open: where they stand in the buffer. */
struct keys {
    size_t n;
    struct {
        size_t at, len;
    } all[JSON_MEMBERS_MAX];
};

static bool is_known(const struct json_reader *r, const struct keys *keys, size_t at,
                     size_t len)
{
    for (size_t i = 0; i < keys->n; i++) {
        if (keys->all[i].len == len &&
            memcmp(r->out->data + keys->all[i].at, r->out->data + at, len) == 0)
            return true;
    }
    return false;
}

static enum err read_key(struct json_reader *r, struct keys *keys)
{
    size_t at = r->out->len, len;
    struct json_raw raw;
    enum err e;

    skip_space(r);
    if (json_peek(r, r->at) != '"')
        return refuse_token(r, "string or '}' expected");
    e = json_scan_string(r, r->at, &raw);
    if (e != ERR_OK)
        return e;
    e = json_write_string(r, &raw, true);
    if (e != ERR_OK)
        return e;
    len = r->out->len - at;
    r->at = raw.end + 1;
    if (is_known(r, keys, at, len))
        return json_fail_near(r, r->at, "duplicate object key",
                              slice_of(raw.ptr - 1, (size_t)(raw.end - raw.ptr) + 2));
    if (keys->n == JSON_MEMBERS_MAX)
        return json_fail(r, r->at,
                         "an object of more than " BASE_TEXT_OF(JSON_MEMBERS_MAX) " members");
    keys->all[keys->n].at = at;
    keys->all[keys->n++].len = len;
    return take(r, ':') ? ERR_OK : refuse_token(r, "':' expected");
}

static enum err read_object(struct json_reader *r)
{
    struct keys keys; /* too big to clear each time */
    size_t head = 0;
    enum err e = open_container(r, &head);

    if (e != ERR_OK)
        return e;
    keys.n = 0;
    if (take(r, '}'))
        return close_container(r, head, 0, 0x80, 0xde);
    do {
        e = read_key(r, &keys);
        if (e == ERR_OK)
            e = read_value(r);
        if (e != ERR_OK)
            return e;
    } while (take(r, ','));
    if (!take(r, '}'))
        return refuse_token(r, "'}' expected");
    return close_container(r, head, keys.n, 0x80, 0xde);
}

/* Recursion is bounded by max_depth. */
static enum err read_value(struct json_reader *r)
{
    char c;

    skip_space(r);
    c = json_peek(r, r->at);
    if (c == '"')
        return read_string(r);
    if (c == '{')
        return read_object(r);
    if (c == '[')
        return read_array(r);
    if (c == '-' || json_is_digit(c))
        return json_read_number(r);
    if (is_letter(c))
        return read_word(r);
    if (r->at == r->end || c == ']' || c == '}' || c == ',' || c == ':')
        return refuse_token(r, "unexpected token");
    return refuse_token(r, "invalid token");
}

static enum err read_text(struct json_reader *r)
{
    enum err e = read_value(r);

    if (e != ERR_OK)
        return e;
    skip_space(r);
    if (r->at != r->end)
        return refuse_token(r, "end of file expected");
    return buf_failed(r->out) ? json_no_room(r) : ERR_OK;
}

enum err json_to_msgpack(struct slice json, unsigned max_depth, struct buf *out,
                         struct fault *reterr)
{
    struct slice in = json.len == 0 ? slice_of("", 0) : json;
    struct json_reader r = {.in = in,
                            .at = in.ptr,
                            .end = in.ptr + in.len,
                            .max_depth = max_depth,
                            .out = out,
                            .reterr = reterr};
    size_t before = out->len;
    enum err e;

    must(max_depth <= JSON_DEPTH_MAX);
    e = read_text(&r);
    if (e == ERR_OK)
        return ERR_OK;
    buf_truncate(out, before);
    if (e != ERR_MALFORMED)
        return e;
    return json_fault_depth(in, max_depth, reterr) == ERR_OK ? e : ERR_MALFORMED;
}
