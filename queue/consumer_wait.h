/* consumer_wait: waits for the wake token of one queue, on a Redis connection of its own, because
 * a connection that waits can do nothing else.
 *
 * Nothing is polled: Redis answers when there is a token, or after five seconds with nothing,
 * so that a dead connection is noticed. Nobody but the consumer includes this. */
#ifndef QUEUE_CONSUMER_WAIT_H
#define QUEUE_CONSUMER_WAIT_H

#include "shared/redis.h"

struct waiter;
/* A token was taken: there is something to do, and nobody else will be told. */
typedef void waiter_token_fn(void *arg);
typedef void waiter_closed_fn(void *arg);

struct waiter_options {
    const char *redis_url, *name;
    struct slice wake_key; /* borrowed; must outlive the waiter */
    const struct log_ctx *log;
    waiter_token_fn *on_token;
    void *arg;
};
MUST_USE enum err waiter_new(uv_loop_t *loop, const struct waiter_options *opt,
                             struct waiter **ret, struct fault *reterr);
void waiter_start(struct waiter *w);
bool waiter_is_up(const struct waiter *w);
/* Whether tokens are wanted. One may still come after they are not any more. After a token they
 * are not, until this is called again. */
void waiter_want(struct waiter *w, bool wanted);
/* Redis's id of this connection, for CLIENT UNBLOCK from another; 0: not known now. */
int64_t waiter_client_id(const struct waiter *w);
void waiter_close(struct waiter **w, waiter_closed_fn *on_closed, void *arg);

#endif
