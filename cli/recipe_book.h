/* recipe_book: recipes that a job on the command line names, from PostgreSQL. */
#ifndef CLI_RECIPE_BOOK_H
#define CLI_RECIPE_BOOK_H

#include "cli/call.h"
#include "queue/recipe.h"

#define RECIPE_BOOK_MAX 32 /* recipes that one job may name */

struct cli_recipes {
    struct {
        struct recipe_ref ref;
        struct buf packed;
    } kept[RECIPE_BOOK_MAX];
    size_t n;
};

/* For a recipe_book, arg: these. */
struct slice cli_recipes_find(void *arg, const struct recipe_ref *ref);
/* Connects, asks and keeps it; tells when that fails, and also when there is no such recipe. */
MUST_USE enum cli_exit cli_recipes_fetch(struct cli_recipes *r, const struct call *call,
                                         const struct recipe_ref *ref);
void cli_recipes_done(struct cli_recipes *r);

#endif
