#include "shared/http_request.h"

#include <inttypes.h>
#include <string.h>
#include <sys/socket.h>

#include "shared/clock.h"
#include "shared/http_url.h"
#include "shared/retry_after.h"

enum {
    DEADLINE_MS = 20000,
    HEAD_MAX_BYTES = 64 * 1024,
    PIN_SECONDS = 300, /* how long a request may wait for a connection and still find its pin */
};

struct request {
    struct http_transfer base;
    const struct http_conf *conf;
    struct http_url url;
    struct resolve resolve;
    struct curl_task task;
    struct curl_slist *headers, *pin;
    char *body;
    struct buf reply;
    struct http_sink sink;
    uint64_t sunk, skipped; /* bytes that the sink took; bytes that nobody wants */
    struct fault sink_why;
    size_t head_bytes;
    int64_t retry_after_ms;
    bool too_big, refused, sink_failed, enough;
    struct fault refusal;
    char peer[RESOLVE_TEXT_SIZE];
    char error[CURL_ERROR_SIZE];
};

static void stop(struct http_transfer *t)
{
    struct request *r = CONTAINER(t, struct request, base);

    resolve_cancel(&r->resolve);
    curl_loop_remove(r->conf->curl, &r->task);
}

static void dispose(struct request *r)
{
    curl_easy_cleanup(r->task.easy);
    curl_slist_free_all(r->headers);
    curl_slist_free_all(r->pin);
    http_url_done(&r->url);
    buf_done(&r->reply);
    free(r->body);
    free(r);
}

static void free_request(struct http_transfer *t)
{
    dispose(CONTAINER(t, struct request, base));
}

static const struct http_transfer_kind kind = {.stop = stop, .free = free_request};

/* --- what libcurl calls ----------------------------------------------------------------------- */

/* The page that comes with an error: a little of it keeps the connection, more is not worth it. */
static size_t skip(struct request *r, size_t len)
{
    r->skipped += len;
    r->enough = r->skipped > r->conf->max_reply_bytes;
    return r->enough ? CURL_WRITEFUNC_ERROR : len;
}

static size_t sink(struct request *r, const char *bytes, size_t len)
{
    long status = 0;
    curl_off_t announced = -1;

    (void)curl_easy_getinfo(r->task.easy, CURLINFO_RESPONSE_CODE, &status);
    if (status < 200 || status > 299)
        return skip(r, len);
    (void)curl_easy_getinfo(r->task.easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &announced);
    if (announced > 0 && (uint64_t)announced > r->sink.max_bytes)
        r->too_big = true;
    if (r->too_big || len > r->sink.max_bytes - r->sunk) {
        r->too_big = true;
        return CURL_WRITEFUNC_ERROR;
    }
    r->sunk += len;
    r->sink_failed = r->sink.take(r->sink.arg, slice_of(bytes, len), &r->sink_why) != ERR_OK;
    return r->sink_failed ? CURL_WRITEFUNC_ERROR : len;
}

static size_t take_body(char *bytes, size_t size, size_t n, void *arg)
{
    struct request *r = arg;
    size_t len = size * n;

    if (r->sink.take != NULL)
        return sink(r, bytes, len);
    if (len > r->conf->max_reply_bytes - r->reply.len) {
        r->too_big = true;
        return CURL_WRITEFUNC_ERROR;
    }
    buf_add(&r->reply, bytes, len);
    return buf_failed(&r->reply) ? CURL_WRITEFUNC_ERROR : len;
}

static struct slice without_eol(struct slice line)
{
    while (line.len > 0 && (line.ptr[line.len - 1] == '\n' || line.ptr[line.len - 1] == '\r'))
        line.len--;
    return line;
}

static size_t take_header(char *bytes, size_t size, size_t n, void *arg)
{
    static const char name[] = "retry-after:";
    struct request *r = arg;
    struct slice line = without_eol(slice_of(bytes, size * n));

    r->head_bytes += size * n;
    if (r->head_bytes > HEAD_MAX_BYTES) {
        r->too_big = true;
        return CURL_WRITEFUNC_ERROR;
    }
    if (slice_starts(line, "HTTP/"))
        r->retry_after_ms = -1; /* an interim answer's headers do not count */
    if (line.len > sizeof name - 1 && strncasecmp(line.ptr, name, sizeof name - 1) == 0) {
        line.ptr += sizeof name - 1;
        line.len -= sizeof name - 1;
        r->retry_after_ms = retry_after_parse(line, (int64_t)clock_wall_ms());
    }
    return size * n;
}

