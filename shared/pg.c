#include "shared/pg.h"

#include <string.h>

#include "shared/pg_internal.h"

#define POOL_MAGIC 0x7067706fU

static struct pg *pool_of(void *data)
{
    struct pg *p = data;

    must(p != NULL && p->magic == POOL_MAGIC);
    return p;
}

/* --- what on_state hears --------------------------------------------------------------------- */

void pg_tell(struct pg *p)
{
    bool up = p->n_up > 0;
    const char *why = up ? "" : p->why;

    if (p->closing || (p->told && p->told_up == up && strcmp(p->told_why, why) == 0))
        return;
    p->told = true;
    p->told_up = up;
    (void)snprintf(p->told_why, sizeof p->told_why, "%s", why);
    if (p->on_state != NULL)
        p->on_state(p->state_arg, up, p->told_why);
}

void pg_conn_came_up(struct pg *p)
{
    p->n_up++;
    pg_wake(p);
    pg_tell(p);
}

void pg_conn_went_down(struct pg *p, bool was_up, const char *why)
{
    if (was_up)
        p->n_up--;
    (void)snprintf(p->why, sizeof p->why, "%s", why);
}

/* --- the line -------------------------------------------------------------------------------- */

static size_t room_of(const struct pg *p, const struct pg_conn *c)
{
    return c->state == PG_CONN_UP && c->ops.n < p->pipeline ? p->pipeline - c->ops.n : 0;
}

static size_t room(const struct pg *p)
{
    size_t sum = 0;

    for (unsigned i = 0; i < p->n_conns; i++)
        sum += room_of(p, &p->conns[i]);
    return sum;
}

/* The connection with the fewest queries in flight; NULL if none has room. */
static struct pg_conn *roomiest(struct pg *p)
{
    struct pg_conn *best = NULL;

    for (unsigned i = 0; i < p->n_conns; i++) {
        struct pg_conn *c = &p->conns[i];

        if (room_of(p, c) > 0 && (best == NULL || c->ops.n < best->ops.n))
            best = c;
    }
    return best;
}

/* Sends what the line holds and the connections have room for, each connection's in one go. */
static void on_wake(uv_idle_t *idle)
{
    struct pg *p = pool_of(idle->data);
    struct pg_conn *c;

    (void)uv_idle_stop(idle);
    while (p->line.first != NULL && (c = roomiest(p)) != NULL)
        pg_pipeline_send(c, pg_ops_pop(&p->line));
    for (unsigned i = 0; i < p->n_conns; i++) {
        c = &p->conns[i];
        if (c->state == PG_CONN_UP && c->unflushed)
            pg_pipeline_flush(c);
    }
}

/* An idle handle, not uv_prepare: it also keeps the loop from sleeping if it is set after its own
 * turn has passed (from someone else's prepare callback). */
void pg_wake(struct pg *p)
{
    if (!p->closing && p->line.first != NULL)
        (void)uv_idle_start(&p->wake, on_wake);
}

void pg_requeue(struct pg *p, struct pg_op *op)
{
    pg_ops_push_front(&p->line, op);
    pg_wake(p);
}

/* --- deadlines ------------------------------------------------------------------------------- */

static void on_deadline(uv_timer_t *t);

/* The timer may ring too early, when the query it was set for is long done; never too late. */
static void arm(struct pg *p, uint64_t at_ms)
{
    uint64_t now_ms = uv_now(p->loop);

    if (at_ms >= p->armed_ms)
        return;
    p->armed_ms = at_ms;
    (void)uv_timer_start(&p->deadline, on_deadline, at_ms > now_ms ? at_ms - now_ms : 0, 0);
}

static void expire_line(struct pg *p, uint64_t now_ms)
{
    struct pg_ops due = pg_ops_take_due(&p->line, now_ms);
    struct pg_op *op;

    while ((op = pg_ops_pop(&due)) != NULL) {
        if (p->n_up > 0)
            pg_op_blame(op, ERR_TIMEOUT, "no connection to PostgreSQL had room in time");
        else
            pg_op_blame(op, ERR_TIMEOUT, p->why[0] != '\0' ? p->why : "not connected in time");
        pg_op_end(op);
    }
}

static void on_deadline(uv_timer_t *t)
{
    struct pg *p = pool_of(t->data);
    uint64_t now_ms = uv_now(p->loop);

    p->armed_ms = UINT64_MAX;
    for (unsigned i = 0; i < p->n_conns; i++)
        pg_conn_expire(&p->conns[i], now_ms);
    if (!p->closing)
        expire_line(p, now_ms);
    if (p->closing) /* a callback did it */
        return;
    for (unsigned i = 0; i < p->n_conns; i++)
        arm(p, pg_ops_earliest_ms(&p->conns[i].ops));
    arm(p, pg_ops_earliest_ms(&p->line));
}

/* --- queries --------------------------------------------------------------------------------- */

static bool is_sound(const struct pg_query *q)
{
    if (q->sql == NULL || q->n < 0 || q->n > UINT16_MAX || (q->n > 0 && q->values == NULL))
        return false;
    return q->formats == NULL || q->lengths != NULL;
}

