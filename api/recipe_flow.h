/* recipe_flow: the recipes that the jobs of one request name, wherever a request may hold jobs.
 *
 *     check --one is not at hand--> fetch --> check ... --> checked
 *                                     \--PostgreSQL cannot say--> away
 *
 * What was found once, and what was not, stays so for the whole request: its jobs mean the same by one name. The
 * bodies count as request bodies (BODIES_MAX). Loop thread only. init -> run, any number of times one after the
 * other -> done, or reset in between. */
#ifndef API_RECIPE_FLOW_H
#define API_RECIPE_FLOW_H

#include "api/api.h"
#include "api/request.h"
#include "queue/recipe.h"

/* Who has the jobs. */
struct recipe_user {
    /* Checks them by the book. ERR_NOT_FOUND: book->wanted is not at hand, and it will be called again. */
    enum err (*check)(void *arg, struct recipe_book *book);
    /* e: what check gave in the end: never ERR_NOT_FOUND. */
    void (*checked)(void *arg, enum err e);
    /* It cannot be known now. Answers; recipe_flow_unavailable() says it. */
    void (*away)(void *arg, enum err e);
};

struct recipe_pin;
struct recipe_flow {
    struct recipe_book book;
    struct api *api;
    const struct recipe_user *user;
    void *arg;
    struct recipe_pin *pins; /* what was found, or not */
    size_t max, n, bytes;
};

/* max: different recipes that may be named. Never fails; f stays where it is until done. */
void recipe_flow_init(struct recipe_flow *f, struct api *api, size_t max);
/* Calls checked or away exactly once, perhaps at once. f may be freed in it. */
void recipe_flow_run(struct recipe_flow *f, const struct recipe_user *user, void *arg);
/* Forgets what was found. Not while it runs. */
void recipe_flow_reset(struct recipe_flow *f);
void recipe_flow_done(struct recipe_flow *f);

#define RECIPE_FLOW_AWAY "recipes cannot be looked up"
void recipe_flow_unavailable(struct request *rq, enum err e); /* 503 */

#endif
