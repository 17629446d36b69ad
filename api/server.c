#include "api/server.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "api/conn.h"
#include "shared/clock.h"

#define LISTENERS_MAX 16
#define BACKLOG       4096
#define SWEEP_MS      100
#define READ_SIZE     (64 * 1024)

struct listener {
    union {
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } u;
    bool waiting; /* a client waits: connections are at their limit */
};

struct server {
    struct api *api;
    struct listener listeners[LISTENERS_MAX];
    size_t n_listeners, open_listeners;
    struct conn *list;
    size_t n_conns;
    uv_timer_t sweep, drain;
    size_t timers;
    bool draining;
    void (*on_closed)(void *arg);
    void *arg;
    struct gauge *connections;
    uint64_t date_s; /* what date says */
    char date[48], buffer[READ_SIZE];
};

struct api *server_api(struct server *s)
{
    return s->api;
}

uv_buf_t server_read_buffer(struct server *s)
{
    return uv_buf_init(s->buffer, sizeof s->buffer);
}

bool server_is_draining(const struct server *s)
{
    return s->draining;
}

const char *server_date(struct server *s)
{
    time_t now = (time_t)(clock_wall_ms() / 1000);
    struct tm tm;

    if ((uint64_t)now != s->date_s && gmtime_r(&now, &tm) != NULL) {
        s->date_s = (uint64_t)now;
        (void)strftime(s->date, sizeof s->date, "date: %a, %d %b %Y %H:%M:%S GMT\r\n", &tm);
    }
    return s->date;
}

/* --- connections ---------------------------------------------------------------------------------- */

static void on_sweep(uv_timer_t *t)
{
    struct server *s = t->data;
    uint64_t now = clock_now_ms();

    for (struct conn *c = s->list, *next; c != NULL; c = next) {
        next = conn_next(c);
        conn_check(c, now);
    }
}

static void on_timer_closed(uv_handle_t *h)
{
    struct server *s = h->data;
    void (*on_closed)(void *) = s->on_closed;
    void *arg = s->arg;

    if (--s->timers > 0)
        return;
    free(s);
    on_closed(arg);
}

static void end_if_empty(struct server *s)
{
    if (!s->draining || s->n_conns > 0 || s->open_listeners > 0 ||
        uv_is_closing((uv_handle_t *)&s->sweep))
        return;
    uv_close((uv_handle_t *)&s->sweep, on_timer_closed);
    uv_close((uv_handle_t *)&s->drain, on_timer_closed);
}

static void accept_waiting(struct server *s)
{
    for (size_t i = 0; i < s->n_listeners; i++) {
        struct listener *l = &s->listeners[i];

        if (l->waiting && !s->draining && s->n_conns < s->api->opt->connections)
            l->waiting = !conn_accept(s, &l->u.stream);
    }
}

void server_add(struct server *s, struct conn *c)
{
    conn_insert(&s->list, c);
    s->n_conns++;
    gauge_set(s->connections, (int64_t)s->n_conns);
    if (s->n_conns == 1)
        must(uv_timer_start(&s->sweep, on_sweep, SWEEP_MS, SWEEP_MS) == 0);
}

void server_remove(struct server *s, struct conn *c)
{
    conn_unlink(c);
    s->n_conns--;
    gauge_set(s->connections, (int64_t)s->n_conns);
    if (s->n_conns == 0)
        (void)uv_timer_stop(&s->sweep);
    accept_waiting(s);
    end_if_empty(s);
}

/* Not accepting is libuv's way to leave the others in the kernel's backlog. */
static void on_connection(uv_stream_t *stream, int status)
{
    struct server *s = stream->data;
    struct listener *l = CONTAINER(stream, struct listener, u);

    if (status != 0) {
        log_warn(&s->api->log, "http.accept_failed", LOG_S("why", uv_strerror(status)));
        return;
    }
    l->waiting = s->n_conns >= s->api->opt->connections || !conn_accept(s, stream);
}

/* --- listening ------------------------------------------------------------------------------------ */

