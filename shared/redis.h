/* redis: one connection to one Redis, pipelined, with deadlines, that comes back by itself.
 *
 *     down --start/timer--> connecting --TCP or unix--> greeting (AUTH, SELECT, CLIENT SETNAME, PING) --PONG--> up
 *       ^------------------------- refused, reset, deadline, bad reply, fail-over -----------------------------/
 *                                                                       any --close--> closing
 *
 * hiredis is used as a codec only; the transport is a uv stream, so a refused, reset or silent
 * peer always ends in a callback. Commands of one loop turn leave in one write. Replies come in
 * order. A command that passes its deadline closes the connection (a reply cannot be skipped):
 * it ends with ERR_TIMEOUT, everything else in flight with ERR_UNREACHABLE. For both, as for any
 * command cut while in flight, whether Redis ran it is unknown. The client then reconnects with
 * jittered back-off (50 ms to 2 s; it starts small again once a command has succeeded). Host
 * names are resolved off the loop, at every connect; all addresses are tried; the connect's
 * deadline covers name, connect and greeting. A server that still loads, or a replica that lost
 * its master, is not up.
 *
 * Commands are taken only while up; otherwise the start fails with ERR_UNREACHABLE at once, with
 * ERR_BUSY when max_pending commands or max_pending_bytes wait already, with ERR_TOO_BIG when the
 * command alone is over max_pending_bytes. What changes the protocol (SUBSCRIBE, MONITOR, HELLO,
 * CLIENT REPLY) has no place here; a command that blocks (BLPOP) needs a client of its own, and a
 * deadline_ms beyond its own time-out.
 * SIGPIPE must be ignored (loop.h does). Loop thread only. new -> start -> close. */
#ifndef SHARED_REDIS_H
#define SHARED_REDIS_H

#include <hiredis/hiredis.h>
#include <uv.h>

#include "shared/err.h"
#include "shared/log.h"

struct redis;

struct redis_options {
    /* redis://[[user]:password@]host[:port][/db], unix://[[user]:password@]/path/redis.sock[?db=n];
     * user, password and path percent-encoded where they hold / ? # @ : or % */
    const char *url;
    const char *name;         /* CLIENT SETNAME; may be NULL; no spaces */
    uint32_t connect_ms;      /* 0: 3000 */
    uint32_t command_ms;      /* 0: 5000; the deadline of commands that name none */
    size_t max_pending;       /* 0: 10000 */
    size_t max_pending_bytes; /* 0: 64 MiB */
    /* 0: 64 MiB. A bigger reply closes the connection, its command ends with ERR_TOO_BIG. An element
     * of an array counts as 64 bytes beside its own. */
    size_t max_reply_bytes;
    const struct log_ctx *log; /* borrowed for the client's life; may be NULL */
};

enum redis_state { REDIS_DOWN, REDIS_CONNECTING, REDIS_GREETING, REDIS_UP, REDIS_CLOSING };

/* reply: borrowed for the call.
 *   ERR_OK        reply is set (its type may be nil)
 *   ERR_REJECTED  reply is the error reply (reply->str)
 *   ERR_BUSY      reply is the error reply: the server cannot now (OOM, MISCONF, BUSY, NOREPLICAS,
 *                 TRYAGAIN, CLUSTERDOWN), or is not the one to talk to (READONLY, LOADING,
 *                 MASTERDOWN; the client then connects anew)
 *   any other     reply is NULL: UNREACHABLE, TIMEOUT, TOO_BIG, NOMEM, CANCELED
 * Called once for each command that was taken, from the loop, never from inside a call of this
 * module. It may call anything here, redis_close() too. */
typedef void redis_reply_fn(void *arg, enum err e, const redisReply *reply);
/* After each change between up and not up, after the first connect that fails, and when the reason
 * for being down changes. why: "" when up; else never holds the password. When the connection ends,
 * the commands in flight are called back before this. */
typedef void redis_state_fn(void *arg, bool up, const char *why);
typedef void redis_closed_fn(void *arg);

/* Copies what it needs of the options. Fails on a URL that does not parse (names the rule), on
 * rediss:// with ERR_UNSUPPORTED, on a name with spaces. */
MUST_USE enum err redis_new(uv_loop_t *loop, const struct redis_options *opt,
                            struct redis **ret, struct fault *reterr);
/* Begins to connect; once. on_state may be NULL. */
void redis_start(struct redis *r, redis_state_fn *on_state, void *arg);
bool redis_is_up(const struct redis *r);
enum redis_state redis_state(const struct redis *r);
size_t redis_pending(const struct redis *r);
/* "redis://host:6379/0", "unix:///path/redis.sock?db=0": without user and password. */
const char *redis_where(const struct redis *r);

struct redis_command {
    int argc;
    const struct slice *argv; /* copied before the call returns */
    uint32_t deadline_ms;     /* 0: the client's default */
};
MUST_USE enum err redis_command(struct redis *r, const struct redis_command *cmd,
                                redis_reply_fn *cb, void *arg);
/* Words split at spaces, %s and %b (ptr, size_t) as in hiredis; for the cold path. ERR_MALFORMED: fmt. */
MUST_USE enum err redis_commandf(struct redis *r, redis_reply_fn *cb, void *arg,
                                 const char *fmt, ...);

/* A Lua script, sent as EVALSHA; on NOSCRIPT it is loaded and the call repeated once, unseen by the
 * caller, within the same deadline. The repeat goes to the end of the line, so it may run after
 * commands that were issued later: what must run after a call waits for its reply.
 * One static object per script, shared by all clients, alive as long as they are. */
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
MUST_USE enum err redis_call(struct redis *r, const struct redis_call *call, redis_reply_fn *cb,
                             void *arg);

/* Takes *r and sets it NULL. From the loop, not from inside this call: pending commands end with
 * ERR_CANCELED, then on_closed (may be NULL) runs, last. on_state is not called any more. */
void redis_close(struct redis **r, redis_closed_fn *on_closed, void *arg);

#endif
