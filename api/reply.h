/* reply: how a request is answered: bytes, JSON, a problem (RFC 9457), or a file.
 *
 * Each of these is the request's one answer; the request is freed with it or soon after and must
 * not be touched again. */
#ifndef API_REPLY_H
#define API_REPLY_H

#include "api/request.h"

struct reply_header {
    const char *name, *value; /* made by us: no CR or LF */
};
#define REPLY_HEADERS_MAX 8

struct reply {
    unsigned status;
    const char *content_type; /* NULL: no body */
    struct slice body;        /* copied */
    struct reply_header headers[REPLY_HEADERS_MAX];
    size_t n_headers;
    bool close; /* the connection ends after it */
};
void reply_send(struct request *rq, const struct reply *r);
/* application/json. */
void reply_json(struct request *rq, unsigned status, const struct buf *body);

/* application/problem+json: type about:blank, the status' own title, detail, and where the request's body is
 * at fault a list of one error with its JSON pointer. pointer NULL: none. */
void reply_problem(struct request *rq, unsigned status, const char *pointer, const char *fmt,
                   ...) PRINTF_LIKE(4, 5);
/* 503 with Retry-After. */
void reply_unavailable(struct request *rq, const char *what, enum err e);
/* The head of a problem's body alone, for connections that have no request yet. */
void reply_problem_body(unsigned status, const char *pointer, const char *detail,
                        struct buf *out);
const char *reply_status_text(unsigned status);
/* For answers that are written piece by piece: the status line and the fields that every answer has. */
void reply_start(struct request *rq, unsigned status, bool close);

/* A file, streamed; honours Range (one range), If-None-Match and If-Range against etag (quoted, strong), and HEAD. */
struct reply_file {
    int fd; /* taken: closed when the answer is out */
    uint64_t bytes;
    const char *content_type, *etag, *cache_control;
};
void reply_file(struct request *rq, const struct reply_file *f);

#endif
