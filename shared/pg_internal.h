/* pg_internal: what the sources of the PostgreSQL pool share. Nobody else includes this.
 *
 *     pg.c           the pool: the line, deadlines, what it tells, new, start, close
 *     pg_conn.c      one connection's states
 *     pg_pipeline.c  queries out and results in, on a connection that is up
 *     pg_op.c        one query and lists of them
 *     pg_params.c    the connection string, and what is passed to libpq
 *     pg_lookup.c    the names of its hosts, resolved off the loop
 *     pg_array.c     binary arrays */
#ifndef SHARED_PG_INTERNAL_H
#define SHARED_PG_INTERNAL_H

#include "shared/pg.h"
#include "shared/resolve.h"

#define PG_WHY_SIZE 200

/* --- pg_op.c: one query, from pg_query() to its callback --- */

struct pg_op {
    struct pg_op *next;
    pg_result_fn *cb;
    void *arg;
    uint64_t deadline_ms; /* on the clock of uv_now(), as all deadlines here */
    struct pg_query q;    /* all that it points to lies behind this struct */

    /* While on a connection: */
    uint64_t statement; /* serial number of the prepared statement used; 0: unnamed */
    bool prepares;      /* its Sync began with the Prepare of that statement */
    bool preparing;     /* the Prepare is not answered yet */
    bool repeated;      /* went back into the line once, because the statement was gone */
    char sqlstate[6];   /* of the server's error; "" for none */
    struct fault fault; /* fault.err is ERR_OK as long as all goes well */
    PGresult *res;
};

struct pg_ops {
    struct pg_op *first, *last;
    size_t n;
};

MUST_USE enum err pg_op_new(const struct pg_query *q, struct pg_op **ret);
/* Calls back with what is in op, then frees it. */
void pg_op_end(struct pg_op *op);
/* Makes e what op ends with, unless the server's own error is there already. */
void pg_op_blame(struct pg_op *op, enum err e, const char *why);

/* text without its newlines, as a log wants it. */
void pg_one_line(char *dst, size_t cap, const char *text);

void pg_ops_push(struct pg_ops *l, struct pg_op *op);
void pg_ops_push_front(struct pg_ops *l, struct pg_op *op);
struct pg_op *pg_ops_pop(struct pg_ops *l); /* NULL: empty */
/* All of them, in order, leaving l empty. */
struct pg_ops pg_ops_take(struct pg_ops *l);
struct pg_ops pg_ops_take_due(struct pg_ops *l, uint64_t now_ms);
bool pg_ops_any_due(const struct pg_ops *l, uint64_t now_ms);
uint64_t pg_ops_earliest_ms(const struct pg_ops *l); /* UINT64_MAX: empty */

/* --- pg_params.c --- */

struct pg_host {
    char *name;
    const char *port; /* NULL: libpq's default */
    bool lookup;      /* a name for the resolver: neither an address nor a socket directory */
};

struct pg_params {
    PQconninfoOption *parsed, *defaults; /* own the texts below */
    char *application, *ports;
    const char **keywords, **values; /* NULL-terminated, with room for the hosts */
    size_t n;
    struct pg_host *hosts; /* empty if there is nothing to resolve */
    size_t n_hosts;
};

MUST_USE enum err pg_params_init(struct pg_params *params, const struct pg_options *opt,
                                 struct fault *reterr);
void pg_params_done(struct pg_params *params);
/* Comma lists; an empty one is left to the connection string. NULL: out of memory. */
PGconn *pg_params_connect(struct pg_params *params, const char *hosts, const char *addresses,
                          const char *ports);

/* --- pg_lookup.c --- */

typedef void pg_lookup_fn(void *arg);

struct pg_lookup {
    struct resolve resolve;
    uv_loop_t *loop;
    const struct pg_params *params;
    size_t at, n_found;
    struct buf hosts, addresses, ports;
    char why[PG_WHY_SIZE]; /* the last name that had no address */
    pg_lookup_fn *done;
    void *arg;
};

void pg_lookup_init(struct pg_lookup *l, uv_loop_t *loop, const struct pg_params *params,
                    pg_lookup_fn *done, void *arg);
