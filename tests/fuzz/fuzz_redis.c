/* What a Redis server may say, in pieces of any size, to a client with commands in flight.
 *
 * Byte 0 seeds the sizes of the pieces, byte 1 chooses: bit 0 lets the greeting pass, bits 1-3
 * how many commands are sent (half of them script calls with bit 4), bit 5 closes the client in
 * a callback, bit 6 sends one more command from each reply. The rest is what the server says.
 * Checked: no crash, each command is called back exactly once, nothing stays open. */
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shared/redis_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define MORE_MAX 32

struct play {
    uv_loop_t loop;
    struct redis *r;
    const struct redis_script *script;
    unsigned n, sent, called;
    bool scripts, close_in_callback, send_more, closed;
};

static void close_client(struct play *p);

static void send_one(struct play *p);

static void on_reply(void *arg, enum err e, const redisReply *reply)
{
    struct play *p = arg;

    p->called++;
    must(p->called <= p->sent);
    must((reply != NULL) == (e == ERR_OK || e == ERR_REJECTED || e == ERR_BUSY));
    if (p->send_more && p->sent < MORE_MAX)
        send_one(p);
    if (p->close_in_callback)
        close_client(p);
}

static void send_one(struct play *p)
{
    const struct slice argv[] = {SLICE_LIT("GET"), SLICE_LIT("k")};
    const struct redis_command get = {.argc = 2, .argv = argv};
    const struct redis_call call = {.script = p->script, .n_keys = 1, .keys = &argv[1]};
    enum err e;

    if (p->r == NULL)
        return;
    if (p->scripts && p->sent % 2 == 0)
        e = redis_call(p->r, &call, on_reply, p);
    else
        e = redis_command(p->r, &get, on_reply, p);
    must(e == ERR_OK || !redis_is_up(p->r));
    p->sent += e == ERR_OK;
}

static void on_state(void *arg, bool up, const char *why)
{
    struct play *p = arg;

    (void)why;
    for (unsigned i = 0; up && i < p->n; i++)
        send_one(p);
}

static void on_closed(void *arg)
{
    ((struct play *)arg)->closed = true;
}

static void close_client(struct play *p)
{
    if (p->r != NULL)
        redis_close(&p->r, on_closed, p);
}

static void feed(struct play *p, int fd, uint32_t seed, const uint8_t *data, size_t len)
{
    char sink[4096];

    for (size_t at = 0; at < len && p->r != NULL && redis_is_linked(p->r);) {
        size_t piece;
        ssize_t n;

        seed = seed * 1664525u + 1013904223u;
        piece = 1 + (seed >> 16) % ((seed & 0x700) == 0 ? 512 : 8);
        n = write(fd, data + at, piece < len - at ? piece : len - at);
        if (n <= 0)
            return;
        at += (size_t)n;
        (void)uv_run(&p->loop, UV_RUN_NOWAIT);
        while (read(fd, sink, sizeof sink) > 0)
            continue;
    }
}

static void play(struct play *p, const uint8_t *data, size_t len)
{
    static const struct redis_options opt = {.url = "unix:///nonexistent/redis.sock",
                                             .max_reply_bytes = 4096};
    static const uint8_t pong[] = "+PONG\r\n";
    int fds[2];

    must(uv_loop_init(&p->loop) == 0);
    must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
    must(fcntl(fds[1], F_SETFL, O_NONBLOCK) == 0);
    must(redis_new(&p->loop, &opt, &p->r, NULL) == ERR_OK);
    redis_adopt(p->r, fds[0], on_state, p);
    if ((data[1] & 1) != 0)
        feed(p, fds[1], 1, pong, sizeof pong - 1);
    feed(p, fds[1], data[0], data + 2, len - 2);
    (void)close(fds[1]);
    while (p->r != NULL && redis_is_linked(p->r))
        (void)uv_run(&p->loop, UV_RUN_ONCE);
    close_client(p);
    while (!p->closed)
        (void)uv_run(&p->loop, UV_RUN_ONCE);
    must(p->called == p->sent);
    must(uv_run(&p->loop, UV_RUN_DEFAULT) == 0 && uv_loop_close(&p->loop) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct redis_script script = {.name = "fuzz", .source = "return 1", .len = 8};
    struct play p = {.script = &script};

    if (len < 2)
        return 0;
    (void)signal(SIGPIPE, SIG_IGN);
    redis_script_init(&script);
    p.n = data[1] >> 1 & 7;
    p.scripts = (data[1] & 16) != 0;
    p.close_in_callback = (data[1] & 32) != 0;
    p.send_more = (data[1] & 64) != 0;
    play(&p, data, len);
    return 0;
}
