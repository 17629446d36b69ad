#include <math.h>

#include "shared/json_read_internal.h"

#define INLINE_MAX 64 /* longer reals are copied to the heap to be converted */

enum number { NUMBER_BAD, NUMBER_INT, NUMBER_REAL };

static const char *skip_digits(const struct json_reader *r, const char *p)
{
    while (p < r->end && json_is_digit(*p))
        p++;
    return p;
}

/* Where the number ends, or, if it is bad, what of it was good. */
static enum number scan_number(const struct json_reader *r, const char *p, const char **ret_end)
{
    enum number kind = NUMBER_INT;

    p += *p == '-';
    *ret_end = p;
    if (!json_is_digit(json_peek(r, p)))
        return NUMBER_BAD;
    if (*p == '0') {
        *ret_end = ++p;
        if (json_is_digit(json_peek(r, p)))
            return NUMBER_BAD;
    }
    p = skip_digits(r, p);
    if (json_peek(r, p) == '.') {
        kind = NUMBER_REAL;
        *ret_end = ++p;
        if (!json_is_digit(json_peek(r, p)))
            return NUMBER_BAD;
        p = skip_digits(r, p);
    }
    if (json_peek(r, p) == 'e' || json_peek(r, p) == 'E') {
        kind = NUMBER_REAL;
        p++;
        p += json_peek(r, p) == '+' || json_peek(r, p) == '-';
        *ret_end = p;
        if (!json_is_digit(json_peek(r, p)))
            return NUMBER_BAD;
        p = skip_digits(r, p);
    }
    *ret_end = p;
    return kind;
}

static enum err write_int(struct json_reader *r, const char *end)
{
    bool negative = *r->at == '-';
    uint64_t most = (uint64_t)INT64_MAX + negative, n = 0;
    msgpack_packer pk;

    for (const char *p = r->at + negative; p < end; p++) {
        unsigned digit = (unsigned)(*p - '0');

        if (n > (most - digit) / 10)
            return json_fail(r, end, negative ? "too big negative integer" : "too big integer");
        n = n * 10 + digit;
    }
    mp_packer(&pk, r->out);
    msgpack_pack_int64(&pk, (int64_t)(negative ? 0 - n : n));
    return ERR_OK;
}

static enum err write_real(struct json_reader *r, const char *end)
{
    size_t len = (size_t)(end - r->at);
    char few[INLINE_MAX], *text = len < sizeof few ? few : malloc(len + 1);
    msgpack_packer pk;
    double d;

    if (text == NULL)
        return fault_set(r->reterr, ERR_NOMEM, 0, "no memory to parse the JSON");
    memcpy(text, r->at, len);
    text[len] = '\0';
    d = strtod(text, NULL);
    if (text != few)
        free(text);
    if (isinf(d))
        return json_fail(r, end, "real number overflow");
    mp_packer(&pk, r->out);
    msgpack_pack_double(&pk, d);
    return ERR_OK;
}

enum err json_read_number(struct json_reader *r)
{
    const char *end;
    enum number kind = scan_number(r, r->at, &end);
    enum err e;

    if (kind == NUMBER_BAD)
        return json_fail(r, end, "invalid token");
    e = kind == NUMBER_INT ? write_int(r, end) : write_real(r, end);
    r->at = end;
    return e;
}

const char *json_number_end(const struct json_reader *r)
{
    const char *end;

    (void)scan_number(r, r->at, &end);
    return end;
}
