/* batch_doc: the document of POST /v1/jobs/batch as jobs. For batch_json.c alone.
 *
 *     batch_doc_read -> batch_doc_check, until no recipe is missing (api/recipe_flow.h) */
#ifndef API_ENDPOINTS_BATCH_DOC_H
#define API_ENDPOINTS_BATCH_DOC_H

#include "api/batch_group.h"
#include "api/idempotency.h"
#include "api/recipe_flow.h"

struct member {
    struct batch *batch;
    struct submission job;
    struct buf packed; /* what it was made of, while a recipe that it names is looked up */
    struct spec_fault fault; /* of a bad one */
    struct producer_verdict verdict;
    enum err err;
    bool bad, judged;
};

struct batch {
    struct request *rq;
    struct idempotency idem;
    struct batch_group group;
    struct recipe_flow recipes;
    struct buf then; /* {"then": [...]}, until its recipes are known; empty: there is none */
    struct spec_fault why; /* of the document */
    size_t next;           /* the first member that may wait for a recipe */
    bool atomic;
    size_t n, pending, accepted, refused; /* refused: for certain */
    struct member *members;
};

/* ERR_OK: the members stand, good, bad or waiting for a recipe. Else b->why tells what is wrong with the document. */
MUST_USE enum err batch_doc_read(struct batch *b);
/* Of a recipe_user; arg: the batch. What it gives but for ERR_NOT_FOUND is of `then`: b->why. */
MUST_USE enum err batch_doc_check(void *arg, struct recipe_book *book);
bool batch_doc_has_bad(const struct batch *b);
void batch_doc_free(struct batch *b);

#endif
