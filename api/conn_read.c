#include "api/conn_internal.h"
#include "api/reply.h"
#include "api/router.h"

#include <strings.h>

/* --- answers to what broke a rule ---------------------------------------------------------------------- */

void conn_refuse(struct conn *c, const struct head_fault *why)
{
    if (c->rq.started) {
        conn_abort(c); /* only a cut connection can tell it now */
        return;
    }
    c->rq.keep_alive = false;
    c->complete = false;
    if (c->begun) {
        c->begun = false;
        c->rq.endpoint->on_abort(&c->rq);
    }
    conn_set_state(c, CONN_ANSWERING);
    c->working = true;
    reply_problem(&c->rq, why->status, NULL, "%s", why->detail);
}

static void refuse_route(struct conn *c, enum route_verdict v, const char *allow)
{
    struct reply r = {.status = 405, .content_type = "application/problem+json"};
    AUTO(buf_done) struct buf body = {0};

    conn_set_state(c, CONN_ANSWERING);
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
}

/* --- a head ---------------------------------------------------------------------------------------------- */

/* Limits that the head alone can break. */
static bool body_is_welcome(const struct conn *c, struct head_fault *ret)
{
    const struct api *api = conn_api(c);
    const struct request *rq = &c->rq;
    enum body_mode mode = rq->endpoint->body;

    if (mode == BODY_NONE && rq->has_body)
        *ret = (struct head_fault){413, "this request takes no body"};
    else if (mode != BODY_NONE && rq->content_length > conn_body_limits(c).max)
        *ret = (struct head_fault){413, conn_body_limits(c).too_big};
    else if (mode != BODY_NONE && api->bodies > api->opt->bodies_max)
        *ret = (struct head_fault){
            503, "too many request bodies are held at once; come back in a moment"};
    else
        return true;
    return false;
}

/* A client that misses it goes on after a while, so whether it can be written at once does not matter. */
static void expect_continue(struct conn *c)
{
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    struct slice e = request_header(&c->rq, "expect");
    uv_buf_t b = uv_buf_init((char *)(uintptr_t)go_on, sizeof go_on - 1);

    if (e.len == 12 && strncasecmp(e.ptr, "100-continue", 12) == 0 && !c->rq.http10 &&
        c->in.len == 0)
        (void)uv_try_write(&c->u.stream, &b, 1);
}

static void whole(struct conn *c)
{
    conn_set_state(c, CONN_ANSWERING);
    c->begun = false;
    c->rq.endpoint->on_end(&c->rq);
}

static void begin(struct conn *c)
{
    conn_set_state(c, CONN_BODY);
    c->working = true;
    if (c->rq.endpoint->begin != NULL) {
        c->begun = true;
        c->rq.endpoint->begin(&c->rq);
    }
    if (c->rq.answered || c->state != CONN_BODY)
        return;
    if (c->complete)
        whole(c);
    else
        expect_continue(c);
}

/* RFC 9112 2.2: empty lines before a request line. */
static void skip_empty_lines(struct conn *c)
{
    size_t n = 0;

    while (n + 1 < c->in.len && c->in.data[n] == '\r' && c->in.data[n + 1] == '\n')
        n += 2;
    buf_consume(&c->in, n);
}

static bool refuse_head(struct conn *c, unsigned status, const char *detail)
{
    conn_fresh_request(c);
    conn_refuse(c, &(struct head_fault){status, detail});
    return true;
}

