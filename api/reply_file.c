/* The file answers of reply.h: read in pieces on a pool thread, written as the client takes them. */
#include <unistd.h>

#include "api/api.h"
#include "api/conn.h"
#include "api/range.h"
#include "api/reply.h"

#define PIECE ((size_t)64 * 1024)

struct sending {
    struct request *rq;
    uv_loop_t *loop;
    uv_fs_t read;
    int fd;
    uint64_t at, left;
    char piece[PIECE];
};

static void next_piece(struct sending *s);

static void finish(struct sending *s, bool close_it)
{
    struct request *rq = s->rq;

    (void)close(s->fd);
    free(s);
    conn_answered(rq->conn, close_it);
}

static void on_piece_out(void *arg, bool gone)
{
    struct sending *s = arg;

    if (gone || s->left == 0)
        finish(s, gone);
    else
        next_piece(s);
}

static void on_piece_read(uv_fs_t *req)
{
    struct sending *s = CONTAINER(req, struct sending, read);
    ssize_t n = req->result;

    uv_fs_req_cleanup(req);
    if (n <= 0 || (uint64_t)n > s->left) {
        /* The head has promised more: only a cut connection can tell the client. */
        conn_abort(s->rq->conn);
        finish(s, true);
        return;
    }
    s->at += (uint64_t)n;
    s->left -= (uint64_t)n;
    if (s->rq->gone) {
        finish(s, true);
        return;
    }
    buf_add(conn_out(s->rq->conn), s->piece, (size_t)n);
    if (s->left == 0) {
        finish(s, false); /* the last piece goes out with the end of the answer */
        return;
    }
    conn_flush(s->rq->conn, on_piece_out, s);
}

static void next_piece(struct sending *s)
{
    uv_buf_t b = uv_buf_init(s->piece, (unsigned)(s->left < PIECE ? s->left : PIECE));

    if (uv_fs_read(s->loop, &s->read, s->fd, &b, 1, (int64_t)s->at, on_piece_read) == 0)
        return;
    conn_abort(s->rq->conn);
    finish(s, true);
}

static void write_head(struct request *rq, const struct reply_file *f, unsigned status,
                       const struct range *r)
{
    struct buf *out = conn_out(rq->conn);

    reply_start(rq, status, conn_ends(rq->conn));
    if (status != 304)
        buf_addf(out, "content-type: %s\r\n", f->content_type);
    buf_addf(out, "etag: %s\r\naccept-ranges: bytes\r\n", f->etag);
    if (f->cache_control != NULL)
        buf_addf(out, "cache-control: %s\r\n", f->cache_control);
    buf_add_str(out, "x-content-type-options: nosniff\r\n");
    if (status == 206)
        buf_addf(out, "content-range: bytes %llu-%llu/%llu\r\n", (unsigned long long)r->first,
                 (unsigned long long)r->last, (unsigned long long)f->bytes);
    if (status != 304)
        buf_addf(out, "content-length: %llu\r\n",
                 (unsigned long long)(f->bytes == 0 ? 0 : r->last - r->first + 1));
    buf_add_str(out, "\r\n");
}

static void refuse_range(struct request *rq, const struct reply_file *f)
{
    struct buf body = {0};
    char size[48];
    struct reply r = {
        .status = 416, .content_type = "application/problem+json", .n_headers = 1};

    (void)close(f->fd);
    (void)snprintf(size, sizeof size, "bytes */%llu", (unsigned long long)f->bytes);
    r.headers[0] = (struct reply_header){"content-range", size};
    reply_problem_body(416, NULL, "the range lies outside the file", &body);
    r.body = buf_slice(&body);
    reply_send(rq, &r);
    buf_done(&body);
}

void reply_file(struct request *rq, const struct reply_file *f)
{
    struct range range = {0, f->bytes > 0 ? f->bytes - 1 : 0};
    unsigned status = 200;
    struct sending *s;

    if (range_etag_matches(request_header(rq, "if-none-match"), f->etag)) {
        status = 304;
    } else if (range_applies(request_header(rq, "if-range"), f->etag)) {
        enum range_verdict v = range_parse(request_header(rq, "range"), f->bytes, &range);

        if (v == RANGE_OUTSIDE) {
            refuse_range(rq, f);
            return;
        }
        status = v == RANGE_PART ? 206 : 200;
    }
    s = status == 304 || slice_is(rq->method, "HEAD") || f->bytes == 0 ? NULL
                                                                       : malloc(sizeof *s);
    write_head(rq, f, status, &range);
    if (s == NULL) {
        bool owed =
            status != 304 && !slice_is(rq->method, "HEAD") && f->bytes > 0; /* no memory */

        (void)close(f->fd);
        if (owed)
            conn_abort(rq->conn);
        conn_answered(rq->conn, owed);
        return;
    }
    s->rq = rq;
    s->loop = loop_uv(rq->api->loop);
    s->fd = f->fd;
    s->at = range.first;
    s->left = range.last - range.first + 1;
    next_piece(s);
}
