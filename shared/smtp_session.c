#include "shared/smtp_session.h"

#include <string.h>
#include <sys/socket.h>

#include "shared/curl_loop.h"
#include "shared/resolve.h"

#define SESSION_MAGIC 0x736d7470U

enum { IDLE_MS = 30000, READ_SIZE = 4096 };

enum state { RESOLVING, CONNECTING, IDLE, TALKING, RESETTING, CLOSED };

struct smtp_session {
    uint32_t magic;
    uv_loop_t *loop;
    const struct smtp_session_events *on;
    void *arg;
    struct smtp_relay relay;
    enum state state;
    unsigned
        open; /* what must close before the struct goes: timer, poll, curl loop, resolver */
    struct resolve resolve;
    struct curl_loop
        *curl; /* its own, so that no other transfer's connection limits touch this one */
    struct curl_task task;
    struct curl_slist *pin;
    uv_poll_t poll;
    uv_timer_t idle;
    bool polling;
    struct smtp_dialogue *mail;
    struct slice out; /* still to be sent */
    struct buf in, text;
    char peer[RESOLVE_TEXT_SIZE];
    char error[CURL_ERROR_SIZE];
};

static struct smtp_session *session_of(void *arg)
{
    struct smtp_session *s = arg;

    must(s != NULL && s->magic == SESSION_MAGIC);
    return s;
}

/* --- the end ---------------------------------------------------------------------------------- */

static void release(struct smtp_session *s)
{
    const struct smtp_session_events *on = s->on;
    void *arg = s->arg;

    if (--s->open > 0)
        return;
    s->magic = 0;
    curl_easy_cleanup(s->task.easy);
    curl_slist_free_all(s->pin);
    smtp_relay_done(&s->relay);
    buf_done(&s->in);
    buf_done(&s->text);
    free(s);
    on->freed(arg);
}

static void on_handle_closed(uv_handle_t *h)
{
    release(session_of(h->data));
}

static void on_curl_closed(void *arg)
{
    release(session_of(arg));
}

void smtp_session_close(struct smtp_session *s)
{
    size_t n;

    if (s->state == CLOSED)
        return;
    if (s->state == IDLE) /* polite; nobody waits for the reply */
        (void)curl_easy_send(s->task.easy, "QUIT\r\n", 6, &n);
    s->state = CLOSED;
    s->mail = NULL;
    resolve_cancel(&s->resolve);
    uv_close((uv_handle_t *)&s->idle, on_handle_closed);
    if (s->polling)
        uv_close((uv_handle_t *)&s->poll, on_handle_closed);
    curl_loop_remove(s->curl, &s->task); /* closes the socket, so after the poll handle */
    curl_loop_close(&s->curl, on_curl_closed, s);
}

/* Tells the owner, unless the end was the owner's own wish. */
static void go_down(struct smtp_session *s, int code, const struct fault *why)
{
    struct slice text = code == 0 ? SLICE_LIT("") : buf_slice(&s->text);

    if (s->state == CLOSED)
        return;
    smtp_session_close(s);
    s->on->down(s->arg, code, text, why);
}

static void fail(struct smtp_session *s, enum err e, const char *what)
{
    struct fault why;

    (void)fault_set(&why, e, 0, "%s: %s", s->relay.parsed.label, what);
    go_down(s, 0, &why);
}

/* --- talking ---------------------------------------------------------------------------------- */

static void on_poll(uv_poll_t *h, int status, int events);

static void rearm(struct smtp_session *s)
{
    int events = UV_READABLE | (s->out.len > 0 ? UV_WRITABLE : 0);

    if (s->state != CLOSED && uv_poll_start(&s->poll, events, on_poll) != 0)
        fail(s, ERR_INTERNAL, "the connection cannot be watched");
}

static void on_idle_timeout(uv_timer_t *h)
{
    fail(session_of(h->data), ERR_CANCELED, "closed after a while without mail");
}

static void become_idle(struct smtp_session *s)
{
    s->state = IDLE;
    s->mail = NULL;
    s->out = SLICE_LIT("");
    (void)uv_timer_start(&s->idle, on_idle_timeout, IDLE_MS, 0);
    s->on->ready(s->arg);
}

