#include <inttypes.h>
#include <string.h>

#include "shared/pg_internal.h"

/* --- prepared statements --------------------------------------------------------------------- */

/* The server may lose or spoil a statement behind our back (a pooler between us, DISCARD, a column
 * that changed its type). So each Prepare takes a name never used before: then it cannot meet what
 * is left of an older one. */
#define SERVER_NAME_SIZE 64

static void server_name(const struct pg_op *op, char dst[SERVER_NAME_SIZE])
{
    (void)snprintf(dst, SERVER_NAME_SIZE, "%.40s.%" PRIu64, op->q.name, op->statement);
}

static const struct pg_statement *find_statement(const struct pg_conn *c, const char *name)
{
    for (size_t i = 0; i < c->n_statements; i++) {
        if (strcmp(c->statements[i].name, name) == 0)
            return &c->statements[i];
    }
    return NULL;
}

/* NULL: out of memory. */
static const struct pg_statement *add_statement(struct pg_conn *c, const char *name)
{
    struct pg_statement *st;

    if (c->n_statements == c->cap_statements) {
        size_t cap = c->cap_statements == 0 ? 16 : 2 * c->cap_statements;
        struct pg_statement *more = realloc(c->statements, cap * sizeof *more);

        if (more == NULL)
            return NULL;
        c->statements = more;
        c->cap_statements = cap;
    }
    st = &c->statements[c->n_statements];
    st->name = strdup(name);
    if (st->name == NULL)
        return NULL;
    st->serial = ++c->last_serial;
    c->n_statements++;
    return st;
}

/* The next query of this name prepares it anew, unless another one has done so already. */
static void forget_statement(struct pg_conn *c, uint64_t serial)
{
    for (size_t i = 0; i < c->n_statements; i++) {
        if (c->statements[i].serial != serial)
            continue;
        free(c->statements[i].name);
        c->statements[i] = c->statements[--c->n_statements];
        return;
    }
}

void pg_pipeline_reset(struct pg_conn *c)
{
    for (size_t i = 0; i < c->n_statements; i++)
        free(c->statements[i].name);
    free(c->statements);
    c->statements = NULL;
    c->n_statements = c->cap_statements = 0;
    c->unflushed = false;
    c->was_null = false;
}

/* Decides how op is sent: unnamed, or by a statement that is there or goes first. */
static void choose_statement(struct pg_conn *c, struct pg_op *op)
{
    const struct pg_statement *st;

    op->statement = 0;
    op->prepares = false;
    if (op->q.name == NULL || c->pool->unprepared || op->repeated)
        return;
    st = find_statement(c, op->q.name);
    if (st == NULL) {
        st = add_statement(c, op->q.name);
        op->prepares = st != NULL;
    }
    if (st != NULL)
        op->statement = st->serial;
}

/* --- out ------------------------------------------------------------------------------------- */

static bool send_query(struct pg_conn *c, struct pg_op *op)
{
    const struct pg_query *q = &op->q;
    char name[SERVER_NAME_SIZE];

    choose_statement(c, op);
    op->preparing = op->prepares;
    if (op->statement == 0)
        return PQsendQueryParams(c->pq, q->sql, q->n, q->types, q->values, q->lengths,
                                 q->formats, q->result_format) == 1;
    server_name(op, name);
    if (op->prepares && PQsendPrepare(c->pq, name, q->sql, q->n, q->types) != 1)
        return false;
    return PQsendQueryPrepared(c->pq, name, q->n, q->values, q->lengths, q->formats,
                               q->result_format) == 1;
}

/* Before libpq 17 each Sync is also a flush. */
static bool send_sync(PGconn *pq)
{
#ifdef LIBPQ_HAS_SEND_PIPELINE_SYNC
    return PQsendPipelineSync(pq) == 1;
#else
    return PQpipelineSync(pq) == 1;
#endif
}

void pg_pipeline_send(struct pg_conn *c, struct pg_op *op)
{
    pg_ops_push(&c->ops, op);
    c->unflushed = true;
    if (!send_query(c, op) || !send_sync(c->pq))
        pg_conn_lose(c, NULL);
}

void pg_pipeline_flush(struct pg_conn *c)
{
    int left = PQflush(c->pq);

    c->unflushed = false;
    if (left == 0)
        pg_conn_want(c, UV_READABLE);
    else if (left == 1)
        pg_conn_want(c, UV_READABLE | UV_WRITABLE);
    else
        pg_pipeline_receive(c); /* the server's last words, if any; then it is lost */
}

/* --- in -------------------------------------------------------------------------------------- */

