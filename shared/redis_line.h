/* redis_line: the commands that wait for their replies, in the order they were sent.
 *
 * A ring of plain records, so that a command costs no allocation. The bytes of a script call are
 * kept until its reply, in one run beside the ring, because the call may have to be repeated. */
#ifndef SHARED_REDIS_LINE_H
#define SHARED_REDIS_LINE_H

#include "shared/buf.h"
#include "shared/redis.h"

enum redis_kind { /* whose command it is */
                  REDIS_KIND_USER,
                  REDIS_KIND_LOAD, /* SCRIPT LOAD */
                  REDIS_KIND_AUTH,
                  REDIS_KIND_SELECT,
                  REDIS_KIND_NAME,
                  REDIS_KIND_PING,
};

struct redis_waiter {
    redis_reply_fn *cb; /* REDIS_KIND_USER only */
    void *arg;
    const struct redis_script *script; /* NULL: no script call, so nothing is kept */
    uint64_t deadline_ms;              /* on the clock of uv_now() */
    size_t bytes;                      /* as sent */
    enum redis_kind kind;
    bool repeated; /* after NOSCRIPT; not again */
};

struct redis_line {
    struct redis_waiter *ring;
    size_t cap, head, len; /* cap is 0 or a power of two */
    size_t bytes;          /* of all that wait */
    struct buf kept;
    size_t kept_at; /* where the bytes of the first waiter that has any begin */
};

void redis_line_done(struct redis_line *l); /* what waits is forgotten, not called */
/* Makes room for one more waiter that has kept_bytes to keep. */
MUST_USE bool redis_line_reserve(struct redis_line *l, size_t kept_bytes);
/* Needs the room. With w.script set, gives where its w.bytes must be written; else NULL. */
char *redis_line_push(struct redis_line *l, struct redis_waiter w);
/* The first; there must be one. */
const struct redis_waiter *redis_line_first(const struct redis_line *l);
/* The kept bytes of the first, which must be a script call. Valid until reserve or pop. */
const char *redis_line_kept(const struct redis_line *l);
struct redis_waiter redis_line_pop(struct redis_line *l);
/* UINT64_MAX when nobody waits. */
uint64_t redis_line_earliest_ms(const struct redis_line *l);

#endif
