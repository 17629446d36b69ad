#include "queue/recipe.h"

#include <string.h>

#include "queue/spec/walk.h"

#define REF_RULE \
    "must be the name of a recipe, such as avatar, or avatar@3 for its third version"

/* --- names ------------------------------------------------------------------------------------ */

static bool parse_version(struct slice text, uint32_t *ret)
{
    uint64_t n = 0;

    if (text.len == 0 || text.len > 9 || text.ptr[0] == '0')
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
        n = n * 10 + (uint64_t)(text.ptr[i] - '0');
    }
    *ret = (uint32_t)n;
    return true;
}

bool recipe_ref_parse(struct slice text, struct recipe_ref *ret)
{
    const char *sign = text.len == 0 ? NULL : memchr(text.ptr, '@', text.len);
    size_t n = sign == NULL ? text.len : (size_t)(sign - text.ptr);
    struct slice name = slice_of(text.ptr, n);

    if (n == 0 || !job_name_is_valid(name))
        return false;
    ret->version = 0;
    (void)slice_to_cstr(name, ret->name, sizeof ret->name);
    return sign == NULL || parse_version(slice_of(sign + 1, text.len - n - 1), &ret->version);
}

char *recipe_ref_text(const struct recipe_ref *ref, char dst[RECIPE_REF_SIZE])
{
    if (ref->version == 0)
        (void)snprintf(dst, RECIPE_REF_SIZE, "%s", ref->name);
    else
        (void)snprintf(dst, RECIPE_REF_SIZE, "%s@%u", ref->name, ref->version);
    return dst;
}

bool recipe_ref_eq(const struct recipe_ref *a, const struct recipe_ref *b)
{
    return a->version == b->version && strcmp(a->name, b->name) == 0;
}

/* --- bodies ----------------------------------------------------------------------------------- */

static msgpack_object str_object(const char *text)
{
    msgpack_object o = {.type = MSGPACK_OBJECT_STR};

    o.via.str.ptr = text;
    o.via.str.size = (uint32_t)strlen(text);
    return o;
}

static enum err no_memory(struct spec_fault *reterr)
{
    (void)spec_fault_set(reterr, "", "no memory for a recipe");
    return ERR_NOMEM;
}

static msgpack_object_kv *new_pairs(msgpack_zone *z, size_t n)
{
    return msgpack_zone_malloc(z, n * sizeof(msgpack_object_kv));
}

/* The body with a source of any kind, which it must not have itself. */
static enum err with_source(const msgpack_object *body, msgpack_zone *z, msgpack_object *ret,
                            struct spec_fault *reterr)
{
    size_t n = body->via.map.size;
    msgpack_object_kv *pairs = new_pairs(z, n + 1), *path = new_pairs(z, 1);

    if (pairs == NULL || path == NULL)
        return no_memory(reterr);
    path->key = str_object("path");
    path->val = str_object("/picture");
    for (size_t i = 0; i < n; i++)
        pairs[i] = body->via.map.ptr[i];
    pairs[n].key = str_object("source");
    pairs[n].val.type = MSGPACK_OBJECT_MAP;
    pairs[n].val.via.map.ptr = path;
    pairs[n].val.via.map.size = 1;
    ret->type = MSGPACK_OBJECT_MAP;
    ret->via.map.ptr = pairs;
    ret->via.map.size = (uint32_t)n + 1;
    return ERR_OK;
}

enum err recipe_check(const msgpack_object *body, struct spec_fault *reterr)
{
    msgpack_object args;
    msgpack_zone zone;
    enum err e;

    if (body->type != MSGPACK_OBJECT_MAP)
        return spec_fault_set(reterr, "", "a recipe must be an object");
    if (mp_get(body, "source") != NULL)
        return spec_fault_set(reterr, "/source", "is each job's own: a recipe has none");
    if (mp_get(body, "recipe") != NULL)
        return spec_fault_set(reterr, "/recipe", "a recipe names no other");
    if (!msgpack_zone_init(&zone, 1024))
        return no_memory(reterr);
    e = with_source(body, &zone, &args, reterr);
    if (e == ERR_OK)
        e = spec_find("image")->check(&args, "", reterr);
    msgpack_zone_destroy(&zone);
    return e;
}

