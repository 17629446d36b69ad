/* ledger_recipes: recipes of image jobs in PostgreSQL (queue/recipe.h): named, and with versions that never change. */
#ifndef QUEUE_LEDGER_RECIPES_H
#define QUEUE_LEDGER_RECIPES_H

#include "queue/recipe.h"
#include "shared/pg.h"

/* Stores the body (JSON) as the next version, unless the newest one is the same and usable: then made is false. ERR_BUSY:
 * somebody else was quicker with a version; once more. */
typedef void ledger_recipe_put_fn(void *arg, enum err e, uint32_t version, bool made);
MUST_USE enum err ledger_recipe_put(struct pg *pg, const char *name, struct slice body,
                                    ledger_recipe_put_fn *cb, void *arg);

/* json is borrowed for the call. ERR_NOT_FOUND: none such. */
typedef void ledger_recipe_fn(void *arg, enum err e, struct slice json);
/* The body that new jobs mean by ref: deleted ones are not found. */
MUST_USE enum err ledger_recipe_find(struct pg *pg, const struct recipe_ref *ref,
                                     ledger_recipe_fn *cb, void *arg);
/* As users see it: a version with its body, deleted or not; or with version 0 all versions, newest first. */
MUST_USE enum err ledger_recipe_show(struct pg *pg, const struct recipe_ref *ref,
                                     ledger_recipe_fn *cb, void *arg);
/* {"recipes": [...], "next": name or null}: by name, from the one behind `after` ("": from the first). */
MUST_USE enum err ledger_recipe_list(struct pg *pg, const char *after, ledger_recipe_fn *cb,
                                     void *arg);

/* No new jobs with it (version 0: with none of its versions). ERR_NOT_FOUND: there is none that was usable. */
typedef void ledger_recipe_gone_fn(void *arg, enum err e);
MUST_USE enum err ledger_recipe_delete(struct pg *pg, const struct recipe_ref *ref,
                                       ledger_recipe_gone_fn *cb, void *arg);

#endif