/* True: there was nothing to wait for, done will not be called. */
MUST_USE bool pg_lookup_start(struct pg_lookup *l);
void pg_lookup_cancel(struct pg_lookup *l); /* done still comes */
/* libpq tries the next host only when one refuses, not when it is silent or hangs up. So after
 * connects that failed, another one is put first. */
void pg_lookup_turn(struct pg_lookup *l, unsigned failed);
bool pg_lookup_found(const struct pg_lookup *l);
void pg_lookup_done(struct pg_lookup *l);

/* --- pg_conn.c --- */

enum pg_conn_state {
    PG_CONN_DOWN,
    PG_CONN_RESOLVING,
    PG_CONN_CONNECTING,
    PG_CONN_UP,
    PG_CONN_CLOSED,
};

struct pg_statement {
    char *name;
    uint64_t serial; /* part of the name that the server knows it by: never used twice */
};

struct pg_watch; /* a uv_poll_t with a life of its own */

struct pg_conn {
    unsigned magic;
    enum pg_conn_state state; /* written by set_state() only */
    struct pg *pool;
    struct log_ctx log;
    PGconn *pq;
    struct pg_watch *watch;
    int watched;      /* UV_READABLE, UV_WRITABLE: what watch waits for */
    uv_timer_t timer; /* the back-off while down, the deadline while connecting */
    struct pg_lookup lookup;
    unsigned tries;  /* connects since the last one that was of use */
    unsigned failed; /* connects since the last one that came up */

    struct pg_ops ops; /* in flight */
    bool unflushed;
    bool was_null; /* the last PQgetResult() gave NULL */
    struct pg_statement *statements;
    size_t n_statements, cap_statements;
    uint64_t last_serial;
};

void pg_conn_init(struct pg_conn *c, struct pg *pool, unsigned index);
void pg_conn_start(struct pg_conn *c);
void pg_conn_close(struct pg_conn *c);
/* If a query in flight is due: reads once more, then gives up the connection. */
void pg_conn_expire(struct pg_conn *c, uint64_t now_ms);
/* Ends the connection and all that is in flight on it. why NULL: what libpq says. */
void pg_conn_lose(struct pg_conn *c, const char *why);
/* Waits for these, UV_READABLE and UV_WRITABLE; the connection is up. */
void pg_conn_want(struct pg_conn *c, int events);

/* --- pg_pipeline.c --- */

/* Takes op. */
void pg_pipeline_send(struct pg_conn *c, struct pg_op *op);
void pg_pipeline_flush(struct pg_conn *c);
void pg_pipeline_receive(struct pg_conn *c);
/* Forgets the prepared statements: their connection is gone. */
void pg_pipeline_reset(struct pg_conn *c);

/* --- pg.c --- */

struct pg {
    unsigned magic;
    uv_loop_t *loop;
    const struct log_ctx *log;
    struct pg_params params;
    uint32_t connect_ms, query_ms;
    size_t max_waiting, pipeline;
    bool unprepared, started, closing;

    struct pg_conn *conns;
    unsigned n_conns, n_up;
    struct pg_ops line;  /* in no connection */
    uv_idle_t wake;      /* active while the line may move or a connection is unflushed */
    uv_timer_t deadline; /* for the earliest of all queries, or earlier */
    uint64_t armed_ms;   /* when that is; UINT64_MAX: not set */
    unsigned open;       /* handles and requests that libuv still knows */

    pg_state_fn *on_state;
    void *state_arg;
    bool told, told_up;
    char why[PG_WHY_SIZE], told_why[PG_WHY_SIZE];
    pg_closed_fn *on_closed;
    void *closed_arg;
};

/* The line is looked at in this or the next turn of the loop, before it waits. */
void pg_wake(struct pg *p);
void pg_conn_came_up(struct pg *p);
void pg_conn_went_down(struct pg *p, bool was_up, const char *why);
/* Tells on_state what changed; it may call anything. */
void pg_tell(struct pg *p);
/* Back to the head of the line: it did not run. */
void pg_requeue(struct pg *p, struct pg_op *op);
/* One of p->open has ended; p may be gone after. */
void pg_release(struct pg *p);

#endif
