/* source_fetch: a picture that an image job names by a URL, into a file of the spool directory.
 *
 *     ask --2xx--> (streamed to the file) --> got
 *      ^   \--301, 302, 303, 307, 308--> look at the target --+
 *      +------------ at most SOURCE_REDIRECTS_MAX ------------+
 *
 * Every hop goes through the guarded client (shared/http_client.h): addresses are checked when the
 * connection is made. From https nothing leads back to http. The bytes go to the file as they come, at
 * most max_bytes of them, and are hashed on the way; what they are is for the renderer to find out.
 * Answers: 404 and 410 NOT_FOUND; 408, 425, 429 and 5xx BUSY, with their Retry-After; all others that are
 * not 200 REJECTED. A link that breaks, a peer that is slow: UNREACHABLE, TIMEOUT. Loop thread only. */
#ifndef WORKER_SOURCE_FETCH_H
#define WORKER_SOURCE_FETCH_H

#include "shared/hash.h"
#include "shared/http_client.h"

#define SOURCE_REDIRECTS_MAX 3
#define SOURCE_AT_MAX        79

struct source_fetch;

struct source_order {
    struct http_client *http;
    struct slice url;
    const char *at;   /* where the job names it: a JSON pointer, with which faults begin */
    const char *path; /* the file; must not be there */
    uint64_t max_bytes;
    uint32_t timeout_ms; /* all hops together */
    uint32_t min_rate, stall_ms;
};
struct source_got {
    uint8_t sha256[HASH_LEN];
    uint64_t bytes;
    int64_t retry_after_ms; /* -1: none */
};
/* got is borrowed for the call. After ERR_OK the file is the caller's, after an error there is none. */
typedef void source_got_fn(void *arg, enum err e, const struct source_got *got,
                           const struct fault *why);

/* Copies the order. *ret is valid until the callback, which comes once and never from in here. */
MUST_USE enum err source_fetch_start(const struct source_order *order, source_got_fn *cb,
                                     void *arg, struct source_fetch **ret,
                                     struct fault *reterr);
/* The callback comes soon, with ERR_CANCELED. */
void source_fetch_cancel(struct source_fetch *sf);

#endif
