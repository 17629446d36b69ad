#include "api/recipe_flow.h"

#include "api/recipes.h"
#include "api/reply.h"

struct recipe_pin {
    struct recipe_ref ref;
    struct buf packed; /* empty: there is no such recipe */
};

static struct recipe_pin *pin_of(const struct recipe_flow *f, const struct recipe_ref *ref)
{
    for (size_t i = 0; i < f->n; i++) {
        if (recipe_ref_eq(&f->pins[i].ref, ref))
            return &f->pins[i];
    }
    return NULL;
}

/* There is room: find() has looked. packed: empty for one that is not there. NULL: no memory. */
static struct recipe_pin *add_pin(struct recipe_flow *f, const struct recipe_ref *ref,
                                  struct slice packed)
{
    struct recipe_pin *pin;

    must(f->n < f->max);
    if (f->pins == NULL)
        f->pins = calloc(f->max, sizeof *f->pins);
    if (f->pins == NULL || f->api->bodies + packed.len > f->api->opt->bodies_max)
        return NULL;
    pin = &f->pins[f->n];
    pin->ref = *ref;
    buf_add_slice(&pin->packed, packed);
    if (buf_failed(&pin->packed)) {
        buf_done(&pin->packed);
        return NULL;
    }
    f->n++;
    f->bytes += packed.len;
    f->api->bodies += packed.len;
    return pin;
}

static enum recipe_found find(void *arg, const struct recipe_ref *ref, struct slice *ret)
{
    struct recipe_flow *f = arg;
    const struct recipe_pin *pin = pin_of(f, ref);
    struct slice packed;

    if (pin == NULL && f->n == f->max)
        return RECIPE_TOO_MANY;
    if (pin == NULL) {
        packed = recipes_find(f->api->recipes, ref);
        if (packed.ptr == NULL)
            return RECIPE_ELSEWHERE;
        pin = add_pin(f, ref, packed);
    }
    if (pin == NULL)
        return RECIPE_NO_MEMORY;
    *ret = buf_slice(&pin->packed);
    return pin->packed.len > 0 ? RECIPE_HERE : RECIPE_NONE;
}

void recipe_flow_init(struct recipe_flow *f, struct api *api, size_t max)
{
    *f = (struct recipe_flow){.book = {.find = find, .arg = f}, .api = api, .max = max};
}

void recipe_flow_reset(struct recipe_flow *f)
{
    for (size_t i = 0; i < f->n; i++)
        buf_done(&f->pins[i].packed);
    if (f->bytes > 0)
        f->api->bodies -= f->bytes;
    f->n = f->bytes = f->book.given = 0;
}

void recipe_flow_done(struct recipe_flow *f)
{
    recipe_flow_reset(f);
    free(f->pins);
    f->pins = NULL;
}

static void on_fetched(void *arg, enum err e, struct slice packed)
{
    struct recipe_flow *f = arg;

    if (e == ERR_OK || e == ERR_NOT_FOUND)
        e = add_pin(f, &f->book.wanted, e == ERR_OK ? packed : slice_of("", 0)) == NULL
                ? ERR_NOMEM
                : ERR_OK;
    if (e == ERR_OK)
        recipe_flow_run(f, f->user, f->arg);
    else
        f->user->away(f->arg, e);
}

void recipe_flow_run(struct recipe_flow *f, const struct recipe_user *user, void *arg)
{
    enum err e = user->check(arg, &f->book);

    f->user = user;
    f->arg = arg;
    if (e != ERR_NOT_FOUND) {
        user->checked(arg, e);
        return;
    }
    e = recipes_fetch(f->api->recipes, f->api->pg, &f->book.wanted, on_fetched, f);
    if (e != ERR_OK)
        user->away(arg, e);
}

void recipe_flow_unavailable(struct request *rq, enum err e)
{
    reply_unavailable(rq, RECIPE_FLOW_AWAY, e);
}
