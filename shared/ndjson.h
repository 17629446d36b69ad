/* ndjson: lines out of a stream of bytes, as they come in. Lines end in LF or CRLF, the last one may end with the
 * stream; blank ones are counted and passed over. A line that is too long is told once and dropped
 * as it comes, so that no more than a line and what was fed last is held. However the bytes are cut, the lines are the same. */
#ifndef SHARED_NDJSON_H
#define SHARED_NDJSON_H

#include "shared/buf.h"

struct ndjson {
    size_t max;    /* bytes of a line without its end; set by whoever zeroes the rest */
    uint64_t line; /* number of the line told last; the first is 1 */
    struct buf in;
    size_t at, seen; /* where the next line begins; up to where there is no LF */
    bool dropping, ended;
};

enum ndjson_next {
    NDJSON_LINE,     /* *ret is it, until the next call */
    NDJSON_TOO_LONG, /* there was one */
    NDJSON_MORE,     /* feed, or end */
};

void ndjson_done(struct ndjson *n);
/* false: no memory. */
MUST_USE bool ndjson_feed(struct ndjson *n, struct slice piece);
void ndjson_end(struct ndjson *n);
/* No whole line is left in it, as far as it was looked at. */
bool ndjson_is_drained(const struct ndjson *n);
enum ndjson_next ndjson_next(struct ndjson *n, struct slice *ret);

#endif