/* The owner hears the verdict at once; the connection is put in order afterwards. A relay that says 421
 * hangs up, and one that refuses in the middle of the message cannot be followed any more. */
static void settle(struct smtp_session *s, int code, bool in_order)
{
    bool usable = code != 421 && s->out.len == 0;

    s->mail = NULL;
    s->state = RESETTING;
    s->on->verdict(s->arg, code, buf_slice(&s->text));
    if (s->state == CLOSED)
        return;
    if (!usable) {
        fail(s, ERR_UNREACHABLE, "the relay closes the session");
    } else if (in_order) {
        become_idle(s);
    } else {
        s->out = SLICE_LIT("RSET\r\n");
        (void)uv_timer_start(&s->idle, on_idle_timeout, IDLE_MS, 0);
    }
}

static void take_reply(struct smtp_session *s, int code)
{
    bool at_end = s->state == TALKING && s->mail->stage == SMTP_SENDING;

    if (s->state == RESETTING && code < 300) {
        become_idle(s);
        return;
    }
    if (s->state != TALKING) {
        fail(s, ERR_UNREACHABLE, "the relay closes the session");
        return;
    }
    if (s->out.len > 0 && code < 400) {
        fail(s, ERR_UNREACHABLE, "the relay answers before it was asked");
        return;
    }
    switch (smtp_dialogue_reply(s->mail, code, &s->out)) {
    case SMTP_MOVE_NEXT:
        break;
    case SMTP_MOVE_ACCEPTED:
        settle(s, code, true);
        break;
    case SMTP_MOVE_REFUSED:
        settle(s, code, at_end);
        break;
    case SMTP_MOVE_CONFUSED:
        fail(s, ERR_UNREACHABLE, "the relay answers out of turn");
        break;
    }
}

static void take_replies(struct smtp_session *s)
{
    int code = 0;

    while (s->state != CLOSED) {
        switch (smtp_reply_take(&s->in, &code, &s->text)) {
        case SMTP_GOT_NONE:
            return;
        case SMTP_GOT_REPLY:
            take_reply(s, code);
            break;
        case SMTP_GOT_GARBAGE:
            fail(s, ERR_UNREACHABLE, "the relay does not speak SMTP");
            break;
        }
    }
}

/* Gives false at the connection's end. */
static bool read_all(struct smtp_session *s)
{
    CURLcode code = CURLE_OK;
    size_t n;

    while (s->in.len <= SMTP_REPLY_MAX) {
        char *into = buf_reserve(&s->in, READ_SIZE);

        if (into == NULL)
            return false;
        code = curl_easy_recv(s->task.easy, into, READ_SIZE, &n);
        if (code != CURLE_OK)
            return code == CURLE_AGAIN;
        if (n == 0)
            return false;
        buf_commit(&s->in, n);
    }
    return true; /* take_replies() makes room, or calls it garbage */
}

static bool write_some(struct smtp_session *s)
{
    CURLcode code = CURLE_OK;
    size_t n;

    while (s->out.len > 0) {
        code = curl_easy_send(s->task.easy, s->out.ptr, s->out.len, &n);
        if (code != CURLE_OK)
            return code == CURLE_AGAIN;
        s->out.ptr += n;
        s->out.len -= n;
    }
    return true;
}

static void on_poll(uv_poll_t *h, int status, int events)
{
    struct smtp_session *s = session_of(h->data);
    bool alive = read_all(s); /* first: what was said before hanging up still counts */

    (void)status;
    (void)events;
    take_replies(s);
    if (s->state == CLOSED)
        return;
    if (!alive || !write_some(s))
        fail(s, ERR_UNREACHABLE, "the relay closed the connection");
    else
        rearm(s);
}

void smtp_session_send(struct smtp_session *s, struct smtp_dialogue *d)
{
    must(s->state == IDLE);
    s->state = TALKING;
    s->mail = d;
    s->out = smtp_dialogue_begin(d);
    (void)uv_timer_stop(&s->idle);
    /* Nothing is written from here: the owner may be inside of a start, which never calls back. */
    must(uv_poll_start(&s->poll, UV_READABLE | UV_WRITABLE, on_poll) == 0);
}

