#include "shared/json.h"

#include <jansson.h>
#include <math.h>

#include "shared/hash.h"

#define WRITE_DEPTH_MAX 32 /* what mp_check lets through at most */

/* --- JSON to msgpack ------------------------------------------------------------------------------ */

/* jansson's own bound on nesting is 2048; ours is checked before it parses. */
static bool is_too_deep(struct slice json, unsigned max_depth)
{
    unsigned depth = 0;
    bool in_string = false;

    for (size_t i = 0; i < json.len; i++) {
        char c = json.ptr[i];

        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            if (++depth > max_depth)
                return true;
        } else if ((c == '}' || c == ']') && depth > 0) {
            depth--;
        }
    }
    return false;
}

static void pack_json(msgpack_packer *pk, json_t *v);

static void pack_json_object(msgpack_packer *pk, json_t *object)
{
    const char *key;
    json_t *value;

    msgpack_pack_map(pk, json_object_size(object));
    json_object_foreach(object, key, value)
    {
        mp_str(pk, key); /* a key with NUL was refused by the parser */
        pack_json(pk, value);
    }
}

static void pack_json_array(msgpack_packer *pk, json_t *array)
{
    json_t *value;
    size_t i;

    msgpack_pack_array(pk, json_array_size(array));
    json_array_foreach(array, i, value) pack_json(pk, value);
}

/* Recursion is bounded: is_too_deep() ran before. */
static void pack_json(msgpack_packer *pk, json_t *v)
{
    switch (json_typeof(v)) {
    case JSON_OBJECT:
        pack_json_object(pk, v);
        break;
    case JSON_ARRAY:
        pack_json_array(pk, v);
        break;
    case JSON_STRING:
        mp_slice(pk, slice_of(json_string_value(v), json_string_length(v)));
        break;
    case JSON_INTEGER:
        msgpack_pack_int64(pk, json_integer_value(v));
        break;
    case JSON_REAL:
        msgpack_pack_double(pk, json_real_value(v));
        break;
    case JSON_TRUE:
        msgpack_pack_true(pk);
        break;
    case JSON_FALSE:
        msgpack_pack_false(pk);
        break;
    case JSON_NULL:
        msgpack_pack_nil(pk);
        break;
    }
}

enum err json_to_msgpack(struct slice json, unsigned max_depth, struct buf *out,
                         struct fault *reterr)
{
    json_error_t why;
    msgpack_packer pk;
    json_t *root;

    if (is_too_deep(json, max_depth))
        return fault_set(reterr, ERR_MALFORMED, 0, "JSON is nested more than %u deep",
                         max_depth);
    root = json_loadb(json.ptr, json.len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &why);
    if (root == NULL)
        return fault_set(reterr, ERR_MALFORMED, 0, "JSON, line %d, column %d: %s", why.line,
                         why.column, why.text);
    mp_packer(&pk, out);
    pack_json(&pk, root);
    json_decref(root);
    return buf_failed(out) ? fault_set(reterr, ERR_NOMEM, 0, "no memory to encode the JSON")
                           : ERR_OK;
}

/* --- msgpack to JSON ------------------------------------------------------------------------------ */

/* Length of the UTF-8 sequence at p, 0 if it is none. */
static size_t sequence(const uint8_t *p, size_t left)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t n = p[0] < 0x80             ? 1
               : (p[0] & 0xe0) == 0xc0 ? 2
               : (p[0] & 0xf0) == 0xe0 ? 3
               : (p[0] & 0xf8) == 0xf0 ? 4
                                       : 0;
    uint32_t code;

    if (n <= 1)
        return n;
    if (n > left)
        return 0;
    code = p[0] & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (p[i] & 0x3fu);
    }
    return code >= least[n] && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff) ? n : 0;
}

static void quote_ascii(char c, struct buf *out)
{
    static const char plain[] = "\"\\\b\f\n\r\t", letter[] = "\"\\bfnrt";
    const char *at = c == '\0' ? NULL : strchr(plain, c);

    if (at != NULL) {
        buf_add_char(out, '\\');
        buf_add_char(out, letter[at - plain]);
    } else if ((unsigned char)c < 0x20 || c == 0x7f) {
        buf_addf(out, "\\u%04x", (unsigned)c);
    } else {
        buf_add_char(out, c);
    }
}

