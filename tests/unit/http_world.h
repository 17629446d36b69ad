/* http_world: a loop with a scripted server and a client of it, and what its callbacks said. */
#ifndef TESTS_UNIT_HTTP_WORLD_H
#define TESTS_UNIT_HTTP_WORLD_H

#include "shared/http_client.h"
#include "tests/unit/script_server.h"

struct outcome {
    bool done;
    enum err err;
    long status;
    int64_t retry_after_ms;
    char body[4096], peer[80], why[256], location[256];
};

struct world {
    uv_loop_t loop;
    struct netguard *guard;
    struct http_client *client;
    struct script_server server;
    bool serving, inside_start, closed;
    int plan;          /* the script's own */
    const char *reply; /* the script's own */
    struct buf heard;  /* what the server was told */
    struct http_transfer *running;
    int running_answers;
    struct outcome last;
};

static inline void world_on_answer(void *arg, enum err e, const struct http_answer *a,
                                   const struct fault *why)
{
    struct world *w = arg;
    struct outcome *o = &w->last;

    assert_false(w->inside_start);
    assert_false(w->closed);
    assert_true((e == ERR_OK) == (a->status != 0));
    assert_int_equal(why->err, e);
    o->done = true;
    o->err = e;
    o->status = a->status;
    o->retry_after_ms = a->retry_after_ms;
    (void)slice_to_cstr(a->body, o->body, sizeof o->body);
    (void)snprintf(o->peer, sizeof o->peer, "%s", a->peer);
    (void)snprintf(o->location, sizeof o->location, "%s",
                   a->location == NULL ? "" : a->location);
    (void)snprintf(o->why, sizeof o->why, "%s", e == ERR_OK ? "" : why->text);
    w->running_answers++;
}

static inline void world_open(struct world *w, const char *allow,
                              struct http_client_options opt)
{
    memset(w, 0, sizeof *w);
    assert_int_equal(uv_loop_init(&w->loop), 0);
    assert_int_equal(netguard_new(allow, &w->guard, NULL), ERR_OK);
    opt.guard = w->guard;
    opt.user_agent = "test";
    assert_int_equal(http_client_new(&w->loop, &opt, &w->client, NULL), ERR_OK);
}

static inline void world_serve(struct world *w, struct script script)
{
    script_server_open(&w->server, &w->loop, script, w);
    w->serving = true;
}

static inline void world_on_closed(void *arg)
{
    struct world *w = arg;

    assert_false(w->closed);
    w->closed = true;
}

/* The loop ends with nothing open. */
static inline void world_close(struct world *w)
{
    if (w->client != NULL)
        http_client_close(&w->client, world_on_closed, w);
    while (!w->closed)
        (void)uv_run(&w->loop, UV_RUN_ONCE);
    if (w->serving)
        script_server_close(&w->server);
    (void)uv_run(&w->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&w->loop), 0);
    netguard_free(&w->guard);
    buf_done(&w->heard);
}

static inline void world_wait(struct world *w)
{
    while (!w->last.done)
        (void)uv_run(&w->loop, UV_RUN_ONCE);
}

static inline enum err world_send(struct world *w, const struct http_request *req,
                                  struct fault *why)
{
    enum err e;

    memset(&w->last, 0, sizeof w->last);
    w->inside_start = true;
    e = http_client_send(w->client, req, world_on_answer, w, &w->running, why);
    w->inside_start = false;
    return e;
}

static inline void world_url(const struct world *w, const char *host, char dst[128])
{
    (void)snprintf(dst, 128, "http://%s:%u/hook?x=1", host, w->server.port);
}

/* GET from the scripted server, and its answer. */
static inline void world_get(struct world *w, uint32_t deadline_ms)
{
    char url[128];

    world_url(w, "127.0.0.1", url);
    assert_int_equal(
        world_send(
            w, &(struct http_request){.method = "GET", .url = url, .deadline_ms = deadline_ms},
            NULL),
        ERR_OK);
    world_wait(w);
}

#endif
