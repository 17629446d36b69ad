/* ledger: the record of ended attempts in PostgreSQL: written in batches, read by key.
 *
 * Writing. An outcome waits until its batch closes (batch_ms or batch_rows, whichever is first),
 * goes out as one statement with binary arrays, and calls back when PostgreSQL has committed. While
 * PostgreSQL is down outcomes are held and tried again with back-off (the upsert is idempotent), up to
 * max_held; ledger_has_room() tells the worker to stop claiming before that. One bad row does not
 * spoil a batch: a batch refused for its data is split until the bad row stands alone, and only that one gets
 * ERR_REJECTED.
 * The upsert is guarded: a row is only ever replaced by the same or a later attempt, and never once
 * it is terminal. applied tells whether this outcome is what the row now says (also when a repeat found
 * its own earlier write). attempts and outputs rows are written with the row, in the same statement. */
#ifndef QUEUE_LEDGER_H
#define QUEUE_LEDGER_H

#include "queue/job.h"
#include "shared/pg.h"

struct ledger;

struct ledger_output {
    const char *name, *file, *format; /* file: path below the blob directory */
    uint32_t width, height;
    uint64_t bytes;
    uint8_t sha256[32];
};
/* Asked each time before the outcome is sent, so that one which was held up is not written when its
 * attempt has lost its lease meanwhile. */
enum ledger_leave {
    LEDGER_WRITE,
    LEDGER_WAIT, /* ask again soon */
    LEDGER_DROP, /* it ends with ERR_CANCELED */
};
typedef enum ledger_leave ledger_leave_fn(const void *arg);

struct ledger_outcome {
    struct uuid id;
    const char *queue, *type;
    enum job_priority priority;
    enum job_state state; /* retrying, succeeded, dead, cancelled, expired */
    uint32_t attempt, max_attempts;
    uint64_t enqueued_ms, started_ms, finished_ms, next_attempt_ms; /* Unix ms; 0: null */
    const char *worker;                                             /* consumer's name */
    const char *error;                                              /* err_name() or NULL */
    struct slice error_text;  /* cut at 2000 bytes; made valid UTF-8 without NUL */
    struct slice item;        /* the envelope, kept so that the job can run again */
    struct slice result_json; /* or empty */
    bool has_parent, has_batch;
    struct uuid parent, batch;
    const struct ledger_output *outputs;
    size_t n_outputs;
    ledger_leave_fn *leave; /* gets the callback's arg; NULL: always written */
};
typedef void ledger_recorded_fn(void *arg, enum err e, bool applied);
typedef void ledger_closed_fn(void *arg);

struct ledger_options {
    uint32_t batch_ms; /* 0: 2 */
    size_t batch_rows; /* 0: 512 */
    size_t max_held;   /* 0: 10000 outcomes */
    const struct log_ctx *log;
};
/* Borrows pg, which must outlive it. */
MUST_USE enum err ledger_new(uv_loop_t *loop, struct pg *pg, const struct ledger_options *opt,
                             struct ledger **ret, struct fault *reterr);
/* Copies the outcome. ERR_BUSY when max_held is reached. */
MUST_USE enum err ledger_record(struct ledger *l, const struct ledger_outcome *o,
                                ledger_recorded_fn *cb, void *arg);
bool ledger_has_room(const struct ledger *l, size_t n);
size_t ledger_held(const struct ledger *l);
/* Why nothing gets through at the moment; err is ERR_OK when it does. A schema that is not there, or too
 * old, shows here: outcomes are held until it is mended, since no row is to blame. */
void ledger_trouble(const struct ledger *l, struct fault *ret);
/* Held outcomes end with ERR_CANCELED (their jobs come back through the lease). on_closed runs last, after
 * the statements in flight were answered; pg_close() hurries these. */
void ledger_close(struct ledger **l, ledger_closed_fn *on_closed, void *arg);

/* --- reading ---------------------------------------------------------------------------------- */
struct ledger_row {
    struct uuid id, parent, batch;
    bool has_parent, has_batch;
    struct slice queue, type, worker, error, error_text, result_json, item;
    enum job_state state;
    enum job_priority priority;
    uint32_t attempt, max_attempts;
    uint32_t redrives; /* how often it was run again after its end */
    uint32_t excused;  /* the attempts that it had at the last of these */
    uint64_t enqueued_ms, started_ms, finished_ms, next_attempt_ms;
};
struct ledger_output_row {
    struct slice name, file, format;
    uint32_t width, height;
    uint64_t bytes;
    char sha256[65];
};
struct ledger_attempt_row {
    uint32_t attempt;
    struct slice outcome, worker, error, error_text; /* outcome: the state the attempt led to */
    uint64_t started_ms, finished_ms;
};
struct ledger_parts { /* what belongs to one row; may be empty */
    const struct ledger_output_row *outputs;
    size_t n_outputs;
    const struct ledger_attempt_row *attempts;
    size_t n_attempts;
};
/* ERR_NOT_FOUND: no row; there may be attempts all the same, which died with their workers. row is set with
 * ERR_OK only, parts also with ERR_NOT_FOUND; both are borrowed for the call. */
