#include <string.h>

#include "shared/backoff.h"
#include "shared/pg_internal.h"

#define CONN_MAGIC      0x7067636eU
#define WATCH_MAGIC     0x70677761U

#define BACKOFF_BASE_MS 50
#define BACKOFF_CAP_MS  2000

/* A poll handle outlives the socket it watches until its close callback, and the next one is needed
 * before that; so each is an object of its own. */
struct pg_watch {
    uv_poll_t poll;
    unsigned magic;
    struct pg *pool;
    struct pg_conn *conn; /* NULL: closing */
};

static struct pg_conn *conn_of(void *p)
{
    struct pg_conn *c = p;

    must(c != NULL && c->magic == CONN_MAGIC);
    return c;
}

static struct pg_watch *watch_of(uv_handle_t *h)
{
    struct pg_watch *w = h->data;

    must(w != NULL && w->magic == WATCH_MAGIC);
    return w;
}

/* --- states ---------------------------------------------------------------------------------- */

static const char *const state_names[] = {
    [PG_CONN_DOWN] = "down",
    [PG_CONN_RESOLVING] = "resolving",
    [PG_CONN_CONNECTING] = "connecting",
    [PG_CONN_UP] = "up",
    [PG_CONN_CLOSED] = "closed",
};

#define MAY(state) (1U << (state))
static const unsigned may_follow[] = {
    [PG_CONN_DOWN] = MAY(PG_CONN_RESOLVING) | MAY(PG_CONN_CLOSED),
    [PG_CONN_RESOLVING] = MAY(PG_CONN_CONNECTING) | MAY(PG_CONN_DOWN) | MAY(PG_CONN_CLOSED),
    [PG_CONN_CONNECTING] = MAY(PG_CONN_UP) | MAY(PG_CONN_DOWN) | MAY(PG_CONN_CLOSED),
    [PG_CONN_UP] = MAY(PG_CONN_DOWN) | MAY(PG_CONN_CLOSED),
    [PG_CONN_CLOSED] = 0,
};

static void set_state(struct pg_conn *c, enum pg_conn_state to, const char *why)
{
    must((may_follow[c->state] & MAY(to)) != 0);
    log_debug(&c->log, "pg.state", LOG_S("from", state_names[c->state]),
              LOG_S("to", state_names[to]), LOG_S("why", why));
    c->state = to;
}

/* --- watching the socket --------------------------------------------------------------------- */

static void on_watch_closed(uv_handle_t *h)
{
    struct pg_watch *w = watch_of(h);
    struct pg *pool = w->pool;

    w->magic = 0;
    free(w);
    pg_release(pool);
}

static void unwatch(struct pg_conn *c)
{
    struct pg_watch *w = c->watch;

    if (w == NULL)
        return;
    c->watch = NULL;
    c->watched = 0;
    w->conn = NULL;
    uv_close((uv_handle_t *)&w->poll, on_watch_closed);
}

static void on_socket(uv_poll_t *poll, int status, int events);

static bool start_watch(struct pg_conn *c, int events)
{
    if (uv_poll_start(&c->watch->poll, events, on_socket) != 0)
        return false;
    c->watched = events;
    return true;
}

/* A new handle each time: while it connects libpq may close its socket and open another, which
 * often gets the same number, and epoll would go on watching the one that is gone. */
static bool watch_anew(struct pg_conn *c, int events)
{
    struct pg_watch *w;

    unwatch(c);
    w = calloc(1, sizeof *w);
    if (w == NULL)
        return false;
    if (uv_poll_init_socket(c->pool->loop, &w->poll, PQsocket(c->pq)) != 0) {
        free(w);
        return false;
    }
    w->magic = WATCH_MAGIC;
    w->pool = c->pool;
    w->conn = c;
    w->poll.data = w;
    c->pool->open++;
    c->watch = w;
    return start_watch(c, events);
}

