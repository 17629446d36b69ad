/* script_server: a TCP server on a free port of 127.0.0.1, in the test's own loop, that says what the
 * test tells it to say.
 *
 * A header with its functions, because files beside the tests are linked into all of them, and those of
 * the renderer have no libuv. */
#ifndef TESTS_UNIT_SCRIPT_SERVER_H
#define TESTS_UNIT_SCRIPT_SERVER_H

#include <string.h>

#include <uv.h>

#include "shared/buf.h"

struct script_server;

struct script_conn {
    uv_tcp_t tcp;
    struct script_server *server;
    struct buf in;   /* what came and was not consumed */
    unsigned number; /* 1 for the first connection */
    int step;        /* the script's own */
    bool closing;
};

/* Either may be NULL. */
struct script {
    void (*accepted)(struct script_conn *c);
    void (*received)(struct script_conn *c);
    void (*gone)(struct script_conn *c); /* the peer closed or cut the connection */
};

struct script_server {
    uv_tcp_t tcp;
    struct script script;
    void *arg;
    unsigned port, accepted;
    struct script_conn *conns[64];
};

struct script_saying {
    uv_write_t req;
    char bytes[];
};

static void script_on_conn_closed(uv_handle_t *h)
{
    struct script_conn *c = h->data;

    c->server->conns[c->number % COUNT_OF(c->server->conns)] = NULL;
    buf_done(&c->in);
    free(c);
}

static void script_end_conn(struct script_conn *c)
{
    if (c->closing)
        return;
    c->closing = true;
    uv_close((uv_handle_t *)&c->tcp, script_on_conn_closed);
}

static void script_give_room(uv_handle_t *h, size_t hint, uv_buf_t *ret)
{
    struct script_conn *c = h->data;

    *ret = uv_buf_init(buf_reserve(&c->in, hint), (unsigned)hint);
}

static void script_on_bytes(uv_stream_t *stream, ssize_t n, const uv_buf_t *unused)
{
    struct script_conn *c = stream->data;

    (void)unused;
    if (n < 0) {
        if (c->server->script.gone != NULL)
            c->server->script.gone(c);
        script_end_conn(c);
        return;
    }
    buf_commit(&c->in, (size_t)n);
    if (c->server->script.received != NULL)
        c->server->script.received(c);
}

static void script_on_connection(uv_stream_t *listener, int status)
{
    struct script_server *s = listener->data;
    struct script_conn *c = calloc(1, sizeof *c);

    must(status == 0 && c != NULL);
    c->server = s;
    c->number = ++s->accepted;
    must(s->conns[c->number % COUNT_OF(s->conns)] == NULL);
    s->conns[c->number % COUNT_OF(s->conns)] = c;
    must(uv_tcp_init(listener->loop, &c->tcp) == 0);
    c->tcp.data = c;
    must(uv_accept(listener, (uv_stream_t *)&c->tcp) == 0);
    must(uv_read_start((uv_stream_t *)&c->tcp, script_give_room, script_on_bytes) == 0);
    if (s->script.accepted != NULL)
        s->script.accepted(c);
}

static inline void script_server_open(struct script_server *s, uv_loop_t *loop,
                                      struct script script, void *arg)
{
    struct sockaddr_in any, got;
    int len = sizeof got;

    memset(s, 0, sizeof *s);
    s->script = script;
    s->arg = arg;
    must(uv_tcp_init(loop, &s->tcp) == 0);
    s->tcp.data = s;
    must(uv_ip4_addr("127.0.0.1", 0, &any) == 0);
    must(uv_tcp_bind(&s->tcp, (const struct sockaddr *)&any, 0) == 0);
    must(uv_listen((uv_stream_t *)&s->tcp, 64, script_on_connection) == 0);
    must(uv_tcp_getsockname(&s->tcp, (struct sockaddr *)&got, &len) == 0);
    s->port = ntohs(got.sin_port);
}

/* Closes the listener and all connections; the loop must run for it to finish. */
static inline void script_server_close(struct script_server *s)
{
    uv_close((uv_handle_t *)&s->tcp, NULL);
    for (size_t i = 0; i < COUNT_OF(s->conns); i++) {
        if (s->conns[i] != NULL)
            script_end_conn(s->conns[i]);
    }
}

static inline void script_on_said(uv_write_t *req, int status)
{
    (void)status; /* the peer may have gone */
    free(CONTAINER(req, struct script_saying, req));
}

static inline void script_say_bytes(struct script_conn *c, const char *bytes, size_t len)
{
    struct script_saying *w;
    uv_buf_t b;

    if (c->closing)
        return;
    w = malloc(sizeof *w + len);
    must(w != NULL);
    memcpy(w->bytes, bytes, len);
    b = uv_buf_init(w->bytes, (unsigned)len);
    must(uv_write(&w->req, (uv_stream_t *)&c->tcp, &b, 1, script_on_said) == 0);
}

static inline void script_say(struct script_conn *c, const char *text)
{
    script_say_bytes(c, text, strlen(text));
}

static void script_on_shut(uv_shutdown_t *req, int status)
{
    (void)status;
    script_end_conn(req->handle->data);
    free(req);
}

/* After what was said. */
static inline void script_hang_up(struct script_conn *c)
{
    uv_shutdown_t *req = malloc(sizeof *req);

    must(req != NULL);
    if (c->closing || uv_shutdown(req, (uv_stream_t *)&c->tcp, script_on_shut) != 0)
        free(req);
}

/* RST. */
static inline void script_cut(struct script_conn *c)
{
    if (c->closing)
        return;
    c->closing = true;
    must(uv_tcp_close_reset(&c->tcp, script_on_conn_closed) == 0);
}

/* The first line of c->in, without its CR LF, moved to line; false if there is none yet. */
static inline bool script_line(struct script_conn *c, struct buf *line)
{
    const char *lf = c->in.len == 0 ? NULL : memchr(c->in.data, '\n', c->in.len);
    size_t n;

    if (lf == NULL)
        return false;
    n = (size_t)(lf - c->in.data);
    buf_clear(line);
    buf_add(line, c->in.data, n > 0 && lf[-1] == '\r' ? n - 1 : n);
    buf_consume(&c->in, n + 1);
    return true;
}

#endif