static enum err failed(struct fault *reterr, const char *what, int rc)
{
    return fault_set(reterr, ERR_IO, rc, "LISTEN: %s: %s", what, uv_strerror(rc));
}

/* From here on the handle is there, and the end closes it. */
static struct listener *new_listener(struct server *s, bool tcp)
{
    struct listener *l = &s->listeners[s->n_listeners];
    uv_loop_t *loop = loop_uv(s->api->loop);

    must((tcp ? uv_tcp_init(loop, &l->u.tcp) : uv_pipe_init(loop, &l->u.pipe, 0)) == 0);
    l->u.stream.data = s;
    s->n_listeners++;
    s->open_listeners++;
    return l;
}

static enum err start_listener(struct server *s, struct listener *l, const char *what,
                               struct fault *reterr)
{
    int rc = uv_listen(&l->u.stream, BACKLOG, on_connection);

    if (rc != 0)
        return failed(reterr, what, rc);
    log_info(&s->api->log, "http.listening", LOG_S("address", what));
    return ERR_OK;
}

static enum err take_fd(struct server *s, int fd, struct fault *reterr)
{
    struct sockaddr_storage addr = {0};
    socklen_t len = sizeof addr;
    bool tcp;
    struct listener *l;
    int rc;

    if (getsockname(fd, (struct sockaddr *)&addr, &len) != 0)
        return failed(reterr, "inherited socket", -errno);
    tcp = addr.ss_family != AF_UNIX;
    l = new_listener(s, tcp);
    rc = tcp ? uv_tcp_open(&l->u.tcp, fd) : uv_pipe_open(&l->u.pipe, fd);
    return rc == 0 ? start_listener(s, l, "socket from the service manager", reterr)
                   : failed(reterr, "inherited socket", rc);
}

/* A socket left by a process that died is replaced; one that answers is not. */
static void remove_dead_socket(const char *path)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    struct stat st;
    int fd;

    if (lstat(path, &st) != 0 || !S_ISSOCK(st.st_mode) ||
        !slice_to_cstr(slice_str(path), addr.sun_path, sizeof addr.sun_path))
        return;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&addr, sizeof addr) != 0 &&
        errno == ECONNREFUSED)
        (void)unlink(path);
    if (fd >= 0)
        (void)close(fd);
}

static enum err listen_unix(struct server *s, const char *path, struct fault *reterr)
{
    struct listener *l = new_listener(s, false);
    int rc;

    remove_dead_socket(path);
    rc = uv_pipe_bind(&l->u.pipe, path);
    if (rc == 0)
        rc = uv_pipe_chmod(&l->u.pipe, UV_READABLE | UV_WRITABLE);
    return rc == 0 ? start_listener(s, l, path, reterr) : failed(reterr, path, rc);
}

static bool split_host_port(const char *text, char host[64], int *port)
{
    const char *colon = strrchr(text, ':');
    size_t n = colon == NULL ? 0 : (size_t)(colon - text);
    char *end;
    long v;

    if (n == 0 || n >= 64 || colon[1] == '\0')
        return false;
    v = strtol(colon + 1, &end, 10);
    if (*end != '\0' || v < 0 || v > 65535)
        return false;
    if (text[0] == '[' && n > 2 && text[n - 1] == ']') {
        text++;
        n -= 2;
    }
    memcpy(host, text, n);
    host[n] = '\0';
    *port = (int)v;
    return true;
}

static enum err listen_tcp(struct server *s, const char *text, struct fault *reterr)
{
    struct sockaddr_storage addr;
    int len = sizeof addr, port, rc;
    struct listener *l;
    char host[64], shown[96];

