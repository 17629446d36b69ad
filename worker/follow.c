#include "worker/follow.h"

#include "shared/json.h"

static struct mp_limits limits(void)
{
    return (struct mp_limits){
        .max_depth = JOB_DEPTH_MAX, .max_items = 10000, .max_bytes = JOB_ITEM_MAX};
}

static bool is_due(enum follow_on on, enum job_state state)
{
    switch (on) {
    case FOLLOW_ON_SUCCESS:
        return state == JOB_SUCCEEDED;
    case FOLLOW_ON_FAILURE:
        return state != JOB_SUCCEEDED;
    case FOLLOW_ALWAYS:
        break;
    }
    return true;
}

/* What a webhook tells of the parent when the user gave it no body of its own. */
static void pack_summary(msgpack_packer *pk, const struct follow_parent *p)
{
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

static void pack_args(struct buf *out, const struct spec_job *f, const struct follow_parent *p)
{
    bool summary = strcmp(f->type->name, "webhook") == 0 && mp_get(f->args, "body") == NULL;
    bool event = summary && mp_get(f->args, "event") == NULL;
    const msgpack_object_map *map = &f->args->via.map;
    msgpack_packer pk;
    char name[32];

    mp_packer(&pk, out);
    msgpack_pack_map(&pk, map->size + (summary ? 1 : 0) + (event ? 1 : 0));
    for (uint32_t i = 0; i < map->size; i++) {
        msgpack_pack_object(&pk, map->ptr[i].key);
        msgpack_pack_object(&pk, map->ptr[i].val);
    }
    if (summary) {
        mp_str(&pk, "body");
        pack_summary(&pk, p);
    }
    if (event) {
        mp_str(&pk, "event");
        (void)snprintf(name, sizeof name, "job.%s", job_state_name(p->state));
        mp_str(&pk, name);
    }
}

static enum err build(const struct follow_parent *p, const struct spec_job *f, size_t index,
                      struct follow_item *ret, struct fault *reterr)
{
    AUTO(buf_done) struct buf args = {0};
    struct job job = {.has_parent = true, .parent = p->job->id};

    pack_args(&args, f, p);
    job.id = uuid_derive(&p->job->id, (uint32_t)index);
    (void)slice_to_cstr(slice_str(f->type->name), job.type, sizeof job.type);
    job.args = buf_slice(&args);
    buf_clear(&ret->item);
    job_encode(&job, &ret->item);
    if (buf_failed(&args) || buf_failed(&ret->item))
        return fault_set(reterr, ERR_NOMEM, 0, "no memory for follow-up %zu", index);
    ret->id = job.id;
    ret->type = f->type->name;
    (void)slice_to_cstr(slice_str(f->queue), ret->queue, sizeof ret->queue);
    return ERR_OK;
}

enum err follow_build(const struct follow_parent *p, size_t index, struct follow_item *ret,
                      struct fault *reterr)
{
    struct spec_job ups[JOB_FOLLOW_MAX];
    struct mp_limits lim = limits();
    struct spec_fault why;
    msgpack_zone zone;
    msgpack_object then;
    size_t n = 0;
    enum err e;

    if (!msgpack_zone_init(&zone, 1024))
        return fault_set(reterr, ERR_NOMEM, 0, "no memory for follow-up %zu", index);
    e = mp_parse(p->job->then, &lim, &zone, &then, reterr);
    if (e == ERR_OK && spec_follow_ups(&then, ups, &n, &why) != ERR_OK)
        e = fault_set(reterr, ERR_MALFORMED, 0, "%s: %s", why.pointer, why.text);
    if (e == ERR_OK && index >= n)
        e = fault_set(reterr, ERR_NOT_FOUND, 0, "no follow-up %zu", index);
    if (e == ERR_OK)
        ret->due = is_due(ups[index].on, p->state);
    if (e == ERR_OK && ret->due)
        e = build(p, &ups[index], index, ret, reterr);
    msgpack_zone_destroy(&zone);
    return e;
}
