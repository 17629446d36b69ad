/* A proxy before Redis, in the loop of the test, that loses replies: what was asked is carried out,
 * and nobody learns of it. */
#ifndef TESTS_UNIT_TEST_QUEUE_PROXY_H
#define TESTS_UNIT_TEST_QUEUE_PROXY_H

#include "tests/unit/test_queue_loop.h"

struct proxy_pair;
struct proxy_end {
    uv_pipe_t pipe;
    struct proxy_pair *pair;
    bool to_redis;
};
struct proxy_pair {
    struct proxy *proxy;
    struct proxy_pair *next;
    struct proxy_end client, redis;
    uv_connect_t connect;
    unsigned open;
    bool cut;
    char bytes[65536];
};
struct proxy {
    uv_pipe_t listener;
    struct proxy_pair *pairs;
    const char *target;
    char path[128], url[140];
    /* Loses the next reply and cuts that connection, once a request with this word has passed. */
    const char *lose_after;
    bool armed;
    unsigned lost;
};
struct proxy_write {
    uv_write_t req;
    char bytes[];
};

HELPER void on_proxy_closed(uv_handle_t *h)
{
    struct proxy_pair *p = h->data;

    if (--p->open > 0)
        return;
    for (struct proxy_pair **at = &p->proxy->pairs; *at != NULL; at = &(*at)->next) {
        if (*at == p) {
            *at = p->next;
            break;
        }
    }
    free(p);
}

HELPER void proxy_cut(struct proxy_pair *p)
{
    if (p->cut)
        return;
    p->cut = true;
    p->client.pipe.data = p->redis.pipe.data = p;
    uv_close((uv_handle_t *)&p->client.pipe, on_proxy_closed);
    uv_close((uv_handle_t *)&p->redis.pipe, on_proxy_closed);
}

HELPER void on_proxy_written(uv_write_t *req, int status)
{
    (void)status;
    free(CONTAINER(req, struct proxy_write, req));
}

HELPER void proxy_pass(struct proxy_end *to, const char *bytes, size_t len)
{
    struct proxy_write *w = malloc(sizeof *w + len);
    uv_buf_t b;

    assert_non_null(w);
    memcpy(w->bytes, bytes, len);
    b = (uv_buf_t){.base = w->bytes, .len = len};
    if (uv_write(&w->req, (uv_stream_t *)&to->pipe, &b, 1, on_proxy_written) != 0)
        free(w);
}

HELPER void on_proxy_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *ret)
{
    struct proxy_end *end = h->data;

    (void)suggested;
    *ret = (uv_buf_t){.base = end->pair->bytes, .len = sizeof end->pair->bytes};
}

HELPER void on_proxy_read(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
    struct proxy_end *end = s->data;
    struct proxy_pair *p = end->pair;
    struct proxy *x = p->proxy;

    if (n < 0) {
        proxy_cut(p);
        return;
    }
    if (end->to_redis) { /* what Redis says */
        if (x->armed) {
            x->armed = false;
            x->lost++;
            proxy_cut(p);
        } else {
            proxy_pass(&p->client, b->base, (size_t)n);
        }
        return;
    }
    if (x->lose_after != NULL &&
        memmem(b->base, (size_t)n, x->lose_after, strlen(x->lose_after)) != NULL) {
        x->lose_after = NULL;
        x->armed = true;
    }
    proxy_pass(&p->redis, b->base, (size_t)n);
}

HELPER void on_proxy_connected(uv_connect_t *req, int status)
{
    struct proxy_pair *p = CONTAINER(req, struct proxy_pair, connect);

    if (p->cut)
        return;
    if (status != 0) {
        proxy_cut(p);
        return;
    }
    assert_int_equal(
        uv_read_start((uv_stream_t *)&p->client.pipe, on_proxy_alloc, on_proxy_read), 0);
    assert_int_equal(
        uv_read_start((uv_stream_t *)&p->redis.pipe, on_proxy_alloc, on_proxy_read), 0);
}

HELPER void on_proxy_accept(uv_stream_t *listener, int status)
{
    struct proxy *x = listener->data;
    struct proxy_pair *p = calloc(1, sizeof *p);

    assert_int_equal(status, 0);
    assert_non_null(p);
    p->proxy = x;
    p->next = x->pairs;
    x->pairs = p;
    p->open = 2;
    p->client.pair = p->redis.pair = p;
    p->redis.to_redis = true;
    assert_int_equal(uv_pipe_init(listener->loop, &p->client.pipe, 0), 0);
    assert_int_equal(uv_pipe_init(listener->loop, &p->redis.pipe, 0), 0);
    p->client.pipe.data = &p->client;
    p->redis.pipe.data = &p->redis;
    assert_int_equal(uv_accept(listener, (uv_stream_t *)&p->client.pipe), 0);
    uv_pipe_connect(&p->connect, &p->redis.pipe, x->target, on_proxy_connected);
}

HELPER void proxy_start(struct proxy *x, uv_loop_t *loop)
{
    *x = (struct proxy){.target = redis_server_path(server)};
    (void)snprintf(x->path, sizeof x->path, "%s.proxy", x->target);
    (void)snprintf(x->url, sizeof x->url, "unix://%s", x->path);
    assert_int_equal(uv_pipe_init(loop, &x->listener, 0), 0);
    x->listener.data = x;
    (void)unlink(x->path); /* of a test that failed */
    assert_int_equal(uv_pipe_bind(&x->listener, x->path), 0);
    assert_int_equal(uv_listen((uv_stream_t *)&x->listener, 16, on_proxy_accept), 0);
}

HELPER void proxy_cut_all(struct proxy *x)
{
    for (struct proxy_pair *p = x->pairs; p != NULL; p = p->next)
        proxy_cut(p);
}

HELPER void proxy_stop(struct proxy *x)
{
    proxy_cut_all(x);
    uv_close((uv_handle_t *)&x->listener, NULL);
}

#endif
