#include "queue/submission.h"

#include "queue/spec/walk.h"
#include "shared/clock.h"
#include "shared/json.h"

struct fields {
    struct slice type, queue;
    const msgpack_object *args, *then;
    enum job_priority priority;
    uint32_t max_attempts, timeout_ms;
    uint64_t delay_ms;
};

static enum err take_type(void *out, const msgpack_object *v, const struct place *at,
                          struct spec_fault *ret)
{
    struct fields *f = out;

    return walk_name(v, &f->type, at, ret);
}

static enum err take_queue(void *out, const msgpack_object *v, const struct place *at,
                           struct spec_fault *ret)
{
    struct fields *f = out;

    return walk_name(v, &f->queue, at, ret);
}

static enum err take_args(void *out, const msgpack_object *v, const struct place *at,
                          struct spec_fault *ret)
{
    struct fields *f = out;

    if (v->type != MSGPACK_OBJECT_MAP)
        return walk_fault(at, ret, "must be an object");
    f->args = v;
    return ERR_OK;
}

static enum err take_then(void *out, const msgpack_object *v, const struct place *at,
                          struct spec_fault *ret)
{
    struct fields *f = out;

    (void)at;
    f->then = v;
    return spec_follow_ups(v, NULL, NULL, ret);
}

static enum err take_priority(void *out, const msgpack_object *v, const struct place *at,
                              struct spec_fault *ret)
{
    static const struct walk_word words[] = {{"critical", JOB_PRIORITY_CRITICAL},
                                             {"high", JOB_PRIORITY_HIGH},
                                             {"normal", JOB_PRIORITY_NORMAL},
                                             {"low", JOB_PRIORITY_LOW}};
    struct fields *f = out;
    int value;
    enum err e = walk_word(v, (struct walk_words){words, COUNT_OF(words), COUNT_OF(words)},
                           &value, at, ret);

    if (e == ERR_OK)
        f->priority = (enum job_priority)value;
    return e;
}

static enum err take_max_attempts(void *out, const msgpack_object *v, const struct place *at,
                                  struct spec_fault *ret)
{
    struct fields *f = out;

    return walk_uint(v, 1, JOB_ATTEMPTS_MAX, &f->max_attempts, at, ret);
}

static enum err take_timeout(void *out, const msgpack_object *v, const struct place *at,
                             struct spec_fault *ret)
{
    struct fields *f = out;

    return walk_uint(v, 1, JOB_TIMEOUT_MAX, &f->timeout_ms, at, ret);
}

static enum err take_delay(void *out, const msgpack_object *v, const struct place *at,
                           struct spec_fault *ret)
{
    struct fields *f = out;

    if (v->type != MSGPACK_OBJECT_POSITIVE_INTEGER || v->via.u64 > SUBMISSION_DELAY_MAX)
        return walk_fault(at, ret, "must be an integer from 0 to %llu",
                          (unsigned long long)SUBMISSION_DELAY_MAX);
    f->delay_ms = v->via.u64;
    return ERR_OK;
}

static const struct walk_field fields[] = {
    {"type", take_type, true},
    {"args", take_args, true},
    {"queue", take_queue, false},
    {"priority", take_priority, false},
    {"max_attempts", take_max_attempts, false},
    {"timeout_ms", take_timeout, false},
    {"delay_ms", take_delay, false},
    {"then", take_then, false},
};

static enum err unknown_type(struct slice type, struct spec_fault *ret)
{
    char known[128] = "";
    size_t n, used = 0;
    const struct spec_type *all = spec_table(&n);

    for (size_t i = 0; i < n && used < sizeof known; i++)
        used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", i > 0 ? ", " : "",
                                 all[i].name);
    return spec_fault_set(ret, "/type",
                          "there is no job type \"" SLICE_FMT "\"; known here: %s",
                          SLICE_ARG(type), known);
}

static enum err encode(const struct fields *f, struct submission *s, struct spec_fault *reterr)
{
    AUTO(buf_done) struct buf args = {0};
    AUTO(buf_done) struct buf then = {0};
    struct job job = {
        .id = s->id, .max_attempts = f->max_attempts, .timeout_ms = f->timeout_ms};
    msgpack_packer pk;