static bool is_plain(uint8_t c)
{
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

void json_quote(struct slice s, struct buf *out)
{
    const uint8_t *p = (const uint8_t *)s.ptr;

    buf_add_char(out, '"');
    for (size_t i = 0; i < s.len;) {
        size_t run = i, n;

        while (run < s.len && is_plain(p[run]))
            run++;
        if (run > i) {
            buf_add(out, p + i, run - i);
            i = run;
            continue;
        }
        n = sequence(p + i, s.len - i);
        if (n == 1)
            quote_ascii((char)p[i], out);
        else if (n > 1)
            buf_add(out, p + i, n);
        else
            buf_add_str(out, "\xef\xbf\xbd");
        i += n > 0 ? n : 1;
    }
    buf_add_char(out, '"');
}

/* The shortest form that reads back equal. JSON has no NaN and no infinity. */
static void write_double(double d, struct buf *out)
{
    char text[32];

    if (!isfinite(d)) {
        buf_add_str(out, "null");
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        (void)snprintf(text, sizeof text, "%.*g", digits, d);
        if (strtod(text, NULL) == d)
            break;
    }
    buf_add_str(out, text);
    if (strpbrk(text, ".e") == NULL)
        buf_add_str(out, ".0"); /* stays a real when it is read again */
}

static void write_value(const msgpack_object *o, unsigned depth, struct buf *out);

static void write_array(const msgpack_object_array *a, unsigned depth, struct buf *out)
{
    buf_add_char(out, '[');
    for (uint32_t i = 0; i < a->size; i++) {
        if (i > 0)
            buf_add_char(out, ',');
        write_value(&a->ptr[i], depth + 1, out);
    }
    buf_add_char(out, ']');
}

static void write_map(const msgpack_object_map *m, unsigned depth, struct buf *out)
{
    buf_add_char(out, '{');
    for (uint32_t i = 0; i < m->size; i++) {
        if (i > 0)
            buf_add_char(out, ',');
        if (m->ptr[i].key.type == MSGPACK_OBJECT_STR)
            json_quote(mp_as_slice(&m->ptr[i].key), out);
        else
            buf_add_str(out, "\"?\"");
        buf_add_char(out, ':');
        write_value(&m->ptr[i].val, depth + 1, out);
    }
    buf_add_char(out, '}');
}

static void write_bin(const msgpack_object *o, struct buf *out)
{
    buf_add_char(out, '"');
    base64_add(out, mp_as_slice(o));
    buf_add_char(out, '"');
}

static void write_value(const msgpack_object *o, unsigned depth, struct buf *out)
{
    if (depth > WRITE_DEPTH_MAX) {
        buf_add_str(out, "null");
        return;
    }
    switch (o->type) {
    case MSGPACK_OBJECT_BOOLEAN:
        buf_add_str(out, o->via.boolean ? "true" : "false");
        break;
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
        buf_addf(out, "%llu", (unsigned long long)o->via.u64);
        break;
    case MSGPACK_OBJECT_NEGATIVE_INTEGER:
        buf_addf(out, "%lld", (long long)o->via.i64);
        break;
    case MSGPACK_OBJECT_FLOAT32:
    case MSGPACK_OBJECT_FLOAT64:
        write_double(o->via.f64, out);
        break;
    case MSGPACK_OBJECT_STR:
        json_quote(mp_as_slice(o), out);
        break;
    case MSGPACK_OBJECT_BIN:
        write_bin(o, out);
        break;
    case MSGPACK_OBJECT_ARRAY:
        write_array(&o->via.array, depth, out);
        break;
    case MSGPACK_OBJECT_MAP:
        write_map(&o->via.map, depth, out);
        break;
    case MSGPACK_OBJECT_NIL:
    case MSGPACK_OBJECT_EXT:
        buf_add_str(out, "null");
        break;
    }
}

void json_from_msgpack(const msgpack_object *o, struct buf *out)
{
    write_value(o, 0, out);
}

void json_from_msgpack_bytes(struct slice encoded, struct buf *out)
{
    struct mp_limits limits = {
        .max_depth = WRITE_DEPTH_MAX, .max_items = SIZE_MAX, .max_bytes = SIZE_MAX};
    msgpack_object root;
    msgpack_zone zone;

    if (!msgpack_zone_init(&zone, 2048)) {
        out->failed = true;
        return;
    }
    if (mp_parse(encoded, &limits, &zone, &root, NULL) == ERR_OK)
        write_value(&root, 0, out);
    else
        buf_add_str(out, "null");
    msgpack_zone_destroy(&zone);
}
