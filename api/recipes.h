/* recipes: the recipes that jobs have named lately, so that not each of them asks PostgreSQL. Who answers a request
 * goes through recipe_flow.h.
 *
 * An entry is believed for max_age_ms: so long a version that another process has made or deleted may go
 * unnoticed. Loop thread only. */
#ifndef API_RECIPES_H
#define API_RECIPES_H

#include "queue/recipe.h"
#include "shared/pg.h"

#define RECIPES_KEPT 64

struct recipes;

struct recipes *recipes_new(uint64_t max_age_ms); /* NULL: no memory */
void recipes_free(struct recipes **r);

/* The body as msgpack, valid until the loop's next turn; ptr NULL: it is not at hand. */
struct slice recipes_find(struct recipes *r, const struct recipe_ref *ref);
/* Brings it from PostgreSQL; packed is borrowed for the call. ERR_NOT_FOUND: there is none that new jobs may use. r and pg
 * outlive the question. */
typedef void recipes_fetched_fn(void *arg, enum err e, struct slice packed);
MUST_USE enum err recipes_fetch(struct recipes *r, struct pg *pg, const struct recipe_ref *ref,
                                recipes_fetched_fn *cb, void *arg);
/* One was put or deleted here. */
void recipes_forget(struct recipes *r, const char *name);

#endif