/* --- connecting ------------------------------------------------------------------------------- */

static bool take_over(struct smtp_session *s)
{
    curl_socket_t fd = CURL_SOCKET_BAD;
    char *ip = NULL;
    long port = 0;

    if (curl_easy_getinfo(s->task.easy, CURLINFO_ACTIVESOCKET, &fd) != CURLE_OK ||
        fd == CURL_SOCKET_BAD)
        return false;
    (void)curl_easy_getinfo(s->task.easy, CURLINFO_PRIMARY_IP, &ip);
    (void)curl_easy_getinfo(s->task.easy, CURLINFO_PRIMARY_PORT, &port);
    if (ip != NULL)
        (void)snprintf(s->peer, sizeof s->peer, strchr(ip, ':') != NULL ? "[%s]:%ld" : "%s:%ld",
                       ip, port);
    curl_loop_unwatch(s->curl, fd);
    if (uv_poll_init_socket(s->loop, &s->poll, fd) != 0)
        return false;
    s->poll.data = s;
    s->polling = true;
    s->open++;
    return true;
}

/* The relay said no, as opposed to said nothing. */
static int refusal(struct smtp_session *s, CURLcode code)
{
    long status = 0;

    if (code != CURLE_WEIRD_SERVER_REPLY && code != CURLE_REMOTE_ACCESS_DENIED &&
        code != CURLE_LOGIN_DENIED && code != CURLE_AUTH_ERROR && code != CURLE_USE_SSL_FAILED)
        return 0;
    (void)curl_easy_getinfo(s->task.easy, CURLINFO_RESPONSE_CODE, &status);
    return status >= 400 && status <= 599 ? (int)status : 0;
}

static void on_connected(void *arg, CURLcode code)
{
    struct smtp_session *s = session_of(arg);
    struct fault why;

    if (code != CURLE_OK) {
        (void)curl_fault(&why, code, s->relay.parsed.label, s->error);
        go_down(s, refusal(s, code), &why);
        return;
    }
    if (!take_over(s)) {
        fail(s, ERR_INTERNAL, "the connection cannot be watched");
        return;
    }
    become_idle(s);
    rearm(s);
}

/* Called by libcurl: the relay's lines while connecting; the last one is kept as the reason. */
static size_t keep_line(char *bytes, size_t size, size_t n, void *arg)
{
    struct smtp_session *s = arg;
    size_t len = size * n;

    while (len > 0 && (bytes[len - 1] == '\n' || bytes[len - 1] == '\r'))
        len--;
    buf_clear(&s->text);
    buf_add(&s->text, bytes, len);
    return size * n;
}

/* Called by libcurl. */
static curl_socket_t open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *addr)
{
    (void)arg;
    (void)purpose;
    return socket(addr->family, addr->socktype | SOCK_CLOEXEC, addr->protocol);
}

static void set_login(CURL *h, const struct smtp_relay *relay)
{
    if (relay->user == NULL)
        return;
    (void)curl_easy_setopt(h, CURLOPT_USERNAME, relay->user);
    (void)curl_easy_setopt(h, CURLOPT_PASSWORD, relay->password == NULL ? "" : relay->password);
    (void)curl_easy_setopt(h, CURLOPT_SASL_IR, 1L);
    /* Kerberos, which libcurl would try first, looks up names and blocks. */
    (void)curl_easy_setopt(h, CURLOPT_LOGIN_OPTIONS, "AUTH=PLAIN;AUTH=LOGIN;AUTH=CRAM-MD5");
}

