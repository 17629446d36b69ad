/* ledger_files: whether files have a row in outputs. */
#ifndef QUEUE_LEDGER_FILES_H
#define QUEUE_LEDGER_FILES_H

#include "shared/pg.h"

#define LEDGER_FILE_KEY  32 /* SHA-256 of the content */
#define LEDGER_FILES_MAX 256

/* used: one answer for each, in the order of the question; borrowed for the call. ERR_UNSUPPORTED: a replica, which may not
 * have the newest rows, is no judge. */
typedef void ledger_files_fn(void *arg, enum err e, const bool *used);
MUST_USE enum err ledger_files_used(struct pg *pg, const uint8_t (*sha256)[LEDGER_FILE_KEY],
                                    size_t n, ledger_files_fn *cb, void *arg);

extern const char ledger_files_sql[];

#endif
