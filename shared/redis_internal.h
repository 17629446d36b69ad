/* redis_internal: what the sources of the Redis client share. Nobody else includes this, except
 * the fuzzer and its replay.
 *
 *     redis.c          states, timer, what the link reports, new, start, close
 *     redis_greeting.c AUTH, SELECT, CLIENT SETNAME, PING
 *     redis_command.c  commands out
 *     redis_reply.c    replies in
 *     redis_script.c   scripts: call, load, repeat */
#ifndef SHARED_REDIS_INTERNAL_H
#define SHARED_REDIS_INTERNAL_H

#include "shared/redis.h"
#include "shared/redis_line.h"
#include "shared/redis_link.h"
#include "shared/redis_resp.h"
#include "shared/redis_url.h"

#define REDIS_WHY_SIZE 200

struct redis {
    unsigned magic;
    enum redis_state state;
    uv_loop_t *loop;
    struct redis_url url;
    char *name; /* may be NULL */
    uint32_t connect_ms, command_ms;
    size_t max_pending, max_pending_bytes, max_reply_bytes;
    const struct log_ctx *log;

    struct redis_link link;
    struct redis_line line;
    struct resp_parser parser;
    uv_timer_t timer; /* back-off while down, the connect's deadline, then the commands' */
    bool timer_live, link_live;
    uint64_t connect_by_ms; /* on the clock of uv_now(), as all deadlines here */
    uint64_t earliest_ms;   /* deadline for which the timer is set while up; UINT64_MAX: none */
    uint64_t now_ms;        /* when the first command of this loop turn came */
    bool grace;     /* a deadline has passed, but the loop reads once more before it cuts */
    unsigned tries; /* connects since the last one that was of use */
    unsigned loads; /* SCRIPT LOADs in flight; the last is of `loading` */
    const struct redis_script *loading;
    redisReply *load_refused; /* the answer to the last SCRIPT LOAD, if it was an error */

    redis_state_fn *on_state;
    void *state_arg;
    bool told, told_up; /* what on_state was told last */
    char told_why[REDIS_WHY_SIZE];
    redis_closed_fn *on_closed;
    void *closed_arg;
};

/* --- redis.c --- */

/* Why a connection ends, and what becomes of the first command that waits. */
struct redis_fall {
    enum err first;          /* ERR_TIMEOUT: of every command whose deadline has passed */
    const redisReply *reply; /* for the first command; borrowed */
    const char *why;
};
/* Drops the connection, ends all that wait, tells on_state, and sets out to come back. */
void redis_fall(struct redis *r, const struct redis_fall *fall);
void redis_rise(struct redis *r); /* the greeting is done */
/* Bytes may be sent and replies come: greeting or up. */
bool redis_is_linked(const struct redis *r);
/* The deadline of a command that is issued now and may take ms; sets the timer. */
uint64_t redis_deadline(struct redis *r, uint32_t ms);
/* Fuzzer and its replay: instead of redis_start(), goes on as if fd had just been connected; takes fd. */
void redis_adopt(struct redis *r, uv_os_sock_t fd, redis_state_fn *on_state, void *arg);

/* --- redis_greeting.c --- */

MUST_USE enum err redis_greet(struct redis *r);
/* The first that waits is part of the greeting, and this is its reply. */
void redis_greeting_reply(struct redis *r, const redisReply *reply);

/* --- redis_command.c --- */

/* Puts a command in line whatever the limits say. */
MUST_USE enum err redis_send(struct redis *r, const struct resp_part *parts, size_t n_parts,
                             struct redis_waiter w);
/* Sends the first that waits, a script call, once more, behind all the others. */
MUST_USE enum err redis_send_again(struct redis *r);
/* Whether a command of so many bytes may be taken. */
MUST_USE enum err redis_admit(const struct redis *r, size_t bytes);

/* --- redis_reply.c --- */

void redis_on_bytes(void *arg, const char *bytes, size_t len);

/* --- redis_script.c --- */

/* The first that waits is a script call that Redis answered with NOSCRIPT. */
void redis_script_repeat(struct redis *r);
/* *reply is that of a SCRIPT LOAD; sets it NULL when it keeps it. */
void redis_script_loaded(struct redis *r, redisReply **reply);

#endif
