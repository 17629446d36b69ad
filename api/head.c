#include "api/head.h"

#include <strings.h>

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

/* --- the raw lines ---------------------------------------------------------------------------------------- */

static enum head_verdict refuse_line(struct head_fault *ret, unsigned status,
                                     const char *detail)
{
    (void)refuse(ret, status, detail);
    return HEAD_REFUSED;
}

/* METHOD TARGET HTTP/1.1, with two spaces in all; HTTP/0.9 had no version. The parser sees to the parts. */
static bool is_request_line(struct slice line)
{
    static const char name[] = " HTTP/";
    size_t n = sizeof name - 1 + 3, spaces = 0; /* "1.1" */

    for (size_t i = 0; i < line.len; i++)
        spaces += line.ptr[i] == ' ';
    return spaces == 2 && line.len > n &&
           memcmp(line.ptr + line.len - n, name, sizeof name - 1) == 0;
}

/* line: without its CRLF. */
static enum head_verdict check_line(struct slice line, size_t max_fields, struct head_scan *s,
                                    struct head_fault *ret)
{
    if (memchr(line.ptr, '\0', line.len) != NULL || memchr(line.ptr, '\r', line.len) != NULL)
        return refuse_line(ret, 400, "a line of the head holds NUL, or CR alone");
    if (s->line == 0 && !s->trailer)
        return is_request_line(line)
                   ? HEAD_MORE
                   : refuse_line(ret, 400, "a request line that is not METHOD TARGET VERSION");
    if (line.len == 0)
        return HEAD_WHOLE;
    if (line.ptr[0] == ' ' || line.ptr[0] == '\t')
        return refuse_line(ret, 400, "a folded header line");
    if (!field_name_ok(line))
        return refuse_line(ret, 400, "a header field without a valid name and colon");
    if (++s->fields > max_fields)
        return refuse_line(ret, 431, "more header fields than HEADERS_MAX");
    return HEAD_MORE;
}

enum head_verdict head_scan(struct slice in, size_t max_fields, struct head_scan *s,
                            struct head_fault *ret)
{
    enum head_verdict v = HEAD_MORE;
    const char *lf;

    if (in.len > 0 && !s->trailer && !is_tchar(in.ptr[0]))
        return refuse_line(ret, 400, "what begins here is no HTTP request");
    while (v == HEAD_MORE && s->seen < in.len) {
        lf = memchr(in.ptr + s->seen, '\n', in.len - s->seen);
        if (lf == NULL) {
            s->seen = in.len;
            break;
        }
        if (lf == in.ptr + s->line || lf[-1] != '\r')
            return refuse_line(ret, 400, "a line of the head that ends in LF alone");
        v = check_line(slice_of(in.ptr + s->line, (size_t)(lf - 1 - in.ptr) - s->line),
                       max_fields, s, ret);
        s->seen = s->line = (size_t)(lf + 1 - in.ptr);
    }
    return v;
}

/* --- the parsed head ------------------------------------------------------------------------------------------ */

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

static bool ends_in(struct slice s, const char *end)
{
    size_t n = strlen(end);

    return s.len >= n && memcmp(s.ptr + s.len - n, end, n) == 0;
}

/* Nothing that this API serves needs an escape or a dot segment in its path. */
static bool path_ok(struct slice path)
{
    return path.len > 0 && path.ptr[0] == '/' && path_chars_ok(path) &&
           memchr(path.ptr, '%', path.len) == NULL &&
           memmem(path.ptr, path.len, "/../", 4) == NULL &&
           memmem(path.ptr, path.len, "/./", 3) == NULL &&
           memmem(path.ptr, path.len, "//", 2) == NULL && !ends_in(path, "/..") &&
           !ends_in(path, "/.");
}

static bool target_ok(struct request *rq)
{
    const char *mark = memchr(rq->target.ptr, '?', rq->target.len);
    size_t n = mark == NULL ? rq->target.len : (size_t)(mark - rq->target.ptr);

    rq->path = slice_of(rq->target.ptr, n);
    rq->query = mark == NULL ? slice_of("", 0) : slice_of(mark + 1, rq->target.len - n - 1);
    return path_ok(rq->path) && path_chars_ok(rq->query);
}

/* RFC 3986 3.2: a name, an address or [v6], and a port; empty is allowed. Which it is does not matter here. */
static bool host_ok(struct slice host)
{
    for (size_t i = 0; i < host.len; i++) {
        char c = host.ptr[i];

        if (!is_tchar(c) && (c == '\0' || strchr("()[]:,;=", c) == NULL))
            return false;
        if (c == '#' || c == '^' || c == '`' || c == '|')
            return false;
    }
    return true;
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
    rq->chunked = te.ptr != NULL;
    rq->content_length = cl.ptr != NULL ? parser->content_length : 0;
    rq->has_body = rq->chunked || rq->content_length > 0;
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
    if (!host_ok(request_header(rq, "host")))
        return refuse(ret, 400, "a Host field that is no host");
    if (!target_ok(rq))
        return refuse(ret, 400, "a target that is not a plain absolute path");
    if (!body_ok(rq, parser, ret))
        return false;
    rq->http10 = parser->http_minor == 0;
    rq->keep_alive = llhttp_should_keep_alive(parser) != 0;
    return true;
}
