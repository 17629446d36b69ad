/* json: the one door between JSON and msgpack.
 *
 * json_to_msgpack is strict (RFC 8259, UTF-8, no duplicate keys, no trailing bytes, integers in
 * int64 or refused, no NUL in strings, depth bound); jansson does the parsing. Object
 * order is kept. On failure *reterr says where (line, column, or byte) and which rule.
 * json_from_msgpack writes compact JSON; bin becomes base64 text, NaN and infinity null; order is kept. */
#ifndef SHARED_JSON_H
#define SHARED_JSON_H

#include "shared/mp.h"

MUST_USE enum err json_to_msgpack(struct slice json, unsigned max_depth, struct buf *out,
                                  struct fault *reterr);
void json_from_msgpack(const msgpack_object *o, struct buf *out);
/* The same from encoded bytes; "null" if they do not parse. */
void json_from_msgpack_bytes(struct slice encoded, struct buf *out);
/* A JSON string with its quotes; bytes that are not UTF-8 become U+FFFD. */
void json_quote(struct slice s, struct buf *out);

#endif
