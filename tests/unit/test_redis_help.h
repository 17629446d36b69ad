/* What the tests of the Redis client share: a loop, a client, replies that are counted, and a
 * peer in the same loop that does as it is told. */
#ifndef TESTS_UNIT_TEST_REDIS_HELP_H
#define TESTS_UNIT_TEST_REDIS_HELP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shared/redis.h"

#define HELPER static __attribute__((unused))

/* --- replies -------------------------------------------------------------------------------- */

struct got {
    unsigned calls;
    enum err err;
    int type; /* 0: no reply */
    long long integer;
    size_t len;
    char text[500];
};

HELPER void on_got(void *arg, enum err e, const redisReply *reply)
{
    struct got *g = arg;

    g->calls++;
    g->err = e;
    if (reply == NULL)
        return;
    g->type = reply->type;
    g->integer = reply->integer;
    g->len = reply->len;
    if (reply->str != NULL)
        (void)snprintf(g->text, sizeof g->text, "%s", reply->str);
}

/* --- a client in its loop ------------------------------------------------------------------- */

struct world {
    uv_loop_t loop;
    struct redis *r;
    char dir[64], path[96], url[128];
    bool up, closed;
    unsigned ups, downs;
    char why[256]; /* of the last time down */
};

HELPER void on_world_state(void *arg, bool up, const char *why)
{
    struct world *w = arg;

    w->up = up;
    w->ups += up;
    w->downs += !up;
    if (up)
        assert_string_equal(why, "");
    else
        (void)snprintf(w->why, sizeof w->why, "%s", why);
}

HELPER void on_world_closed(void *arg)
{
    ((struct world *)arg)->closed = true;
}

HELPER void world_init(struct world *w)
{
    const char *tmp = getenv("TMPDIR");

    *w = (struct world){.r = NULL};
    assert_int_equal(uv_loop_init(&w->loop), 0);
    (void)snprintf(w->dir, sizeof w->dir, "%s/mr-redis-XXXXXX", tmp == NULL ? "/tmp" : tmp);
    assert_non_null(mkdtemp(w->dir));
    (void)snprintf(w->path, sizeof w->path, "%s/s", w->dir);
    (void)snprintf(w->url, sizeof w->url, "unix://%s", w->path);
}

/* opt.url may be left out: the unix socket in the world's directory. */
HELPER void world_client(struct world *w, struct redis_options opt)
{
    struct fault f = {0};

    if (opt.url == NULL)
        opt.url = w->url;
    if (redis_new(&w->loop, &opt, &w->r, &f) != ERR_OK)
        fail_msg("redis_new: %s", f.text);
}

/* Turns the loop until *flag; the test program's alarm ends a wait that never ends. */
HELPER void turn_until(struct world *w, const bool *flag)
{
    while (!*flag)
        assert_true(uv_run(&w->loop, UV_RUN_ONCE) != 0 || *flag);
}

HELPER void turn_until_count(struct world *w, const unsigned *count, unsigned want)
{
    while (*count < want)
        assert_true(uv_run(&w->loop, UV_RUN_ONCE) != 0 || *count >= want);
}

HELPER void turn_until_state(struct world *w, enum redis_state want)
{
    while (redis_state(w->r) != want)
        assert_true(uv_run(&w->loop, UV_RUN_ONCE) != 0);
}

HELPER void world_up(struct world *w, struct redis_options opt)
{
    world_client(w, opt);
    redis_start(w->r, on_world_state, w);
    turn_until(w, &w->up);
}

HELPER void send_words(struct world *w, const char *const *words, uint32_t deadline_ms,
                       struct got *g)
{
    struct slice argv[8];
    int n = 0;

    for (; words[n] != NULL; n++)
        argv[n] = slice_str(words[n]);
    assert_int_equal(
        redis_command(w->r, &(struct redis_command){n, argv, deadline_ms}, on_got, g), ERR_OK);
}
#define SEND(w, deadline_ms, g, ...) \
    send_words(w, (const char *const[]){__VA_ARGS__, NULL}, deadline_ms, g)

/* Closes the client if there is one still, and the loop, in which nothing may be left. */
HELPER void world_done(struct world *w)
{
    if (w->r != NULL) {
        redis_close(&w->r, on_world_closed, w);
        assert_null(w->r);
        turn_until(w, &w->closed);
    }
    assert_int_equal(uv_run(&w->loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&w->loop), 0);
    (void)unlink(w->path);
    assert_int_equal(rmdir(w->dir), 0);
}

