/* head: what a request head must look like before anything acts on it.
 *
 * llhttp (strict build) parses; what it lets through and RFC 9110/9112 or prudence do not is refused here:
 * folded lines, names that are no tokens, lines that end in LF alone, none or two Host fields or one that is no
 * host, versions other than 1.0 and 1.1, Transfer-Encoding other than "chunked" alone or on 1.0, methods and
 * targets of proxies, escapes and dot segments in the path. */
#ifndef API_HEAD_H
#define API_HEAD_H

#include <llhttp.h>

#include "api/request.h"

struct head_fault {
    unsigned status;
    const char *detail; /* a constant */
};

/* The raw lines, looked at as they arrive, so that nothing waits for an end that cannot come. A zeroed
 * struct begins; in begins at the request line (or with the fields behind the last chunk, where
 * trailer is set) and may grow between calls. However the bytes are cut into calls, the verdict is
 * the same. */
struct head_scan {
    size_t line; /* begin of the first unfinished line; at HEAD_WHOLE: behind the empty line */
    size_t seen, fields;
    bool trailer;
};
enum head_verdict { HEAD_MORE, HEAD_WHOLE, HEAD_REFUSED };
enum head_verdict head_scan(struct slice in, size_t max_fields, struct head_scan *s,
                            struct head_fault *ret);

/* Checks after the parser; splits the target into path and query, and fills the flags and lengths of rq. */
bool head_check(struct request *rq, const llhttp_t *parser, struct head_fault *ret);

#endif
