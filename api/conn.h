/* conn: one client connection: requests in, answers out, one at a time and in order.
 *
 *     idle --first byte--> head --empty line--> body --whole--> answering --out, keep-alive--> idle
 *       \                    \                    \                \--out, close--> lingering --> closed
 *        \____________________\____________________\___ deadline, broken rule: an error answer, or just closed
 *
 * Pipelined requests wait in the input buffer, which is not read further when it is full. Each state
 * has a deadline; the server's sweep ends who passes it. A connection whose last request is still
 * being worked on when the client goes away stays until the endpoint has answered into the void. A client
 * that has only said that it sends no more (half-closed) gets the answers to all its whole requests. */
#ifndef API_CONN_H
#define API_CONN_H

#include <uv.h>

#include "api/request.h"
#include "api/server.h"

enum conn_state {
    CONN_IDLE,
    CONN_HEAD,
    CONN_BODY,
    CONN_ANSWERING,
    CONN_LINGERING,
    CONN_CLOSED
};

/* Accepts from a listening stream. Gives false if there is no memory: the client goes on waiting. */
bool conn_accept(struct server *s, uv_stream_t *listener);
/* The sweep: acts if the deadline has passed. */
void conn_check(struct conn *c, uint64_t now_ms);
/* Draining: closes an idle one; the others close after their answer. */
void conn_drain(struct conn *c);
/* At once. */
void conn_abort(struct conn *c);
/* The server's list of connections. */
void conn_insert(struct conn **list, struct conn *c);
void conn_unlink(struct conn *c);
struct conn *conn_next(const struct conn *c);

/* For reply.c and answers that are written piece by piece. Appends to the answer; takes effect with conn_answered() or conn_flush(). */
struct buf *conn_out(struct conn *c);
/* True when the connection ends after this answer, whatever the answer wants. */
bool conn_ends(const struct conn *c);
/* The client sends no more, or is gone: on_leave() was called already, or will not be. */
bool conn_is_left(const struct conn *c);
/* The answer is complete in conn_out(). close: the connection ends after it. */
void conn_answered(struct conn *c, bool close);
/* Writes what conn_out() holds; fn runs later, once, gone: the client is not there any more. */
typedef void conn_written_fn(void *arg, bool gone);
void conn_flush(struct conn *c, conn_written_fn *fn, void *arg);

#endif
