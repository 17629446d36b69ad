/* redis_link: the byte stream under a Redis client: resolve, connect, cork, write, read.
 *
 *     shut --open--> looking --addresses--> trying --connected--> open
 *       ^               |                   |    ^ next address   |
 *       +---------------+-- none is left ---+----+   any error ---+        any --close--> closed
 *
 * Addresses are tried in turn; each but the last gets its share of the time. What is put into
 * redis_link_out() leaves in one write at the end of the loop turn (uv_prepare), or at once when
 * it passes 256 KiB. Events come from the loop only, never from inside a call of this module.
 * SIGPIPE must be ignored (loop.h does). */
#ifndef SHARED_REDIS_LINK_H
#define SHARED_REDIS_LINK_H

#include <uv.h>

#include "shared/buf.h"
#include "shared/redis_url.h"

#define REDIS_LINK_ADDRESSES 8

enum redis_link_state {
    REDIS_LINK_SHUT,
    REDIS_LINK_LOOKING,
    REDIS_LINK_TRYING,
    REDIS_LINK_OPEN,
    REDIS_LINK_CLOSED,
};

struct redis_link_events {
    void (*opened)(void *arg);
    void (*bytes)(void *arg, const char *bytes, size_t len);
    /* The link is shut already; uv: the libuv error. */
    void (*lost)(void *arg, int uv, const char *doing);
    void (*closed)(void *arg); /* last; the memory may go */
};

struct redis_link {
    uv_loop_t *loop;
    const struct redis_url *url;
    const struct redis_link_events *events;
    void *arg;
    enum redis_link_state state;
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } peer;
    bool peer_live; /* initialised, its close callback not yet run */
    uv_connect_t connect;
    uv_getaddrinfo_t lookup;
    bool lookup_live;
    struct sockaddr_storage addrs[REDIS_LINK_ADDRESSES];
    size_t n_addrs, next_addr;
    uint64_t deadline_ms; /* of the connect, on the clock of uv_now() */
    uv_timer_t share;     /* of one address in that time */
    uv_prepare_t prepare;
    uv_idle_t idle; /* keeps the loop from waiting while there is something to flush */
    unsigned own_live;
    uv_write_t write;
    bool write_live;
    int write_failed;     /* of an early flush; told by the prepare hook */
    struct buf out, busy; /* being gathered; being written */
    char *in;
};

/* Borrows url, events. */
MUST_USE enum err redis_link_init(struct redis_link *l, uv_loop_t *loop,
                                  const struct redis_url *url,
                                  const struct redis_link_events *events, void *arg);
/* From the loop only. deadline_ms: when the caller will give up. */
void redis_link_open(struct redis_link *l, uint64_t deadline_ms);
/* Tests only: speaks over this connected unix socket instead; takes fd. */
void redis_link_adopt(struct redis_link *l, uv_os_sock_t fd);
struct buf *redis_link_out(struct redis_link *l);
void redis_link_flush_later(struct redis_link *l);
/* Has something to flush, and will at the end of this loop turn. */
bool redis_link_is_corked(const struct redis_link *l);
/* Drops the connection and what is unsent; no event follows. It may be opened again at once. */
void redis_link_shut(struct redis_link *l);
/* For good; closed() follows. */
void redis_link_close(struct redis_link *l);

#endif
