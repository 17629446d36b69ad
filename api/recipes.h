/* recipes: the recipes that jobs have named lately, so that not each of them asks PostgreSQL.
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

/* For a recipe_book, arg: the recipes. What it gives is valid until the loop's next turn. */
struct slice recipes_find(void *arg, const struct recipe_ref *ref);
/* Brings it from PostgreSQL. ERR_NOT_FOUND: there is none that new jobs may use. r and pg outlive the question. */
typedef void recipes_fetched_fn(void *arg, enum err e);
MUST_USE enum err recipes_fetch(struct recipes *r, struct pg *pg, const struct recipe_ref *ref,
                                recipes_fetched_fn *cb, void *arg);
/* One was put or deleted here. */
void recipes_forget(struct recipes *r, const char *name);

#endif