typedef void ledger_job_fn(void *arg, enum err e, const struct ledger_row *row,
                           const struct ledger_parts *parts);
MUST_USE enum err ledger_job(struct pg *pg, const struct uuid *id, ledger_job_fn *cb,
                             void *arg);

typedef void ledger_output_fn(void *arg, enum err e, const struct ledger_output_row *output);
MUST_USE enum err ledger_output(struct pg *pg, const struct uuid *id, const char *name,
                                ledger_output_fn *cb, void *arg);

struct ledger_filter {
    const char *queue, *type, *state, *error; /* NULL: any */
    bool has_before, has_after, has_batch;
    struct uuid before; /* keyset: jobs with a smaller id */
    struct uuid after;  /* keyset: with a greater one */
    struct uuid batch;
    unsigned limit; /* 1..200 */
};
/* Newest id first; result_json, item and error_text are empty in lists. */
typedef void ledger_list_fn(void *arg, enum err e, const struct ledger_row *rows, size_t n,
                            bool more);
MUST_USE enum err ledger_list(struct pg *pg, const struct ledger_filter *f, ledger_list_fn *cb,
                              void *arg);

/* --- running again ----------------------------------------------------------------------------- */
/* A row that has ended (not succeeded) says retrying once more, because somebody asked for it: the one
 * way back from a terminal state. Its attempt stays and goes on counting. The caller enqueues the job
 * after that; should it die in between, ledger_strays() finds the row. */
struct ledger_redrive {
    struct uuid id;
    enum job_state
        state; /* as the caller has seen it: if it is not so any more nothing is done */
    uint32_t attempt;
    const char *queue;
    enum job_priority priority;
    uint32_t max_attempts; /* 0: as before */
    uint64_t due_ms;       /* Unix ms; 0: now */
    struct slice item;     /* the envelope, perhaps edited */
};
typedef void ledger_redriven_fn(void *arg, enum err e, bool applied);
MUST_USE enum err ledger_redrive(struct pg *pg, const struct ledger_redrive *r,
                                 ledger_redriven_fn *cb, void *arg);

/* The same for the oldest rows that fit, at most 200 a call. Rows given back are as they are now. */
struct ledger_redrive_many {
    struct ledger_filter
        filter; /* state is needed: dead, cancelled or expired; before cannot be given */
    uint64_t first_due_ms; /* Unix ms; 0: now */
    double spacing_ms;     /* between the due times of two jobs */
    bool dry_run;          /* give what fits, change nothing */
};
MUST_USE enum err ledger_redrive_many(struct pg *pg, const struct ledger_redrive_many *r,
                                      ledger_list_fn *cb, void *arg);

/* Rows that wait for an attempt that was due before due_before_ms: nearly all of them are live in Redis;
 * one that is not was lost there. By id, from the one after `after`; at most 200. Items are set. */
struct ledger_strays {
    uint64_t due_before_ms;
    struct uuid after; /* nil: from the first */
    unsigned limit;
};
MUST_USE enum err ledger_strays(struct pg *pg, const struct ledger_strays *s,
                                ledger_list_fn *cb, void *arg);

/* An attempt that nobody could record, because its worker died with it: a row of attempts, best effort. */
struct ledger_lost {
    struct uuid id;
    uint32_t attempt;
    uint64_t noticed_ms; /* Unix ms */
    const char *text;
};
typedef void ledger_noted_fn(void *arg, enum err e);
MUST_USE enum err ledger_note_lost(struct pg *pg, const struct ledger_lost *lost,
                                   ledger_noted_fn *cb, void *arg);

/* --- schema ------------------------------------------------------------------------------------ */
/* Applies the numbered files of queue/sql that are missing, each in its own transaction under an advisory
 * lock; blocking: command line only. say (may be NULL) gets one line per file applied. */
MUST_USE enum err ledger_migrate(const char *pg_url, void (*say)(void *arg, const char *line),
                                 void *arg, struct fault *reterr);
/* The version the schema should have, and (asynchronously) the one it has: /readyz and start-up use it. */
unsigned ledger_version_wanted(void);
typedef void ledger_version_fn(void *arg, enum err e, unsigned version);
MUST_USE enum err ledger_version(struct pg *pg, ledger_version_fn *cb, void *arg);
/* Makes the missing monthly partitions, that many months ahead. Migrating does so too, and every ledger at its
 * start and each 6 hours. made: how many were missing. */
typedef void ledger_partitions_fn(void *arg, enum err e, unsigned made);
MUST_USE enum err ledger_partitions(struct pg *pg, unsigned months, ledger_partitions_fn *cb,
                                    void *arg);

#endif