    if (!split_host_port(text, host, &port) ||
        (uv_ip4_addr(host, port, (struct sockaddr_in *)&addr) != 0 &&
         uv_ip6_addr(host, port, (struct sockaddr_in6 *)&addr) != 0))
        return fault_set(reterr, ERR_MALFORMED, 0,
                         "LISTEN: \"%s\" must be a numeric host:port, [v6]:port or unix:/path",
                         text);
    l = new_listener(s, true);
    rc = uv_tcp_bind(&l->u.tcp, (struct sockaddr *)&addr, 0);
    if (rc == 0)
        rc = uv_tcp_getsockname(&l->u.tcp, (struct sockaddr *)&addr, &len);
    if (rc != 0)
        return failed(reterr, text, rc);
    port = ntohs(addr.ss_family == AF_INET ? ((struct sockaddr_in *)&addr)->sin_port
                                           : ((struct sockaddr_in6 *)&addr)->sin6_port);
    (void)snprintf(shown, sizeof shown, strchr(host, ':') != NULL ? "[%s]:%d" : "%s:%d", host,
                   port);
    return start_listener(s, l, shown, reterr);
}

static enum err listen_one(struct server *s, struct slice text, struct fault *reterr)
{
    char one[256];

    if (s->n_listeners == LISTENERS_MAX)
        return fault_set(reterr, ERR_TOO_BIG, 0, "LISTEN: more than %d addresses",
                         LISTENERS_MAX);
    if (!slice_to_cstr(text, one, sizeof one))
        return fault_set(reterr, ERR_MALFORMED, 0, "LISTEN: an address is too long");
    return strncmp(one, "unix:", 5) == 0 ? listen_unix(s, one + 5, reterr)
                                         : listen_tcp(s, one, reterr);
}

enum err server_listen(struct server *s, struct fault *reterr)
{
    int fds[LISTENERS_MAX];
    size_t n = loop_listen_fds(fds, LISTENERS_MAX);
    struct slice rest = slice_str(s->api->opt->listen);
    enum err e = ERR_OK;

    for (size_t i = 0; i < n && e == ERR_OK; i++)
        e = take_fd(s, fds[i], reterr);
    while (n == 0 && rest.len > 0 && e == ERR_OK) {
        const char *comma = memchr(rest.ptr, ',', rest.len);
        size_t len = comma == NULL ? rest.len : (size_t)(comma - rest.ptr);

        e = listen_one(s, slice_of(rest.ptr, len), reterr);
        len += comma != NULL;
        rest = slice_of(rest.ptr + len, rest.len - len);
    }
    return e;
}

/* --- life ----------------------------------------------------------------------------------------- */

enum err server_new(struct api *api, struct server **ret, struct fault *reterr)
{
    struct server *s = calloc(1, sizeof *s);

    if (s == NULL)
        return fault_set(reterr, ERR_NOMEM, 0, "no memory for the server");
    s->api = api;
    s->connections =
        metrics_gauge(api->metrics, "millrace_http_connections", NULL, "Clients connected now");
    must(uv_timer_init(loop_uv(api->loop), &s->sweep) == 0 &&
         uv_timer_init(loop_uv(api->loop), &s->drain) == 0);
    s->timers = 2;
    s->sweep.data = s->drain.data = s;
    *ret = s;
    return ERR_OK;
}

static void on_listener_closed(uv_handle_t *h)
{
    struct server *s = h->data;

    s->open_listeners--;
    end_if_empty(s);
}

static void on_drain_over(uv_timer_t *t)
{
    struct server *s = t->data;

    for (struct conn *c = s->list, *next; c != NULL; c = next) {
        next = conn_next(c);
        conn_abort(c);
    }
}

void server_drain(struct server *s, uint64_t drain_ms, void (*on_closed)(void *arg), void *arg)
{
    s->draining = true;
    s->on_closed = on_closed;
    s->arg = arg;
    for (size_t i = 0; i < s->n_listeners; i++)
        uv_close((uv_handle_t *)&s->listeners[i].u.stream, on_listener_closed);
    must(uv_timer_start(&s->drain, on_drain_over, drain_ms, 0) == 0);
    for (struct conn *c = s->list, *next; c != NULL; c = next) {
        next = conn_next(c);
        conn_drain(c);
    }
    end_if_empty(s);
}