static bool let_through(struct request *r, const struct sockaddr *addr)
{
    if (netguard_check(r->conf->guard, addr, &r->refusal) == ERR_OK)
        return true;
    r->refused = true;
    return false;
}

/* The last word: this is the address that will be connected to. */
static curl_socket_t open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *addr)
{
    (void)purpose;
    if (!let_through(arg, &addr->addr))
        return CURL_SOCKET_BAD;
    return socket(addr->family, addr->socktype | SOCK_CLOEXEC, addr->protocol);
}

/* A connection that is used again never passes open_socket(). */
/* NOLINTNEXTLINE(readability-non-const-parameter): the type is libcurl's */
static int before_request(void *arg, char *ip, char *local_ip, int port, int local_port)
{
    struct request *r = arg;
    struct sockaddr_storage addr;

    (void)local_ip;
    (void)local_port;
    if (!resolve_literal(ip, (uint16_t)port, &addr) ||
        !let_through(r, (const struct sockaddr *)&addr))
        return CURL_PREREQFUNC_ABORT;
    (void)resolve_text((const struct sockaddr *)&addr, r->peer);
    return CURL_PREREQFUNC_OK;
}

/* libcurl wants to resolve a name by itself: no name goes around the guard. */
static int refuse_resolving(void *resolver, void *unused, void *arg)
{
    (void)resolver;
    (void)unused;
    (void)arg;
    return 1;
}

/* --- the request's checks --------------------------------------------------------------------- */

static bool is_token_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool is_token(const char *s)
{
    size_t n = 0;

    while (is_token_char(s[n]))
        n++;
    return n > 0 && s[n] == '\0';
}

static bool is_field_value(const char *s)
{
    for (; *s != '\0'; s++) {
        if (((unsigned char)*s < ' ' && *s != '\t') || *s == 0x7f)
            return false;
    }
    return true;
}

/* These decide where a message ends and what the connection does: not for a caller to set. */
static bool is_ours(const char *name)
{
    static const char *const ours[] = {"Host",       "Content-Length", "Transfer-Encoding",
                                       "Connection", "Expect",         "Upgrade",
                                       "TE",         "Trailer",        "Keep-Alive"};

    for (size_t i = 0; i < COUNT_OF(ours); i++) {
        if (strcasecmp(name, ours[i]) == 0)
            return true;
    }
    return strncasecmp(name, "Proxy-", 6) == 0;
}

static bool add_line(struct request *r, const char *line)
{
    struct curl_slist *list = curl_slist_append(r->headers, line);

    if (list != NULL)
        r->headers = list;
    return list != NULL;
}

static enum err add_header(struct request *r, const struct http_header *h, struct fault *reterr)
{
    AUTO(buf_done) struct buf line = {0};

    if (!is_token(h->name))
        return fault_set(reterr, ERR_MALFORMED, 0, "a header's name is not a token");
    if (!is_field_value(h->value))
        return fault_set(reterr, ERR_MALFORMED, 0, "header %.80s: control bytes", h->name);
    if (is_ours(h->name))
        return fault_set(reterr, ERR_MALFORMED, 0, "header %.80s cannot be set", h->name);
    /* libcurl's spelling of an empty field; "Name:" would take the field away. */
    if (h->value[strspn(h->value, " \t")] == '\0')
        buf_addf(&line, "%s;", h->name);
    else
        buf_addf(&line, "%s: %s", h->name, h->value);
    if (buf_failed(&line) || !add_line(r, buf_cstr(&line)))
        return fault_set(reterr, ERR_NOMEM, 0, "headers");
    return ERR_OK;
}

static enum err add_headers(struct request *r, const struct http_request *req,
                            struct fault *reterr)
{
    bool has_type = false;

    for (size_t i = 0; i < req->n_headers; i++) {
        enum err e = add_header(r, &req->headers[i], reterr);

        if (e != ERR_OK)
            return e;
        has_type = has_type || strcasecmp(req->headers[i].name, "Content-Type") == 0;
    }
    /* What libcurl would add unasked: a form's type, and a wait before big bodies. */
    if (!add_line(r, "Expect:") || (!has_type && !add_line(r, "Content-Type:")))
        return fault_set(reterr, ERR_NOMEM, 0, "headers");
    return ERR_OK;
}

