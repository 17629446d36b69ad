/* blob_keep: files that a job here has made or reused and whose row is not written yet stay young, so that no sweep
 * (queue/blob_files.h) takes them however long PostgreSQL is away.
 *
 * Every now and then the owner is asked for their names, and their times are set on a pool thread. Loop thread only. */
#ifndef WORKER_BLOB_KEEP_H
#define WORKER_BLOB_KEEP_H

#include <uv.h>

#include "shared/err.h"

struct blob_keep;
/* Calls blob_keep_add() for each. */
typedef void blob_keep_fn(void *arg, struct blob_keep *k);

struct blob_keep_options {
    const char *dir; /* BLOB_DIR; borrowed */
    uint64_t every_ms;
    blob_keep_fn *ask;
    void *arg;
};
MUST_USE enum err blob_keep_new(uv_loop_t *loop, const struct blob_keep_options *opt,
                                struct blob_keep **ret, struct fault *reterr);
/* file: below dir; copied. Only from inside the asking. Without memory it is left out until the next time. */
void blob_keep_add(struct blob_keep *k, const char *file);
void blob_keep_close(struct blob_keep **p, void (*on_closed)(void *arg), void *arg);

#endif
