#include "api/endpoints/batch_doc.h"

#include "shared/json.h"

#define OUTER_DEPTH 2 /* the document and its list */

/* --- the document ------------------------------------------------------------------------------- */

/* Recipes make large jobs of small ones: what they say counts as if it had been sent. */
static enum err unpack_member(struct member *m, struct slice packed)
{
    struct batch *b = m->batch;
    struct recipe_book *book = &b->recipes.book;
    size_t given = book->given;
    enum err e = submission_unpack_with(packed, book, &m->job, &m->fault);

    if (e != ERR_OK) {
        book->given = given;
        return e;
    }
    if (book->given == given || book->given <= b->rq->api->opt->batch_body_max)
        return ERR_OK;
    book->given = given;
    submission_done(&m->job);
    (void)spec_fault_set(&m->fault, "",
                         "with what the recipes say, the batch is larger than BATCH_BODY_MAX");
    return ERR_TOO_BIG;
}

/* ERR_NOT_FOUND: a recipe is not at hand; it waits. All else is kept in it. */
static enum err judge_member(struct member *m, struct slice packed)
{
    m->err = unpack_member(m, packed);
    m->bad = m->err != ERR_OK;
    return m->err == ERR_NOT_FOUND ? ERR_NOT_FOUND : ERR_OK;
}

static void take_member(struct batch *b, size_t i, const msgpack_object *o, struct buf *packed)
{
    struct member *m = &b->members[i];
    msgpack_packer pk;

    m->batch = b;
    buf_clear(packed);
    mp_packer(&pk, packed);
    msgpack_pack_object(&pk, *o);
    if (buf_failed(packed)) {
        m->err = ERR_NOMEM;
        m->bad = true;
        (void)spec_fault_set(&m->fault, "", "no memory for the job");
    } else if (judge_member(m, buf_slice(packed)) == ERR_NOT_FOUND) {
        m->packed = *packed;
        *packed = (struct buf){0};
    }
}

static enum err take_members(struct batch *b, const msgpack_object *jobs)
{
    AUTO(buf_done) struct buf packed = {0};

    b->members = calloc(jobs->via.array.size, sizeof *b->members);
    if (b->members == NULL)
        return ERR_NOMEM;
    b->n = jobs->via.array.size;
    for (size_t i = 0; i < b->n; i++)
        take_member(b, i, &jobs->via.array.ptr[i], &packed);
    return ERR_OK;
}

static enum err check_fields(const msgpack_object *root, uint64_t max, struct spec_fault *why)
{
    const msgpack_object *jobs = mp_get(root, "jobs"), *atomic = mp_get(root, "atomic");
    const msgpack_object *then = mp_get(root, "then");

    if (root->type != MSGPACK_OBJECT_MAP)
        return spec_fault_set(why, "", "must be an object");
    if (jobs == NULL || jobs->type != MSGPACK_OBJECT_ARRAY || jobs->via.array.size == 0 ||
        jobs->via.array.size > max)
        return spec_fault_set(why, "/jobs", "must be an array of 1 to %llu jobs (BATCH_JOBS)",
                              (unsigned long long)max);
    if (atomic != NULL && atomic->type != MSGPACK_OBJECT_BOOLEAN)
        return spec_fault_set(why, "/atomic", "must be true or false");
    if (root->via.map.size > 1u + (atomic != NULL) + (then != NULL))
        return spec_fault_set(why, "",
                              "has a field that is not known; known here: jobs, atomic, then");
    return ERR_OK;
}

static enum err no_memory(struct spec_fault *why)
{
    (void)spec_fault_set(why, "", "no memory for the batch");
    return ERR_NOMEM;
}

/* What follows may name recipes, too. */
static enum err keep_then(struct batch *b, const msgpack_object *then, struct spec_fault *why)
{
    msgpack_packer pk;

