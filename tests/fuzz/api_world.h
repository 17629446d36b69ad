/* api_world: a whole API on a loop, whose clients sit at the other end of socket pairs. Redis and PostgreSQL are away,
 * uploads have no directory. A header alone, so that a target is one file; also for their replays as unit tests. */
#ifndef TESTS_FUZZ_API_WORLD_H
#define TESTS_FUZZ_API_WORLD_H

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "api/conn_internal.h"
#include "api/recipes.h"
#include "shared/clock.h"

static char api_world_nowhere[] = "/nonexistent";
static const struct api_options api_world_options = {
    .blob_dir = api_world_nowhere,
    .connections = 10,
    .head_max = 512,
    .headers_max = 8,
    .body_max = 1024,
    .bodies_max = 1 << 20,
    .upload_max = 2048,
    .depth_max = 6,
    .idempotency_ms = 1000,
    .batch_jobs = 3,
    .batch_body_max = 1024,
    .batch_recipes = 2,
    .line_max = 64,
    .head_ms = 1000,
    .body_ms = 1000,
    .upload_ms = 1000,
    .idle_ms = 1000,
    .write_ms = 1000,
};

static struct gauge *api_world_connections;

/* Made once: none of it may change by what a client sends. */
static struct api *api_world(void)
{
    static struct api api = {.opt = &api_world_options};

    if (api.loop != NULL)
        return &api;
    (void)signal(SIGPIPE, SIG_IGN);
    clock_fake(1000000, 1762300800000);
    api.metrics = metrics_new();
    must(api.metrics != NULL);
    for (size_t i = 1; i < COUNT_OF(api.requests); i++)
        api.requests[i] = metrics_counter(api.metrics, "requests_total", NULL, "");
    api.latency = metrics_histogram(api.metrics, "request_seconds", NULL, "");
    api.body_bytes = api.redis_up = api.pg_up = metrics_gauge(api.metrics, "value", NULL, "");
    must(loop_new(&api.loop, NULL) == ERR_OK);
    must(redis_new(loop_uv(api.loop),
                   &(struct redis_options){.url = "unix:///nonexistent/redis.sock"}, &api.redis,
                   NULL) == ERR_OK);
    must(pg_new(loop_uv(api.loop), &(struct pg_options){.url = "host=/nonexistent"}, &api.pg,
                NULL) == ERR_OK);
    must(producer_new(loop_uv(api.loop), api.redis, &(struct producer_options){0},
                      &api.producer, NULL) == ERR_OK);
    api.recipes = recipes_new(1000);
    must(api.recipes != NULL);
    must(server_new(&api, &api.server, NULL) == ERR_OK);
    api_world_connections = metrics_gauge(api.metrics, "millrace_http_connections", NULL, "");
    return &api;
}

/* What a client heard. */
struct heard {
    struct buf bytes;
    bool ended;
};

static void api_world_drain(struct heard *a, int fd)
{
    char piece[4096];
    ssize_t n;

    while ((n = read(fd, piece, sizeof piece)) > 0)
        buf_add(&a->bytes, piece, (size_t)n);
    a->ended = n == 0;
}

/* Sends it, in pieces of the sizes that next gives (1 to left), half-closes and hears all that is answered. */
typedef size_t api_world_next_fn(void *arg, size_t left);
static void api_world_play(struct heard *a, struct slice sent, api_world_next_fn *next,
                           void *arg)
{
    struct api *api = api_world();
    int fds[2];

    buf_clear(&a->bytes);
    a->ended = false;
    must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
    must(fcntl(fds[1], F_SETFL, O_NONBLOCK) == 0);
    must(conn_adopt(api->server, fds[0]) == ERR_OK);
    for (size_t at = 0; at < sent.len && !a->ended;) {
        ssize_t n = write(fds[1], sent.ptr + at, next(arg, sent.len - at));

        if (n < 0 && errno != EAGAIN)
            break;
        at += n > 0 ? (size_t)n : 0;
        (void)uv_run(loop_uv(api->loop), UV_RUN_NOWAIT);
        api_world_drain(a, fds[1]);
    }
    (void)shutdown(fds[1], SHUT_WR);
    while (api_world_connections->value > 0) {
        (void)uv_run(loop_uv(api->loop), UV_RUN_NOWAIT);
        api_world_drain(a, fds[1]);
    }
    api_world_drain(a, fds[1]);
    (void)close(fds[1]);
    must(!buf_failed(&a->bytes));
    must(api->bodies == 0);
}

#endif
