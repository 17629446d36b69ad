/* result_memory: the same files and the same recipe give the stored result, without work.
 *
 *     ask: hash the files --> somebody here is at it --> wait for them --ok--> their result
 *                          \                                 \--failed--> lead
 *                           \--> look into PostgreSQL --found, files there--> that result
 *                                                     \--not--> lead
 *     lead: ask says NOT_FOUND, and the job does the work; keep() stores what it made, settle() ends it
 *
 * A memory that cannot be asked is no fault: then the work is done. Loop thread only. */
#ifndef WORKER_RESULT_MEMORY_H
#define WORKER_RESULT_MEMORY_H

#include "shared/hash.h"
#include "shared/loop.h"
#include "shared/metrics.h"
#include "shared/mp.h"
#include "shared/pg.h"
#include "worker/image_file.h"

struct result_memory;
struct result_visit; /* one job's dealings with it */

struct result_memory_options {
    struct loop *loop;
    struct pg *const *pg;    /* where the daemon keeps it: NULL there once it is closed */
    const char *blob_dir;    /* borrowed */
    const char *engine_file; /* the renderer: another one makes other pictures */
    bool
        svg; /* and so does one that takes SVG: what it made is not given where none is taken */
    uint64_t max_age_ms;
    struct metrics *metrics;
};
MUST_USE enum err result_memory_new(const struct result_memory_options *opt,
                                    struct result_memory **ret, struct fault *reterr);
/* Nobody visits any more. */
void result_memory_free(struct result_memory **m);

struct result_question {
    const char *type;
    const msgpack_object *args;
    const struct spec_image *spec; /* what the args say */
    const struct image_file
        *files; /* the source and the marks; one without a hash is hashed on a pool thread */
    size_t n_files;
};
/* ERR_OK: result (borrowed for the call) is what the job would make. ERR_NOT_FOUND: the caller leads, and
 * settles. ERR_CANCELED. But for NOT_FOUND the visit is over, and must not be touched again. */
typedef void result_told_fn(void *arg, enum err e, struct slice result);
/* ERR_UNSUPPORTED: such a job is not remembered. */
MUST_USE enum err result_memory_ask(struct result_memory *m, const struct result_question *q,
                                    result_told_fn *cb, void *arg, struct result_visit **ret);
/* Before the answer: it comes soon, with ERR_CANCELED. */
void result_memory_cancel(struct result_visit *v);

/* Stores the result of one that leads, unless a file is not any more what was hashed. */
typedef void result_kept_fn(void *arg, enum err e);
MUST_USE enum err result_memory_keep(struct result_visit *v, struct slice result,
                                     result_kept_fn *cb, void *arg);
/* Ends a visit that leads, and sets it NULL. With ERR_OK who waits for it gets the result, else one of them leads.
 * Copes with NULL. */
void result_memory_settle(struct result_visit **v, enum err e, struct slice result);

#endif
