#include "shared/redis_link.h"

#include <arpa/inet.h>
#include <netdb.h>

#define FLUSH_EARLY      ((size_t)256 * 1024)
#define OUT_IDLE         ((size_t)1024 * 1024) /* a bigger buffer is given back once it is written */
#define IN_SIZE          ((size_t)64 * 1024)
#define KEEPALIVE_SEC    60
#define LINK_OWN_HANDLES 3

static void look(struct redis_link *l);
static void try_next(struct redis_link *l);

/* --- shutting ------------------------------------------------------------------------------- */

static void set_state(struct redis_link *l, enum redis_link_state to)
{
    must(l->state != REDIS_LINK_CLOSED);
    l->state = to;
}

static void finish_if_done(struct redis_link *l)
{
    if (l->state != REDIS_LINK_CLOSED || l->own_live > 0 || l->peer_live || l->lookup_live)
        return;
    buf_done(&l->out);
    buf_done(&l->busy);
    free(l->in);
    l->in = NULL;
    l->events->closed(l->arg);
}

static void on_peer_closed(uv_handle_t *h)
{
    struct redis_link *l = h->data;

    l->peer_live = false;
    switch (l->state) {
    case REDIS_LINK_LOOKING:
        look(l);
        return;
    case REDIS_LINK_TRYING:
        try_next(l);
        return;
    case REDIS_LINK_CLOSED:
        finish_if_done(l);
        return;
    case REDIS_LINK_SHUT:
    case REDIS_LINK_OPEN:
        return;
    }
}

static void drop_peer(struct redis_link *l)
{
    (void)uv_timer_stop(&l->share);
    (void)uv_prepare_stop(&l->prepare);
    (void)uv_idle_stop(&l->idle);
    buf_done(&l->out);
    l->write_failed = 0;
    if (l->peer_live && !uv_is_closing(&l->peer.handle))
        uv_close(&l->peer.handle, on_peer_closed);
}

void redis_link_shut(struct redis_link *l)
{
    set_state(l, REDIS_LINK_SHUT);
    drop_peer(l);
}

static void lost(struct redis_link *l, int uv, const char *doing)
{
    redis_link_shut(l);
    l->events->lost(l->arg, uv, doing);
}

static void on_own_closed(uv_handle_t *h)
{
    struct redis_link *l = h->data;

    l->own_live--;
    finish_if_done(l);
}

void redis_link_close(struct redis_link *l)
{
    set_state(l, REDIS_LINK_CLOSED);
    drop_peer(l);
    if (l->lookup_live)
        (void)uv_cancel(
            (uv_req_t *)&l->lookup); /* fails when it runs already; then it ends by itself */
    uv_close((uv_handle_t *)&l->share, on_own_closed);
    uv_close((uv_handle_t *)&l->prepare, on_own_closed);
    uv_close((uv_handle_t *)&l->idle, on_own_closed);
}

/* --- writing -------------------------------------------------------------------------------- */

static void on_written(uv_write_t *req, int status);

static void release_if_big(struct buf *b)
{
    if (b->cap > OUT_IDLE)
        buf_done(b);
    else
        buf_clear(b);
}

/* Gives a libuv error, or 0: all is written, or the rest is under way. */
static int flush(struct redis_link *l)
{
    uv_buf_t all = {.base = l->out.data, .len = l->out.len};
    struct buf rest = l->out;
    int sent;

    if (l->write_live || l->out.len == 0)
        return 0;
    sent = uv_try_write(&l->peer.stream, &all, 1);
    if (sent < 0 && sent != UV_EAGAIN)
        return sent;
    if (sent < 0)
        sent = 0;
    if ((size_t)sent == l->out.len) {
        release_if_big(&l->out);
        return 0;
    }
    /* Nothing is moved: the two buffers change places. */
    l->out = l->busy;
    l->busy = rest;
    all = (uv_buf_t){.base = rest.data + sent, .len = rest.len - (size_t)sent};
    sent = uv_write(&l->write, &l->peer.stream, &all, 1, on_written);
    l->write_live = sent == 0;
    return sent;
}

static void on_written(uv_write_t *req, int status)
{
    struct redis_link *l = req->data;

    l->write_live = false;
    release_if_big(&l->busy);
    if (l->state != REDIS_LINK_OPEN)
        return;
    if (status == 0)
        status = flush(l);
    if (status < 0)
        lost(l, status, "write");
}

