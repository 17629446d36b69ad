/* pg: a small pool of PostgreSQL connections: non-blocking, pipelined, each query with a deadline.
 *
 * Every query is its own implicit transaction and its own Sync, so one failure touches no other,
 * and a query is told to have succeeded only after the server has committed it.
 * Queries wait in a bounded line while no connection has room (ERR_BUSY at the start when it is
 * full). A query past its deadline ends with ERR_TIMEOUT and its connection is closed (the others
 * on it end with ERR_UNREACHABLE, fate unknown). Connections come back with jittered back-off
 * (50 ms to 2 s; it starts small again once a query was answered); the connect cannot hang: host
 * names are resolved off the loop, the connect has a timer, and the socket is polled anew after
 * every PQconnectPoll. (Not so for a host named only in a service file.) Of several hosts the first
 * is preferred; after a connect that failed the next one has its turn at being first.
 * While no connection is up queries are kept in line until their deadline.
 *
 * One connection:
 *
 *     down --back-off--> resolving --addresses--> connecting --ready--> up
 *      ^                     |no address               |refused, late    |lost, a query was late
 *      \---------------------+-------------------------+-----------------/      any --pg_close()--> closed
 *
 * Loop thread only. new -> start -> close. */
#ifndef SHARED_PG_H
#define SHARED_PG_H

#include <libpq-fe.h>
#include <uv.h>

#include "shared/buf.h"
#include "shared/err.h"
#include "shared/log.h"

struct pg;

struct pg_options {
    /* Anything PQconninfoParse takes; several hosts allowed. gssencmode is "disable" unless it says
     * otherwise, client_encoding always UTF8. */
    const char *url;
    const char *application;   /* application_name, unless the url names one; may be NULL */
    unsigned connections;      /* 0: 2 */
    uint32_t connect_ms;       /* 0: 3000 */
    uint32_t query_ms;         /* 0: 10000 */
    size_t max_waiting;        /* 0: 1000 queries */
    unsigned pipeline;         /* 0: 16 queries in flight a connection */
    bool unprepared;           /* no named statements: for pgbouncer in transaction mode */
    const struct log_ctx *log; /* borrowed for the pool's life; may be NULL */
};

struct pg_query {
    /* Names the prepared statement, and must stand for the same sql and types always; NULL:
     * unnamed. Each connection prepares it at its first use. */
    const char *name;
    const char *sql; /* one statement; no COPY, BEGIN, SET, LISTEN: connections are shared */
    int n;
    const Oid *types;             /* may be NULL */
    const char *const *values;    /* copied, as all else here, before the call returns */
    const int *lengths, *formats; /* may be NULL: text */
    int result_format;
    uint32_t deadline_ms; /* 0: the pool's query_ms */
};
/* More bytes of values than this are ERR_TOO_BIG. */
#define PG_QUERY_MAX (256U << 20)

/* ERR_OK: res is PGRES_TUPLES_OK or PGRES_COMMAND_OK, borrowed for the call; why is NULL.
 * Otherwise res is NULL and why says:
 *   ERR_REJECTED     final by SQLSTATE: bad data, constraint, undefined...
 *   ERR_BUSY         the server asks to come again: SQLSTATE classes 08, 40, 53, 57, 58, and 25006
 *                    (read-only), 55006, 55P03 (in use, locked)
 *   ERR_UNREACHABLE  the connection was lost; whether the query took effect is unknown
 *   ERR_TIMEOUT      the same, or there was no connection with room in time
 *   ERR_CANCELED     pg_close()
 * Where the server answered, why->text begins with the five-letter SQLSTATE.
 * Called once for each query taken, from the loop, never from inside a call of this module. It may
 * call anything here, pg_close() too. */
typedef void pg_result_fn(void *arg, enum err e, const PGresult *res, const struct fault *why);
/* The first connection is up / the last one is down; also after the first connect that fails, and
 * when the reason for being down changes. why: "" when up; else never holds the password. The
 * queries of a lost connection are called back before this. */
typedef void pg_state_fn(void *arg, bool up, const char *why);
typedef void pg_closed_fn(void *arg);

/* Copies what it needs of the options. Fails on a url that libpq does not take. */
MUST_USE enum err pg_new(uv_loop_t *loop, const struct pg_options *opt, struct pg **ret,
                         struct fault *reterr);
/* Begins to connect; once. on_state may be NULL. */
void pg_start(struct pg *p, pg_state_fn *on_state, void *arg);
bool pg_is_up(const struct pg *p);
size_t pg_pending(const struct pg *p); /* waiting and in flight */
MUST_USE enum err pg_query(struct pg *p, const struct pg_query *q, pg_result_fn *cb, void *arg);
/* Takes *p and sets it NULL. From the loop, not from inside this call: pending queries end with
 * ERR_CANCELED, then on_closed (may be NULL) runs, last. on_state is not called any more. */
void pg_close(struct pg **p, pg_closed_fn *on_closed, void *arg);

/* Binary one-dimensional arrays, for unnest($1::...[]). Failure sticks in bytes: after one that
 * could not allocate, pg_array_end() gives an empty slice, which the server refuses (ERR_BUSY). */
struct pg_array {
    struct buf bytes;
    uint32_t n;
};
void pg_array_init(struct pg_array *a, Oid element);
void pg_array_null(struct pg_array *a);
/* text, bytea, uuid, jsonb (with its version byte) */
void pg_array_bytes(struct pg_array *a, const void *p, size_t len);
void pg_array_jsonb(struct pg_array *a, const void *p, size_t len); /* adds the version byte */
void pg_array_i16(struct pg_array *a, int16_t v);
void pg_array_i32(struct pg_array *a, int32_t v);
void pg_array_i64(struct pg_array *a, int64_t v);
void pg_array_wall_ms(struct pg_array *a, uint64_t unix_ms); /* timestamptz; 0: NULL */
/* Writes the header's count; the slice is valid until the next call on a. */
struct slice pg_array_end(struct pg_array *a);
void pg_array_done(struct pg_array *a);

enum {
    PG_OID_BYTEA = 17,
    PG_OID_INT8 = 20,
    PG_OID_INT2 = 21,
    PG_OID_INT4 = 23,
    PG_OID_TEXT = 25,
    PG_OID_FLOAT8 = 701,
    PG_OID_TIMESTAMPTZ = 1184,
    PG_OID_UUID = 2950,
    PG_OID_JSONB = 3802,
    PG_OID_BYTEA_ARRAY = 1001,
    PG_OID_INT2_ARRAY = 1005,
    PG_OID_INT4_ARRAY = 1007,
    PG_OID_TEXT_ARRAY = 1009,
    PG_OID_INT8_ARRAY = 1016,
    PG_OID_TIMESTAMPTZ_ARRAY = 1185,
    PG_OID_UUID_ARRAY = 2951,
    PG_OID_JSONB_ARRAY = 3807
};

#endif
