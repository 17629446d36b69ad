#include "api/conn.h"

#include "api/head.h"
#include "api/reply.h"
#include "api/router.h"
#include "shared/clock.h"

#define CONN_MAGIC 0x636f6e6eu
#define IN_MAX     ((size_t)128 * 1024) /* input held beyond this stops the reading */
#define IN_KEEP    4096                 /* of an idle connection */
#define PIECE      ((size_t)16 * 1024)  /* body bytes between two looks at the brakes */
#define LINGER_MS  2000

struct conn {
    uint32_t magic;
    enum conn_state state;
    struct server *server;
    struct conn *next, **prev;
    union {
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } u;
    uv_write_t write;
    uv_shutdown_t shutdown;
    llhttp_t parser;
    struct request rq;
    struct buf in, head, out, sending;
    size_t scan;
    uint64_t deadline_ms;
    uint64_t got; /* body bytes of this request */
    conn_written_fn *on_written;
    void *written_arg;
    bool reading, writing, closing, handle_closed; /* of the stream */
    bool working;                                  /* an endpoint owes an answer */
    bool begun;    /* a streamed endpoint's begin() ran, and neither on_end() nor on_abort() */
    bool complete; /* the request is whole */
    bool braked;   /* on_body() said no more */
    bool close_after; /* this answer is the last */
    bool advancing, again;
};

static struct conn *conn_of(void *data)
{
    struct conn *c = data;

    must(c != NULL && c->magic == CONN_MAGIC);
    return c;
}

static struct api *api_of(struct conn *c)
{
    return server_api(c->server);
}

static void set_state(struct conn *c, enum conn_state state)
{
    const struct api_options *opt = api_of(c)->opt;
    uint64_t left = 0;

    switch (state) {
    case CONN_IDLE:
        left = opt->idle_ms;
        break;
    case CONN_HEAD:
        left = opt->head_ms;
        break;
    case CONN_BODY:
        left = c->rq.endpoint->body == BODY_STREAMED ? opt->upload_ms : opt->body_ms;
        break;
    case CONN_ANSWERING:
    case CONN_CLOSED:
        break; /* endpoints have deadlines of their own; a stuck write has one (conn_flush) */
    case CONN_LINGERING:
        left = LINGER_MS;
        break;
    }
    must(c->state != CONN_CLOSED);
    c->state = state;
    c->deadline_ms = left == 0 ? 0 : clock_now_ms() + left;
}

/* --- the end ------------------------------------------------------------------------------------ */

static void free_if_done(struct conn *c)
{
    if (!c->handle_closed || c->working || c->advancing)
        return;
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
    free_if_done(c);
}

static void forget_body(struct conn *c)
{
    api_of(c)->bodies -= c->rq.body.cap;
    buf_done(&c->rq.body);
}

/* The stream ends now. A streamed request that was not whole is told; one that is being worked on keeps the struct. */
void conn_abort(struct conn *c)
{
    if (c->closing)
        return;
    c->closing = true;
    c->rq.gone = true;
    if (c->begun && !c->complete) {
        c->begun = false;
        c->working = false;
        c->rq.endpoint->on_abort(&c->rq);
    }
    c->state = CONN_CLOSED;
    c->deadline_ms = 0;
    uv_close((uv_handle_t *)&c->u.stream, on_handle_closed);
}

/* --- writing -------------------------------------------------------------------------------------- */

static void advance(struct conn *c);
static void set_reading(struct conn *c);

static void tell_written(struct conn *c, bool gone)
{
    conn_written_fn *fn = c->on_written;

    c->on_written = NULL;
    if (fn != NULL)
        fn(c->written_arg, gone);
}

static void on_written(uv_write_t *w, int status)
{
    struct conn *c = conn_of(w->data);

    c->writing = false;
    buf_clear(&c->sending);
    if (status != 0)
        conn_abort(c);
    c->deadline_ms = 0;
    tell_written(c, c->closing);
}

