#include "api/reply.h"

#include "api/api.h"
#include "api/conn.h"
#include "api/server.h"
#include "shared/json.h"

static const struct status {
    unsigned number;
    const char *text, *line;
} statuses[] = {
#define X(number, text)                                   \
    {                                                     \
        number, text, "HTTP/1.1 " #number " " text "\r\n" \
    }
    X(200, "OK"),
    X(201, "Created"),
    X(202, "Accepted"),
    X(204, "No Content"),
    X(206, "Partial Content"),
    X(304, "Not Modified"),
    X(400, "Bad Request"),
    X(404, "Not Found"),
    X(405, "Method Not Allowed"),
    X(408, "Request Timeout"),
    X(409, "Conflict"),
    X(410, "Gone"),
    X(413, "Content Too Large"),
    X(415, "Unsupported Media Type"),
    X(416, "Range Not Satisfiable"),
    X(422, "Unprocessable Content"),
    X(424, "Failed Dependency"),
    X(429, "Too Many Requests"),
    X(431, "Request Header Fields Too Large"),
    X(500, "Internal Server Error"),
    X(501, "Not Implemented"),
    X(503, "Service Unavailable"),
    X(505, "HTTP Version Not Supported"),
    X(507, "Insufficient Storage"),
#undef X
};

static const struct status *find_status(unsigned number)
{
    size_t i = 0;

    while (i < COUNT_OF(statuses) && statuses[i].number != number)
        i++;
    must(i < COUNT_OF(statuses)); /* an endpoint answers what the table does not have */
    return &statuses[i];
}

const char *reply_status_text(unsigned status)
{
    return find_status(status)->text;
}

void reply_start(struct request *rq, unsigned status, bool close)
{
    struct buf *out = conn_out(rq->conn);

    rq->status = status;
    rq->started = true;
    buf_add_str(out, find_status(status)->line);
    buf_add_str(out, server_date(rq->api->server));
    if (close)
        buf_add_str(out, "connection: close\r\n");
    else if (rq->http10)
        buf_add_str(out, "connection: keep-alive\r\n");
}

static void add_field(struct buf *out, const char *name, const char *value)
{
    buf_add_str(out, name);
    buf_add_str(out, ": ");
    buf_add_str(out, value);
    buf_add_str(out, "\r\n");
}

/* On every answer's way: printf would be a good part of its cost. */
static void add_length(struct buf *out, size_t len)
{
    char text[24], *at = text + sizeof text;

    do
        *--at = (char)('0' + len % 10);
    while ((len /= 10) > 0);
    buf_add_str(out, "content-length: ");
    buf_add(out, at, (size_t)(text + sizeof text - at));
    buf_add_str(out, "\r\n");
}

void reply_send(struct request *rq, const struct reply *r)
{
    struct buf *out = conn_out(rq->conn);
    bool close = r->close || conn_ends(rq->conn);

    reply_start(rq, r->status, close);
    if (r->content_type != NULL)
        add_field(out, "content-type", r->content_type);
    for (size_t i = 0; i < r->n_headers; i++)
        add_field(out, r->headers[i].name, r->headers[i].value);
    if (r->status != 204 && r->status != 304)
        add_length(out, r->body.len);
    buf_add_str(out, "\r\n");
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
