/* mp: msgpack with bounds. Bytes from outside pass mp_check() before msgpack-c sees them.
 *
 * mp_check walks the bytes once without allocating: exactly one value, no nesting deeper than
 * max_depth, no container that claims more items than bytes remain, at most max_items values in
 * all, strings valid UTF-8 without NUL, map keys strings, no ext types, no duplicate keys in
 * maps of up to 64 pairs (a bigger map is refused). Too many bytes or values are ERR_TOO_BIG, all
 * else is ERR_MALFORMED. msgpack-c bears 32 levels, so a max_depth above 32 counts as 32. */
#ifndef SHARED_MP_H
#define SHARED_MP_H

#include <msgpack.h>

#include "shared/buf.h"

struct mp_limits {
    unsigned max_depth; /* containers inside each other; the outermost counts as 1 */
    size_t max_items;
    size_t max_bytes;
};
#define MP_LIMITS_DEFAULT \
    ((struct mp_limits){.max_depth = 16, .max_items = 10000, .max_bytes = 1 << 20})

MUST_USE enum err mp_check(struct slice bytes, const struct mp_limits *limits,
                           struct fault *reterr);

/* Checked parse. *ret_root points into z, which the caller destroys (msgpack_zone_destroy);
 * strings and binaries point into bytes, which must outlive it. */
MUST_USE enum err mp_parse(struct slice bytes, const struct mp_limits *limits, msgpack_zone *z,
                           msgpack_object *ret_root, struct fault *reterr);

/* A packer that appends to b. */
void mp_packer(msgpack_packer *pk, struct buf *b);
void mp_str(msgpack_packer *pk, const char *s);
void mp_slice(msgpack_packer *pk, struct slice s);
void mp_bin(msgpack_packer *pk, struct slice s);
void mp_raw(msgpack_packer *pk, struct slice encoded); /* bytes that are msgpack already */

/* Value of key in a map object, or NULL. */
const msgpack_object *mp_get(const msgpack_object *map, const char *key);
static inline struct slice mp_as_slice(const msgpack_object *o) /* str or bin */
{
    return o->type == MSGPACK_OBJECT_BIN ? slice_of(o->via.bin.ptr, o->via.bin.size)
                                         : slice_of(o->via.str.ptr, o->via.str.size);
}
bool mp_is(const msgpack_object *o, const char *text);

#endif