static void set_options(struct smtp_session *s, const char *ca_file)
{
    CURL *h = s->task.easy;
    const struct smtp_relay *relay = &s->relay;
    bool verify = relay->require_tls || relay->parsed.secure || relay->user != NULL;

    (void)curl_easy_setopt(h, CURLOPT_CURLU, relay->parsed.parts);
    (void)curl_easy_setopt(h, CURLOPT_ERRORBUFFER, s->error);
    (void)curl_easy_setopt(h, CURLOPT_CONNECT_ONLY, 1L);
    (void)curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(h, CURLOPT_QUICK_EXIT, 1L);
    (void)curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
    (void)curl_easy_setopt(h, CURLOPT_PROXY, "");
    (void)curl_easy_setopt(h, CURLOPT_NOPROXY, "*");
    (void)curl_easy_setopt(h, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    (void)curl_easy_setopt(h, CURLOPT_HEADERFUNCTION, keep_line);
    (void)curl_easy_setopt(h, CURLOPT_HEADERDATA, s);
    (void)curl_easy_setopt(h, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    (void)curl_easy_setopt(h, CURLOPT_USE_SSL,
                           (long)(relay->require_tls ? CURLUSESSL_ALL : CURLUSESSL_TRY));
    /* STARTTLS that may as well be missing proves nothing: a certificate is then not asked for,
     * unless a password is at stake. */
    (void)curl_easy_setopt(h, CURLOPT_SSL_VERIFYPEER, verify ? 1L : 0L);
    (void)curl_easy_setopt(h, CURLOPT_SSL_VERIFYHOST, verify ? 2L : 0L);
    if (ca_file != NULL)
        (void)curl_easy_setopt(h, CURLOPT_CAINFO, ca_file);
    set_login(h, relay);
}

static void on_resolved(void *arg, enum err e, const struct resolved *found,
                        const struct fault *why)
{
    struct smtp_session *s = session_of(arg);
    struct fault own = *why;

    if (s->state != CLOSED && e == ERR_OK)
        e = http_url_pin(s->task.easy, &s->relay.parsed, found, &s->pin, &own);
    if (s->state != CLOSED && e == ERR_OK) {
        s->state = CONNECTING;
        e = curl_loop_add(s->curl, &s->task, &own);
    }
    if (e != ERR_OK)
        go_down(s, 0, &own);
    release(s);
}

static enum err start_resolving(struct smtp_session *s, struct fault *reterr)
{
    enum err e;

    s->resolve.cb = on_resolved; /* and no guard: the operator has named the relay */
    s->resolve.arg = s;
    e = resolve_start(&s->resolve, s->loop, s->relay.parsed.host, s->relay.parsed.port, reterr);
    if (e == ERR_OK)
        s->open++;
    return e;
}

static void drop_unopened(struct smtp_session *s)
{
    curl_easy_cleanup(s->task.easy);
    smtp_relay_done(&s->relay);
    free(s);
}

enum err smtp_session_open(const struct smtp_session_options *opt, struct smtp_session **ret,
                           struct fault *reterr)
{
    const struct smtp_relay *relay = opt->relay;
    struct smtp_session *s = calloc(1, sizeof *s);
    enum err e;

    if (s == NULL)
        return fault_set(reterr, ERR_NOMEM, 0, "mail session");
    s->magic = SESSION_MAGIC;
    s->loop = opt->loop;
    s->on = opt->on;
    s->arg = opt->arg;
    e = smtp_relay_init(&s->relay, relay->url, relay->user, relay->password, relay->require_tls,
                        reterr);
    s->task = (struct curl_task){.easy = curl_easy_init(), .done = on_connected, .arg = s};
    if (e == ERR_OK && s->task.easy == NULL)
        e = fault_set(reterr, ERR_NOMEM, 0, "mail session");
    if (e == ERR_OK)
        e = curl_loop_new(s->loop, &s->curl, reterr);
    if (e != ERR_OK) {
        drop_unopened(s);
        return e;
    }
    (void)uv_timer_init(s->loop, &s->idle);
    s->idle.data = s;
    s->open = 2; /* the timer and the curl loop */
    set_options(s, opt->ca_file);
    e = start_resolving(s, reterr);
    if (e != ERR_OK) {
        smtp_session_close(s);
        return e;
    }
    *ret = s;
    return ERR_OK;
}

/* --- questions -------------------------------------------------------------------------------- */

bool smtp_session_is_idle(const struct smtp_session *s)
{
    return s->state == IDLE;
}

const struct smtp_relay *smtp_session_relay(const struct smtp_session *s)
{
    return &s->relay;
}

const char *smtp_session_peer(const struct smtp_session *s)
{
    return s->peer;
}
