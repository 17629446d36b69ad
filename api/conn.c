#include <sys/ioctl.h>

#include "api/conn_internal.h"
#include "shared/clock.h"

#define LINGER_MS 2000

struct conn *conn_of(void *data)
{
    struct conn *c = data;

    must(c != NULL && c->magic == CONN_MAGIC);
    return c;
}

struct api *conn_api(const struct conn *c)
{
    return server_api(c->server);
}

struct body_limits conn_body_limits(const struct conn *c)
{
    const struct api_options *opt = conn_api(c)->opt;
    struct body_limits ret = {.max = opt->body_max,
                              .ms = opt->body_ms,
                              .gather = true,
                              .too_big = "the body is larger than BODY_MAX",
                              .too_slow = "the request body took longer than BODY_TIMEOUT"};

    if (c->rq.endpoint->limits != NULL)
        c->rq.endpoint->limits(&c->rq, &ret);
    else if (c->rq.endpoint->body == BODY_STREAMED)
        ret = (struct body_limits){.max = opt->upload_max,
                                   .ms = opt->upload_ms,
                                   .too_big = "the upload is larger than UPLOAD_MAX",
                                   .too_slow = "the upload took longer than UPLOAD_TIMEOUT"};
    return ret;
}

void conn_more_time(struct conn *c)
{
    struct body_limits limits;

    if (c->state != CONN_BODY || c->rq.endpoint->limits == NULL)
        return;
    limits = conn_body_limits(c);
    if (limits.by_pieces)
        c->deadline_ms = clock_now_ms() + limits.ms;
}

void conn_set_state(struct conn *c, enum conn_state state)
{
    const struct api_options *opt = conn_api(c)->opt;
    uint64_t left = 0;

    switch (state) {
    case CONN_IDLE:
        left = opt->idle_ms;
        break;
    case CONN_HEAD:
        left = opt->head_ms;
        break;
    case CONN_BODY:
        left = conn_body_limits(c).ms;
        break;
    case CONN_ANSWERING:
    case CONN_CLOSED:
        break; /* endpoints have deadlines of their own; a stuck write has one (conn_write.c) */
    case CONN_LINGERING:
        left = LINGER_MS;
        break;
    }
    must(c->state != CONN_CLOSED);
    c->state = state;
    c->deadline_ms = left == 0 ? 0 : clock_now_ms() + left;
}

/* --- the end ------------------------------------------------------------------------------------ */

void conn_free_if_done(struct conn *c)
{
    if (!c->handle_closed || c->working || c->advancing)
        return;
    conn_api(c)->bodies -= c->rq.body.cap;
    server_remove(c->server, c);
    buf_done(&c->in);
    buf_done(&c->head);
    buf_done(&c->out);
    buf_done(&c->sending);
    buf_done(&c->rq.body);
    c->magic = 0;
    free(c);
}

static void on_handle_closed(uv_handle_t *h)
{
    struct conn *c = conn_of(h->data);

    c->handle_closed = true;
    conn_free_if_done(c);
}

bool conn_is_left(const struct conn *c)
{
    return c->eof || c->closing;
}

void conn_tell_leave(struct conn *c)
{
    void (*on_leave)(struct request *) = c->rq.on_leave;

    c->rq.on_leave = NULL;
    if (on_leave != NULL && !c->rq.answered)
        on_leave(&c->rq);
}

/* The stream ends now. To a request that was not whole no answer is owed, and a streamed one is told; one that
 * is being worked on keeps the struct until it is answered. */
void conn_abort(struct conn *c)
{
    if (c->closing)
        return;
    c->closing = true;
    c->rq.gone = true;
    if (c->state == CONN_BODY)
        c->working = false;
    if (c->begun && !c->complete) {
        c->begun = false;
        c->rq.endpoint->on_abort(&c->rq);
    }
    conn_set_state(c, CONN_CLOSED);
    uv_close((uv_handle_t *)&c->u.stream, on_handle_closed);
    conn_tell_leave(c);
}

/* --- the beginning -------------------------------------------------------------------------------- */

static struct conn *conn_new(struct server *s, uv_loop_t *loop, bool tcp)
{
    struct conn *c = calloc(1, sizeof *c);

    if (c == NULL)
        return NULL;
    if ((tcp ? uv_tcp_init(loop, &c->u.tcp) : uv_pipe_init(loop, &c->u.pipe, 0)) != 0) {
        free(c);
        return NULL;
    }
    c->magic = CONN_MAGIC;
    c->server = s;
    c->u.stream.data = c;
    server_add(s, c);
    conn_set_state(c, CONN_IDLE);
    return c;
}

bool conn_accept(struct server *s, uv_stream_t *listener)
{
    bool tcp = listener->type == UV_TCP;
    struct conn *c = conn_new(s, listener->loop, tcp);

    if (c == NULL)
        return false;
    if (uv_accept(listener, &c->u.stream) != 0) {
        conn_abort(c);
        return true;
    }
    if (tcp)
        (void)uv_tcp_nodelay(&c->u.tcp, 1);
    conn_set_reading(c);
    return true;
}

enum err conn_adopt(struct server *s, int fd)
{
    struct conn *c = conn_new(s, loop_uv(server_api(s)->loop), false);

    if (c == NULL)
        return ERR_NOMEM;
    if (uv_pipe_open(&c->u.pipe, fd) != 0) {
        conn_abort(c);
        return ERR_IO;
    }
    conn_set_reading(c);
    return ERR_OK;
}

/* --- from outside --------------------------------------------------------------------------------- */

void conn_check(struct conn *c, uint64_t now_ms)
{
    if (c->deadline_ms == 0 || now_ms < c->deadline_ms)
        return;
    if (c->state == CONN_HEAD) {
        conn_fresh_request(c);
        conn_refuse(
            c, &(struct head_fault){408, "the request head took longer than HEAD_TIMEOUT"});
    } else if (c->state == CONN_BODY) {
        conn_refuse(c, &(struct head_fault){408, conn_body_limits(c).too_slow});
    } else {
        conn_abort(c);
    }
}

/* A request may have arrived that was not read yet: closing now would lose it without an answer. */
static bool has_input(const struct conn *c)
{
    uv_os_fd_t fd;
    int n = 0;

    return uv_fileno((const uv_handle_t *)&c->u.stream, &fd) == 0 &&
           ioctl(fd, FIONREAD, &n) == 0 && n > 0;
}

void conn_drain(struct conn *c)
{
    if (c->state == CONN_IDLE && !has_input(c))
        conn_abort(c);
}

void conn_insert(struct conn **list, struct conn *c)
{
    c->next = *list;
    c->prev = list;
    if (c->next != NULL)
        c->next->prev = &c->next;
    *list = c;
}

void conn_unlink(struct conn *c)
{
    *c->prev = c->next;
    if (c->next != NULL)
        c->next->prev = c->prev;
}

struct conn *conn_next(const struct conn *c)
{
    return c->next;
}