/* --- a peer that does as it is told --------------------------------------------------------- */

struct peer;
struct peer_conn {
    struct peer *peer;
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } u;
    redisReader *reader;
    unsigned number;   /* 1 for the first connection */
    unsigned commands; /* that are no part of the greeting */
    struct peer_conn *next;
    char in[4096];
};

/* What to do with a command. Bytes to send (heap or not: copied), or one of these. */
#define PEER_SILENT NULL
#define PEER_CLOSE  "(close)"
#define PEER_RESET  "(reset)"
typedef const char *peer_answer_fn(struct peer_conn *c, const redisReply *command);

struct peer {
    uv_loop_t *loop;
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } server;
    struct peer_conn *conns;
    unsigned accepted, closed, n_conns;
    peer_answer_fn *answer;
    void *arg;
    bool drip;     /* one byte a loop turn */
    char log[512]; /* first words of all commands, as in "1:AUTH 1:PING " */
    uint16_t port;
};

struct peer_write {
    uv_write_t req;
    size_t at, len;
    bool drip;
    char bytes[];
};

HELPER void peer_written(uv_write_t *req, int status)
{
    struct peer_write *w = req->data;
    uv_buf_t one = {.base = w->bytes + w->at, .len = 1};

    if (status == 0 && w->drip && w->at < w->len &&
        !uv_is_closing((uv_handle_t *)req->handle)) {
        w->at++;
        if (uv_write(&w->req, req->handle, &one, 1, peer_written) == 0)
            return;
    }
    free(w);
}

HELPER void peer_send(struct peer_conn *c, const char *bytes, size_t len)
{
    struct peer_write *w = malloc(sizeof *w + len + 1);
    uv_buf_t b;

    assert_non_null(w);
    w->req.data = w;
    w->len = len;
    w->drip = c->peer->drip;
    memcpy(w->bytes, bytes, len);
    w->at = w->drip && len > 0 ? 1 : len;
    b = (uv_buf_t){.base = w->bytes, .len = w->at};
    assert_int_equal(uv_write(&w->req, &c->u.stream, &b, 1, peer_written), 0);
}

HELPER void peer_conn_closed(uv_handle_t *h)
{
    struct peer_conn *c = h->data;

    for (struct peer_conn **p = &c->peer->conns; *p != NULL; p = &(*p)->next) {
        if (*p == c) {
            *p = c->next;
            break;
        }
    }
    c->peer->n_conns--;
    redisReaderFree(c->reader);
    free(c);
}

HELPER void peer_drop(struct peer_conn *c, bool reset)
{
    if (uv_is_closing(&c->u.handle))
        return;
    if (reset && c->u.handle.type == UV_TCP)
        assert_int_equal(uv_tcp_close_reset(&c->u.tcp, peer_conn_closed), 0);
    else
        uv_close(&c->u.handle, peer_conn_closed);
}

HELPER bool peer_is_greeting(const char *word)
{
    return strcmp(word, "AUTH") == 0 || strcmp(word, "SELECT") == 0 ||
           strcmp(word, "CLIENT") == 0 || strcmp(word, "PING") == 0;
}

HELPER void peer_take(struct peer_conn *c, const redisReply *command)
{
    struct peer *p = c->peer;
    size_t used = strlen(p->log);
    const char *answer;

    assert_int_equal(command->type, REDIS_REPLY_ARRAY);
    (void)snprintf(p->log + used, sizeof p->log - used, "%u:%s ", c->number,
                   command->element[0]->str);
    c->commands += !peer_is_greeting(command->element[0]->str);
    answer = p->answer(c, command);
    if (answer == PEER_SILENT)
        return;
    if (strcmp(answer, PEER_CLOSE) == 0 || strcmp(answer, PEER_RESET) == 0)
        peer_drop(c, strcmp(answer, PEER_RESET) == 0);
    else
        peer_send(c, answer, strlen(answer));
}

HELPER void peer_read(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
    struct peer_conn *c = s->data;
    void *command = NULL;

    if (n < 0)
        peer_drop(c, false);
    if (n <= 0)
        return;
    assert_int_equal(redisReaderFeed(c->reader, b->base, (size_t)n), REDIS_OK);
    while (!uv_is_closing(&c->u.handle)) {
        assert_int_equal(redisReaderGetReply(c->reader, &command), REDIS_OK);
        if (command == NULL)
            return;
        peer_take(c, command);
        freeReplyObject(command);
    }
}

