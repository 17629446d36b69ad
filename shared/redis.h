/* redis: one connection to one Redis, pipelined, with deadlines, that comes back by itself.
 *
 *     down --start/timer--> connecting --TCP or unix--> greeting (AUTH, SELECT, CLIENT SETNAME) --ok--> up
 *       ^------------------------- refused, reset, deadline, bad reply --------------------------------/
 *
 * hiredis is used as a codec only; the transport is a uv stream, so a refused, reset or silent
 * peer always ends in a callback. Commands of one loop turn leave in one write. Replies come in
 * order. A command that passes its deadline closes the connection (a reply cannot be skipped):
 * it ends with ERR_TIMEOUT, everything behind it with ERR_UNREACHABLE. For both, as for any
 * command cut while in flight, whether Redis ran it is unknown. The client then reconnects with
 * jittered back-off (50 ms to 2 s). Host names are resolved off the loop, at every connect.
 *
 * Commands are taken only while up; otherwise the start fails with ERR_UNREACHABLE at once, and
 * with ERR_BUSY when max_pending commands or max_pending_bytes wait already.
 * Loop thread only. new -> start -> close. */
#ifndef SHARED_REDIS_H
#define SHARED_REDIS_H

#include <hiredis/hiredis.h>
#include <uv.h>

#include "shared/log.h"
#include "shared/err.h"

struct redis;

struct redis_options {
    const char *url; /* redis://[[user]:password@]host[:port][/db], unix:///path/redis.sock[?db=n] */
    const char *name; /* CLIENT SETNAME; may be NULL */
    uint32_t connect_ms; /* 0: 3000 */
    uint32_t command_ms; /* 0: 5000; the deadline of commands that name none */
    size_t max_pending;       /* 0: 10000 */
    size_t max_pending_bytes; /* 0: 64 MiB */
    size_t max_reply_bytes;   /* 0: 64 MiB; a bigger reply closes the connection */
    const struct log_ctx *log;
};

enum redis_state { REDIS_DOWN, REDIS_CONNECTING, REDIS_GREETING, REDIS_UP, REDIS_CLOSING };

/* reply: borrowed for the call. ERR_OK: reply is set (its type may be nil). ERR_REJECTED: reply is
 * the error reply (reply->str). Any other error: reply is NULL. */
typedef void redis_reply_fn(void *arg, enum err e, const redisReply *reply);
/* After each change between up and not up. why: "" when up. */
typedef void redis_state_fn(void *arg, bool up, const char *why);
typedef void redis_closed_fn(void *arg);

/* Copies what it needs of the options. Fails on a URL that does not parse (names the rule). */
MUST_USE enum err redis_new(uv_loop_t *loop, const struct redis_options *opt, struct redis **ret,
                            struct fault *reterr);
/* Begins to connect. on_state may be NULL. */
void redis_start(struct redis *r, redis_state_fn *on_state, void *arg);
bool redis_is_up(const struct redis *r);
enum redis_state redis_state(const struct redis *r);
size_t redis_pending(const struct redis *r);
/* "redis://host:6379/0" without user and password. */
const char *redis_where(const struct redis *r);

struct redis_command {
    int argc;
    const struct slice *argv; /* copied before the call returns */
    uint32_t deadline_ms;     /* 0: the client's default */
};
MUST_USE enum err redis_command(struct redis *r, const struct redis_command *cmd, redis_reply_fn *cb, void *arg);
/* Words split at spaces, %s and %b (ptr, size_t) as in hiredis; for the cold path. */
MUST_USE enum err redis_commandf(struct redis *r, redis_reply_fn *cb, void *arg, const char *fmt, ...);

/* A Lua script, sent as EVALSHA; on NOSCRIPT it is loaded and the call repeated, unseen by the
 * caller. One static object per script, shared by all clients. */
struct redis_script {
    const char *name;
    const char *source;
    size_t len;
    char sha1[41]; /* filled by redis_script_init() */
};
void redis_script_init(struct redis_script *s);
struct redis_call {
    const struct redis_script *script;
    size_t n_keys, n_args;
    const struct slice *keys, *args; /* copied before the call returns */
    uint32_t deadline_ms;
};
MUST_USE enum err redis_call(struct redis *r, const struct redis_call *call, redis_reply_fn *cb, void *arg);

/* Takes *r and sets it NULL. Pending commands end with ERR_CANCELED first; on_closed (may be NULL)
 * runs last, from the loop. */
void redis_close(struct redis **r, redis_closed_fn *on_closed, void *arg);

#endif
