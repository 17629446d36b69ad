#include "shared/json.h"

#include <math.h>

#include "shared/hash.h"
#include "shared/utf8.h"

#define WRITE_DEPTH_MAX 32 /* what mp_check lets through at most */

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