HELPER void peer_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *ret)
{
    struct peer_conn *c = h->data;

    (void)suggested;
    *ret = (uv_buf_t){.base = c->in, .len = sizeof c->in};
}

HELPER void peer_accept(uv_stream_t *server, int status)
{
    struct peer *p = server->data;
    struct peer_conn *c = calloc(1, sizeof *c);

    assert_int_equal(status, 0);
    assert_non_null(c);
    c->peer = p;
    c->reader = redisReaderCreate();
    c->number = ++p->accepted;
    c->next = p->conns;
    p->conns = c;
    p->n_conns++;
    if (p->server.handle.type == UV_TCP)
        assert_int_equal(uv_tcp_init(p->loop, &c->u.tcp), 0);
    else
        assert_int_equal(uv_pipe_init(p->loop, &c->u.pipe, 0), 0);
    c->u.handle.data = c;
    assert_int_equal(uv_accept(server, &c->u.stream), 0);
    assert_int_equal(uv_read_start(&c->u.stream, peer_alloc, peer_read), 0);
}

HELPER void peer_listen(struct peer *p, struct world *w, peer_answer_fn *answer, void *arg)
{
    p->loop = &w->loop;
    p->answer = answer;
    p->arg = arg;
    assert_int_equal(uv_pipe_init(p->loop, &p->server.pipe, 0), 0);
    p->server.handle.data = p;
    assert_int_equal(uv_pipe_bind(&p->server.pipe, w->path), 0);
    assert_int_equal(uv_listen(&p->server.stream, 16, peer_accept), 0);
}

/* On a free loopback port, which p->port tells. */
HELPER void peer_listen_tcp(struct peer *p, struct world *w, peer_answer_fn *answer, void *arg)
{
    struct sockaddr_in a;
    int len = sizeof a;

    p->loop = &w->loop;
    p->answer = answer;
    p->arg = arg;
    assert_int_equal(uv_ip4_addr("127.0.0.1", 0, &a), 0);
    assert_int_equal(uv_tcp_init(p->loop, &p->server.tcp), 0);
    p->server.handle.data = p;
    assert_int_equal(uv_tcp_bind(&p->server.tcp, (struct sockaddr *)&a, 0), 0);
    assert_int_equal(uv_listen(&p->server.stream, 16, peer_accept), 0);
    assert_int_equal(uv_tcp_getsockname(&p->server.tcp, (struct sockaddr *)&a, &len), 0);
    p->port = ntohs(a.sin_port);
    (void)snprintf(w->url, sizeof w->url, "redis://127.0.0.1:%u", p->port);
}

/* The listener and all its connections; the handles end when the loop turns. */
HELPER void peer_stop(struct peer *p)
{
    uv_close(&p->server.handle, NULL);
    for (struct peer_conn *c = p->conns; c != NULL; c = c->next)
        peer_drop(c, false);
}

/* What a well-behaved peer says to the greeting; NULL for any other command. */
HELPER const char *peer_greeting(const redisReply *command)
{
    if (!peer_is_greeting(command->element[0]->str))
        return NULL;
    return strcmp(command->element[0]->str, "PING") == 0 ? "+PONG\r\n" : "+OK\r\n";
}

/* What one word of the greeting is answered on the first connections; later ones are fine. */
struct hello {
    const char *word, *says;
    unsigned bad; /* connections */
};

HELPER const char *answer_hello(struct peer_conn *c, const redisReply *command)
{
    const struct hello *h = c->peer->arg;

    if (c->number <= h->bad && strcmp(command->element[0]->str, h->word) == 0)
        return h->says;
    return peer_is_greeting(command->element[0]->str) ? peer_greeting(command) : "+OK\r\n";
}

/* A listener whose queue is full: what comes next hangs in SYN-SENT. */
struct full {
    int listener, fillers[8];
    uint16_t port;
};

HELPER void full_open(struct full *f)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;

    f->listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(f->listener, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(f->listener, 0), 0);
    assert_int_equal(getsockname(f->listener, (struct sockaddr *)&a, &len), 0);
    f->port = ntohs(a.sin_port);
    for (size_t i = 0; i < COUNT_OF(f->fillers); i++) {
        f->fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)connect(f->fillers[i], (struct sockaddr *)&a, sizeof a);
    }
}

HELPER void full_close(struct full *f)
{
    for (size_t i = 0; i < COUNT_OF(f->fillers); i++)
        (void)close(f->fillers[i]);
    (void)close(f->listener);
}

#endif
