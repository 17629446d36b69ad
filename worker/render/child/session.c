#include "worker/render/child/session.h"

#include <errno.h>
#include <unistd.h>

#include "worker/render/child/work.h"

struct session {
    int fd;
    uint64_t id; /* of the order in hand */
    struct buf in, out;
};

static enum err send_all(int fd, struct buf *b)
{
    size_t at = 0;

    if (buf_failed(b))
        return ERR_NOMEM;
    while (at < b->len) {
        ssize_t n = write(fd, b->data + at, b->len - at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return ERR_IO;
        at += (size_t)n;
    }
    buf_clear(b);
    return ERR_OK;
}

/* ERR_NOT_FOUND: the stream ended before the first byte. */
static enum err read_all(int fd, char *dst, size_t len)
{
    size_t at = 0;

    while (at < len) {
        ssize_t n = read(fd, dst + at, len - at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n == 0 && at == 0)
            return ERR_NOT_FOUND;
        if (n <= 0)
            return ERR_IO;
        at += (size_t)n;
    }
    return ERR_OK;
}

static enum err read_order(struct session *s, struct wire_msg *ret)
{
    char head[WIRE_HEAD];
    size_t len = 0;
    char *body;
    enum err e = read_all(s->fd, head, sizeof head);

    if (e == ERR_OK)
        e = wire_body_len(head, &len);
    if (e != ERR_OK)
        return e;
    buf_clear(&s->in);
    body = buf_reserve(&s->in, len);
    if (body == NULL)
        return ERR_NOMEM;
    e = read_all(s->fd, body, len);
    if (e != ERR_OK)
        return ERR_IO;
    buf_commit(&s->in, len);
    e = wire_decode(buf_slice(&s->in), ret, NULL);
    return e == ERR_OK && ret->kind != WIRE_ORDER ? ERR_MALFORMED : e;
}

/* A worker that no longer listens kills its renderers; nothing to be done about it here. */
static void on_progress(void *arg, unsigned pct)
{
    struct session *s = arg;
    struct wire_progress m = {.id = s->id, .pct = pct};

    wire_add_progress(&s->out, &m);
    (void)send_all(s->fd, &s->out);
}

static void on_slow(void *arg, uint64_t us)
{
    struct session *s = arg;
    struct wire_slow m = {.id = s->id, .us = us};

    wire_add_slow(&s->out, &m);
    (void)send_all(s->fd, &s->out);
}

static enum err serve(struct session *s)
{
    const struct work_events events = {
        .arg = s, .on_progress = on_progress, .on_slow = on_slow};

    for (;;) {
        struct wire_msg msg;
        struct wire_report report;
        enum err e = read_order(s, &msg);

        if (e != ERR_OK)
            return e == ERR_NOT_FOUND ? ERR_OK : e;
        s->id = msg.u.order.id;
        work_run(&msg.u.order, &events, &report);
        if (report.err == ERR_BUSY)
            continue; /* on_slow has said it */
        wire_add_report(&s->out, &report);
        e = send_all(s->fd, &s->out);
        if (e != ERR_OK)
            return e;
    }
}

enum err session_run(int fd)
{
    struct session s = {.fd = fd};
    enum err e = serve(&s);

    buf_done(&s.in);
    buf_done(&s.out);
    return e;
}

enum err session_hello(int fd, const struct wire_hello *hello)
{
    struct buf out = {0};
    enum err e;

    wire_add_hello(&out, hello);
    e = send_all(fd, &out);
    buf_done(&out);
    return e;
}