static void on_prepare(uv_prepare_t *h)
{
    struct redis_link *l = h->data;
    int failed = l->write_failed;

    (void)uv_prepare_stop(&l->prepare);
    (void)uv_idle_stop(&l->idle);
    if (failed == 0)
        failed = flush(l);
    if (failed < 0)
        lost(l, failed, "write");
}

/* Does nothing: that it is active is what counts. A command that another prepare hook issues
 * after ours has run would otherwise lie here until something else wakes the loop. */
static void on_idle(uv_idle_t *h)
{
    (void)h;
}

struct buf *redis_link_out(struct redis_link *l)
{
    return &l->out;
}

bool redis_link_is_corked(const struct redis_link *l)
{
    return uv_is_active((const uv_handle_t *)&l->prepare) != 0;
}

void redis_link_flush_later(struct redis_link *l)
{
    must(l->state == REDIS_LINK_OPEN);
    if (l->write_live)
        return; /* on_written goes on with it */
    if (!redis_link_is_corked(l)) {
        (void)uv_prepare_start(&l->prepare, on_prepare);
        (void)uv_idle_start(&l->idle, on_idle);
    }
    if (l->out.len > FLUSH_EARLY && l->write_failed == 0)
        l->write_failed = flush(l);
}

/* --- reading -------------------------------------------------------------------------------- */

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *ret)
{
    struct redis_link *l = h->data;

    (void)suggested;
    *ret = (uv_buf_t){.base = l->in, .len = IN_SIZE};
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
    struct redis_link *l = s->data;

    if (n > 0)
        l->events->bytes(l->arg, b->base, (size_t)n);
    else if (n < 0)
        lost(l, (int)n, "read");
}

static void opened(struct redis_link *l)
{
    int failed = uv_read_start(&l->peer.stream, on_alloc, on_read);

    (void)uv_timer_stop(&l->share);
    if (failed < 0) {
        lost(l, failed, "read");
        return;
    }
    set_state(l, REDIS_LINK_OPEN);
    l->events->opened(l->arg);
}

/* --- connecting ----------------------------------------------------------------------------- */

/* This address failed: on with the next one when its handle is gone, or give up. */
static void give_up_address(struct redis_link *l, int uv)
{
    if (l->next_addr >= l->n_addrs) {
        lost(l, uv, "connect");
        return;
    }
    (void)uv_timer_stop(&l->share);
    if (l->peer_live)
        uv_close(&l->peer.handle, on_peer_closed);
    else
        try_next(l);
}

static void on_share_over(uv_timer_t *t)
{
    struct redis_link *l = t->data;

    if (l->state == REDIS_LINK_TRYING && !uv_is_closing(&l->peer.handle))
        give_up_address(l, UV_ETIMEDOUT);
}

static void on_connected(uv_connect_t *req, int status)
{
    struct redis_link *l = req->data;

    if (l->state != REDIS_LINK_TRYING || uv_is_closing(&l->peer.handle))
        return; /* dropped meanwhile */
    if (status < 0) {
        give_up_address(l, status);
        return;
    }
    if (l->url->path == NULL) { /* neither is worth losing the link for */
        (void)uv_tcp_nodelay(&l->peer.tcp, 1);
        (void)uv_tcp_keepalive(&l->peer.tcp, 1, KEEPALIVE_SEC);
    }
    opened(l);
}

/* A silent address must leave time for those behind it; the last has the caller's deadline. */
static void start_share(struct redis_link *l)
{
    uint64_t now = uv_now(l->loop);
    uint64_t left = l->deadline_ms > now ? l->deadline_ms - now : 0;

    if (l->next_addr < l->n_addrs)
        (void)uv_timer_start(&l->share, on_share_over, left / (l->n_addrs - l->next_addr + 1),
                             0);
}

static void try_next(struct redis_link *l)
{
    const struct sockaddr *addr = (const struct sockaddr *)&l->addrs[l->next_addr++];
    int failed = uv_tcp_init(l->loop, &l->peer.tcp);

    l->peer.handle.data = l;
    l->peer_live = failed == 0;
    if (failed == 0)
        failed = uv_tcp_connect(&l->connect, &l->peer.tcp, addr, on_connected);
    if (failed < 0)
        give_up_address(l, failed);
    else
        start_share(l);
}

