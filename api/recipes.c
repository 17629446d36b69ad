#include "api/recipes.h"

#include <string.h>

#include "queue/ledger_recipes.h"
#include "shared/clock.h"
#include "shared/json.h"

struct entry {
    struct recipe_ref ref;
    struct buf packed; /* empty: nothing is kept here */
    uint64_t until_ms;
};

struct recipes {
    uint64_t max_age_ms;
    struct entry kept[RECIPES_KEPT];
    size_t next; /* the one to be replaced */
};

struct fetch {
    struct recipes *r;
    struct recipe_ref ref;
    recipes_fetched_fn *cb;
    void *arg;
};

struct recipes *recipes_new(uint64_t max_age_ms)
{
    struct recipes *r = calloc(1, sizeof *r);

    if (r != NULL)
        r->max_age_ms = max_age_ms;
    return r;
}

void recipes_free(struct recipes **r)
{
    if (*r == NULL)
        return;
    for (size_t i = 0; i < RECIPES_KEPT; i++)
        buf_done(&(*r)->kept[i].packed);
    free(*r);
    *r = NULL;
}

static struct entry *entry_of(struct recipes *r, const struct recipe_ref *ref)
{
    for (size_t i = 0; i < RECIPES_KEPT; i++) {
        struct entry *en = &r->kept[i];

        if (en->packed.len > 0 && recipe_ref_eq(&en->ref, ref))
            return en;
    }
    return NULL;
}

struct slice recipes_find(struct recipes *r, const struct recipe_ref *ref)
{
    const struct entry *en = entry_of(r, ref);

    if (en == NULL || clock_now_ms() >= en->until_ms)
        return slice_of(NULL, 0);
    return buf_slice(&en->packed);
}

static enum err keep(struct recipes *r, const struct recipe_ref *ref, struct slice json,
                     struct slice *ret)
{
    struct entry *en = entry_of(r, ref);
    struct fault why;
    enum err e;

    if (en == NULL) {
        en = &r->kept[r->next];
        r->next = (r->next + 1) % RECIPES_KEPT;
    }
    buf_clear(&en->packed);
    en->ref = *ref;
    e = json_to_msgpack(json, JOB_DEPTH_MAX, &en->packed, &why);
    if (e != ERR_OK)
        buf_done(&en->packed);
    en->until_ms = clock_now_ms() + r->max_age_ms;
    *ret = buf_slice(&en->packed);
    return e;
}

static void on_body(void *arg, enum err e, struct slice json)
{
    struct fetch f = *(struct fetch *)arg;
    struct slice packed = {NULL, 0};

    free(arg);
    if (e == ERR_OK)
        e = keep(f.r, &f.ref, json, &packed);
    f.cb(f.arg, e, packed);
}

enum err recipes_fetch(struct recipes *r, struct pg *pg, const struct recipe_ref *ref,
                       recipes_fetched_fn *cb, void *arg)
{
    struct fetch *f;
    enum err e;

    if (!pg_is_up(pg))
        return ERR_UNREACHABLE;
    f = malloc(sizeof *f);
    if (f == NULL)
        return ERR_NOMEM;
    *f = (struct fetch){.r = r, .ref = *ref, .cb = cb, .arg = arg};
    e = ledger_recipe_find(pg, ref, on_body, f);
    if (e != ERR_OK)
        free(f);
    return e;
}

void recipes_forget(struct recipes *r, const char *name)
{
    for (size_t i = 0; i < RECIPES_KEPT; i++) {
        if (strcmp(r->kept[i].ref.name, name) == 0)
            buf_clear(&r->kept[i].packed);
    }
}
