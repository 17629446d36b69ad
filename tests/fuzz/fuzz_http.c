/* Requests as bytes, to a whole server on a socket pair, once in one piece and once in pieces of
 * any size. Byte 0 seeds the sizes; the rest is what the client sends before it half-closes.
 * Checked: no crash, the answers have the same statuses in the same order both times, and no
 * connection and no body is left. Redis and PostgreSQL are away, uploads have no directory. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "api/conn_internal.h"
#include "shared/clock.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define ANSWERS_MAX 4096

static char nowhere[] = "/nonexistent";
static const struct api_options options = {
    .blob_dir = nowhere,
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
    .line_max = 64,
    .head_ms = 1000,
    .body_ms = 1000,
    .upload_ms = 1000,
    .idle_ms = 1000,
    .write_ms = 1000,
};

static struct gauge *connections;

/* Made once: none of it may change by what a client sends. */
static struct api *world(void)
{
    static struct api api = {.opt = &options};

    if (api.loop != NULL)
        return &api;
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
    must(server_new(&api, &api.server, NULL) == ERR_OK);
    connections = metrics_gauge(api.metrics, "millrace_http_connections", NULL, "");
    return &api;
}

struct answers {
    struct buf bytes;
    unsigned status[ANSWERS_MAX];
    size_t n;
    bool ended;
};

static void drain(struct answers *a, int fd)
{
    char piece[4096];
    ssize_t n;

    while ((n = read(fd, piece, sizeof piece)) > 0)
        buf_add(&a->bytes, piece, (size_t)n);
    a->ended = n == 0;
}

/* 100 depends on how the bytes come, so it does not count. No body holds such a line. */
static void read_statuses(struct answers *a)
{
    const char *at = buf_cstr(&a->bytes), *end = at + a->bytes.len;

    while ((at = memmem(at, (size_t)(end - at), "HTTP/1.1 ", 9)) != NULL) {
        unsigned status = (unsigned)strtoul(at + 9, NULL, 10);

        at += 9;
        if (status != 100 && a->n < ANSWERS_MAX)
            a->status[a->n++] = status;
    }
    must(!buf_failed(&a->bytes));
}

static size_t next_piece(uint32_t *seed, size_t left)
{
    size_t n;

    if (*seed == 0)
        return left;
    *seed = *seed * 1664525u + 1013904223u;
    n = 1 + (*seed >> 16) % ((*seed & 0x700) == 0 ? 700 : 8);
    return n < left ? n : left;
}

static void play(struct api *api, struct answers *a, uint32_t seed, const uint8_t *data,
                 size_t len)
{
    int fds[2];

    must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
    must(fcntl(fds[1], F_SETFL, O_NONBLOCK) == 0);
    must(conn_adopt(api->server, fds[0]) == ERR_OK);
    for (size_t at = 0; at < len && !a->ended;) {
        ssize_t n = write(fds[1], data + at, next_piece(&seed, len - at));

        if (n < 0 && errno != EAGAIN)
            break;
        at += n > 0 ? (size_t)n : 0;
        (void)uv_run(loop_uv(api->loop), UV_RUN_NOWAIT);
        drain(a, fds[1]);
    }
    (void)shutdown(fds[1], SHUT_WR);
    while (connections->value > 0) {
        (void)uv_run(loop_uv(api->loop), UV_RUN_NOWAIT);
        drain(a, fds[1]);
    }
    drain(a, fds[1]);
    (void)close(fds[1]);
    read_statuses(a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct api *api = world();
    static struct answers whole, sliced;

    if (len < 2)
        return 0;
    (void)signal(SIGPIPE, SIG_IGN);
    play(api, &whole, 0, data + 1, len - 1);
    play(api, &sliced, data[0] + 1u, data + 1, len - 1);
    must(whole.n == sliced.n);
    must(memcmp(whole.status, sliced.status, whole.n * sizeof whole.status[0]) == 0);
    must(api->bodies == 0);
    buf_done(&whole.bytes);
    buf_done(&sliced.bytes);
    whole.n = sliced.n = 0;
    whole.ended = sliced.ended = false;
    return 0;
}