/* --- a body in place of its name -------------------------------------------------------------- */

struct expand {
    struct recipe_book *book;
    msgpack_zone *z;
    struct spec_fault *reterr;
    size_t given; /* bytes of bodies, in this job */
    struct recipe_ref named[RECIPES_PER_JOB];
    size_t n_named;
};

static enum err expand_job(struct expand *x, msgpack_object *job, const struct place *at);

/* What the job says itself, but for the name. Keys that both have would leave in the dark which one counts. */
static enum err merge(struct expand *x, msgpack_object *args, const msgpack_object *body,
                      const struct place *at)
{
    size_t n = args->via.map.size, m = body->via.map.size, k = 0;
    msgpack_object_kv *pairs = new_pairs(x->z, n + m);

    if (pairs == NULL)
        return no_memory(x->reterr);
    for (size_t i = 0; i < n; i++) {
        const msgpack_object_kv *kv = &args->via.map.ptr[i];
        struct place here = place_key(at, mp_as_slice(&kv->key));
        char key[64];

        if (mp_is(&kv->key, "recipe"))
            continue;
        if (slice_to_cstr(mp_as_slice(&kv->key), key, sizeof key) && mp_get(body, key) != NULL)
            return walk_fault(&here, x->reterr, "is for the recipe to say");
        pairs[k++] = *kv;
    }
    for (size_t i = 0; i < m; i++)
        pairs[k++] = body->via.map.ptr[i];
    args->via.map.ptr = pairs;
    args->via.map.size = (uint32_t)k;
    return ERR_OK;
}

/* False: one too many. */
static bool count_name(struct expand *x, const struct recipe_ref *ref)
{
    for (size_t i = 0; i < x->n_named; i++) {
        if (recipe_ref_eq(&x->named[i], ref))
            return true;
    }
    if (x->n_named == RECIPES_PER_JOB)
        return false;
    x->named[x->n_named++] = *ref;
    return true;
}

static enum err look_up(struct expand *x, const struct recipe_ref *ref, const struct place *at,
                        struct slice *ret)
{
    switch (x->book->find(x->book->arg, ref, ret)) {
    case RECIPE_HERE:
        return ERR_OK;
    case RECIPE_ELSEWHERE:
        x->book->wanted = *ref;
        (void)walk_fault(at, x->reterr, "has not been looked up");
        return ERR_NOT_FOUND;
    case RECIPE_NONE:
        return walk_fault(at, x->reterr, "there is no such recipe");
    case RECIPE_TOO_MANY:
        return walk_fault(at, x->reterr, "is one recipe more than the batch may name");
    case RECIPE_NO_MEMORY:
        break;
    }
    return no_memory(x->reterr);
}

/* Before the bodies are unpacked: a small job may name a large recipe very often. */
static enum err count_bytes(struct expand *x, size_t n)
{
    x->given += n;
    x->book->given += n;
    if (x->given <= JOB_ITEM_MAX)
        return ERR_OK;
    (void)spec_fault_set(x->reterr, "", "with what its recipes say, the job is too large");
    return ERR_TOO_BIG;
}

/* The job may be used when the book is closed. */
static enum err own(struct expand *x, struct slice *packed)
{
    char *copy = msgpack_zone_malloc(x->z, packed->len);

    if (copy == NULL)
        return no_memory(x->reterr);
    memcpy(copy, packed->ptr, packed->len);
    *packed = slice_of(copy, packed->len);
    return ERR_OK;
}

static enum err find_body(struct expand *x, const msgpack_object *name, const struct place *at,
                          struct slice *ret)
{
    struct recipe_ref ref;
    enum err e;

