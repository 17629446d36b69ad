/* head: what a request head must look like before anything acts on it.
 *
 * llhttp (strict build) parses; what it lets through and RFC 9110/9112 or prudence do not is refused here:
 * folded lines, names that are no tokens, none or two Host fields, versions other than 1.0 and 1.1,
 * Transfer-Encoding other than "chunked" alone or on 1.0, methods and targets of proxies, bad escapes in the path,
 * dot segments. The bytes are complete (they end with an empty line) and outlive the request. */
#ifndef API_HEAD_H
#define API_HEAD_H

#include <llhttp.h>

#include "api/request.h"

struct head_fault {
    unsigned status;
    const char *detail; /* a constant */
};

/* Where the head ends (behind its empty line), 0: not yet. scan remembers how far was looked. */
size_t head_end(struct slice in, size_t *scan);

/* Checks of the raw lines, before the parser: gives false and fills ret. */
bool head_lines_ok(struct slice head, struct head_fault *ret);
/* Checks after the parser; splits the target into path and query, fills content_length, has_body and keep_alive. */
bool head_check(struct request *rq, const llhttp_t *parser, struct head_fault *ret);

#endif
