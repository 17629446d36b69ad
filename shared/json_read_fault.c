#include "shared/json_read_internal.h"
#include "shared/utf8.h"

#define NEAR_MAX 20 /* bytes of the customer's text that a fault repeats */

enum err json_fail_near(struct json_reader *r, const char *where, const char *rule,
                        struct slice near)
{
    size_t line = 1, column = 0;

    for (const char *p = r->in.ptr; p < where; p++) {
        if (*p == '\n') {
            line++;
            column = 0;
        } else {
            column += ((uint8_t)*p & 0xc0) != 0x80;
        }
    }
    if (near.len > 0 && near.len <= NEAR_MAX)
        return fault_set(r->reterr, ERR_MALFORMED, 0,
                         "JSON, line %zu, column %zu: %s near '" SLICE_FMT "'", line, column,
                         rule, SLICE_ARG(near));
    return fault_set(r->reterr, ERR_MALFORMED, 0, "JSON, line %zu, column %zu: %s", line,
                     column, rule);
}

enum err json_fail(struct json_reader *r, const char *where, const char *rule)
{
    return json_fail_near(r, where, rule, slice_of("", 0));
}

enum err json_fail_end(struct json_reader *r, const char *rule)
{
    char text[64];

    (void)snprintf(text, sizeof text, "%s near end of file", rule);
    return json_fail(r, r->end, text);
}

enum err json_fail_byte(struct json_reader *r, const char *where, const char *rule)
{
    char text[48];

    (void)snprintf(text, sizeof text, "%s 0x%x", rule, (unsigned)(uint8_t)*where);
    return json_fail(r, where, text);
}

enum err json_fail_char(struct json_reader *r, const char *p, const char *rule)
{
    size_t n;

    if (p == r->end)
        return json_fail_end(r, rule);
    n = utf8_step(p, (size_t)(r->end - p));
    return n == 0 ? json_fail_byte(r, p, "unable to decode byte") : json_fail(r, p + n, rule);
}

enum err json_no_room(struct json_reader *r)
{
    return fault_set(r->reterr, ERR_NOMEM, 0, "no room for the encoded JSON");
}

/* Where the container begins that is one too many, or in.len. */
static size_t find_too_deep(struct slice in, unsigned max_depth)
{
    unsigned depth = 0;
    bool in_string = false;

    for (size_t i = 0; i < in.len; i++) {
        char c = in.ptr[i];

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
    return in.len;
}

enum err json_fault_depth(struct slice in, unsigned max_depth, struct fault *reterr)
{
    size_t at = find_too_deep(in, max_depth), line = 1, start = 0;

    if (at == in.len)
        return ERR_OK;
    for (size_t i = 0; i < at; i++) {
        if (in.ptr[i] == '\n') {
            line++;
            start = i + 1;
        }
    }
    return fault_set(reterr, ERR_MALFORMED, 0,
                     "JSON, line %zu, column %zu: nested more than %u deep", line,
                     at - start + 1, max_depth);
}
