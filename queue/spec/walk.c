#include "queue/spec/walk.h"

#include <stdarg.h>
#include <strings.h>

/* --- telling faults -------------------------------------------------------------------------- */

enum err spec_fault_set(struct spec_fault *ret, const char *pointer, const char *fmt, ...)
{
    va_list ap;

    if (ret == NULL)
        return ERR_MALFORMED;
    (void)snprintf(ret->pointer, sizeof ret->pointer, "%s", pointer);
    va_start(ap, fmt);
    (void)vsnprintf(ret->text, sizeof ret->text, fmt, ap);
    va_end(ap);
    return ERR_MALFORMED;
}

enum err walk_fault(const struct place *at, struct spec_fault *ret, const char *fmt, ...)
{
    va_list ap;

    if (ret == NULL)
        return ERR_MALFORMED;
    place_text(at, ret->pointer, sizeof ret->pointer);
    va_start(ap, fmt);
    (void)vsnprintf(ret->text, sizeof ret->text, fmt, ap);
    va_end(ap);
    return ERR_MALFORMED;
}

static bool is_middle_of_character(char c)
{
    return ((uint8_t)c & 0xc0) == 0x80;
}

/* RFC 6901: "~" and "/" in a key are written "~0" and "~1". */
static size_t put_key(struct slice key, char *dst, size_t cap)
{
    size_t n = 0;
    size_t i = 0;

    for (; i < key.len && n + 3 < cap; i++) {
        char c = key.ptr[i];

        if (c == '~' || c == '/') {
            dst[n++] = '~';
            dst[n++] = c == '~' ? '0' : '1';
        } else {
            dst[n++] = c;
        }
    }
    if (i < key.len) { /* cut, at the end of a character */
        while (n > 0 && i > 0 && is_middle_of_character(key.ptr[i])) {
            n--;
            i--;
        }
    }
    dst[n] = '\0';
    return n;
}

void place_text(const struct place *at, char *dst, size_t cap)
{
    size_t len;

    if (at->up == NULL) {
        (void)snprintf(dst, cap, "%s", at->root);
        return;
    }
    place_text(at->up, dst, cap);
    len = strlen(dst);
    if (at->is_index) {
        (void)snprintf(dst + len, cap - len, "/%zu", at->index);
    } else if (len + 2 < cap) {
        dst[len] = '/';
        (void)put_key(at->key, dst + len + 1, cap - len - 1);
    }
}

/* --- maps ------------------------------------------------------------------------------------ */

/* Texts are built in here: words put together by ", ". */
struct list_text {
    char text[sizeof((struct spec_fault *)0)->text];
    size_t len;
};

static void list_add(struct list_text *l, const char *word)
{
    int n = snprintf(l->text + l->len, sizeof l->text - l->len, "%s%s", l->len > 0 ? ", " : "",
                     word);

    if (n > 0 && (size_t)n < sizeof l->text - l->len)
        l->len += (size_t)n;
    else
        l->text[l->len] = '\0';
}

static enum err unknown_field(struct walk_table table, const struct place *at,
                              struct spec_fault *ret)
{
    struct list_text known = {.len = 0};

    for (size_t i = 0; i < table.n; i++)
        list_add(&known, table.fields[i].name);
    return walk_fault(at, ret, "is not a known field; known here: %s",
                      table.n > 0 ? known.text : "none");
}

static size_t find_field(struct walk_table table, struct slice key)
{
    size_t i = 0;

    while (i < table.n && !slice_is(key, table.fields[i].name))
        i++;
    return i;
}

static enum err take_pair(const msgpack_object_kv *kv, struct walk_table table, void *out,
                          uint32_t *seen, const struct place *at, struct spec_fault *ret)
{
    struct place here;
    size_t i;

    if (kv->key.type != MSGPACK_OBJECT_STR)
        return walk_fault(at, ret, "must have strings as keys");
    here = place_key(at, mp_as_slice(&kv->key));
    i = find_field(table, here.key);
    if (i == table.n)
        return unknown_field(table, &here, ret);
    if ((*seen & 1u << i) != 0)
        return walk_fault(&here, ret, "is given twice");
    *seen |= 1u << i;
    if (table.fields[i].take == NULL)
        return ERR_OK;
    return table.fields[i].take(out, &kv->val, &here, ret);
}

enum err walk_map(const msgpack_object *o, struct walk_table table, void *out,
                  const struct place *at, struct spec_fault *ret)
{
    uint32_t seen = 0;

    must(table.n <= WALK_FIELDS_MAX);
    if (o->type != MSGPACK_OBJECT_MAP)
        return walk_fault(at, ret, "must be an object");
    for (uint32_t i = 0; i < o->via.map.size; i++) {
        enum err e = take_pair(&o->via.map.ptr[i], table, out, &seen, at, ret);

        if (e != ERR_OK)
            return e;
    }
    for (size_t i = 0; i < table.n; i++) {
        if (table.fields[i].required && (seen & 1u << i) == 0) {
            struct place here = place_key(at, slice_str(table.fields[i].name));

            return walk_fault(&here, ret, "is required");
        }
    }
    return ERR_OK;
}

/* --- values ---------------------------------------------------------------------------------- */

enum err walk_uint(const msgpack_object *o, uint32_t min, uint32_t max, uint32_t *ret_value,
                   const struct place *at, struct spec_fault *ret)
{
    if (o->type != MSGPACK_OBJECT_POSITIVE_INTEGER || o->via.u64 < min || o->via.u64 > max)
        return walk_fault(at, ret, "must be an integer from %u to %u", min, max);
    *ret_value = (uint32_t)o->via.u64;
    return ERR_OK;
}