void pg_conn_want(struct pg_conn *c, int events)
{
    must(c->state == PG_CONN_UP);
    if (c->watched == events) /* each change costs a system call or two */
        return;
    if (!start_watch(c, events))
        pg_conn_lose(c, "cannot watch the socket");
}

/* --- the end of a connection ----------------------------------------------------------------- */

/* The watch goes first: libuv aborts if a socket is closed under it. */
static void disconnect(struct pg_conn *c)
{
    unwatch(c);
    PQfinish(c->pq);
    c->pq = NULL;
    pg_pipeline_reset(c);
    pg_lookup_done(&c->lookup);
    (void)uv_timer_stop(&c->timer);
}

static void on_back_off_over(uv_timer_t *t);

void pg_conn_lose(struct pg_conn *c, const char *why)
{
    struct pg *p = c->pool;
    bool was_up = c->state == PG_CONN_UP;
    uint64_t now_ms = uv_now(p->loop);
    struct pg_ops lost = pg_ops_take(&c->ops);
    struct pg_op *op;
    char text[PG_WHY_SIZE];

    pg_one_line(text, sizeof text, why == NULL ? PQerrorMessage(c->pq) : why);
    disconnect(c);
    set_state(c, PG_CONN_DOWN, text);
    c->failed = was_up ? 0 : c->failed + 1;
    (void)uv_timer_start(&c->timer, on_back_off_over,
                         backoff_ms(BACKOFF_BASE_MS, BACKOFF_CAP_MS, c->tries++), 0);
    pg_conn_went_down(p, was_up, text);
    while ((op = pg_ops_pop(&lost)) != NULL) {
        if (op->deadline_ms <= now_ms)
            pg_op_blame(op, ERR_TIMEOUT, "no answer by the query's deadline");
        pg_op_blame(op, ERR_UNREACHABLE, text);
        pg_op_end(op);
    }
    pg_tell(p);
}

void pg_conn_expire(struct pg_conn *c, uint64_t now_ms)
{
    if (c->state != PG_CONN_UP || !pg_ops_any_due(&c->ops, now_ms))
        return;
    /* If it was this process that stood still, the answer is there. */
    pg_pipeline_receive(c);
    if (c->state == PG_CONN_UP && pg_ops_any_due(&c->ops, now_ms))
        pg_conn_lose(c, "no answer by a query's deadline");
}

/* --- connecting ------------------------------------------------------------------------------ */

static void on_notice(void *arg, const char *message)
{
    struct pg_conn *c = conn_of(arg);
    char text[PG_WHY_SIZE];

    pg_one_line(text, sizeof text, message);
    log_debug(&c->log, "pg.notice", LOG_S("text", text));
}

static void connected(struct pg_conn *c)
{
    (void)uv_timer_stop(&c->timer);
    if (PQsetnonblocking(c->pq, 1) != 0 || PQenterPipelineMode(c->pq) != 1 ||
        !watch_anew(c, UV_READABLE)) {
        pg_conn_lose(c, "no pipeline on a new connection");
        return;
    }
    set_state(c, PG_CONN_UP, "");
    pg_conn_came_up(c->pool);
}

static void go_on_connecting(struct pg_conn *c)
{
    PostgresPollingStatusType next;

    unwatch(c);
    next = PQconnectPoll(c->pq);
    if (next == PGRES_POLLING_OK)
        connected(c);
    else if (next != PGRES_POLLING_READING && next != PGRES_POLLING_WRITING)
        pg_conn_lose(c, NULL);
    else if (!watch_anew(c, next == PGRES_POLLING_READING ? UV_READABLE : UV_WRITABLE))
        pg_conn_lose(c, "cannot watch the socket");
}

static void on_connect_late(uv_timer_t *t)
{
    struct pg_conn *c = conn_of(t->data);
    char why[64];

    (void)snprintf(why, sizeof why, "not connected within %u ms",
                   (unsigned)c->pool->connect_ms);
    pg_conn_lose(c, why);
}