/* What the kernel takes at once goes out at once; the rest waits, under a deadline. */
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
    if (n > 0)
        buf_consume(&c->out, (size_t)n);
    buf_done(&c->sending);
    c->sending = c->out;
    c->out = (struct buf){0};
    b = uv_buf_init(c->sending.data, (unsigned)c->sending.len);
    c->writing = true;
    c->deadline_ms = clock_now_ms() + api_of(c)->opt->write_ms;
    c->write.data = c;
    if (uv_write(&c->write, &c->u.stream, &b, 1, on_written) != 0) {
        c->writing = false;
        conn_abort(c);
        tell_written(c, true);
    }
}

struct buf *conn_out(struct conn *c)
{
    return &c->out;
}

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
    set_state(c, CONN_LINGERING);
    set_reading(c);
    if (!c->closing && uv_shutdown(&c->shutdown, &c->u.stream, on_shutdown) != 0)
        conn_abort(c);
}

static void on_answer_out(void *arg, bool gone)
{
    struct conn *c = arg;

    c->working = false;
    if (gone || c->closing) {
        conn_abort(c);
        free_if_done(c);
        return;
    }
    if (c->close_after) {
        linger(c);
        return;
    }
    if (c->out.cap > IN_KEEP)
        buf_done(&c->out);
    buf_done(&c->head);
    c->scan = 0;
    set_state(c, CONN_IDLE);
    advance(c);
}

static void count_answer(struct conn *c)
{
    struct api *api = api_of(c);
    const char *status = c->out.len > 9 ? c->out.data + 9 : "500"; /* "HTTP/1.1 202" */

    if (*status >= '1' && *status <= '5')
        counter_add(api->requests[*status - '0'], 1);
    histogram_add_us(api->latency, clock_now_us() - c->rq.began_us);
}

void conn_answered(struct conn *c, bool close)
{
    must(!c->rq.answered);
    c->rq.answered = true;
    if (c->begun && !c->complete)
        c->begun = false; /* answered before its body was whole: the rest is not wanted */
    count_answer(c);
    forget_body(c);
    /* A body that was not read to its end would be taken for the next request. */
    c->close_after =
        close || !c->rq.keep_alive || !c->complete || server_is_draining(c->server);
    if (c->state == CONN_BODY)
        set_state(c, CONN_ANSWERING);
    conn_flush(c, on_answer_out, c);
}

/* --- reading: the parser's callbacks ----------------------------------------------------------------- */

static struct conn *conn_of_parser(llhttp_t *p)
{
    return conn_of(p->data);
}

static int on_method(llhttp_t *p, const char *at, size_t len)
{
    conn_of_parser(p)->rq.method = slice_of(at, len);
    return 0;
}

static int on_url(llhttp_t *p, const char *at, size_t len)
{
    conn_of_parser(p)->rq.target = slice_of(at, len);
    return 0;
}

/* The head is whole when it is parsed, so each of these comes once a field. Trailers come here too, after
 * headers_complete, and are dropped. */
static int on_field(llhttp_t *p, const char *at, size_t len)
{
    struct request *rq = &conn_of_parser(p)->rq;

    if (rq->began_us != 0)
        return 0;
    if (rq->n_headers == REQUEST_HEADERS_MAX)
        return HPE_USER;
    rq->headers[rq->n_headers++] = (struct request_header){slice_of(at, len), slice_of("", 0)};
    return 0;
}

static int on_value(llhttp_t *p, const char *at, size_t len)
{
    struct request *rq = &conn_of_parser(p)->rq;

    while (len > 0 && (at[len - 1] == ' ' || at[len - 1] == '\t'))
        len--;
    if (rq->began_us == 0 && rq->n_headers > 0)
        rq->headers[rq->n_headers - 1].value = slice_of(at, len);
    return 0;
}

static int on_headers_complete(llhttp_t *p)
{
    conn_of_parser(p)->rq.began_us = clock_now_us();
    return 0;
}

static uint64_t body_limit(struct conn *c)
{
    const struct api_options *opt = api_of(c)->opt;

    return c->rq.endpoint->body == BODY_STREAMED ? opt->upload_max : opt->body_max;
}

