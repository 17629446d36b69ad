#include "worker/follow.h"

#include "queue/spec/job.h"
#include "shared/clock.h"
#include "shared/json.h"

static struct mp_limits limits(void)
{
    return (struct mp_limits){
        .max_depth = JOB_DEPTH_MAX, .max_items = 10000, .max_bytes = JOB_ITEM_MAX};
}

/* What is followed: a job, or a batch. */
struct origin {
    struct uuid id; /* ids of what follows come from it */
    bool is_job;    /* then it is their parent */
    bool ok;        /* all went well */
    enum job_priority priority;
    const char *event;
    /* What a webhook tells of it when the user gave it no body of its own. */
    void (*pack_summary)(msgpack_packer *pk, const void *what);
    const void *what;
};

static bool is_due(enum follow_on on, bool ok)
{
    return on == FOLLOW_ALWAYS || (on == FOLLOW_ON_SUCCESS) == ok;
}

static void pack_job(msgpack_packer *pk, const void *what)
{
    const struct follow_parent *p = what;
    char id[UUID_TEXT_SIZE];
    bool has_result = p->error == NULL && p->result.len > 0;

    msgpack_pack_map(pk, 5 + (p->error != NULL ? 2 : 0) + (has_result ? 1 : 0));
    mp_str(pk, "job");
    mp_str(pk, uuid_text(&p->job->id, id));
    mp_str(pk, "type");
    mp_str(pk, p->job->type);
    mp_str(pk, "queue");
    mp_str(pk, p->queue);
    mp_str(pk, "state");
    mp_str(pk, job_state_name(p->state));
    mp_str(pk, "attempt");
    msgpack_pack_uint32(pk, p->attempt);
    if (p->error != NULL) {
        mp_str(pk, "error");
        mp_str(pk, p->error);
        mp_str(pk, "error_text");
        mp_str(pk, p->error_text);
    }
    if (has_result) {
        mp_str(pk, "result");
        mp_raw(pk, p->result);
    }
}

static const char *event_of(enum job_state state)
{
    static const char *const events[] = {
        [JOB_SUCCEEDED] = "job.succeeded",
        [JOB_CANCELLED] = "job.cancelled",
        [JOB_EXPIRED] = "job.expired",
    };
    const char *event = (size_t)state < COUNT_OF(events) ? events[state] : NULL;

    return event != NULL ? event : "job.dead";
}

static void pack_args(struct buf *out, const struct spec_job *f, const struct origin *from)
{
    bool summary = strcmp(f->type->name, "webhook") == 0 && mp_get(f->args, "body") == NULL;
    bool event = summary && mp_get(f->args, "event") == NULL;
    const msgpack_object_map *map = &f->args->via.map;
    msgpack_packer pk;

    mp_packer(&pk, out);
    msgpack_pack_map(&pk, map->size + (summary ? 1 : 0) + (event ? 1 : 0));
    for (uint32_t i = 0; i < map->size; i++) {
        msgpack_pack_object(&pk, map->ptr[i].key);
        msgpack_pack_object(&pk, map->ptr[i].val);
    }
    if (summary) {
        mp_str(&pk, "body");
        from->pack_summary(&pk, from->what);
    }
    if (event) {
        mp_str(&pk, "event");
        mp_str(&pk, from->event);
    }
}

static struct slice pack(const msgpack_object *o, struct buf *out)
{
    msgpack_packer pk;

    if (o == NULL)
        return slice_of("", 0);
    mp_packer(&pk, out);
    msgpack_pack_object(&pk, *o);
    return buf_slice(out);
}

/* chain: what is left of it for this one, or empty. */
static enum err build(const struct origin *from, const struct spec_job *f, size_t index,
                      struct slice chain, struct follow_item *ret, struct fault *reterr)
{
    AUTO(buf_done) struct buf args = {0};
    AUTO(buf_done) struct buf then = {0};
    AUTO(buf_done) struct buf retry = {0};
    struct job job = {
        .id = uuid_derive(&from->id, (uint32_t)index),
        .has_parent = from->is_job,
        .parent = from->id,
        .max_attempts = f->max_attempts,
        .timeout_ms = f->timeout_ms,
        .key = f->key,
        .then = pack(f->then, &then),
        .retry = pack(f->retry, &retry),
        .expires_ms = f->expires_in_ms > 0 ? clock_wall_ms() + f->expires_in_ms : 0,
        .chain = chain,
    };

    pack_args(&args, f, from);
    (void)slice_to_cstr(slice_str(f->type->name), job.type, sizeof job.type);
    job.args = buf_slice(&args);
    buf_clear(&ret->item);
    job_encode(&job, &ret->item);
    if (buf_failed(&args) || buf_failed(&then) || buf_failed(&retry) || buf_failed(&ret->item))
        return fault_set(reterr, ERR_NOMEM, 0, "no memory for follow-up %zu", index);
    ret->id = job.id;
    ret->type = f->type->name;
    ret->priority = f->has_priority ? f->priority : from->priority;
    ret->due_ms = f->delay_ms > 0 ? clock_wall_ms() + f->delay_ms : 0;
    memcpy(ret->queue, f->queue, sizeof ret->queue);
    return ERR_OK;
}

/* --- then ------------------------------------------------------------------------------------ */

/* An empty slice is an empty list. */
static enum err open_list(struct slice array, msgpack_zone *zone, msgpack_object *ret,
                          struct fault *reterr)
{
    struct mp_limits lim = limits();

