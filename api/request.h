/* request: one HTTP request from its head to its answer.
 *
 * The head's parts are slices into the connection's head buffer and live as long as the request.
 * An endpoint answers exactly once, by a reply_*() of reply.h, from begin(), on_end() or any
 * callback later. The client may vanish before: the request stays valid until it is answered, the
 * answer then goes nowhere; gone says so to those who would like to save the work. */
#ifndef API_REQUEST_H
#define API_REQUEST_H

#include "queue/job.h"
#include "shared/buf.h"
#include "shared/log.h"

#define REQUEST_HEADERS_MAX 64
#define REQUEST_PARAMS_MAX  2

struct conn;
struct endpoint;
struct api;

struct request_header {
    struct slice name, value;
};

struct request {
    struct api *api;
    struct conn *conn;
    const struct endpoint *endpoint;
    struct slice method, target, path, query;
    struct request_header headers[REQUEST_HEADERS_MAX];
    size_t n_headers;
    struct slice params[REQUEST_PARAMS_MAX]; /* what the {…} of the route matched */
    struct buf body;                         /* buffered endpoints: whole at on_end() */
    void *work;                              /* the endpoint's own */
    /* An endpoint that may answer much later sets it at on_end(). Called once, when the client sends no more
     * (it may still read), or is gone: the answer is due soon. Perhaps from inside a call that writes. */
    void (*on_leave)(struct request *rq);
    uint64_t began_us;
    uint64_t content_length; /* 0 where chunked */
    unsigned status;         /* of the answer */
    bool has_body, chunked, http10, keep_alive, answered, gone;
    bool started; /* the answer's head has been written: no other answer can be given */
};

/* One row of the router's table. */
enum body_mode {
    BODY_NONE,     /* a body is refused */
    BODY_BUFFERED, /* gathered in request.body, up to body_max */
    BODY_STREAMED, /* handed to on_body() piece by piece, up to upload_max */
};
struct body_limits {
    uint64_t max, ms; /* bytes in all; time for the whole */
    bool gather;      /* in request.body, as of a buffered one; on_body() is not called */
    bool by_pieces;   /* ms is for each piece instead: the whole may take as long as it likes */
    const char *too_big, *too_slow; /* constants: what is said then */
};
struct endpoint {
    const char *method, *pattern; /* "/v1/jobs/{id}" */
    enum body_mode body;
    /* Of its body, where they are not those of its mode. May be NULL. */
    void (*limits)(const struct request *rq, struct body_limits *ret);
    /* Streamed: after the head, before the body. May answer (then the rest of the body is not read). Others: NULL. */
    void (*begin)(struct request *rq);
    /* Streamed only. Gives false to be called no more until request_resume(). piece is borrowed. */
    bool (*on_body)(struct request *rq, struct slice piece);
    /* The request is whole: answer now or later. */
    void (*on_end)(struct request *rq);
    /* Streamed only: the client went away, or broke a rule, before on_end(): clean up; no answer is owed. */
    void (*on_abort)(struct request *rq);
};

/* Case-insensitive; the first one. len 0 and ptr NULL: none. */
struct slice request_header(const struct request *rq, const char *name);
/* Value of a query parameter, still percent-encoded. ptr NULL: none. */
struct slice request_query(const struct request *rq, const char *name);
/* Decodes %XX and '+'. ERR_MALFORMED: a bad escape, NUL, or longer than cap - 1. */
MUST_USE enum err request_decode(struct slice text, char *dst, size_t cap);
/* Names a query parameter that is not among the known ones (NULL-terminated list); NULL ptr: all are known. */
struct slice request_unknown_query(const struct request *rq, const char *const *known);
/* Names a query parameter that is given twice; NULL ptr: none is. */
struct slice request_repeated_query(const struct request *rq);
/* True when Content-Type names this media type, whatever its parameters. */
bool request_is_of_type(const struct request *rq, const char *media_type);
/* After on_body() gave false: more may come. */
void request_resume(struct request *rq);

#endif
