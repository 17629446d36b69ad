/* json: the one door between JSON and msgpack.
 *
 * json_to_msgpack is strict (RFC 8259, UTF-8, no duplicate keys, no trailing bytes, integers in
 * int64 or refused, no NUL in strings, objects of at most JSON_MEMBERS_MAX members, as mp.h has it
 * for maps). max_depth: at most JSON_DEPTH_MAX. Object order is kept. On failure out is as it was, and *reterr
 * says where (line and column, at the end of the wrong token) and which rule; too deep a nesting goes before other faults.
 * json_from_msgpack writes compact JSON; bin becomes base64 text, NaN and infinity null; order is kept. */
#ifndef SHARED_JSON_H
#define SHARED_JSON_H

#include "shared/mp.h"

#define JSON_MEMBERS_MAX 64
#define JSON_DEPTH_MAX   64

MUST_USE enum err json_to_msgpack(struct slice json, unsigned max_depth, struct buf *out,
                                  struct fault *reterr);
void json_from_msgpack(const msgpack_object *o, struct buf *out);
/* The same from encoded bytes; "null" if they do not parse. */
void json_from_msgpack_bytes(struct slice encoded, struct buf *out);
/* A JSON string with its quotes; bytes that are not UTF-8 become U+FFFD. */
void json_quote(struct slice s, struct buf *out);

#endif