    mp_packer(&pk, &args);
    msgpack_pack_object(&pk, *f->args);
    if (f->then != NULL && f->then->via.array.size > 0) {
        mp_packer(&pk, &then);
        msgpack_pack_object(&pk, *f->then);
    }
    (void)slice_to_cstr(f->type, job.type, sizeof job.type);
    job.args = buf_slice(&args);
    job.then = buf_slice(&then);
    job_encode(&job, &s->item);
    if (buf_failed(&args) || buf_failed(&then) || buf_failed(&s->item)) {
        (void)spec_fault_set(reterr, "", "no memory to encode the job");
        return ERR_NOMEM;
    }
    if (s->item.len <= JOB_ITEM_MAX)
        return ERR_OK;
    (void)spec_fault_set(reterr, "", "the job takes %zu bytes encoded, at most %zu are taken",
                         s->item.len, JOB_ITEM_MAX);
    return ERR_TOO_BIG;
}

/* Known to the protocol, not served by this version's workers: better said now than in a dead job. */
static enum err refuse_unserved(const struct fields *f, struct spec_fault *reterr)
{
    const msgpack_object *source = mp_get(f->args, "source");

    if (!slice_is(f->type, "image") || source == NULL || mp_get(source, "url") == NULL)
        return ERR_OK;
    return spec_fault_set(reterr, "/args/source/url",
                          "is not served by this version: upload the file, or name a path");
}

static enum err build(const msgpack_object *root, struct submission *s,
                      struct spec_fault *reterr)
{
    struct fields f = {.priority = JOB_PRIORITY_NORMAL};
    struct place at = place_root("");
    enum err e = walk_map(root, WALK_TABLE(fields), &f, &at, reterr);

    if (e != ERR_OK)
        return e;
    (void)slice_to_cstr(f.type, s->queue, sizeof s->queue); /* a name: fits */
    s->type = spec_find(s->queue);
    if (s->type == NULL)
        return unknown_type(f.type, reterr);
    e = s->type->check(f.args, "/args", reterr);
    if (e == ERR_OK)
        e = refuse_unserved(&f, reterr);
    if (e != ERR_OK)
        return e;
    (void)slice_to_cstr(f.queue.len > 0 ? f.queue : slice_str(s->type->default_queue), s->queue,
                        sizeof s->queue);
    s->priority = f.priority;
    s->delay_ms = f.delay_ms;
    return encode(&f, s, reterr);
}

/* Beside the values of the JSON an envelope holds its version and its id, with their keys. */
#define VALUES_MAX (JOB_VALUES_MAX - 4)

static void tell_unpackable(enum err e, const struct fault *why, struct spec_fault *reterr)
{
    if (e == ERR_TOO_BIG)
        (void)spec_fault_set(reterr, "", "more than %d keys and values in one job", VALUES_MAX);
    else
        (void)spec_fault_set(reterr, "", "as %s", why->text);
}

enum err submission_parse(struct slice json, unsigned max_depth, struct submission *ret,
                          struct spec_fault *reterr)
{
    struct mp_limits limits = {
        .max_depth = JOB_DEPTH_MAX, .max_items = VALUES_MAX, .max_bytes = SIZE_MAX};
    AUTO(buf_done) struct buf packed = {0};
    struct fault why;
    msgpack_object root;
    msgpack_zone zone;
    enum err e = json_to_msgpack(json, max_depth, &packed, &why);

    if (e != ERR_OK) {
        (void)spec_fault_set(reterr, "", "%s", why.text);
        return e;
    }
    if (!msgpack_zone_init(&zone, 2048)) {
        (void)spec_fault_set(reterr, "", "no memory to parse the job");
        return ERR_NOMEM;
    }
    memset(ret, 0, sizeof *ret);
    ret->id = uuid_v7();
    e = mp_parse(buf_slice(&packed), &limits, &zone, &root, &why);
    if (e != ERR_OK)
        tell_unpackable(e, &why, reterr);
    else
        e = build(&root, ret, reterr);
    msgpack_zone_destroy(&zone);
    if (e != ERR_OK)
        submission_done(ret);
    return e;
}

void submission_done(struct submission *s)
{
    buf_done(&s->item);
}

struct producer_job submission_job(const struct submission *s)
{
    return (struct producer_job){
        .queue = s->queue,
        .priority = s->priority,
        .due_ms = s->delay_ms == 0 ? 0 : clock_wall_ms() + s->delay_ms,
        .id = s->id,
        .type = s->type->name,
        .item = buf_slice(&s->item),
    };
}
