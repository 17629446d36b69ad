/* blob_sweep: one round over the blob directory: finished files that no row names, and that were old, are removed.
 *
 *     look --some are old--> ask --no row--> set aside --> ask again --> remove --> rest --> look ...
 *      |\--------------------- none --------------------------------------------------^
 *      \--- over --> (ends)                              any trouble --> put back --> (ends)
 *
 * Files come from the directory a page at a time, and rows are asked for a page at a time, with a rest in between: a round
 * of any size costs others little. Nothing is removed that PostgreSQL has not twice said to have no row; while it does not
 * answer the round ends. Loop thread only; files are handled on pool threads. */
#ifndef QUEUE_BLOB_SWEEP_H
#define QUEUE_BLOB_SWEEP_H

#include <uv.h>

#include "shared/pg.h"

struct blob_sweep;

struct blob_sweep_options {
    struct pg *const
        *pg;           /* where the owner keeps it: NULL there once it is closed; the primary */
    const char *dir;   /* BLOB_DIR; borrowed */
    uint64_t grace_ms; /* what was touched since is left alone */
    uint32_t rest_ms;  /* between two pages */
    bool dry_run;      /* only count */
};
struct blob_sweep_counts {
    uint64_t looked, removed,
        bytes;         /* removed: or what would be, in a dry run; bytes: of these */
    uint64_t put_back; /* set aside, and then wanted: now, or by a sweep that died */
};
/* Once, from the loop, last. e: why the round has ended before it was through; ERR_CANCELED. */
typedef void blob_swept_fn(void *arg, enum err e, const struct blob_sweep_counts *counts,
                           const struct fault *why);
MUST_USE enum err blob_sweep_start(uv_loop_t *loop, const struct blob_sweep_options *opt,
                                   blob_swept_fn *cb, void *arg, struct blob_sweep **ret);
/* The callback comes soon. */
void blob_sweep_cancel(struct blob_sweep *s);

#endif
