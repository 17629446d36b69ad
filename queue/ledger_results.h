/* ledger_results: what image jobs have made, by the hash of what they were made from. */
#ifndef QUEUE_LEDGER_RESULTS_H
#define QUEUE_LEDGER_RESULTS_H

#include "shared/pg.h"

#define LEDGER_RESULT_KEY 32

/* ERR_NOT_FOUND: none, or none that is young enough. result is borrowed for the call. */
typedef void ledger_result_fn(void *arg, enum err e, struct slice result);
MUST_USE enum err ledger_result_find(struct pg *pg, const uint8_t key[LEDGER_RESULT_KEY],
                                     uint64_t max_age_ms, ledger_result_fn *cb, void *arg);

/* Takes the place of an older one; a few that are older than max_age_ms are removed. */
typedef void ledger_result_kept_fn(void *arg, enum err e);
MUST_USE enum err ledger_result_keep(struct pg *pg, const uint8_t key[LEDGER_RESULT_KEY],
                                     struct slice result, uint64_t max_age_ms,
                                     ledger_result_kept_fn *cb, void *arg);

extern const char ledger_result_find_sql[], ledger_result_keep_sql[];

#endif
