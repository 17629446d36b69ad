/* http_client: outgoing HTTP and SMTP on libcurl's multi interface over a uv loop.
 *
 * The host is resolved off the loop (uv_getaddrinfo), every address is put to the guard, and the
 * transfer is pinned to the addresses that passed (CURLOPT_RESOLVE), and checked again when the
 * socket opens; so a name that changes between check and use gains nothing. No redirects, no
 * proxies, no compressed encodings, http and https only (smtp and smtps for mail). Loop thread only. */
#ifndef SHARED_HTTP_CLIENT_H
#define SHARED_HTTP_CLIENT_H

#include <uv.h>

#include "shared/buf.h"
#include "shared/log.h"
#include "shared/netguard.h"

struct http_client;
struct http_transfer;

struct http_client_options {
    const struct netguard *guard; /* borrowed; must outlive the client */
    const char *user_agent;
    const char *ca_file;    /* NULL: the system's */
    size_t max_reply_bytes; /* 0: 64 KiB; more is cut off and the transfer fails with TOO_BIG */
    unsigned max_per_host;  /* 0: 8 connections */
    const struct log_ctx *log;
};

struct http_header {
    /* Control bytes are refused, and so are the headers that frame a message or name its host: Host,
     * Content-Length, Transfer-Encoding, Connection, Expect, Upgrade, TE, Trailer, Keep-Alive, Proxy-*. */
    const char *name, *value;
};

/* Where the body of a 2xx answer goes piece by piece instead of into the answer. take runs on the loop, inside
 * of the transfer: it must not start, cancel or end one. An error of its ends the transfer with that error. */
typedef enum err http_sink_fn(void *arg, struct slice piece, struct fault *reterr);
struct http_sink {
    http_sink_fn *take; /* NULL: no sink */
    void *arg;
    uint64_t max_bytes; /* more, or more announced: TOO_BIG */
};

struct http_request {
    const char *method; /* GET, HEAD, POST, PUT, PATCH, DELETE */
    const char *url;
    const struct http_header *headers;
    size_t n_headers;
    struct slice body;     /* copied */
    uint32_t deadline_ms;  /* whole transfer, name resolution included; 0: 20000 */
    struct http_sink sink; /* then the bodies of other answers are not kept */
    /* Slower than so many bytes a second for stall_ms (whole seconds): TIMEOUT. 0: never. */
    uint32_t min_rate, stall_ms;
};

struct http_answer {
    long status;
    struct slice body;
    int64_t retry_after_ms; /* -1: none; seconds or HTTP date, clamped to 24 h */
    const char *peer;       /* "203.0.113.7:443", or "" */
    const char *location;   /* of a 3xx: where it points to, absolute; NULL: nowhere */
};

/* ERR_OK means an answer came, whatever its status. ERR_FORBIDDEN: the guard refused; ERR_MALFORMED: the
 * URL. answer is borrowed for the call; its status is 0 unless ERR_OK. */
typedef void http_answer_fn(void *arg, enum err e, const struct http_answer *answer,
                            const struct fault *why);
typedef void http_client_closed_fn(void *arg);

MUST_USE enum err http_client_new(uv_loop_t *loop, const struct http_client_options *opt,
                                  struct http_client **ret, struct fault *reterr);
/* *ret (may be NULL) is valid until the callback. */
MUST_USE enum err http_client_send(struct http_client *c, const struct http_request *req,
                                   http_answer_fn *cb, void *arg, struct http_transfer **ret,
                                   struct fault *reterr);
/* The callback comes soon, with ERR_CANCELED. */
void http_client_cancel(struct http_transfer *t);

struct smtp_mail {
    const char *relay;           /* smtp://host:port or smtps://host:port */
    const char *user, *password; /* user NULL or "": no AUTH */
    bool require_tls;            /* STARTTLS must succeed */
    const char *from;            /* envelope */
    const char *const *to;
    size_t n_to;
    struct slice message; /* RFC 5322, CRLF lines; copied */
    uint32_t deadline_ms; /* 0: 60000 */
};
/* answer->status is the SMTP reply code and answer->body the reply. 4yz and 5yz come as ERR_OK with that
 * status, at connecting and at AUTH too. The first recipient that the relay refuses refuses the mail: it
 * is then delivered to nobody. Connections are kept for the next mail, max_per_host to a relay at most.
 * The relay is set by the operator, so the guard does not apply to it. */
MUST_USE enum err http_client_mail(struct http_client *c, const struct smtp_mail *mail,
                                   http_answer_fn *cb, void *arg, struct http_transfer **ret,
                                   struct fault *reterr);
/* Cancels what runs; on_closed runs last. */
void http_client_close(struct http_client **c, http_client_closed_fn *on_closed, void *arg);

#endif