    memset(ret, 0, sizeof *ret);
    if (array.len == 0)
        return ERR_OK;
    if (mp_parse(array, &lim, zone, ret, reterr) != ERR_OK)
        return reterr->err;
    if (ret->type != MSGPACK_OBJECT_ARRAY)
        return fault_set(reterr, ERR_MALFORMED, 0, "what follows must be an array");
    return ERR_OK;
}

static enum err build_then(const struct origin *from, const msgpack_object *then, size_t index,
                           struct follow_item *ret, struct fault *reterr)
{
    struct place root = place_root("/then"), at = place_index(&root, index);
    struct spec_fault why;
    struct spec_job f;

    if (spec_job_parse(&then->via.array.ptr[index], SPEC_FOLLOW_UP, &at, &f, &why) != ERR_OK)
        return fault_set(reterr, ERR_MALFORMED, 0, "%s: %s", why.pointer, why.text);
    ret->due = is_due(f.on, from->ok);
    return ret->due ? build(from, &f, index, slice_of("", 0), ret, reterr) : ERR_OK;
}

/* --- chain ----------------------------------------------------------------------------------- */

static struct slice pack_rest(const msgpack_object *chain, struct buf *out)
{
    msgpack_packer pk;

    if (chain->via.array.size <= 1)
        return slice_of("", 0);
    mp_packer(&pk, out);
    msgpack_pack_array(&pk, chain->via.array.size - 1);
    for (uint32_t i = 1; i < chain->via.array.size; i++)
        msgpack_pack_object(&pk, chain->via.array.ptr[i]);
    return buf_slice(out);
}

static enum err build_link(const struct origin *from, const msgpack_object *chain,
                           struct follow_item *ret, struct fault *reterr)
{
    AUTO(buf_done) struct buf rest = {0};
    struct place root = place_root("/chain"), at = place_index(&root, 0);
    struct spec_fault why;
    struct spec_job f;

    if (spec_job_parse(&chain->via.array.ptr[0], SPEC_LINK, &at, &f, &why) != ERR_OK)
        return fault_set(reterr, ERR_MALFORMED, 0, "%s: %s", why.pointer, why.text);
    ret->due = from->ok;
    if (!ret->due)
        return ERR_OK;
    return build(from, &f, JOB_FOLLOW_MAX, pack_rest(chain, &rest), ret, reterr);
}

/* --- entries --------------------------------------------------------------------------------- */

/* Where what follows stands. */
struct lists {
    struct slice then, chain;
};

static enum err build_at(const struct origin *from, const struct lists *lists, size_t index,
                         msgpack_zone *zone, struct follow_item *ret, struct fault *reterr)
{
    msgpack_object then, chain;

    if (open_list(lists->then, zone, &then, reterr) != ERR_OK ||
        open_list(lists->chain, zone, &chain, reterr) != ERR_OK)
        return reterr->err;
    if (index < then.via.array.size)
        return build_then(from, &then, index, ret, reterr);
    if (index == then.via.array.size && chain.via.array.size > 0)
        return build_link(from, &chain, ret, reterr);
    return fault_set(reterr, ERR_NOT_FOUND, 0, "no follow-up %zu", index);
}

static enum err build_one(const struct origin *from, const struct lists *lists, size_t index,
                          struct follow_item *ret, struct fault *reterr)
{
    msgpack_zone zone;
    enum err e;

    if (!msgpack_zone_init(&zone, 1024))
        return fault_set(reterr, ERR_NOMEM, 0, "no memory for follow-up %zu", index);
    e = build_at(from, lists, index, &zone, ret, reterr);
    msgpack_zone_destroy(&zone);
    return e;
}

enum err follow_build(const struct follow_parent *p, size_t index, struct follow_item *ret,
                      struct fault *reterr)
{
    return build_one(&(struct origin){.id = p->job->id,
                                      .is_job = true,
                                      .ok = p->state == JOB_SUCCEEDED,
                                      .priority = p->priority,
                                      .event = event_of(p->state),
                                      .pack_summary = pack_job,
                                      .what = p},
                     &(struct lists){p->job->then, p->job->chain}, index, ret, reterr);
}

static bool all_succeeded(const struct batch_tally *t)
{
    return t->succeeded == t->total;
}

static void pack_batch(msgpack_packer *pk, const void *what)
{
    const struct follow_batch *b = what;
    const struct batch_tally *t = b->tally;
    const struct {
        const char *name;
        uint64_t n;
    } counts[] = {{"total", t->total},
                  {"succeeded", t->succeeded},
                  {"dead", t->dead},
                  {"cancelled", t->cancelled},
                  {"expired", t->expired}};
    char id[UUID_TEXT_SIZE];

    msgpack_pack_map(pk, 2 + COUNT_OF(counts));
    mp_str(pk, "batch");
    mp_str(pk, uuid_text(&b->id, id));
    mp_str(pk, "state");
    mp_str(pk, all_succeeded(t) ? "succeeded" : "failed");
    for (size_t i = 0; i < COUNT_OF(counts); i++) {
        mp_str(pk, counts[i].name);
        msgpack_pack_uint64(pk, counts[i].n);
    }
}

enum err follow_batch_build(const struct follow_batch *b, size_t index, struct follow_item *ret,
                            struct fault *reterr)
{
    bool ok = all_succeeded(b->tally);

    return build_one(&(struct origin){.id = b->id,
                                      .ok = ok,
                                      .priority = b->tally->priority,
                                      .event = ok ? "batch.succeeded" : "batch.failed",
                                      .pack_summary = pack_batch,
                                      .what = b},
                     &(struct lists){b->tally->then, slice_of("", 0)}, index, ret, reterr);
}