static bool is_method(const char *m)
{
    static const char *const known[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"};

    for (size_t i = 0; i < COUNT_OF(known); i++) {
        if (strcmp(m, known[i]) == 0)
            return true;
    }
    return false;
}

/* --- the handle ------------------------------------------------------------------------------- */

static void set_method(CURL *h, const char *method, const struct request *r, size_t body_len)
{
    bool upload = body_len > 0 || method[0] == 'P';

    if (strcmp(method, "HEAD") == 0) {
        (void)curl_easy_setopt(h, CURLOPT_NOBODY, 1L);
        return;
    }
    if (upload) {
        (void)curl_easy_setopt(h, CURLOPT_POST, 1L);
        (void)curl_easy_setopt(h, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body_len);
        (void)curl_easy_setopt(h, CURLOPT_POSTFIELDS, r->body);
    }
    if (strcmp(method, upload ? "POST" : "GET") != 0)
        (void)curl_easy_setopt(h, CURLOPT_CUSTOMREQUEST, method);
}

static void set_guards(CURL *h, struct request *r)
{
    (void)curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(h, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(h, CURLOPT_FOLLOWLOCATION, 0L);
    (void)curl_easy_setopt(h, CURLOPT_PROXY, "");
    (void)curl_easy_setopt(h, CURLOPT_NOPROXY, "*");
    (void)curl_easy_setopt(h, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    (void)curl_easy_setopt(h, CURLOPT_OPENSOCKETDATA, r);
    (void)curl_easy_setopt(h, CURLOPT_PREREQFUNCTION, before_request);
    (void)curl_easy_setopt(h, CURLOPT_PREREQDATA, r);
    if (!r->url.literal)
        (void)curl_easy_setopt(h, CURLOPT_RESOLVER_START_FUNCTION, refuse_resolving);
}

static void set_options(CURL *h, struct request *r, uint32_t deadline_ms)
{
    (void)curl_easy_setopt(h, CURLOPT_CURLU, r->url.parts);
    (void)curl_easy_setopt(h, CURLOPT_ERRORBUFFER, r->error);
    (void)curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(h, CURLOPT_QUICK_EXIT, 1L);
    (void)curl_easy_setopt(h, CURLOPT_DNS_CACHE_TIMEOUT, (long)PIN_SECONDS);
    (void)curl_easy_setopt(h, CURLOPT_MAXLIFETIME_CONN,
                           600L); /* or a moved host would be missed for good */
    /* The deadline is our own timer; this one makes libcurl share it among several addresses. */
    (void)curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT_MS, (long)deadline_ms);
    (void)curl_easy_setopt(h, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    (void)curl_easy_setopt(h, CURLOPT_PIPEWAIT, 1L);
    (void)curl_easy_setopt(h, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    (void)curl_easy_setopt(h, CURLOPT_USERAGENT, r->conf->user_agent);
    (void)curl_easy_setopt(h, CURLOPT_HTTPHEADER, r->headers);
    (void)curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, take_body);
    (void)curl_easy_setopt(h, CURLOPT_WRITEDATA, r);
    (void)curl_easy_setopt(h, CURLOPT_HEADERFUNCTION, take_header);
    (void)curl_easy_setopt(h, CURLOPT_HEADERDATA, r);
    if (r->conf->ca_file != NULL)
        (void)curl_easy_setopt(h, CURLOPT_CAINFO, r->conf->ca_file);
}

static void set_pace(CURL *h, const struct http_request *req)
{
    if (req->min_rate == 0 || req->stall_ms == 0)
        return;
    (void)curl_easy_setopt(h, CURLOPT_LOW_SPEED_LIMIT, (long)req->min_rate);
    (void)curl_easy_setopt(h, CURLOPT_LOW_SPEED_TIME, (long)((req->stall_ms + 999) / 1000));
}

/* --- the course ------------------------------------------------------------------------------- */

static uint64_t body_limit(const struct request *r)
{
    if (r->head_bytes > HEAD_MAX_BYTES)
        return HEAD_MAX_BYTES;
    return r->sink.take != NULL ? r->sink.max_bytes : r->conf->max_reply_bytes;
}

static enum err why_failed(const struct request *r, CURLcode code, struct fault *why)
{
    if (r->refused && (code == CURLE_COULDNT_CONNECT || code == CURLE_ABORTED_BY_CALLBACK)) {
        *why = r->refusal;
        return why->err;
    }
    if (r->sink_failed) {
        *why = r->sink_why;
        return why->err;
    }
    if (r->too_big)
        return fault_set(why, ERR_TOO_BIG, 0, "%.120s: the answer is over %" PRIu64 " bytes",
                         r->base.what, body_limit(r));
    if (buf_failed(&r->reply))
        return fault_set(why, ERR_NOMEM, 0, "%.120s: the answer", r->base.what);
    return curl_fault(why, code, r->base.what, r->error);
}

static void on_done(void *arg, CURLcode code)
{
    struct request *r = arg;
    struct http_answer answer = {.retry_after_ms = r->retry_after_ms, .peer = r->peer};
    struct fault why = {.err = ERR_OK};
    enum err e = ERR_OK;

    if (code == CURLE_OK || r->enough) {
        (void)curl_easy_getinfo(r->task.easy, CURLINFO_RESPONSE_CODE, &answer.status);
        (void)curl_easy_getinfo(r->task.easy, CURLINFO_REDIRECT_URL, &answer.location);
        answer.body = buf_slice(&r->reply);
    } else {
        answer.retry_after_ms = -1;
        answer.body = SLICE_LIT("");
        e = why_failed(r, code, &why);
    }
    log_debug(r->conf->log, "http.done", LOG_S("what", r->base.what), LOG_S("peer", r->peer),
              LOG_I("status", answer.status), LOG_S("err", err_name(e)));
    http_transfer_end(&r->base, e, &answer, &why);
}

static void on_resolved(void *arg, enum err e, const struct resolved *found,
                        const struct fault *why)
{
    struct request *r = arg;
    struct fault own = *why;

    if (!r->base.answered) {
        if (e == ERR_OK)
            e = http_url_pin(r->task.easy, &r->url, found, &r->pin, &own);
        if (e == ERR_OK)
            e = curl_loop_add(r->conf->curl, &r->task, &own);
        if (e != ERR_OK)
            http_transfer_end(&r->base, e, NULL, &own);
    }
    http_transfer_release(&r->base);
}

static enum err prepare(struct request *r, const struct http_request *req, uint32_t deadline_ms,
                        struct fault *reterr)
{
    static const char *const schemes[] = {"http", "https", NULL};
    enum err e;

    if (!is_method(req->method))
        return fault_set(reterr, ERR_MALFORMED, 0, "method %.20s", req->method);
    e = http_url_parse(req->url, schemes, &r->url, reterr);
    if (e != ERR_OK)
        return e;
    (void)snprintf(r->base.what, sizeof r->base.what, "%s %s", req->method, r->url.label);
    e = add_headers(r, req, reterr);
    if (e != ERR_OK)
        return e;
    r->task = (struct curl_task){.easy = curl_easy_init(), .done = on_done, .arg = r};
    r->body = malloc(req->body.len + 1);
    if (r->task.easy == NULL || r->body == NULL)
        return fault_set(reterr, ERR_NOMEM, 0, "%.120s", r->base.what);
    if (req->body.len > 0)
        memcpy(r->body, req->body.ptr, req->body.len);
    set_options(r->task.easy, r, deadline_ms);
    set_guards(r->task.easy, r);
    set_pace(r->task.easy, req);
    set_method(r->task.easy, req->method, r, req->body.len);
    return ERR_OK;
}

enum err http_request_start(const struct http_conf *conf, const struct http_request *req,
                            http_answer_fn *cb, void *arg, struct http_transfer **ret,
                            struct fault *reterr)
{
    uint32_t deadline_ms = req->deadline_ms == 0 ? DEADLINE_MS : req->deadline_ms;
    struct request *r = calloc(1, sizeof *r);
    enum err e;

    if (r == NULL)
        return fault_set(reterr, ERR_NOMEM, 0, "request");
    r->conf = conf;
    r->sink = req->sink;
    r->retry_after_ms = -1;
    e = prepare(r, req, deadline_ms, reterr);
    if (e != ERR_OK) {
        dispose(r);
        return e;
    }
    http_transfer_init(&r->base, &kind, conf->transfers, conf->loop);
    r->resolve.guard = conf->guard;
    r->resolve.cb = on_resolved;
    r->resolve.arg = r;
    e = resolve_start(&r->resolve, conf->loop, r->url.host, r->url.port, reterr);
    if (e != ERR_OK) {
        http_transfer_drop(&r->base);
        return e;
    }
    http_transfer_hold(&r->base); /* until on_resolved() */
    http_transfer_start(&r->base, deadline_ms, cb, arg);
    if (ret != NULL)
        *ret = &r->base;
    return ERR_OK;
}