    if (then == NULL)
        return ERR_OK;
    mp_packer(&pk, &b->then);
    msgpack_pack_map(&pk, 1);
    mp_str(&pk, "then");
    msgpack_pack_object(&pk, *then);
    return buf_failed(&b->then) ? no_memory(why) : ERR_OK;
}

static enum err build(struct batch *b, const msgpack_object *root, struct spec_fault *why)
{
    const msgpack_object *atomic;
    enum err e = check_fields(root, b->rq->api->opt->batch_jobs, why);

    if (e != ERR_OK)
        return e;
    atomic = mp_get(root, "atomic");
    b->atomic = atomic != NULL && atomic->via.boolean;
    e = keep_then(b, mp_get(root, "then"), why);
    if (e != ERR_OK)
        return e;
    return take_members(b, mp_get(root, "jobs")) == ERR_OK ? ERR_OK : no_memory(why);
}

/* The bytes are of our own making, so msgpack-c may see them unchecked; each job is checked by itself. */
enum err batch_doc_read(struct batch *b)
{
    AUTO(buf_done) struct buf packed = {0};
    msgpack_unpacked root;
    struct fault text;
    size_t at = 0;
    enum err e =
        json_to_msgpack(buf_slice(&b->rq->body),
                        (unsigned)b->rq->api->opt->depth_max + OUTER_DEPTH, &packed, &text);

    if (e != ERR_OK) {
        (void)spec_fault_set(&b->why, "", "%s", text.text);
        return e;
    }
    msgpack_unpacked_init(&root);
    if (msgpack_unpack_next(&root, packed.data, packed.len, &at) == MSGPACK_UNPACK_SUCCESS)
        e = build(b, &root.data, &b->why);
    else
        e = no_memory(&b->why);
    msgpack_unpacked_destroy(&root);
    return e;
}

/* --- recipes ------------------------------------------------------------------------------------ */

static enum err read_then(struct batch *b, struct recipe_book *book, struct spec_fault *why)
{
    const struct mp_limits limits = {
        .max_depth = JOB_DEPTH_MAX + 1, .max_items = JOB_VALUES_MAX, .max_bytes = SIZE_MAX};
    msgpack_object root;
    msgpack_zone zone;
    size_t given = book->given;
    struct fault text;
    enum err e;

    if (b->then.len == 0)
        return ERR_OK;
    if (!msgpack_zone_init(&zone, 2048))
        return no_memory(why);
    e = mp_parse(buf_slice(&b->then), &limits, &zone, &root, &text);
    if (e != ERR_OK)
        (void)spec_fault_set(why, "/then", "is refused: %s", text.text);
    else
        e = recipe_expand(&root, book, &zone, why);
    if (e == ERR_OK)
        e = batch_group_read(&b->group, mp_get(&root, "then"), why);
    msgpack_zone_destroy(&zone);
    if (e == ERR_OK)
        buf_done(&b->then);
    else
        book->given = given;
    return e;
}

enum err batch_doc_check(void *arg, struct recipe_book *book)
{
    struct batch *b = arg;
    enum err e = read_then(b, book, &b->why);

    for (; e == ERR_OK && b->next < b->n; b->next++) {
        struct member *m = &b->members[b->next];

        if (m->packed.len == 0)
            continue;
        e = judge_member(m, buf_slice(&m->packed));
        if (e != ERR_OK)
            return e;
        buf_done(&m->packed);
    }
    return e;
}

bool batch_doc_has_bad(const struct batch *b)
{
    for (size_t i = 0; i < b->n; i++) {
        if (b->members[i].bad)
            return true;
    }
    return false;
}

void batch_doc_free(struct batch *b)
{
    for (size_t i = 0; i < b->n; i++) {
        if (!b->members[i].bad)
            submission_done(&b->members[i].job);
        buf_done(&b->members[i].packed);
    }
    recipe_flow_done(&b->recipes);
    batch_group_done(&b->group);
    buf_done(&b->then);
    free(b->members);
    free(b);
}
