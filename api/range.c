#include "api/range.h"

#include <strings.h>

/* A number beyond any file counts as the largest one. */
static bool read_number(struct slice *s, uint64_t *ret)
{
    uint64_t v = 0;
    size_t n = 0;

    for (; n < s->len && s->ptr[n] >= '0' && s->ptr[n] <= '9'; n++) {
        uint64_t digit = (uint64_t)(s->ptr[n] - '0');

        v = v > (UINT64_MAX - digit) / 10 ? UINT64_MAX : v * 10 + digit;
    }
    *s = slice_of(s->ptr + n, s->len - n);
    *ret = v;
    return n > 0;
}

enum range_verdict range_parse(struct slice value, uint64_t bytes, struct range *ret)
{
    uint64_t first = 0, last = 0;
    bool has_first, has_last;

    if (value.ptr == NULL || value.len < 7 || strncasecmp(value.ptr, "bytes=", 6) != 0)
        return RANGE_WHOLE;
    value = slice_of(value.ptr + 6, value.len - 6);
    has_first = read_number(&value, &first);
    if (value.len == 0 || value.ptr[0] != '-')
        return RANGE_WHOLE;
    value = slice_of(value.ptr + 1, value.len - 1);
    has_last = read_number(&value, &last);
    if (value.len > 0 || (!has_first && !has_last) || (has_first && has_last && last < first))
        return RANGE_WHOLE;
    if (!has_first) { /* the last so many bytes */
        if (last == 0 || bytes == 0)
            return RANGE_OUTSIDE;
        first = last < bytes ? bytes - last : 0;
        last = bytes - 1;
    }
    if (first >= bytes)
        return RANGE_OUTSIDE;
    if (!has_last || last >= bytes)
        last = bytes - 1;
    *ret = (struct range){first, last};
    return RANGE_PART;
}

static struct slice trim(struct slice s)
{
    while (s.len > 0 && (s.ptr[0] == ' ' || s.ptr[0] == '\t'))
        s = slice_of(s.ptr + 1, s.len - 1);
    while (s.len > 0 && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t'))
        s.len--;
    return s;
}

bool range_etag_matches(struct slice list, const char *etag)
{
    if (list.ptr == NULL)
        return false;
    if (slice_is(trim(list), "*"))
        return true;
    while (list.len > 0) {
        const char *comma = memchr(list.ptr, ',', list.len);
        size_t n = comma == NULL ? list.len : (size_t)(comma - list.ptr);
        struct slice one = trim(slice_of(list.ptr, n));

        if (slice_starts(one, "W/"))
            one = slice_of(one.ptr + 2, one.len - 2);
        if (slice_is(one, etag))
            return true;
        n += comma != NULL;
        list = slice_of(list.ptr + n, list.len - n);
    }
    return false;
}

bool range_applies(struct slice if_range, const char *etag)
{
    return if_range.ptr == NULL || slice_is(trim(if_range), etag);
}
