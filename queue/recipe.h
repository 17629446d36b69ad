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
bool recipe_ref_eq(const struct recipe_ref *a, const struct recipe_ref *b);
char *recipe_ref_text(const struct recipe_ref *ref, char dst[RECIPE_REF_SIZE]);

/* Checks a recipe's body, a map, as the args of an image job. Pointers begin at the body. */
MUST_USE enum err recipe_check(const msgpack_object *body, struct spec_fault *reterr);

#define RECIPES_PER_JOB 32 /* different ones that a job, with all that follows it, may name */

/* Where recipes are looked up. */
enum recipe_found {
    RECIPE_HERE,
    RECIPE_ELSEWHERE, /* not at hand: the caller learns which from `wanted` */
    RECIPE_NONE,      /* there is no such */
    RECIPE_TOO_MANY,  /* those who ask have named as many as they may */
    RECIPE_NO_MEMORY,
};
struct recipe_book {
    /* RECIPE_HERE: *ret is the body as msgpack, borrowed until the next call. */
    enum recipe_found (*find)(void *arg, const struct recipe_ref *ref, struct slice *ret);
    void *arg;
    struct recipe_ref wanted;
    size_t given; /* bytes of bodies that were put into jobs; the caller's to reset */
};
/* Puts bodies in place of the names in a job as users write it, its follow-ups and its chain. What is new is allocated in
 * z. ERR_NOT_FOUND: one is not at hand: with it in the book, the same may be tried again. ERR_MALFORMED; ERR_TOO_BIG: no job
 * is that large; ERR_NOMEM. On failure the job is spoiled. */
MUST_USE enum err recipe_expand(msgpack_object *job, struct recipe_book *book, msgpack_zone *z,
                                struct spec_fault *reterr);
/* The same for what is to be other in a job of a type that is not known here: if its args name a recipe, *ret_image becomes
 * true: only an image job can take it. */
MUST_USE enum err recipe_expand_edit(msgpack_object *edit, struct recipe_book *book,
                                     msgpack_zone *z, bool *ret_image,
                                     struct spec_fault *reterr);

#endif
