#include "api/reply.h"

#include "api/conn.h"
#include "shared/json.h"

static const struct {
    unsigned status;
    const char *text;
} texts[] = {
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {206, "Partial Content"},
    {304, "Not Modified"},
    {400, "Bad Request"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {413, "Content Too Large"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {422, "Unprocessable Content"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {503, "Service Unavailable"},
    {505, "HTTP Version Not Supported"},
    {507, "Insufficient Storage"},
};

const char *reply_status_text(unsigned status)
{
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        if (texts[i].status == status)
            return texts[i].text;
    }
    return "Unknown";
}

void reply_send(struct request *rq, const struct reply *r)
{
    struct buf *out = conn_out(rq->conn);
    bool close = r->close || !rq->keep_alive;

    buf_addf(out, "HTTP/1.1 %u %s\r\n", r->status, reply_status_text(r->status));
    if (r->content_type != NULL)
        buf_addf(out, "content-type: %s\r\n", r->content_type);
    for (size_t i = 0; i < r->n_headers; i++)
        buf_addf(out, "%s: %s\r\n", r->headers[i].name, r->headers[i].value);
    if (r->status != 204 && r->status != 304)
        buf_addf(out, "content-length: %zu\r\n", r->body.len);
    buf_add_str(out, close ? "connection: close\r\n\r\n" : "\r\n");
    if (!slice_is(rq->method, "HEAD"))
        buf_add_slice(out, r->body);
    conn_answered(rq->conn, close);
}

void reply_json(struct request *rq, unsigned status, const struct buf *body)
{
    if (buf_failed(body)) {
        reply_problem(rq, 503, NULL, "no memory for the answer");
        return;
    }
    reply_send(rq, &(struct reply){.status = status,
                                   .content_type = "application/json",
                                   .body = buf_slice(body)});
}

void reply_problem_body(unsigned status, const char *pointer, const char *detail,
                        struct buf *out)
{
    buf_addf(out, "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%u,\"detail\":",
             reply_status_text(status), status);
    json_quote(slice_str(detail), out);
    if (pointer != NULL) {
        buf_add_str(out, ",\"errors\":[{\"pointer\":");
        json_quote(slice_str(pointer), out);
        buf_add_str(out, ",\"detail\":");
        json_quote(slice_str(detail), out);
        buf_add_str(out, "}]");
    }
    buf_add_char(out, '}');
}

static void send_problem(struct request *rq, unsigned status, const char *pointer,
                         const char *detail, bool come_again)
{
    AUTO(buf_done) struct buf body = {0};
    struct reply r = {.status = status, .content_type = "application/problem+json"};

    reply_problem_body(status, pointer, detail, &body);
    r.body = buf_slice(&body);
    if (come_again)
        r.headers[r.n_headers++] = (struct reply_header){"retry-after", "1"};
    reply_send(rq, &r);
}

void reply_problem(struct request *rq, unsigned status, const char *pointer, const char *fmt,
                   ...)
{
    char detail[512];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(detail, sizeof detail, fmt, ap);
    va_end(ap);
    send_problem(rq, status, pointer, detail, status == 503);
}

void reply_unavailable(struct request *rq, const char *what, enum err e)
{
    char detail[160];

    (void)snprintf(detail, sizeof detail, "%s: %s; try again in a moment", what, err_text(e));
    send_problem(rq, 503, NULL, detail, true);
}
