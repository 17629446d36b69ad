/* json_read_internal: the parts of json_to_msgpack(), in one pass straight into the caller's buffer: no tree, and no
 * allocation but the buffer's.
 *
 *     json_read.c         values, objects, arrays; the way in
 *     json_read_string.c  strings: first their extent, then their bytes
 *     json_read_number.c  numbers
 *     json_read_fault.c   what is wrong, and where
 *
 * jansson, by which all is tested (tests/fuzz/json_oracle.h), gave the rules their words and places: a fault
 * is told at the end of the token that is wrong; columns count characters. */
#ifndef SHARED_JSON_READ_INTERNAL_H
#define SHARED_JSON_READ_INTERNAL_H

#include "shared/json.h"

struct json_reader {
    struct slice in;
    const char *at, *end;
    unsigned depth, max_depth;
    struct buf *out;
    struct fault *reterr;
};

/* A string between its quotes, as it stands in the text. */
struct json_raw {
    const char *ptr, *end;
    bool escapes;
};

/* NUL at the end: no token begins with it. */
static inline char json_peek(const struct json_reader *r, const char *p)
{
    if (p == r->end)
        return '\0';
    return *p;
}

static inline bool json_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* --- faults: each gives ERR_MALFORMED, but the last, which gives ERR_NOMEM ------------------------ */
/* where: the end of the wrong token. near: what is repeated of the text, if it is short. */
enum err json_fail_near(struct json_reader *r, const char *where, const char *rule,
                        struct slice near);
enum err json_fail(struct json_reader *r, const char *where, const char *rule);
enum err json_fail_end(struct json_reader *r, const char *rule);
enum err json_fail_byte(struct json_reader *r, const char *where, const char *rule);
/* The character at p is the wrong one, or none. */
enum err json_fail_char(struct json_reader *r, const char *p, const char *rule);
enum err json_no_room(struct json_reader *r);
/* Of several faults in one text this one is told. ERR_OK: nothing is nested too deeply. */
enum err json_fault_depth(struct slice in, unsigned max_depth, struct fault *reterr);

/* --- tokens ------------------------------------------------------------------------------------ */
/* quote: the opening one. What lies between the quotes is valid UTF-8 with valid escapes then. */
MUST_USE enum err json_scan_string(struct json_reader *r, const char *quote,
                                   struct json_raw *ret);
MUST_USE enum err json_write_string(struct json_reader *r, const struct json_raw *raw,
                                    bool is_key);
/* The number that stands at r->at; moves behind it. */
MUST_USE enum err json_read_number(struct json_reader *r);
/* Where it ends, or, if it is none, what of it was good. */
const char *json_number_end(const struct json_reader *r);

/* A head byte and n as `width` bytes behind it. Gives how many were written. */
size_t json_put_be(char *to, uint8_t head, uint64_t n, size_t width);

#endif