static int on_body(llhttp_t *p, const char *at, size_t len)
{
    struct conn *c = conn_of_parser(p);
    struct api *api = api_of(c);
    size_t before = c->rq.body.cap;

    c->got += len;
    if (c->got > body_limit(c) || c->rq.answered)
        return HPE_USER;
    if (c->rq.endpoint->body == BODY_STREAMED) {
        c->braked |= !c->rq.endpoint->on_body(&c->rq, slice_of(at, len));
        return 0;
    }
    buf_add(&c->rq.body, at, len);
    api->bodies += c->rq.body.cap - before;
    return buf_failed(&c->rq.body) ? HPE_USER : 0;
}

static int on_complete(llhttp_t *p)
{
    conn_of_parser(p)->complete = true;
    return HPE_PAUSED;
}

static const llhttp_settings_t *settings(void)
{
    static llhttp_settings_t s;

    if (s.on_url == NULL) {
        llhttp_settings_init(&s);
        s.on_method = on_method;
        s.on_url = on_url;
        s.on_header_field = on_field;
        s.on_header_value = on_value;
        s.on_headers_complete = on_headers_complete;
        s.on_body = on_body;
        s.on_message_complete = on_complete;
    }
    return &s;
}

/* --- reading: a request ------------------------------------------------------------------------------ */

static void refuse(struct conn *c, unsigned status, const char *detail)
{
    c->rq.keep_alive = false;
    c->complete = false;
    if (c->rq.began_us == 0)
        c->rq.began_us = clock_now_us();
    if (c->begun) {
        c->begun = false;
        c->rq.endpoint->on_abort(&c->rq);
    }
    set_state(c, CONN_ANSWERING);
    c->working = true;
    reply_problem(&c->rq, status, NULL, "%s", detail);
}

static void refuse_route(struct conn *c, enum route_verdict v, const char *allow)
{
    struct reply r = {
        .status = 405, .content_type = "application/problem+json", .close = c->rq.has_body};
    struct buf body = {0};

    set_state(c, CONN_ANSWERING);
    c->working = true;
    c->complete = !c->rq.has_body;
    if (v == ROUTE_NO_PATH) {
        reply_problem(&c->rq, 404, NULL, "there is nothing at this path");
        return;
    }
    reply_problem_body(405, NULL, "the path is right, the method is not", &body);
    r.body = buf_slice(&body);
    r.headers[r.n_headers++] = (struct reply_header){"allow", allow};
    reply_send(&c->rq, &r);
    buf_done(&body);
}

/* Limits that the head alone can break. */
static bool body_is_welcome(struct conn *c)
{
    const struct api *api = api_of(c);
    const struct request *rq = &c->rq;

    if (rq->endpoint->body == BODY_NONE && rq->has_body)
        refuse(c, 413, "this request takes no body");
    else if (rq->content_length != UINT64_MAX && rq->content_length > body_limit(c))
        refuse(c, 413,
               rq->endpoint->body == BODY_STREAMED ? "the upload is larger than UPLOAD_MAX"
                                                   : "the body is larger than BODY_MAX");
    else if (rq->endpoint->body == BODY_BUFFERED && api->bodies > api->opt->bodies_max)
        refuse(c, 503, "too many request bodies are held at once; come back in a moment");
    else
        return true;
    return false;
}

static void expect_continue(struct conn *c)
{
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    struct slice e = request_header(&c->rq, "expect");
    uv_buf_t b = uv_buf_init((char *)(uintptr_t)go_on, sizeof go_on - 1);

    if (e.ptr != NULL && c->rq.has_body && c->in.len == 0)
        (void)uv_try_write(&c->u.stream, &b,
                           1); /* a client that misses it goes on after a while */
}

static void whole(struct conn *c)
{
    set_state(c, CONN_ANSWERING);
    c->begun = false;
    if (!c->rq.answered)
        c->rq.endpoint->on_end(&c->rq);
}

