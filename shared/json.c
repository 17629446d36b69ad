#include "shared/json.h"

#include <jansson.h>
#include <math.h>

#include "shared/hash.h"
#include "shared/utf8.h"

#define WRITE_DEPTH_MAX 32 /* what mp_check lets through at most */

/* --- JSON to msgpack ------------------------------------------------------------------------------ */

/* jansson's own bound on nesting is 2048; ours is checked before it parses. Gives where the
 * container begins that is one too many, or json.len. */
static size_t find_too_deep(struct slice json, unsigned max_depth)
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
                return i;
        } else if ((c == '}' || c == ']') && depth > 0) {
            depth--;
        }
    }
    return json.len;
}

static enum err depth_fault(struct slice json, size_t at, unsigned max_depth,
                            struct fault *reterr)
{
    size_t line = 1, start = 0;

    for (size_t i = 0; i < at; i++) {
        if (json.ptr[i] == '\n') {
            line++;
            start = i + 1;
        }
    }
    return fault_set(reterr, ERR_MALFORMED, 0,
                     "JSON, line %zu, column %zu: nested more than %u deep", line,
                     at - start + 1, max_depth);
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

/* Recursion is bounded: find_too_deep() ran before. */
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

/* jansson quotes what stands near the error, raw and cut anywhere; the column says it better. What
 * it tells of flags is nobody's business who sent the JSON. */
static enum err parse_fault(const json_error_t *why, struct fault *reterr)
{
    static const char near[] = " near '";
    enum json_error_code code = json_error_code(why);
    const char *end = strstr(why->text, near);
    const char *rule = why->text;
    int len =
        end == NULL || code == json_error_duplicate_key ? (int)strlen(rule) : (int)(end - rule);

    if (code == json_error_out_of_memory)
        return fault_set(reterr, ERR_NOMEM, 0, "no memory to parse the JSON");
    if (code == json_error_null_character)
        return fault_set(reterr, ERR_MALFORMED, 0,
                         "JSON, line %d, column %d: \\u0000 in a string", why->line,
                         why->column);
    return fault_set(reterr, ERR_MALFORMED, 0, "JSON, line %d, column %d: %.*s", why->line,
                     why->column, len, rule);
}

enum err json_to_msgpack(struct slice json, unsigned max_depth, struct buf *out,
                         struct fault *reterr)
{
    size_t before = out->len, deep = find_too_deep(json, max_depth);
    json_error_t why;
    msgpack_packer pk;
    json_t *root;

    if (deep < json.len)
        return depth_fault(json, deep, max_depth, reterr);
    root = json_loadb(json.len == 0 ? "" : json.ptr, json.len,
                      JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &why);
    if (root == NULL)
        return parse_fault(&why, reterr);
    mp_packer(&pk, out);
    pack_json(&pk, root);
    json_decref(root);
    if (!buf_failed(out))
        return ERR_OK;
    buf_truncate(out, before);
    return fault_set(reterr, ERR_NOMEM, 0, "no room for the encoded JSON");
}

/* --- msgpack to JSON ------------------------------------------------------------------------------ */

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

static bool is_plain(char c)
{
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

void json_quote(struct slice s, struct buf *out)
{
    buf_add_char(out, '"');
    for (size_t i = 0; i < s.len;) {
        size_t run = i, n;

        while (run < s.len && is_plain(s.ptr[run]))
            run++;
        buf_add(out, s.ptr + i, run - i);
        i = run;
        if (i == s.len)
            break;
        n = utf8_step(s.ptr + i, s.len - i);
        if (n == 1)
            quote_ascii(s.ptr[i], out);
        else if (n > 1)
            buf_add(out, s.ptr + i, n);
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
