#include "shared/retry_after.h"

#include <curl/curl.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static struct slice trim(struct slice s)
{
    while (s.len > 0 && (s.ptr[0] == ' ' || s.ptr[0] == '\t')) {
        s.ptr++;
        s.len--;
    }
    while (s.len > 0 && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t'))
        s.len--;
    return s;
}

static int64_t clamp(int64_t ms)
{
    if (ms < 0)
        return 0;
    return ms > RETRY_AFTER_MAX_MS ? RETRY_AFTER_MAX_MS : ms;
}

/* The first digit of a fraction counts 100 ms, the next 10, then 1; what follows is dropped. */
static int64_t parse_seconds(struct slice s)
{
    int64_t ms = 0, unit = 100;
    size_t i = 0;

    for (; i < s.len && is_digit(s.ptr[i]); i++)
        ms = clamp(ms * 10 + (s.ptr[i] - '0') * INT64_C(1000));
    if (i == s.len)
        return ms;
    if (s.ptr[i] != '.' || i + 1 == s.len)
        return -1;
    for (i++; i < s.len; i++) {
        if (!is_digit(s.ptr[i]))
            return -1;
        ms += (s.ptr[i] - '0') * unit;
        unit /= 10;
    }
    return clamp(ms);
}

int64_t retry_after_parse(struct slice value, int64_t now_ms)
{
    struct slice s = trim(value);
    char text[64];
    time_t at;

    if (s.len == 0)
        return -1;
    if (is_digit(s.ptr[0]))
        return parse_seconds(s);
    /* Every form of an HTTP date begins with the day's name; curl_getdate() takes much else. */
    if (!is_letter(s.ptr[0]) || !slice_to_cstr(s, text, sizeof text))
        return -1;
    at = curl_getdate(text, NULL);
    if (at < 0)
        return -1;
    if (at > now_ms / 1000 + RETRY_AFTER_MAX_MS / 1000)
        return RETRY_AFTER_MAX_MS;
    return clamp((int64_t)at * 1000 - now_ms);
}
