#include "api/conn_internal.h"
#include "shared/clock.h"

#define PIECE ((size_t)256 * 1024) /* written at a time, under one deadline */

static void tell_written(struct conn *c, bool gone)
{
    conn_written_fn *fn = c->on_written;

    c->on_written = NULL;
    if (fn != NULL)
        fn(c->written_arg, gone);
}

static void write_piece(struct conn *c);

static void on_written(uv_write_t *w, int status)
{
    struct conn *c = conn_of(w->data);

    if (status != 0)
        conn_abort(c);
    c->deadline_ms = 0;
    conn_more_time(c);
    if (!c->closing && c->sent < c->sending.len) {
        write_piece(c);
        return;
    }
    buf_done(&c->sending);
    tell_written(c, c->closing);
}

/* A client may be slow; one that does not take a piece within the deadline is given up. */
static void write_piece(struct conn *c)
{
    size_t left = c->sending.len - c->sent, n = left < PIECE ? left : PIECE;
    uv_buf_t b = uv_buf_init(c->sending.data + c->sent, (unsigned)n);

    c->sent += n;
    c->write.data = c;
    c->deadline_ms = clock_now_ms() + conn_api(c)->opt->write_ms;
    if (uv_write(&c->write, &c->u.stream, &b, 1, on_written) != 0) {
        conn_abort(c);
        buf_done(&c->sending);
        tell_written(c, true);
    }
}

/* What the kernel takes at once goes out at once; the rest waits. */
void conn_flush(struct conn *c, conn_written_fn *fn, void *arg)
{
    uv_buf_t b = uv_buf_init(c->out.data, (unsigned)c->out.len);
    int n = 0;

    c->on_written = fn;
    c->written_arg = arg;
    if (buf_failed(&c->out))
        conn_abort(c);
    if (!c->closing && b.len > 0)
        n = uv_try_write(&c->u.stream, &b, 1);
    if (n < 0 && n != UV_EAGAIN)
        conn_abort(c);
    if (c->closing || (n >= 0 && (size_t)n == c->out.len)) {
        buf_clear(&c->out);
        tell_written(c, c->closing);
        return;
    }
    c->sending = c->out;
    c->out = (struct buf){0};
    c->sent = n > 0 ? (size_t)n : 0;
    write_piece(c);
}

struct buf *conn_out(struct conn *c)
{
    return &c->out;
}

/* --- answers ---------------------------------------------------------------------------------------- */

static void on_shutdown(uv_shutdown_t *req, int status)
{
    if (status != 0 && status != UV_ECANCELED)
        conn_abort(conn_of(req->data));
}

/* The client may still be sending: closing now could reset the link before it has read the answer. */
static void linger(struct conn *c)
{
    buf_done(&c->in);
    c->shutdown.data = c;
    conn_set_state(c, CONN_LINGERING);
    conn_set_reading(c);
    if (!c->closing && uv_shutdown(&c->shutdown, &c->u.stream, on_shutdown) != 0)
        conn_abort(c);
}

static void trim(struct buf *b)
{
    if (b->cap > CONN_KEEP)
        buf_done(b);
}

static void on_answer_out(void *arg, bool gone)
{
    struct conn *c = arg;

    c->working = false;
    if (gone || c->closing || (c->close_after && c->eof)) {
        conn_abort(c);
        conn_free_if_done(c);
    } else if (c->close_after) {
        linger(c);
    } else {
        trim(&c->out);
        trim(&c->head);
        conn_set_state(c, CONN_IDLE);
        conn_advance(c);
    }
}

static void count_answer(struct conn *c)
{
    struct api *api = conn_api(c);

    if (c->rq.status >= 100 && c->rq.status < 600)
        counter_add(api->requests[c->rq.status / 100], 1);
    histogram_add_us(api->latency, clock_now_us() - c->rq.began_us);
}

/* A body that was not read to its end would be taken for the next request. */
bool conn_ends(const struct conn *c)
{
    return !c->rq.keep_alive || !c->complete || server_is_draining(c->server);
}

void conn_answered(struct conn *c, bool close)
{
    must(!c->rq.answered);
    c->rq.answered = true;
    c->braked = false;
    if (!c->complete)
        c->begun = false; /* answered before its body was whole: the rest is not wanted */
    count_answer(c);
    conn_api(c)->bodies -= c->rq.body.cap;
    buf_done(&c->rq.body);
    c->close_after = close || conn_ends(c);
    if (c->state == CONN_BODY)
        conn_set_state(c, CONN_ANSWERING);
    conn_flush(c, on_answer_out, c);
}