enum err pg_query(struct pg *p, const struct pg_query *q, pg_result_fn *cb, void *arg)
{
    struct pg_op *op;
    enum err e;

    must(p->magic == POOL_MAGIC && cb != NULL && is_sound(q));
    if (p->closing)
        return ERR_CANCELED;
    if (p->line.n >= p->max_waiting + room(p))
        return ERR_BUSY;
    e = pg_op_new(q, &op);
    if (e != ERR_OK)
        return e;
    op->cb = cb;
    op->arg = arg;
    op->deadline_ms = uv_now(p->loop) + (q->deadline_ms != 0 ? q->deadline_ms : p->query_ms);
    pg_ops_push(&p->line, op);
    arm(p, op->deadline_ms);
    pg_wake(p);
    return ERR_OK;
}

bool pg_is_up(const struct pg *p)
{
    return p->n_up > 0;
}

size_t pg_pending(const struct pg *p)
{
    size_t sum = p->line.n;

    for (unsigned i = 0; i < p->n_conns; i++)
        sum += p->conns[i].ops.n;
    return sum;
}

/* --- new, start, close ----------------------------------------------------------------------- */

static void take_options(struct pg *p, const struct pg_options *opt)
{
    p->log = opt->log;
    p->connect_ms = opt->connect_ms != 0 ? opt->connect_ms : 3000;
    p->query_ms = opt->query_ms != 0 ? opt->query_ms : 10000;
    p->max_waiting = opt->max_waiting != 0 ? opt->max_waiting : 1000;
    p->pipeline = opt->pipeline != 0 ? opt->pipeline : 16;
    p->unprepared = opt->unprepared;
    p->n_conns = opt->connections != 0 ? opt->connections : 2;
}

static void init_handles(struct pg *p)
{
    (void)uv_idle_init(p->loop, &p->wake);
    (void)uv_timer_init(p->loop, &p->deadline);
    p->wake.data = p;
    p->deadline.data = p;
    p->open = 2;
    for (unsigned i = 0; i < p->n_conns; i++)
        pg_conn_init(&p->conns[i], p, i);
}

enum err pg_new(uv_loop_t *loop, const struct pg_options *opt, struct pg **ret,
                struct fault *reterr)
{
    struct pg *p = calloc(1, sizeof *p);
    enum err e;

    if (p == NULL)
        return fault_set(reterr, ERR_NOMEM, 0, "PostgreSQL's pool: out of memory");
    take_options(p, opt);
    e = pg_params_init(&p->params, opt, reterr);
    if (e != ERR_OK)
        goto fail;
    p->conns = calloc(p->n_conns, sizeof *p->conns);
    if (p->conns == NULL) {
        e = fault_set(reterr, ERR_NOMEM, 0, "PostgreSQL's connections: out of memory");
        goto fail;
    }
    p->magic = POOL_MAGIC;
    p->loop = loop;
    p->armed_ms = UINT64_MAX;
    init_handles(p);
    *ret = p;
    return ERR_OK;

fail:
    pg_params_done(&p->params);
    free(p);
    return e;
}

void pg_start(struct pg *p, pg_state_fn *on_state, void *arg)
{
    must(p->magic == POOL_MAGIC && !p->started && !p->closing);
    p->started = true;
    p->on_state = on_state;
    p->state_arg = arg;
    for (unsigned i = 0; i < p->n_conns; i++)
        pg_conn_start(&p->conns[i]);
}

static void cancel(struct pg_ops *ops)
{
    struct pg_op *op;

    while ((op = pg_ops_pop(ops)) != NULL) {
        op->fault.err = ERR_OK; /* whatever was heard of it: it is canceled now */
        pg_op_blame(op, ERR_CANCELED, "the pool of connections was closed");
        pg_op_end(op);
    }
}

void pg_release(struct pg *p)
{
    pg_closed_fn *on_closed = p->on_closed;
    void *arg = p->closed_arg;

    must(p->open > 0);
    if (--p->open > 0)
        return;
    p->magic = 0;
    pg_params_done(&p->params);
    free(p->conns);
    free(p);
    if (on_closed != NULL)
        on_closed(arg);
}

static void on_idle_closed(uv_handle_t *h)
{
    pg_release(pool_of(h->data));
}

/* It does not wait for a name that is still being resolved. */
static void on_deadline_closed(uv_handle_t *h)
{
    struct pg *p = pool_of(h->data);

    for (unsigned i = 0; i < p->n_conns; i++)
        cancel(&p->conns[i].ops);
    cancel(&p->line);
    pg_release(p);
}

void pg_close(struct pg **p, pg_closed_fn *on_closed, void *arg)
{
    struct pg *it = *p;

    *p = NULL;
    if (it == NULL)
        return;
    must(it->magic == POOL_MAGIC && !it->closing);
    it->closing = true;
    it->n_up = 0;
    it->on_closed = on_closed;
    it->closed_arg = arg;
    for (unsigned i = 0; i < it->n_conns; i++)
        pg_conn_close(&it->conns[i]);
    uv_close((uv_handle_t *)&it->wake, on_idle_closed);
    uv_close((uv_handle_t *)&it->deadline, on_deadline_closed);
}
