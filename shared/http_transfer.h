/* http_transfer: what one outgoing HTTP request and one outgoing mail have in common: a deadline, an
 * end that is told once, and a struct that lives until libuv has let go of it. For http_client.c and
 * smtp_client.c only.
 *
 *     running --http_transfer_end()--> answered --nothing held, timer closed--> freed
 *        \__http_transfer_fail_soon(), deadline__(next turn)__/                                   */
#ifndef SHARED_HTTP_TRANSFER_H
#define SHARED_HTTP_TRANSFER_H

#include "shared/http_client.h"
#include "shared/resolve.h"

struct http_transfer_kind {
    void (*stop)(struct http_transfer *t); /* lets go of what is in flight; may come twice */
    void (*free)(struct http_transfer *t); /* last */
};

/* All transfers of one client. */
struct http_transfers {
    struct http_transfer *first; /* those not answered yet */
    size_t n;                    /* those not freed yet */
    void (*on_freed)(void *arg); /* after each; may free the list's owner */
    void *arg;
};

struct http_transfer {
    uint32_t magic;
    const struct http_transfer_kind *kind;
    struct http_transfers *all;
    struct http_transfer *prev, *next;
    http_answer_fn *cb;
    void *arg;
    uv_timer_t timer;
    struct fault fate; /* what the timer will tell */
    unsigned held;
    bool answered, timer_open;
    char what[300]; /* "POST example.com:443" */
};

/* Starts the clock. From here on the transfer ends by http_transfer_end() or http_transfer_drop(). */
void http_transfer_init(struct http_transfer *t, const struct http_transfer_kind *kind,
                        struct http_transfers *all, uv_loop_t *loop);
void http_transfer_start(struct http_transfer *t, uint32_t deadline_ms, http_answer_fn *cb,
                         void *arg);
/* Ends without an answer: for a start that fails. */
void http_transfer_drop(struct http_transfer *t);
/* Gives the answer; only from callbacks of the loop. e != ERR_OK: answer may be NULL. */
void http_transfer_end(struct http_transfer *t, enum err e, const struct http_answer *answer,
                       const struct fault *why);
/* The same, but in a later turn; safe anywhere. */
void http_transfer_fail_soon(struct http_transfer *t, const struct fault *why);
/* Keeps the struct alive, answered or not. */
void http_transfer_hold(struct http_transfer *t);
void http_transfer_release(struct http_transfer *t);

#endif