static void try_pipe(struct redis_link *l)
{
    int failed = uv_pipe_init(l->loop, &l->peer.pipe, 0);

    l->peer.handle.data = l;
    l->peer_live = failed == 0;
    if (failed < 0)
        give_up_address(l, failed);
    else
        uv_pipe_connect(&l->connect, &l->peer.pipe, l->url->path, on_connected);
}

static void add_address(struct redis_link *l, const struct sockaddr *addr)
{
    bool v6 = addr->sa_family == AF_INET6;

    if (l->n_addrs == REDIS_LINK_ADDRESSES || (!v6 && addr->sa_family != AF_INET))
        return;
    memcpy(&l->addrs[l->n_addrs++], addr,
           v6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in));
}

static void on_found(uv_getaddrinfo_t *req, int status, struct addrinfo *found)
{
    struct redis_link *l = req->data;

    l->lookup_live = false;
    if (l->state == REDIS_LINK_LOOKING && status == 0) {
        for (const struct addrinfo *a = found; a != NULL; a = a->ai_next)
            add_address(l, a->ai_addr);
    }
    uv_freeaddrinfo(found);
    if (l->state == REDIS_LINK_CLOSED) {
        finish_if_done(l);
    } else if (l->state == REDIS_LINK_LOOKING && l->n_addrs == 0) {
        lost(l, status < 0 ? status : UV_EAI_NONAME, "resolve");
    } else if (l->state == REDIS_LINK_LOOKING) {
        set_state(l, REDIS_LINK_TRYING);
        try_next(l);
    }
}

static bool is_numeric(const char *host, uint16_t port, struct sockaddr_storage *ret)
{
    return uv_ip4_addr(host, port, (struct sockaddr_in *)ret) == 0 ||
           uv_ip6_addr(host, port, (struct sockaddr_in6 *)ret) == 0;
}

static void look_up(struct redis_link *l)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    char port[8];
    int failed;

    if (l->lookup_live)
        return; /* that of an earlier try still runs: its answer serves as well */
    (void)snprintf(port, sizeof port, "%u", l->url->port);
    failed = uv_getaddrinfo(l->loop, &l->lookup, on_found, l->url->host, port, &hints);
    l->lookup_live = failed == 0;
    if (failed < 0)
        lost(l, failed, "resolve");
}

static void look(struct redis_link *l)
{
    struct sockaddr_storage addr = {0};

    l->n_addrs = l->next_addr = 0;
    if (l->url->path != NULL) {
        set_state(l, REDIS_LINK_TRYING);
        try_pipe(l);
    } else if (is_numeric(l->url->host, l->url->port, &addr)) {
        add_address(l, (const struct sockaddr *)&addr);
        set_state(l, REDIS_LINK_TRYING);
        try_next(l);
    } else {
        look_up(l);
    }
}

void redis_link_open(struct redis_link *l, uint64_t deadline_ms)
{
    must(l->state == REDIS_LINK_SHUT);
    l->deadline_ms = deadline_ms;
    set_state(l, REDIS_LINK_LOOKING);
    if (!l->peer_live)
        look(l); /* else when the old handle is gone */
}

void redis_link_adopt(struct redis_link *l, uv_os_sock_t fd)
{
    must(l->state == REDIS_LINK_SHUT && !l->peer_live);
    must(uv_pipe_init(l->loop, &l->peer.pipe, 0) == 0 && uv_pipe_open(&l->peer.pipe, fd) == 0);
    l->peer.handle.data = l;
    l->peer_live = true;
    opened(l);
}

enum err redis_link_init(struct redis_link *l, uv_loop_t *loop, const struct redis_url *url,
                         const struct redis_link_events *events, void *arg)
{
    *l = (struct redis_link){.loop = loop, .url = url, .events = events, .arg = arg};
    l->in = malloc(IN_SIZE);
    if (l->in == NULL)
        return ERR_NOMEM;
    must(uv_timer_init(loop, &l->share) == 0 && uv_prepare_init(loop, &l->prepare) == 0 &&
         uv_idle_init(loop, &l->idle) == 0);
    l->own_live = LINK_OWN_HANDLES;
    l->share.data = l->prepare.data = l->idle.data = l;
    l->connect.data = l->lookup.data = l->write.data = l;
    return ERR_OK;
}