/* Gives true once a whole head was dealt with. */
static bool step_head(struct conn *c)
{
    const struct api_options *opt = conn_api(c)->opt;
    struct head_fault why = {400, ""};
    enum route_verdict v;
    char allow[64];
    size_t len;

    if (c->scan.line == 0)
        skip_empty_lines(c);
    if (c->in.len == 0 || (c->in.len == 1 && c->in.data[0] == '\r'))
        return false;
    if (c->state == CONN_IDLE)
        conn_set_state(c, CONN_HEAD);
    len = c->in.len < opt->head_max ? c->in.len : opt->head_max;
    switch (head_scan(slice_of(c->in.data, len), opt->headers_max, &c->scan, &why)) {
    case HEAD_MORE:
        return c->in.len > opt->head_max &&
               refuse_head(c, 431, "the request head is larger than HEAD_MAX");
    case HEAD_REFUSED:
        return refuse_head(c, why.status, why.detail);
    case HEAD_WHOLE:
        break;
    }
    len = c->scan.line;
    if (!conn_parse_head(c, len, &why)) {
        conn_refuse(c, &why);
        return true;
    }
    v = router_match(&c->rq, allow);
    if (v != ROUTE_OK)
        refuse_route(c, v, allow);
    else if (!body_is_welcome(c, &why))
        conn_refuse(c, &why);
    else
        begin(c);
    return true;
}

/* --- going on --------------------------------------------------------------------------------------------- */

/* Gives true if input was used up, so that more may be to do. */
static bool step_body(struct conn *c)
{
    size_t before = c->in.len;
    struct head_fault why;

    switch (conn_parse_body(c, &why)) {
    case CONN_BODY_MORE:
        return c->in.len < before;
    case CONN_BODY_ANSWERED:
        break;
    case CONN_BODY_WHOLE:
        whole(c);
        break;
    case CONN_BODY_BAD:
        conn_refuse(c, &why);
        break;
    }
    return true;
}

static bool step(struct conn *c)
{
    if (c->closing || c->in.len == 0)
        return false;
    if (c->state == CONN_IDLE || c->state == CONN_HEAD)
        return step_head(c);
    return c->state == CONN_BODY && !c->braked && step_body(c);
}

/* The client sends no more, and what it has sent makes no further request. */
static bool is_at_end(const struct conn *c)
{
    if (!c->eof || c->state == CONN_ANSWERING || c->state == CONN_LINGERING)
        return false;
    return c->in.len == 0 || !c->braked;
}

/* Endpoints may answer, and be resumed, from inside a step: then the outer call goes on. */
void conn_advance(struct conn *c)
{
    if (c->advancing)
        return;
    c->advancing = true;
    while (step(c))
        continue;
    c->advancing = false;
    if (!c->closing && is_at_end(c))
        conn_abort(c);
    if (!c->closing)
        conn_set_reading(c);
    conn_free_if_done(c);
}

void request_resume(struct request *rq)
{
    struct conn *c = rq->conn;

    c->braked = false;
    conn_more_time(c);
    if (!c->closing)
        conn_advance(c);
}

/* --- bytes -------------------------------------------------------------------------------------------------- */

static void alloc_cb(uv_handle_t *h, size_t hint, uv_buf_t *ret)
{
    struct conn *c = conn_of(h->data);

    (void)hint;
    *ret = server_read_buffer(c->server);
    if (c->state != CONN_BODY && c->state != CONN_LINGERING)
        ret->len = CONN_READ;
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *b)
{
    struct conn *c = conn_of(stream->data);

    if (n == UV_EOF && c->state != CONN_LINGERING) {
        c->eof = true;
        conn_advance(c);
        if (!c->closing)
            conn_tell_leave(c);
        return;
    }
    if (n < 0) {
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
    conn_advance(c);
}

/* What is read while an answer is due tells that the client is still there, and is kept up to a limit. */
static bool wants_input(const struct conn *c)
{
    if (c->eof)
        return false;
    if (c->state == CONN_ANSWERING)
        return c->in.len < CONN_READ;
    return !(c->state == CONN_BODY && c->braked && c->in.len > 0);
}

void conn_set_reading(struct conn *c)
{
    bool want = wants_input(c);

    if (c->in.len == 0 && c->in.cap > CONN_KEEP && c->state != CONN_BODY)
        buf_done(&c->in);
    if (want == c->reading || c->closing)
        return;
    c->reading = want;
    if (!want)
        (void)uv_read_stop(&c->u.stream);
    else if (uv_read_start(&c->u.stream, alloc_cb, on_read) != 0)
        conn_abort(c);
}
