/* ledger_internal: what the ledger's sources share. */
#ifndef QUEUE_LEDGER_INTERNAL_H
#define QUEUE_LEDGER_INTERNAL_H

#include "queue/ledger.h"

/* --- a held outcome (ledger_outcome.c) --------------------------------------------------------- */

#define LEDGER_ERROR_TEXT_MAX 2000

/* One allocation: the strings, bytes and outputs of o lie behind it. */
struct held {
    struct held *next;   /* in the line */
    struct held *chain;  /* in the bucket of its id's hash */
    struct held *behind; /* the next outcome of the same id: waits until this one has ended */
    struct ledger_outcome o;
    ledger_recorded_fn *cb;
    void *arg;
    uint64_t since_ms; /* loop time: when it came into the line */
    size_t bytes;      /* about what it adds to a statement */
    bool applied;
};
/* NULL: no memory. Text that PostgreSQL would refuse (not UTF-8, NUL) is mended. */
struct held *held_new(const struct ledger_outcome *o, ledger_recorded_fn *cb, void *arg);
void held_free(struct held **h);

/* --- one statement (ledger_batch.c) ------------------------------------------------------------ */

struct batch {
    struct batch *next;
    struct ledger *ledger;
    uint64_t due_ms; /* loop time: not before */
    unsigned tries;
    size_t n;
    struct held *rows[]; /* one per id, by id */
};
struct batch *batch_new(struct ledger *l, size_t n); /* NULL: no memory */
void batch_sort(struct batch *b);
MUST_USE enum err batch_send(const struct batch *b, struct pg *pg, pg_result_fn *cb, void *arg);
/* Sets applied in the rows that the statement gave back. */
void batch_read(const struct batch *b, const PGresult *res);

extern const char ledger_write_sql[];

/* --- questions (ledger_ask.c) ------------------------------------------------------------------ */

/* A query whose callback gets a copy of `with` on the heap, which it frees. */
MUST_USE enum err ledger_ask(struct pg *pg, const struct pg_query *q, pg_result_fn *cb,
                             const void *with, size_t size);

/* --- reading (ledger_read.c) ------------------------------------------------------------------- */

#define LEDGER_LIMIT_MAX  200 /* rows a call */

#define LEDGER_MS(column) "(extract(epoch FROM " column ") * 1000)::int8"
/* What is shown of each row of jobs AS j; an error_text (or NULL::text) and the item may follow. */
/* clang-format off */
#define LEDGER_LISTED                                                                        \
    "0::int2 AS part, j.id, parent, state, priority, attempt, max_attempts, "                \
    LEDGER_MS("enqueued_at") ", " LEDGER_MS("started_at") ", " LEDGER_MS("finished_at") ", " \
    LEDGER_MS("next_attempt_at") ", queue, type, worker, error, batch, redrives, excused"
/* clang-format on */

extern const char ledger_job_sql[];
extern const char ledger_output_sql[];
/* Parameters stand in the order queue, type, error, before, after, batch, as far as they are given.
 * ERR_MALFORMED: there is no such state. */
MUST_USE enum err ledger_list_sql(const struct ledger_filter *f, struct buf *out);
/* Its conditions alone: " AND ..." for each. */
MUST_USE enum err ledger_where(const struct ledger_filter *f, struct buf *out);
#define LEDGER_VALUES 6
/* The parameters that these need. Points into the filter and itself. */
struct ledger_values {
    int n;
    const char *values[LEDGER_VALUES + 2]; /* with room for what the caller adds */
    Oid types[LEDGER_VALUES + 2];
    char before[UUID_TEXT_SIZE], after[UUID_TEXT_SIZE], batch[UUID_TEXT_SIZE];
};
void ledger_values(const struct ledger_filter *f, struct ledger_values *ret);
/* Calls cb with the rows of a result of LEDGER_LISTED. */
void ledger_give_rows(const PGresult *res, unsigned limit, ledger_list_fn *cb, void *arg);

/* --- running again (ledger_redrive.c) ----------------------------------------------------------- */

extern const char ledger_redrive_sql[];
extern const char ledger_strays_sql[];
extern const char ledger_lost_sql[];
MUST_USE enum err ledger_redrive_many_sql(const struct ledger_redrive_many *r, struct buf *out);

#endif
