/* redrive: runs again what has ended: dead, cancelled and expired jobs, as they were or edited.
 *
 * First the row, which says `retrying` once more, then the queue. Should the caller die in between, the
 * row is found later (salvage.h). The job keeps its id and its attempts, none of which count against it now;
 * an expiry that it had is gone unless the edit sets one. A unique key is not taken again, and a batch that it
 * was part of has counted its first end already.
 * Loop thread only. */
#ifndef QUEUE_REDRIVE_H
#define QUEUE_REDRIVE_H

#include "queue/ledger.h"
#include "queue/producer.h"
#include "queue/recipe.h"

struct redrive_parts {
    struct redis *redis;
    struct pg *pg;
    struct producer *producer;
};

/* What is to be other than it was. */
struct redrive_edit {
    struct spec_job job; /* no type: that cannot be changed; what is not given stays */
    bool only_image;     /* its args named a recipe: it is for no other type */
};
/* Puts recipes in place of their names in o, as recipe_expand_edit() does, and checks it. What is new is allocated in z; *ret
 * points into both. */
MUST_USE enum err redrive_edit_parse(msgpack_object *o, struct recipe_book *book,
                                     msgpack_zone *z, struct redrive_edit *ret,
                                     struct spec_fault *reterr);

struct redrive_result {
    enum err err;
    char pointer[160]; /* ERR_MALFORMED: of the edit */
    struct fault why;
    enum job_state state; /* ERR_OK: queued or scheduled; ERR_STALE: as it is */
    char queue[JOB_NAME_MAX + 1];
    uint32_t attempt; /* so many it had */
};
/* ERR_NOT_FOUND: no such job. ERR_STALE: it is live, or has succeeded (state). ERR_MALFORMED: the edit does not fit
 * the job's type. Others: it cannot be done now. */
typedef void redrive_fn(void *arg, const struct redrive_result *r);
/* Borrows edit (may be NULL) until cb. */
MUST_USE enum err redrive_job(const struct redrive_parts *p, const struct uuid *id,
                              const struct redrive_edit *edit, redrive_fn *cb, void *arg);

/* Many, without edits, the oldest first, a page at a time. */
#define REDRIVE_LIMIT_MAX 100000
struct redrive_many {
    struct ledger_filter
        filter;     /* state is needed: dead, cancelled or expired; no before, after, limit */
    uint32_t limit; /* 1..REDRIVE_LIMIT_MAX: no more than that */
    double per_second; /* 0: all at once; else their due times are spread out so */
    bool dry_run;      /* only counted */
};
struct redrive_many_result {
    enum err err; /* not ERR_OK: some may be done all the same; n says how many */
    size_t n;
    bool more; /* the limit was reached, others fit as well */
};
typedef void redrive_many_fn(void *arg, const struct redrive_many_result *r);
/* Borrows the filter's strings until cb. ERR_MALFORMED: such a state cannot be run again. */
MUST_USE enum err redrive_many(const struct redrive_parts *p, const struct redrive_many *what,
                               redrive_many_fn *cb, void *arg);

/* A row that waits for an attempt, put into its queue. cb may come with any error of the producer. */
MUST_USE enum err redrive_enqueue(struct producer *p, const struct ledger_row *row,
                                  producer_fn *cb, void *arg);

#endif
