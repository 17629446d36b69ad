#include "worker/metrics_listener.h"

#include <errno.h>

#define LISTENER_MAGIC 0x6d657473u
#define SCRAPE_MAGIC   0x73637270u
#define SCRAPES_MAX    8
#define SCRAPE_MS      5000
#define HEAD_MAX       4096
#define HOST_MAX       64

struct metrics_listener {
    unsigned magic;
    uv_tcp_t tcp;
    const struct metrics *metrics;
    const struct log_ctx *log;
    struct scrape *scrapes;
    size_t n;
    bool opened, closing;
    metrics_listener_closed_fn *on_closed;
    void *closed_arg;
};

/* One client: its head is read, then it is answered and closed. */
struct scrape {
    unsigned magic;
    struct metrics_listener *owner;
    struct scrape *next, **prev;
    uv_tcp_t tcp;
    uv_timer_t timer;
    uv_write_t write;
    unsigned open; /* handles */
    size_t len;
    char head[HEAD_MAX];
    struct buf answer;
};

static struct scrape *scrape_of(void *p)
{
    struct scrape *s = p;

    must(s != NULL && s->magic == SCRAPE_MAGIC);
    return s;
}

static struct metrics_listener *listener_of(void *p)
{
    struct metrics_listener *l = p;

    must(l != NULL && l->magic == LISTENER_MAGIC);
    return l;
}

/* --- the end ------------------------------------------------------------------------------------ */

static void finish_if_closed(struct metrics_listener *l)
{
    metrics_listener_closed_fn *on_closed = l->on_closed;
    void *arg = l->closed_arg;

    if (!l->closing || l->opened || l->scrapes != NULL)
        return;
    l->magic = 0;
    free(l);
    if (on_closed != NULL)
        on_closed(arg);
}

static void on_listener_closed(uv_handle_t *h)
{
    struct metrics_listener *l = listener_of(h->data);

    l->opened = false;
    finish_if_closed(l);
}

static void on_scrape_closed(uv_handle_t *h)
{
    struct scrape *s = scrape_of(h->data);
    struct metrics_listener *l = s->owner;

    if (--s->open > 0)
        return;
    *s->prev = s->next;
    if (s->next != NULL)
        s->next->prev = s->prev;
    l->n--;
    buf_done(&s->answer);
    s->magic = 0;
    free(s);
    finish_if_closed(l);
}

static void end_scrape(struct scrape *s)
{
    if (uv_is_closing((uv_handle_t *)&s->tcp))
        return;
    uv_close((uv_handle_t *)&s->tcp, on_scrape_closed);
    uv_close((uv_handle_t *)&s->timer, on_scrape_closed);
}

void metrics_listener_close(struct metrics_listener **p, metrics_listener_closed_fn *on_closed,
                            void *arg)
{
    struct metrics_listener *l = listener_of(*p);

    *p = NULL;
    l->closing = true;
    l->on_closed = on_closed;
    l->closed_arg = arg;
    for (struct scrape *s = l->scrapes; s != NULL; s = s->next)
        end_scrape(s);
    uv_close((uv_handle_t *)&l->tcp, on_listener_closed);
}

/* --- one client ----------------------------------------------------------------------------------- */

static void on_late(uv_timer_t *t)
{
    end_scrape(scrape_of(t->data));
}

static void on_written(uv_write_t *w, int status)
{
    (void)status;
    end_scrape(scrape_of(w->data));
}

static void answer(struct scrape *s)
{
    AUTO(buf_done) struct buf body = {0};
    uv_buf_t out;

    metrics_print(s->owner->metrics, &body);
    buf_addf(&s->answer,
             "HTTP/1.1 200 OK\r\ncontent-type: text/plain; version=0.0.4\r\n"
             "content-length: %zu\r\nconnection: close\r\n\r\n",
             body.len);
    buf_add_slice(&s->answer, buf_slice(&body));
    if (buf_failed(&body) || buf_failed(&s->answer)) {
        end_scrape(s);
        return;
    }
    out = uv_buf_init(s->answer.data, (unsigned)s->answer.len);
    s->write.data = s;
    if (uv_write(&s->write, (uv_stream_t *)&s->tcp, &out, 1, on_written) != 0)
        end_scrape(s);
}