enum err walk_bool(const msgpack_object *o, bool *ret_value, const struct place *at,
                   struct spec_fault *ret)
{
    if (o->type != MSGPACK_OBJECT_BOOLEAN)
        return walk_fault(at, ret, "must be true or false");
    *ret_value = o->via.boolean;
    return ERR_OK;
}

enum err walk_text(const msgpack_object *o, size_t max, struct slice *ret_value,
                   const struct place *at, struct spec_fault *ret)
{
    if (o->type != MSGPACK_OBJECT_STR || o->via.str.size == 0 || o->via.str.size > max)
        return walk_fault(at, ret, "must be a string of 1 to %zu bytes", max);
    *ret_value = mp_as_slice(o);
    return ERR_OK;
}

static bool is_control(char c)
{
    return (uint8_t)c < 0x20 || c == 0x7f;
}

enum err walk_line(const msgpack_object *o, size_t max, struct slice *ret_value,
                   const struct place *at, struct spec_fault *ret)
{
    struct slice line = SLICE_LIT("");
    enum err e = walk_text(o, max, &line, at, ret);

    if (e != ERR_OK)
        return e;
    for (size_t i = 0; i < line.len; i++) {
        if (is_control(line.ptr[i]))
            return walk_fault(at, ret, "must not contain control characters or line ends");
    }
    *ret_value = line;
    return ERR_OK;
}

enum err walk_name(const msgpack_object *o, struct slice *ret_value, const struct place *at,
                   struct spec_fault *ret)
{
    if (o->type != MSGPACK_OBJECT_STR || !job_name_is_valid(mp_as_slice(o)))
        return walk_fault(at, ret,
                          "must be 1 to %d of a-z, 0-9, '.', '_' and '-', first a letter",
                          JOB_NAME_MAX);
    *ret_value = mp_as_slice(o);
    return ERR_OK;
}

static bool is_one_of(char c, const char *set)
{
    return c != '\0' && strchr(set, c) != NULL;
}

/* What stands before "://" and after it, up to the path. */
static bool url_split(struct slice url, struct slice *ret_scheme, struct slice *ret_authority)
{
    const char *colon = memchr(url.ptr, ':', url.len);
    size_t scheme = colon == NULL ? 0 : (size_t)(colon - url.ptr);
    size_t from = scheme + 3;
    size_t to = from;

    if (colon == NULL || url.len < from || memcmp(colon, "://", 3) != 0)
        return false;
    while (to < url.len && !is_one_of(url.ptr[to], "/?#"))
        to++;
    *ret_scheme = slice_of(url.ptr, scheme);
    *ret_authority = slice_of(url.ptr + from, to - from);
    return true;
}

static bool is_http_scheme(struct slice s)
{
    return (s.len == 4 && strncasecmp(s.ptr, "http", 4) == 0) ||
           (s.len == 5 && strncasecmp(s.ptr, "https", 5) == 0);
}

/* Bytes that no URL has: parsers disagree about them, so nobody gets to see them. */
static bool has_odd_byte(struct slice url)
{
    for (size_t i = 0; i < url.len; i++) {
        uint8_t c = (uint8_t)url.ptr[i];

        if (c <= 0x20 || c >= 0x7f || is_one_of((char)c, "\\\"<>^`{|}"))
            return true;
    }
    return false;
}

enum err walk_url(const msgpack_object *o, struct slice *ret_value, const struct place *at,
                  struct spec_fault *ret)
{
    struct slice url = SLICE_LIT("");
    struct slice scheme;
    struct slice authority;
    enum err e = walk_text(o, WALK_URL_MAX, &url, at, ret);

    if (e != ERR_OK)
        return e;
    if (has_odd_byte(url))
        return walk_fault(at, ret,
                          "must be a URL: spaces, quotes, \\ and bytes that are not "
                          "ASCII are written as %%XX");
    if (!url_split(url, &scheme, &authority) || !is_http_scheme(scheme))
        return walk_fault(at, ret, "must be an absolute http or https URL");
    if (authority.len == 0 || authority.ptr[0] == ':')
        return walk_fault(at, ret, "must name a host");
    if (memchr(authority.ptr, '@', authority.len) != NULL)
        return walk_fault(at, ret, "must not contain a user name or password");
    *ret_value = url;
    return ERR_OK;
}

enum err walk_word(const msgpack_object *o, struct walk_words words, int *ret_value,
                   const struct place *at, struct spec_fault *ret)
{
    struct list_text all = {.len = 0};

    for (size_t i = 0; i < words.n; i++) {
        if (o->type == MSGPACK_OBJECT_STR && slice_is(mp_as_slice(o), words.words[i].word)) {
            *ret_value = words.words[i].value;
            return ERR_OK;
        }
    }
    for (size_t i = 0; i < words.shown; i++)
        list_add(&all, words.words[i].word);
    return walk_fault(at, ret, "must be one of %s", all.text);
}

enum err walk_array(const msgpack_object *o, size_t min, size_t max, const struct place *at,
                    struct spec_fault *ret)
{
    if (o->type != MSGPACK_OBJECT_ARRAY || o->via.array.size < min || o->via.array.size > max)
        return walk_fault(at, ret, "must be an array of %zu to %zu items", min, max);
    return ERR_OK;
}
