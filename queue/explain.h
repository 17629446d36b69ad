/* explain: why a job waits, and when it may start.
 *
 * Reasons stand in the order in which they hold the job up: what must come first, first. One bounded
 * script looks (queue/lua/explain.lua): the place of a job behind more than 2000 others of its list is told as
 * "at least". */
#ifndef QUEUE_EXPLAIN_H
#define QUEUE_EXPLAIN_H

#include "queue/inspect.h"
#include "queue/ledger.h"

enum explain_kind { EXPLAIN_NUMBER, EXPLAIN_TIME, EXPLAIN_TEXT };
struct explain_fact {
    const char *name;
    enum explain_kind kind;
    uint64_t number;   /* Unix ms for times */
    struct slice text; /* borrowed for the call */
};
#define EXPLAIN_FACTS_MAX   4
#define EXPLAIN_REASONS_MAX 10
struct explain_reason {
    const char *code;
    char text[320];
    struct explain_fact facts[EXPLAIN_FACTS_MAX];
    size_t n_facts;
};
struct explanation {
    struct uuid id;
    char queue[JOB_NAME_MAX + 1];
    enum job_state state;
    struct explain_reason reasons[EXPLAIN_REASONS_MAX];
    size_t n_reasons;
    uint64_t may_start_ms; /* not before; 0: not known, or it has started */
    uint64_t expected_ms;  /* from how fast the queue was worked off lately; 0: not known */
};

/* ERR_NOT_FOUND: no live job has this id. */
typedef void explain_fn(void *arg, enum err e, const struct explanation *what);
MUST_USE enum err explain_job(struct redis *r, const struct uuid *id, explain_fn *cb,
                              void *arg);
/* The same for a job that has ended. */
void explain_recorded(const struct ledger_row *row, struct explanation *ret);
void explain_json(const struct explanation *e, struct buf *out);

#endif
