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

/* --- reading (ledger_read.c) ------------------------------------------------------------------- */

extern const char ledger_job_sql[];
extern const char ledger_output_sql[];
/* Parameters stand in the order queue, type, error, before, as far as they are given.
 * ERR_MALFORMED: there is no such state. */
MUST_USE enum err ledger_list_sql(const struct ledger_filter *f, struct buf *out);

#endif
