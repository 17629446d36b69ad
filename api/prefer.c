#include "api/prefer.h"

#include <strings.h>

#define WAIT_SECONDS_MAX 1000000000ull

static struct slice trim(struct slice s)
{
    while (s.len > 0 && (*s.ptr == ' ' || *s.ptr == '\t'))
        s = slice_of(s.ptr + 1, s.len - 1);
    while (s.len > 0 && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t'))
        s.len--;
    return s;
}

/* Up to the next mark that stands in no quoted string; *rest goes on behind it. */
static struct slice cut(struct slice *rest, char mark)
{
    bool quoted = false;
    size_t i = 0;
    struct slice part;

    for (; i < rest->len; i++) {
        char c = rest->ptr[i];

        if (quoted && c == '\\' && i + 1 < rest->len)
            i++;
        else if (c == '"')
            quoted = !quoted;
        else if (!quoted && c == mark)
            break;
    }
    part = slice_of(rest->ptr, i);
    i += i < rest->len;
    *rest = slice_of(rest->ptr + i, rest->len - i);
    return trim(part);
}

static struct slice unquote(struct slice s)
{
    if (s.len >= 2 && s.ptr[0] == '"' && s.ptr[s.len - 1] == '"')
        return slice_of(s.ptr + 1, s.len - 2);
    return s;
}

bool prefer_find(struct slice field, const char *name, struct slice *ret_value)
{
    while (field.len > 0) {
        struct slice preference = cut(&field, ',');
        struct slice pair = cut(&preference, ';'); /* what follows are its parameters */
        struct slice key = cut(&pair, '=');

        if (key.len != strlen(name) || strncasecmp(key.ptr, name, key.len) != 0)
            continue;
        *ret_value = unquote(trim(pair));
        return true;
    }
    return false;
}

static uint64_t seconds(struct slice digits)
{
    uint64_t n = 0;

    for (size_t i = 0; i < digits.len; i++) {
        if (digits.ptr[i] < '0' || digits.ptr[i] > '9')
            return 0;
        n = n * 10 + (uint64_t)(digits.ptr[i] - '0');
        if (n > WAIT_SECONDS_MAX)
            n = WAIT_SECONDS_MAX;
    }
    return n;
}

uint64_t prefer_wait(const struct request *rq)
{
    struct slice value;

    for (size_t i = 0; i < rq->n_headers; i++) {
        const struct request_header *h = &rq->headers[i];

        if (h->name.len == 6 && strncasecmp(h->name.ptr, "prefer", 6) == 0 &&
            prefer_find(h->value, "wait", &value))
            return seconds(value);
    }
    return 0;
}
