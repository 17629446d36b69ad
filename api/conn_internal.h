/* conn_internal: what the files of conn.h share.
 *
 *     conn.c        life: accept, states and deadlines, the end
 *     conn_parse.c  bytes to a request: llhttp and its callbacks
 *     conn_read.c   input: heads, bodies, what goes to which endpoint
 *     conn_write.c  answers
 */
#ifndef API_CONN_INTERNAL_H
#define API_CONN_INTERNAL_H

#include "api/api.h"
#include "api/conn.h"
#include "api/head.h"

#define CONN_MAGIC 0x636f6e6eu
#define CONN_KEEP  1024                /* bytes of buffers that an idle connection keeps */
#define CONN_READ  ((size_t)16 * 1024) /* read at a time, and kept of pipelined requests */

struct conn {
    uint32_t magic;
    enum conn_state state;
    struct server *server;
    struct conn *next, **prev;
    union {
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } u;
    uv_write_t write;
    uv_shutdown_t shutdown;
    uint64_t deadline_ms; /* 0: none */

    /* input */
    struct buf in, head;
    struct head_scan scan; /* of the head, and again of the trailers */
    llhttp_t parser;
    struct request rq;
    uint64_t taken, got; /* bytes of this body: as sent; without the framing of chunks */

    /* output */
    struct buf out, sending;
    size_t sent; /* of sending */
    conn_written_fn *on_written;
    void *written_arg;

    bool reading, closing, handle_closed; /* of the stream */
    bool eof;                             /* the client sends no more */
    bool working;                         /* an endpoint owes an answer */
    bool begun;    /* a streamed endpoint's begin() ran, and neither on_end() nor on_abort() */
    bool headed;   /* the parser has seen the whole head */
    bool too_big;  /* the body, as far as it was sent or announced */
    bool complete; /* the request is whole */
    bool braked;   /* on_body() said no more */
    bool close_after; /* this answer is the last */
    bool advancing;
};

struct conn *conn_of(void *data);
struct api *conn_api(const struct conn *c);
void conn_set_state(struct conn *c, enum conn_state state);
/* To an endpoint that has asked to know: the client does not wait for the answer any more. May answer. */
void conn_tell_leave(struct conn *c);
struct body_limits conn_body_limits(const struct conn *c);
/* More time for a body that is timed by its pieces. */
void conn_more_time(struct conn *c);
/* Every way out of a callback that may have ended the connection. */
void conn_free_if_done(struct conn *c);

/* conn_parse.c */
void conn_fresh_request(struct conn *c);
/* Takes the head of len bytes out of the input and into c->rq. Gives false and why. */
bool conn_parse_head(struct conn *c, size_t len, struct head_fault *ret);
enum conn_body { CONN_BODY_MORE, CONN_BODY_WHOLE, CONN_BODY_ANSWERED, CONN_BODY_BAD };
enum conn_body conn_parse_body(struct conn *c, struct head_fault *ret);

/* conn_read.c: goes on as far as the input and the state allow, then reads on. */
void conn_advance(struct conn *c);
void conn_set_reading(struct conn *c);
/* The answer to a request that broke a rule; the connection ends with it. */
void conn_refuse(struct conn *c, const struct head_fault *why);
/* Tests only: a connection over an open socket. */
MUST_USE enum err conn_adopt(struct server *s, int fd);

#endif
