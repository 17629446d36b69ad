/* recipe: what an image job may name instead of spelling it out, "avatar" or "avatar@3".
 *
 * A recipe is a job's args without the source. Whoever takes the job in puts it in place of its name,
 * so that the job says all that it means and no worker has to ask. */
#ifndef QUEUE_RECIPE_H
#define QUEUE_RECIPE_H

#include "queue/spec.h"

#define RECIPE_REF_SIZE (JOB_NAME_MAX + 12) /* "name@version" with its NUL */

struct recipe_ref {
    char name[JOB_NAME_MAX + 1];
    uint32_t version; /* 0: the newest */
};
MUST_USE bool recipe_ref_parse(struct slice text, struct recipe_ref *ret);
char *recipe_ref_text(const struct recipe_ref *ref, char dst[RECIPE_REF_SIZE]);

/* Checks a recipe's body, a map, as the args of an image job. Pointers begin at the body. */
MUST_USE enum err recipe_check(const msgpack_object *body, struct spec_fault *reterr);

/* Where recipes are looked up. */
struct recipe_book {
    /* The body as msgpack, or ptr NULL: not at hand, the caller learns which from `wanted`. */
    struct slice (*find)(void *arg, const struct recipe_ref *ref);
    void *arg;
    struct recipe_ref wanted;
};
/* Puts bodies in place of the names in a job as users write it, its follow-ups and its chain. ERR_NOT_FOUND: one was
 * not at hand, and *reterr says where. What is new is allocated in z. */
MUST_USE enum err recipe_expand(msgpack_object *job, struct recipe_book *book, msgpack_zone *z,
                                struct spec_fault *reterr);

#endif