    if (name->type != MSGPACK_OBJECT_STR || !recipe_ref_parse(mp_as_slice(name), &ref))
        return walk_fault(at, x->reterr, REF_RULE);
    if (!count_name(x, &ref))
        return walk_fault(at, x->reterr, "is one too many: a job may name %d recipes",
                          RECIPES_PER_JOB);
    e = look_up(x, &ref, at, ret);
    if (e == ERR_OK)
        e = count_bytes(x, ret->len);
    return e == ERR_OK ? own(x, ret) : e;
}

static enum err expand_args(struct expand *x, msgpack_object *args, const struct place *at)
{
    const struct mp_limits limits = MP_LIMITS_DEFAULT;
    const msgpack_object *name = mp_get(args, "recipe");
    struct place here = place_key(at, SLICE_LIT("recipe"));
    msgpack_object body;
    struct slice packed = {NULL, 0};
    enum err e;

    if (name == NULL)
        return ERR_OK;
    e = find_body(x, name, &here, &packed);
    if (e != ERR_OK)
        return e;
    if (mp_parse(packed, &limits, x->z, &body, NULL) != ERR_OK ||
        body.type != MSGPACK_OBJECT_MAP)
        return walk_fault(&here, x->reterr,
                          "is stored in a form that this version cannot read");
    return merge(x, args, &body, at);
}

static enum err expand_list(struct expand *x, msgpack_object *list, const struct place *at)
{
    enum err e = ERR_OK;

    for (uint32_t i = 0;
         e == ERR_OK && list->type == MSGPACK_OBJECT_ARRAY && i < list->via.array.size; i++) {
        struct place here = place_index(at, i);

        e = expand_job(x, &list->via.array.ptr[i], &here);
    }
    return e;
}

static msgpack_object *get(msgpack_object *map, const char *key)
{
    return (msgpack_object *)(uintptr_t)mp_get(map, key); /* our own tree: not const */
}

static msgpack_object *args_of(msgpack_object *job)
{
    msgpack_object *args = get(job, "args");

    return args != NULL && args->type == MSGPACK_OBJECT_MAP ? args : NULL;
}

static enum err expand_lists(struct expand *x, msgpack_object *job, const struct place *at)
{
    static const char *const lists[] = {"then", "chain"};
    enum err e = ERR_OK;

    for (size_t i = 0; e == ERR_OK && i < COUNT_OF(lists); i++) {
        struct place here = place_key(at, slice_str(lists[i]));
        msgpack_object *list = get(job, lists[i]);

        if (list != NULL)
            e = expand_list(x, list, &here);
    }
    return e;
}

/* What is wrong otherwise is for the checks that come after this. Nesting is bounded by the parser. */
static enum err expand_job(struct expand *x, msgpack_object *job, const struct place *at)
{
    struct place args_at = place_key(at, SLICE_LIT("args"));
    const msgpack_object *type;
    msgpack_object *args;
    enum err e = ERR_OK;

    if (job->type != MSGPACK_OBJECT_MAP)
        return ERR_OK;
    args = args_of(job);
    type = mp_get(job, "type");
    if (args != NULL && type != NULL && mp_is(type, "image"))
        e = expand_args(x, args, &args_at);
    return e == ERR_OK ? expand_lists(x, job, at) : e;
}

enum err recipe_expand(msgpack_object *job, struct recipe_book *book, msgpack_zone *z,
                       struct spec_fault *reterr)
{
    struct place root = place_root("");
    struct expand x = {.book = book, .z = z, .reterr = reterr};

    return expand_job(&x, job, &root);
}

enum err recipe_expand_edit(msgpack_object *edit, struct recipe_book *book, msgpack_zone *z,
                            bool *ret_image, struct spec_fault *reterr)
{
    struct place root = place_root(""), args_at = place_key(&root, SLICE_LIT("args"));
    struct expand x = {.book = book, .z = z, .reterr = reterr};
    msgpack_object *args;
    enum err e = ERR_OK;

    if (edit->type != MSGPACK_OBJECT_MAP)
        return ERR_OK;
    args = args_of(edit);
    if (args != NULL && mp_get(args, "recipe") != NULL) {
        *ret_image = true;
        e = expand_args(&x, args, &args_at);
    }
    return e == ERR_OK ? expand_lists(&x, edit, &root) : e;
}