static void give_room(uv_handle_t *h, size_t wanted, uv_buf_t *ret)
{
    struct scrape *s = scrape_of(h->data);

    (void)wanted;
    *ret = uv_buf_init(s->head + s->len, (unsigned)(sizeof s->head - s->len));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct scrape *s = scrape_of(stream->data);

    (void)buf;
    if (n < 0) {
        end_scrape(s);
        return;
    }
    s->len += (size_t)n;
    if (memmem(s->head, s->len, "\r\n\r\n", 4) != NULL) {
        (void)uv_read_stop(stream);
        answer(s);
    } else if (s->len == sizeof s->head) {
        end_scrape(s);
    }
}

static void on_connection(uv_stream_t *server, int status)
{
    struct metrics_listener *l = listener_of(server->data);
    struct scrape *s = status == 0 ? calloc(1, sizeof *s) : NULL;

    if (s == NULL)
        return;
    s->magic = SCRAPE_MAGIC;
    s->owner = l;
    must(uv_tcp_init(server->loop, &s->tcp) == 0);
    must(uv_timer_init(server->loop, &s->timer) == 0);
    s->tcp.data = s->timer.data = s;
    s->open = 2;
    s->next = l->scrapes;
    s->prev = &l->scrapes;
    if (s->next != NULL)
        s->next->prev = &s->next;
    l->scrapes = s;
    l->n++;
    if (uv_accept(server, (uv_stream_t *)&s->tcp) != 0 || l->n > SCRAPES_MAX || l->closing ||
        uv_read_start((uv_stream_t *)&s->tcp, give_room, on_read) != 0)
        end_scrape(s);
    else
        must(uv_timer_start(&s->timer, on_late, SCRAPE_MS, 0) == 0);
}

/* --- listening -------------------------------------------------------------------------------------- */

static bool parse(const char *where, struct sockaddr_storage *ret)
{
    const char *colon = strrchr(where, ':');
    char host[HOST_MAX], *end = NULL;
    unsigned long port = colon == NULL ? 0 : strtoul(colon + 1, &end, 10);
    struct slice name = slice_of(where, colon == NULL ? 0 : (size_t)(colon - where));

    if (colon == NULL || colon[1] < '0' || colon[1] > '9' || *end != '\0' || port > 65535)
        return false;
    if (name.len >= 2 && name.ptr[0] == '[' && name.ptr[name.len - 1] == ']')
        name = slice_of(name.ptr + 1, name.len - 2);
    if (!slice_to_cstr(name, host, sizeof host))
        return false;
    return uv_ip4_addr(host, (int)port, (struct sockaddr_in *)ret) == 0 ||
           uv_ip6_addr(host, (int)port, (struct sockaddr_in6 *)ret) == 0;
}

static void log_where(const struct metrics_listener *l)
{
    struct sockaddr_storage addr;
    int len = sizeof addr;
    char host[HOST_MAX] = "";

    if (uv_tcp_getsockname(&l->tcp, (struct sockaddr *)&addr, &len) != 0)
        return;
    if (addr.ss_family == AF_INET6)
        (void)uv_ip6_name((struct sockaddr_in6 *)&addr, host, sizeof host);
    else
        (void)uv_ip4_name((struct sockaddr_in *)&addr, host, sizeof host);
    log_info(l->log, "metrics.listening", LOG_S("host", host),
             LOG_U("port", ntohs(((struct sockaddr_in *)&addr)->sin_port)));
}

enum err metrics_listener_new(uv_loop_t *loop, const char *where, const struct metrics *m,
                              const struct log_ctx *log, struct metrics_listener **ret,
                              struct fault *reterr)
{
    struct sockaddr_storage addr;
    struct metrics_listener *l;
    int rc;

    if (!parse(where, &addr))
        return fault_set(reterr, ERR_MALFORMED, 0,
                         "METRICS_LISTEN: \"%s\" must be a numeric host:port or [v6]:port",
                         where);
    l = calloc(1, sizeof *l);
    if (l == NULL)
        return fault_set(reterr, ERR_NOMEM, 0, "no memory for METRICS_LISTEN");
    *l = (struct metrics_listener){
        .magic = LISTENER_MAGIC, .metrics = m, .log = log, .opened = true};
    must(uv_tcp_init(loop, &l->tcp) == 0);
    l->tcp.data = l;
    rc = uv_tcp_bind(&l->tcp, (const struct sockaddr *)&addr, 0);
    if (rc == 0)
        rc = uv_listen((uv_stream_t *)&l->tcp, SCRAPES_MAX, on_connection);
    if (rc != 0) {
        metrics_listener_close(&l, NULL, NULL);
        return fault_set(reterr, ERR_IO, rc, "METRICS_LISTEN: %s: %s", where, uv_strerror(rc));
    }
    log_where(l);
    *ret = l;
    return ERR_OK;
}