static void begin(struct conn *c)
{
    set_state(c, CONN_BODY);
    c->working = true;
    if (c->rq.endpoint->begin != NULL) {
        c->begun = true;
        c->rq.endpoint->begin(&c->rq);
    }
    if (c->complete && c->state == CONN_BODY)
        whole(c);
    else if (c->state == CONN_BODY)
        expect_continue(c);
}

static void fresh_request(struct conn *c)
{
    c->rq.api = api_of(c);
    c->rq.conn = c;
    c->rq.endpoint = NULL;
    c->rq.n_headers = 0;
    c->rq.began_us = 0;
    c->rq.method = c->rq.target = c->rq.path = c->rq.query = slice_of("", 0);
    c->rq.work = NULL;
    c->rq.content_length = 0;
    c->rq.answered = c->rq.has_body = c->rq.keep_alive = false;
    c->got = 0;
    c->complete = c->begun = c->braked = c->close_after = false;
    llhttp_init(&c->parser, HTTP_REQUEST, settings());
    c->parser.data = c;
}

/* Takes the head's bytes out of the input, so that they stand still while the body is read. */
static bool parse_head(struct conn *c, size_t len)
{
    struct head_fault why = {400, "the request head does not parse"};
    enum llhttp_errno e;
    char allow[64];
    enum route_verdict v;

    fresh_request(c);
    buf_clear(&c->head);
    buf_add(&c->head, c->in.data, len);
    buf_consume(&c->in, len);
    if (buf_failed(&c->head) || !head_lines_ok(buf_slice(&c->head), &why)) {
        refuse(c, why.status, why.detail);
        return false;
    }
    e = llhttp_execute(&c->parser, c->head.data, c->head.len);
    if (c->rq.n_headers == REQUEST_HEADERS_MAX && c->rq.began_us == 0) {
        refuse(c, 431, "too many header fields");
        return false;
    }
    if ((e != HPE_OK && e != HPE_PAUSED) || c->rq.began_us == 0 ||
        !head_check(&c->rq, &c->parser, &why)) {
        refuse(c, why.status, why.detail);
        return false;
    }
    v = router_match(&c->rq, allow);
    if (v != ROUTE_OK) {
        refuse_route(c, v, allow);
        return false;
    }
    return body_is_welcome(c);
}

static void step_head(struct conn *c)
{
    size_t skip = 0, end;

    while (skip + 1 < c->in.len && c->in.data[skip] == '\r' && c->in.data[skip + 1] == '\n' &&
           skip < 8)
        skip += 2; /* RFC 9112 2.2: empty lines before a request line */
    if (skip > 0) {
        buf_consume(&c->in, skip);
        c->scan = 0;
    }
    if (c->in.len == 0)
        return;
    if (c->state == CONN_IDLE)
        set_state(c, CONN_HEAD);
    end = head_end(buf_slice(&c->in), &c->scan);
    if (end > api_of(c)->opt->head_max || (end == 0 && c->in.len > api_of(c)->opt->head_max)) {
        fresh_request(c);
        refuse(c, 431, "the request head is larger than HEAD_MAX");
        return;
    }
    if (end > 0 && parse_head(c, end))
        begin(c);
}

static void step_body(struct conn *c)
{
    size_t n = c->in.len < PIECE ? c->in.len : PIECE;
    enum llhttp_errno e = llhttp_execute(&c->parser, c->in.data, n);

    if (c->closing)
        return;
    if (e == HPE_PAUSED)
        n = (size_t)(llhttp_get_error_pos(&c->parser) - c->in.data);
    buf_consume(&c->in, n);
    if (c->rq.answered)
        return;
    if (c->complete)
        whole(c);
    else if (c->got > body_limit(c))
        refuse(c, 413,
               c->rq.endpoint->body == BODY_STREAMED ? "the upload is larger than UPLOAD_MAX"
                                                     : "the body is larger than BODY_MAX");
    else if (e != HPE_OK)
        refuse(c, buf_failed(&c->rq.body) ? 503 : 400, "the request body does not parse");
}