static enum err class_of(const char *sqlstate)
{
    static const char *const again[] = {
        "08",    /* connection: what a pooler says of the server behind it */
        "40",    /* rolled back: deadlock, serialization */
        "53",    /* no memory, no disk, too many connections */
        "57",    /* shutting down, starting up, canceled by an operator */
        "58",    /* its disk fails it */
        "25006", /* read-only: in the middle of a fail-over */
        "26000", /* the statement is gone: a pooler between us, see "unprepared" */
        "42P05", /* the statement is there already: the same */
        "55006", /* in use */
        "55P03", /* locked */
    };

    for (size_t i = 0; i < COUNT_OF(again); i++) {
        if (strncmp(sqlstate, again[i], strlen(again[i])) == 0)
            return ERR_BUSY;
    }
    return ERR_REJECTED;
}

static void take_error(struct pg_conn *c, struct pg_op *op, const PGresult *res)
{
    const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
    const char *text = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);

    if (op->fault.err != ERR_OK)
        return;
    if (state == NULL) {
        /* Not the server speaks, but libpq: no memory for the result, or the link is cut. */
        if (PQstatus(c->pq) == CONNECTION_OK)
            pg_op_blame(op, ERR_UNREACHABLE, PQresultErrorMessage(res));
        return;
    }
    (void)snprintf(op->sqlstate, sizeof op->sqlstate, "%s", state);
    (void)fault_set(&op->fault, class_of(state), 0, "%s %s", state, text == NULL ? "" : text);
}

/* Whether the statement that op relied on was not, or no longer, what we took it for. Then nothing
 * ran, and op may go again. */
static bool is_stale(const struct pg_op *op)
{
    if (op->statement == 0)
        return false;
    if (strcmp(op->sqlstate, "26000") == 0 || strcmp(op->sqlstate, "42P05") == 0)
        return true;
    /* "cached plan must not change result type"; in the Prepare's own round it means what it says */
    return strcmp(op->sqlstate, "0A000") == 0 && !op->prepares;
}

static void go_again(struct pg_conn *c, struct pg_op *op)
{
    log_debug(&c->log, "pg.repeat", LOG_S("statement", op->q.name),
              LOG_S("sqlstate", op->sqlstate));
    forget_statement(c, op->statement);
    PQclear(op->res);
    op->res = NULL;
    op->fault.err = ERR_OK;
    op->sqlstate[0] = '\0';
    op->repeated = true;
    pg_requeue(c->pool, op);
}

/* Its Sync is answered: what it did is committed, or undone. */
static void finish(struct pg_conn *c)
{
    struct pg_op *op = pg_ops_pop(&c->ops);

    c->tries = 0;
    pg_wake(c->pool);
    if (is_stale(op)) {
        go_again(c, op);
        return;
    }
    if (op->preparing)
        forget_statement(c, op->statement); /* it failed */
    if (op->res == NULL)
        pg_op_blame(op, ERR_INTERNAL, "a query without a result");
    pg_op_end(op);
}

static void take_result(struct pg_conn *c, struct pg_op *op, PGresult *res)
{
    ExecStatusType status = PQresultStatus(res);

    if (status == PGRES_FATAL_ERROR) {
        take_error(c, op, res);
    } else if (status == PGRES_EMPTY_QUERY) {
        (void)fault_set(&op->fault, ERR_REJECTED, 0, "42601 the query is empty");
    } else if (op->preparing && status == PGRES_COMMAND_OK) {
        op->preparing = false;
    } else if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) {
        PQclear(op->res);
        op->res = res;
        return;
    } else if (status != PGRES_PIPELINE_ABORTED) {
        /* COPY: in a pipeline libpq would say so for ever. */
        (void)fault_set(&op->fault, ERR_REJECTED, 0, "0A000 COPY cannot be pipelined");
        PQclear(res);
        pg_conn_lose(c, "a query was COPY");
        return;
    }
    PQclear(res);
}

static void take_next(struct pg_conn *c)
{
    PGresult *res = PQgetResult(c->pq);
    bool again = res == NULL && c->was_null;

    c->was_null = res == NULL;
    if (again) {
        pg_conn_lose(c, "lost count of the results"); /* one NULL ends a query; two are a bug */
        return;
    }
    if (res == NULL)
        return;
    if (PQresultStatus(res) == PGRES_PIPELINE_SYNC) {
        PQclear(res);
        finish(c);
        return;
    }
    take_result(c, c->ops.first, res);
}

void pg_pipeline_receive(struct pg_conn *c)
{
    bool alive = PQconsumeInput(c->pq) == 1;

    /* PQisBusy() is also what parses notices and the server's farewell when nothing is in flight.
     * A callback may close the pool: then the state is another. */
    while (c->state == PG_CONN_UP && !PQisBusy(c->pq) && c->ops.first != NULL)
        take_next(c);
    if (c->state == PG_CONN_UP && (!alive || PQstatus(c->pq) != CONNECTION_OK))
        pg_conn_lose(c, NULL);
}
