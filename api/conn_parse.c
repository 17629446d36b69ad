#include "api/conn_internal.h"
#include "shared/clock.h"

#define PIECE ((size_t)16 * 1024) /* body bytes between two looks at the brakes */

static struct conn *conn_of_parser(llhttp_t *p)
{
    return conn_of(p->data);
}

/* --- the parser's callbacks --------------------------------------------------------------------------- */

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

/* The head is whole when it is parsed, so each of these comes once a field. */
static int on_field(llhttp_t *p, const char *at, size_t len)
{
    struct request *rq = &conn_of_parser(p)->rq;

    if (rq->n_headers == REQUEST_HEADERS_MAX) /* head_scan() has counted */
        return HPE_USER;
    rq->headers[rq->n_headers++] = (struct request_header){slice_of(at, len), slice_of("", 0)};
    return 0;
}

static int on_value(llhttp_t *p, const char *at, size_t len)
{
    struct request *rq = &conn_of_parser(p)->rq;

    while (len > 0 && (at[len - 1] == ' ' || at[len - 1] == '\t'))
        len--;
    if (rq->n_headers > 0)
        rq->headers[rq->n_headers - 1].value = slice_of(at, len);
    return 0;
}

/* An offer to change the protocol may be passed over (RFC 9110 7.8). CONNECT is none. */
static int on_headers_complete(llhttp_t *p)
{
    conn_of_parser(p)->headed = true;
    p->upgrade = p->method == HTTP_CONNECT;
    return 0;
}

static int on_body(llhttp_t *p, const char *at, size_t len)
{
    struct conn *c = conn_of_parser(p);
    struct api *api = conn_api(c);
    size_t before = c->rq.body.cap;
    const struct body_limits limits = conn_body_limits(c);

    c->got += len;
    c->too_big = c->got > limits.max;
    if (c->too_big || c->rq.answered)
        return HPE_USER;
    if (!limits.gather) {
        conn_more_time(c);
        c->braked |= !c->rq.endpoint->on_body(&c->rq, slice_of(at, len));
        return 0;
    }
    buf_add(&c->rq.body, at, len);
    api->bodies += c->rq.body.cap - before;
    return buf_failed(&c->rq.body) || api->bodies > api->opt->bodies_max ? HPE_USER : 0;
}

/* The last chunk ends llhttp's part: it takes trailers less strictly than heads. */
static int on_chunk(llhttp_t *p)
{
    struct conn *c = conn_of_parser(p);

    c->scan.trailer = p->content_length == 0;
    c->too_big = p->content_length > conn_body_limits(c).max - c->got;
    return c->scan.trailer ? HPE_PAUSED : c->too_big ? HPE_USER : 0;
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
        s.on_chunk_header = on_chunk;
        s.on_message_complete = on_complete;
    }
    return &s;
}

/* --- heads -------------------------------------------------------------------------------------------- */

void conn_fresh_request(struct conn *c)
{
    struct request *rq = &c->rq;

    rq->api = conn_api(c);
    rq->conn = c;
    rq->endpoint = NULL;
    rq->n_headers = 0;
    rq->began_us = clock_now_us();
    rq->method = rq->target = rq->path = rq->query = slice_of("", 0);
    rq->work = NULL;
    rq->on_leave = NULL;
    rq->content_length = 0;
    rq->status = 0;
    rq->has_body = rq->chunked = rq->http10 = rq->keep_alive = rq->answered = rq->started =
        false;
    c->taken = c->got = 0;
    c->headed = c->too_big = c->complete = c->begun = c->braked = c->close_after = false;
    c->scan = (struct head_scan){0};
    llhttp_init(&c->parser, HTTP_REQUEST, settings());
    c->parser.data = c;
}

static bool fault_of(enum llhttp_errno e, struct head_fault *ret)
{
    if (e == HPE_INVALID_METHOD)
        *ret = (struct head_fault){501, "a method that is not known here"};
    else if (e == HPE_INVALID_VERSION || e == HPE_PAUSED_H2_UPGRADE)
        *ret = (struct head_fault){505, "only HTTP/1.0 and HTTP/1.1 are spoken here"};
    else
        *ret = (struct head_fault){400, "the request head does not parse"};
    return false;
}

/* The bytes move to c->head, so that they stand still while the body is read. */
bool conn_parse_head(struct conn *c, size_t len, struct head_fault *ret)
{
    enum llhttp_errno e;

    conn_fresh_request(c);
    buf_clear(&c->head);
    buf_add(&c->head, c->in.data, len);
    buf_consume(&c->in, len);
    if (buf_failed(&c->head)) {
        *ret = (struct head_fault){503, "no memory for the request"};
        return false;
    }
    e = llhttp_execute(&c->parser, c->head.data, c->head.len);
    if ((e != HPE_OK && e != HPE_PAUSED) || !c->headed)
        return fault_of(e, ret);
    return head_check(&c->rq, &c->parser, ret);
}

/* --- bodies ------------------------------------------------------------------------------------------- */

/* Chunk extensions are dropped, so they may not be what is mostly sent. */
static bool too_much_framing(const struct conn *c)
{
    return c->taken - c->got > conn_api(c)->opt->head_max + 16 * c->got;
}

static enum conn_body bad(struct head_fault *ret, unsigned status, const char *detail)
{
    *ret = (struct head_fault){status, detail};
    return CONN_BODY_BAD;
}

static enum conn_body body_fault(const struct conn *c, struct head_fault *ret)
{
    const struct api *api = conn_api(c);

    if (c->too_big)
        return bad(ret, 413, conn_body_limits(c).too_big);
    if (buf_failed(&c->rq.body) || api->bodies > api->opt->bodies_max)
        return bad(ret, 503, "too many request bodies are held at once; come back in a moment");
    return bad(ret, 400, "the request body does not parse");
}

/* Trailers must look like a head's fields, and are dropped: nothing asks for them. */
static enum conn_body parse_trailers(struct conn *c, struct head_fault *ret)
{
    const struct api_options *opt = conn_api(c)->opt;
    size_t len = c->in.len < opt->head_max ? c->in.len : opt->head_max;

    switch (head_scan(slice_of(c->in.data, len), opt->headers_max, &c->scan, ret)) {
    case HEAD_REFUSED:
        return CONN_BODY_BAD;
    case HEAD_MORE:
        return c->in.len > opt->head_max
                   ? bad(ret, 431, "the trailers are larger than HEAD_MAX")
                   : CONN_BODY_MORE;
    case HEAD_WHOLE:
        break;
    }
    buf_consume(&c->in, c->scan.line);
    c->scan = (struct head_scan){0};
    c->complete = true;
    return CONN_BODY_WHOLE;
}

enum conn_body conn_parse_body(struct conn *c, struct head_fault *ret)
{
    size_t n = c->in.len < PIECE ? c->in.len : PIECE;
    enum llhttp_errno e;

    if (c->scan.trailer)
        return parse_trailers(c, ret);
    e = llhttp_execute(&c->parser, c->in.data, n);
    if (e == HPE_PAUSED)
        n = (size_t)(llhttp_get_error_pos(&c->parser) - c->in.data);
    buf_consume(&c->in, n);
    c->taken += n;
    if (c->rq.answered)
        return CONN_BODY_ANSWERED;
    if (c->complete)
        return CONN_BODY_WHOLE;
    if (e != HPE_OK && !c->scan.trailer)
        return body_fault(c, ret);
    if (too_much_framing(c))
        return bad(ret, 400, "chunk extensions larger than the body");
    return c->scan.trailer && c->in.len > 0 ? parse_trailers(c, ret) : CONN_BODY_MORE;
}