/* Goes on as far as the input and the state allow. Endpoints may answer from inside: then the outer call goes on. */
static void advance(struct conn *c)
{
    c->again = true;
    if (c->advancing)
        return;
    c->advancing = true;
    while (c->again && !c->closing) {
        c->again = false;
        if ((c->state == CONN_IDLE || c->state == CONN_HEAD) && c->in.len > 0) {
            step_head(c);
            c->again |= c->state == CONN_BODY || (c->state == CONN_IDLE && c->in.len > 0);
        } else if (c->state == CONN_BODY && c->in.len > 0 && !c->braked) {
            step_body(c);
            c->again |= c->state == CONN_BODY && c->in.len > 0 && !c->braked;
        }
    }
    c->advancing = false;
    if (!c->closing)
        set_reading(c);
    free_if_done(c);
}

void request_resume(struct request *rq)
{
    struct conn *c = rq->conn;

    c->braked = false;
    if (!c->closing)
        advance(c);
}

/* --- reading: bytes ------------------------------------------------------------------------------------ */

static void alloc_cb(uv_handle_t *h, size_t hint, uv_buf_t *ret)
{
    (void)hint;
    *ret = server_read_buffer(conn_of(h->data)->server);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *b)
{
    struct conn *c = conn_of(stream->data);

    if (n < 0) {
        /* A client that half-closes after its request still gets the answer. */
        if (n == UV_EOF && c->state == CONN_ANSWERING && c->working) {
            c->rq.keep_alive = false;
            c->reading = false;
            (void)uv_read_stop(stream);
            return;
        }
        conn_abort(c);
        return;
    }
    if (n == 0 || c->state == CONN_LINGERING)
        return;
    buf_add(&c->in, b->base, (size_t)n);
    if (buf_failed(&c->in)) {
        conn_abort(c);
        return;
    }
    advance(c);
}

static void set_reading(struct conn *c)
{
    bool want = c->in.len < IN_MAX && !(c->braked && c->in.len > 0);

    if (c->in.len == 0 && c->in.cap > IN_KEEP && c->state != CONN_BODY)
        buf_done(&c->in);
    if (want == c->reading || c->closing)
        return;
    c->reading = want;
    if (!want)
        (void)uv_read_stop(&c->u.stream);
    else if (uv_read_start(&c->u.stream, alloc_cb, on_read) != 0)
        conn_abort(c);
}

/* --- life ------------------------------------------------------------------------------------------------ */

static int init_stream(struct conn *c, const uv_stream_t *listener)
{
    uv_loop_t *loop = listener->loop;

    return listener->type == UV_TCP ? uv_tcp_init(loop, &c->u.tcp)
                                    : uv_pipe_init(loop, &c->u.pipe, 0);
}

void conn_accept(struct server *s, uv_stream_t *listener)
{
    struct conn *c = calloc(1, sizeof *c);

    if (c == NULL)
        return; /* stays in the backlog; libuv asks again with the next one */
    c->magic = CONN_MAGIC;
    c->server = s;
    if (init_stream(c, listener) != 0) {
        free(c);
        return;
    }
    c->u.stream.data = c;
    server_add(s, c);
    set_state(c, CONN_IDLE);
    if (uv_accept(listener, &c->u.stream) != 0) {
        conn_abort(c);
        return;
    }
    if (listener->type == UV_TCP)
        (void)uv_tcp_nodelay(&c->u.tcp, 1);
    set_reading(c);
}

void conn_check(struct conn *c, uint64_t now_ms)
{
    if (c->deadline_ms == 0 || now_ms < c->deadline_ms)
        return;
    if (c->state == CONN_HEAD) {
        fresh_request(c);
        refuse(c, 408, "the request head took longer than HEAD_TIMEOUT");
    } else if (c->state == CONN_BODY && !c->writing) {
        refuse(c, 408, "the request body took too long");
    } else {
        conn_abort(c);
    }
}

void conn_drain(struct conn *c)
{
    if (c->state == CONN_IDLE)
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
