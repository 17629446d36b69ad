#include "api/head.h"

#include <strings.h>

size_t head_end(struct slice in, size_t *scan)
{
    size_t from = *scan > 3 ? *scan - 3 : 0;
    const char *end =
        in.len > from ? memmem(in.ptr + from, in.len - from, "\r\n\r\n", 4) : NULL;

    *scan = in.len;
    return end == NULL ? 0 : (size_t)(end - in.ptr) + 4;
}

static bool refuse(struct head_fault *ret, unsigned status, const char *detail)
{
    *ret = (struct head_fault){status, detail};
    return false;
}

static bool is_tchar(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool field_name_ok(struct slice line)
{
    size_t n = 0;

    while (n < line.len && is_tchar(line.ptr[n]))
        n++;
    return n > 0 && n < line.len && line.ptr[n] == ':';
}

bool head_lines_ok(struct slice head, struct head_fault *ret)
{
    const char *end = memmem(head.ptr, head.len, "\r\n", 2);
    bool first = true;

    while (end != NULL && end != head.ptr) {
        struct slice line = slice_of(head.ptr, (size_t)(end - head.ptr));

        if (memchr(line.ptr, '\0', line.len) != NULL ||
            memchr(line.ptr, '\n', line.len) != NULL ||
            memchr(line.ptr, '\r', line.len) != NULL)
            return refuse(ret, 400, "a line of the head holds NUL, or CR or LF alone");
        if (!first && (line.ptr[0] == ' ' || line.ptr[0] == '\t'))
            return refuse(ret, 400, "a folded header line");
        if (!first && !field_name_ok(line))
            return refuse(ret, 400, "a header field without a valid name and colon");
        first = false;
        head = slice_of(end + 2, head.len - line.len - 2);
        end = memmem(head.ptr, head.len, "\r\n", 2);
    }
    return true;
}

static size_t count_of(const struct request *rq, const char *name)
{
    size_t len = strlen(name), n = 0;

    for (size_t i = 0; i < rq->n_headers; i++)
        n += rq->headers[i].name.len == len &&
             strncasecmp(rq->headers[i].name.ptr, name, len) == 0;
    return n;
}

static bool method_ok(const struct request *rq)
{
    static const char *const known[] = {"GET",   "HEAD",   "POST",   "PUT",
                                        "PATCH", "DELETE", "OPTIONS"};

    for (size_t i = 0; i < COUNT_OF(known); i++) {
        if (slice_is(rq->method, known[i]))
            return true;
    }
    return false;
}

static bool path_chars_ok(struct slice path)
{
    for (size_t i = 0; i < path.len; i++) {
        unsigned char c = (unsigned char)path.ptr[i];

        if (c <= 0x20 || c >= 0x7f || c == '\\' || c == '#')
            return false;
    }
    return true;
}

/* Nothing that this API serves needs an escape or a dot segment in its path. */
static bool path_ok(struct slice path)
{
    return path.len > 0 && path.ptr[0] == '/' && path_chars_ok(path) &&
           memchr(path.ptr, '%', path.len) == NULL &&
           memmem(path.ptr, path.len, "/../", 4) == NULL &&
           memmem(path.ptr, path.len, "/./", 3) == NULL &&
           memmem(path.ptr, path.len, "//", 2) == NULL;
}

static bool target_ok(struct request *rq)
{
    const char *mark = memchr(rq->target.ptr, '?', rq->target.len);
    size_t n = mark == NULL ? rq->target.len : (size_t)(mark - rq->target.ptr);

    rq->path = slice_of(rq->target.ptr, n);
    rq->query = mark == NULL ? slice_of("", 0) : slice_of(mark + 1, rq->target.len - n - 1);
    return path_ok(rq->path) && path_chars_ok(rq->query);
}

static bool body_ok(struct request *rq, const llhttp_t *parser, struct head_fault *ret)
{
    struct slice te = request_header(rq, "transfer-encoding");
    struct slice cl = request_header(rq, "content-length");

    if (te.ptr != NULL && (count_of(rq, "transfer-encoding") > 1 || te.len != 7 ||
                           strncasecmp(te.ptr, "chunked", 7) != 0))
        return refuse(ret, 501, "Transfer-Encoding must be chunked and nothing else");
    if (te.ptr != NULL && parser->http_minor == 0)
        return refuse(ret, 400, "Transfer-Encoding in an HTTP/1.0 request");
    if (te.ptr != NULL && cl.ptr != NULL)
        return refuse(ret, 400, "Transfer-Encoding and Content-Length together");
    if (count_of(rq, "content-length") > 1)
        return refuse(ret, 400, "more than one Content-Length");
    rq->content_length = te.ptr != NULL   ? UINT64_MAX
                         : cl.ptr != NULL ? parser->content_length
                                          : 0;
    rq->has_body = rq->content_length > 0;
    return true;
}

bool head_check(struct request *rq, const llhttp_t *parser, struct head_fault *ret)
{
    if (parser->http_major != 1 || parser->http_minor > 1)
        return refuse(ret, 505, "only HTTP/1.0 and HTTP/1.1 are spoken here");
    if (!method_ok(rq))
        return refuse(ret, 501, "a method that is not known here");
    if (count_of(rq, "host") > 1 || (count_of(rq, "host") == 0 && parser->http_minor == 1))
        return refuse(ret, 400, "exactly one Host field is needed");
    if (!target_ok(rq))
        return refuse(ret, 400, "a target that is not a plain absolute path");
    if (!body_ok(rq, parser, ret))
        return false;
    rq->keep_alive = llhttp_should_keep_alive(parser) != 0;
    return true;
}