static void begin_connect(struct pg_conn *c)
{
    struct pg *p = c->pool;

    set_state(c, PG_CONN_CONNECTING, "");
    c->pq = pg_params_connect(&p->params, buf_cstr(&c->lookup.hosts),
                              buf_cstr(&c->lookup.addresses), buf_cstr(&c->lookup.ports));
    if (c->pq == NULL) {
        pg_conn_lose(c, err_text(ERR_NOMEM));
        return;
    }
    (void)PQsetNoticeProcessor(c->pq, on_notice, c);
    if (PQstatus(c->pq) == CONNECTION_BAD) {
        pg_conn_lose(c, NULL);
        return;
    }
    (void)uv_timer_start(&c->timer, on_connect_late, p->connect_ms, 0);
    if (!watch_anew(c, UV_WRITABLE)) /* as libpq has it for the first round */
        pg_conn_lose(c, "cannot watch the socket");
}

static void resolved(struct pg_conn *c)
{
    pg_lookup_turn(&c->lookup, c->failed);
    if (pg_lookup_found(&c->lookup))
        begin_connect(c);
    else
        pg_conn_lose(c, c->lookup.why[0] != '\0' ? c->lookup.why : err_text(ERR_NOMEM));
}

static void on_lookup(void *arg)
{
    struct pg_conn *c = conn_of(arg);

    if (c->state == PG_CONN_RESOLVING)
        resolved(c);
    else
        pg_lookup_done(&c->lookup);
    pg_release(c->pool);
}

/* No timer here: a getaddrinfo() cannot be stopped, and a second one would wait behind it. */
static void on_back_off_over(uv_timer_t *t)
{
    struct pg_conn *c = conn_of(t->data);

    set_state(c, PG_CONN_RESOLVING, "");
    pg_lookup_init(&c->lookup, c->pool->loop, &c->pool->params, on_lookup, c);
    if (pg_lookup_start(&c->lookup))
        resolved(c);
    else
        c->pool->open++; /* until on_lookup() */
}

/* --- up -------------------------------------------------------------------------------------- */

static void on_socket(uv_poll_t *poll, int status, int events)
{
    struct pg_watch *w = watch_of((uv_handle_t *)poll);
    struct pg_conn *c = w->conn;

    if (c == NULL)
        return;
    /* status < 0 is how libuv says that the socket has an error (and that it stopped watching);
     * only libpq can say which, and what came before it. */
    if (status < 0)
        c->watched = 0;
    if (c->state == PG_CONN_CONNECTING) {
        go_on_connecting(c);
        return;
    }
    if (status < 0 || (events & UV_READABLE) != 0)
        pg_pipeline_receive(c);
    if (c->state == PG_CONN_UP && c->watch == w && (status < 0 || (events & UV_WRITABLE) != 0))
        pg_pipeline_flush(c);
}

/* --- start and close ------------------------------------------------------------------------- */

void pg_conn_init(struct pg_conn *c, struct pg *pool, unsigned index)
{
    char name[16];

    memset(c, 0, sizeof *c);
    (void)snprintf(name, sizeof name, "%u", index);
    log_ctx_init(&c->log, pool->log, "pg", name);
    c->magic = CONN_MAGIC;
    c->pool = pool;
    (void)uv_timer_init(pool->loop, &c->timer);
    c->timer.data = c;
    pool->open++;
}

void pg_conn_start(struct pg_conn *c)
{
    (void)uv_timer_start(&c->timer, on_back_off_over, 0, 0);
}

static void on_timer_closed(uv_handle_t *h)
{
    pg_release(conn_of(h->data)->pool);
}

void pg_conn_close(struct pg_conn *c)
{
    bool resolving = c->state == PG_CONN_RESOLVING;

    set_state(c, PG_CONN_CLOSED, "");
    if (resolving)
        pg_lookup_cancel(&c->lookup); /* on_lookup() frees what it has */
    else
        disconnect(c);
    uv_close((uv_handle_t *)&c->timer, on_timer_closed);
}
