/* recipe_book: recipes that jobs on the command line name, from PostgreSQL. What was found once stays so. */
#ifndef CLI_RECIPE_BOOK_H
#define CLI_RECIPE_BOOK_H

#include "cli/call.h"
#include "queue/recipe.h"

struct client;
struct cli_recipes {
    struct recipe_book book;
    struct call call;
    struct client *client; /* NULL: nothing has been asked yet */
    bool borrowed;
    struct pg *pg;
    struct cli_recipe {
        struct recipe_ref ref;
        struct buf packed; /* empty: there is no such recipe */
    } kept[RECIPES_PER_JOB];
    size_t n;
    const struct recipe_ref
        *missing; /* what the check under way has asked for, and is not there */
};

/* client: what it asks through, if it comes to that; NULL: one of its own. r stays where it is until done. */
void cli_recipes_init(struct cli_recipes *r, const struct call *call, struct client *client);
void cli_recipes_done(struct cli_recipes *r);

typedef enum err cli_recipes_check_fn(void *arg, struct recipe_book *book);
/* Calls check until it gives something else than ERR_NOT_FOUND, which is *ret then; before each further call it brings
 * what is wanted. Tells when PostgreSQL cannot be asked. */
MUST_USE enum cli_exit cli_recipes_try(struct cli_recipes *r, cli_recipes_check_fn *check,
                                       void *arg, enum err *ret);
/* The same; tells also when there is no such recipe: CLI_NOT_FOUND. For one check alone. */
MUST_USE enum cli_exit cli_recipes_once(const struct call *call, cli_recipes_check_fn *check,
                                        void *arg, enum err *ret);

#endif
