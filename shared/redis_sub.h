/* redis_sub: one connection to one Redis that only listens to channels, and comes back by itself.
 *
 *     down --start/timer--> connecting --> greeting (AUTH, CLIENT SETNAME, PING) --PONG--> up
 *       ^--------------- refused, reset, silent, bad reply, refused command -------------/     any --close--> closing
 *
 * A channel is listened to from redis_sub_add() on, whether the connection is up or not: it is asked for
 * at once, and again after each reconnect. Messages that pass while nobody listens are lost: that is
 * how Redis's channels are. So on_fresh says when listening begins anew (the first time, too): whoever
 * follows something looks at it then, and after that a message stands for every change.
 * A connection on which nothing is heard, not even the answer to a PING, is cut after two ping_ms.
 * The client reconnects with jittered back-off (50 ms to 2 s).
 * SIGPIPE must be ignored (loop.h does). Loop thread only. new -> start -> close. */
#ifndef SHARED_REDIS_SUB_H
#define SHARED_REDIS_SUB_H

#include <uv.h>

#include "shared/err.h"
#include "shared/log.h"
#include "shared/slice.h"

struct redis_sub;
struct redis_sub_channel;

struct redis_sub_options {
    const char *url;           /* as in redis.h; a database in it means nothing to channels */
    const char *name;          /* CLIENT SETNAME; may be NULL; no spaces */
    uint32_t connect_ms;       /* 0: 3000 */
    uint32_t ping_ms;          /* 0: 5000 */
    size_t message_max;        /* 0: 1 MiB; a bigger one costs the connection */
    const struct log_ctx *log; /* borrowed for the client's life; may be NULL */
};

/* From the loop, never from inside a call of this module; they may call anything here but
 * redis_sub_close(). message: borrowed for the call. */
typedef void redis_sub_message_fn(void *arg, struct slice message);
typedef void redis_sub_fresh_fn(void *arg);
typedef void redis_sub_closed_fn(void *arg);

/* Copies what it needs of the options. */
MUST_USE enum err redis_sub_new(uv_loop_t *loop, const struct redis_sub_options *opt,
                                struct redis_sub **ret, struct fault *reterr);
/* Begins to connect; once. */
void redis_sub_start(struct redis_sub *s);
bool redis_sub_is_up(const struct redis_sub *s);
/* "" while up; else why not. Never holds the password. */
const char *redis_sub_why(const struct redis_sub *s);

struct redis_sub_ear {
    struct slice channel; /* copied; not listened to already */
    redis_sub_message_fn *on_message;
    redis_sub_fresh_fn *on_fresh; /* may be NULL */
    void *arg;
};
MUST_USE enum err redis_sub_add(struct redis_sub *s, const struct redis_sub_ear *ear,
                                struct redis_sub_channel **ret);
/* Whether nothing that is published now would be missed. */
bool redis_sub_is_fresh(const struct redis_sub_channel *ch);
/* Takes *p and sets it NULL; copes with NULL. Nothing is told of it any more. */
void redis_sub_remove(struct redis_sub_channel **p);

/* Takes *p and sets it NULL; all channels are removed before. on_closed (may be NULL) runs last. */
void redis_sub_close(struct redis_sub **p, redis_sub_closed_fn *on_closed, void *arg);

#endif
