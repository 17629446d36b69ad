/* batch_group: the jobs of one request as a batch that something follows (queue/batch.h).
 *
 *     read (`then`) -> open -> the owner enqueues -> close_over (those that were not taken leave)
 *
 * Ids of the jobs stand fast before it is opened. Loop thread only. */
#ifndef API_BATCH_GROUP_H
#define API_BATCH_GROUP_H

#include "api/api.h"
#include "queue/batch.h"
#include "queue/submission.h"

struct batch_group {
    bool used; /* the request has `then`; without it the functions below call back at once */
    struct uuid id;
    struct buf then;
    struct uuid *jobs; /* ids, for the script */
    size_t n_jobs, n_gone;
    struct api *api;
    void (*on_open)(void *arg, enum err e);
    void (*on_over)(void *arg);
    void *arg;
};

/* then: NULL: not used. ERR_MALFORMED tells the field. */
MUST_USE enum err batch_group_read(struct batch_group *g, const msgpack_object *then,
                                   struct spec_fault *reterr);
/* The envelope names the batch from then on. ERR_NOMEM, ERR_TOO_BIG. */
MUST_USE enum err batch_group_add(struct batch_group *g, struct submission *job);
/* Calls back exactly once, perhaps at once. */
void batch_group_open(struct batch_group *g, struct api *api,
                      void (*on_open)(void *arg, enum err e), void *arg);
/* This one was refused for certain, or the holder of its unique key stands in its place. */
void batch_group_gone(struct batch_group *g, const struct uuid *job);
/* All have been judged. Calls back exactly once, perhaps at once. */
void batch_group_over(struct batch_group *g, void (*on_over)(void *arg), void *arg);
void batch_group_done(struct batch_group *g);

#endif
