#include "api/request.h"

#include <strings.h>

struct slice request_header(const struct request *rq, const char *name)
{
    size_t len = strlen(name);

    for (size_t i = 0; i < rq->n_headers; i++) {
        const struct request_header *h = &rq->headers[i];

        if (h->name.len == len && strncasecmp(h->name.ptr, name, len) == 0)
            return h->value;
    }
    return slice_of(NULL, 0);
}

/* Cuts the next "key=value" off *rest. */
static bool next_pair(struct slice *rest, struct slice *key, struct slice *value)
{
    const char *amp, *eq;
    size_t n;

    if (rest->len == 0)
        return false;
    amp = memchr(rest->ptr, '&', rest->len);
    n = amp == NULL ? rest->len : (size_t)(amp - rest->ptr);
    eq = memchr(rest->ptr, '=', n);
    *key = slice_of(rest->ptr, eq == NULL ? n : (size_t)(eq - rest->ptr));
    *value = eq == NULL ? slice_of("", 0) : slice_of(eq + 1, n - key->len - 1);
    n += amp != NULL;
    *rest = slice_of(rest->ptr + n, rest->len - n);
    return true;
}

struct slice request_query(const struct request *rq, const char *name)
{
    struct slice rest = rq->query, key, value;

    while (next_pair(&rest, &key, &value)) {
        if (slice_is(key, name))
            return value;
    }
    return slice_of(NULL, 0);
}

struct slice request_unknown_query(const struct request *rq, const char *const *known)
{
    struct slice rest = rq->query, key, value;

    while (next_pair(&rest, &key, &value)) {
        size_t i = 0;

        while (known[i] != NULL && !slice_is(key, known[i]))
            i++;
        if (known[i] == NULL)
            return key;
    }
    return slice_of(NULL, 0);
}

struct slice request_repeated_query(const struct request *rq)
{
    struct slice rest = rq->query, key, value, later, other;

    while (next_pair(&rest, &key, &value)) {
        later = rest;
        while (next_pair(&later, &other, &value)) {
            if (slice_eq(key, other))
                return key;
        }
    }
    return slice_of(NULL, 0);
}

bool request_is_of_type(const struct request *rq, const char *media_type)
{
    struct slice type = request_header(rq, "content-type");
    size_t len = strlen(media_type);
    const char *end;

    if (type.ptr == NULL)
        return false;
    end = memchr(type.ptr, ';', type.len);
    if (end != NULL)
        type.len = (size_t)(end - type.ptr);
    while (type.len > 0 && (type.ptr[type.len - 1] == ' ' || type.ptr[type.len - 1] == '\t'))
        type.len--;
    return type.len == len && strncasecmp(type.ptr, media_type, len) == 0;
}

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

enum err request_decode(struct slice text, char *dst, size_t cap)
{
    size_t n = 0;

    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];

        if (c == '%') {
            int high = i + 2 <= text.len - 1 ? digit(text.ptr[i + 1]) : -1;
            int low = i + 2 <= text.len - 1 ? digit(text.ptr[i + 2]) : -1;

            if (high < 0 || low < 0)
                return ERR_MALFORMED;
            c = (char)(high << 4 | low);
            i += 2;
        } else if (c == '+') {
            c = ' ';
        }
        if (c == '\0' || n + 1 >= cap)
            return ERR_MALFORMED;
        dst[n++] = c;
    }
    dst[n] = '\0';
    return ERR_OK;
}
