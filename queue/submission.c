#include "queue/submission.h"

#include "queue/spec/job.h"
#include "shared/clock.h"
#include "shared/json.h"

static struct slice pack(const msgpack_object *o, struct buf *out)
{
    msgpack_packer pk;

    if (o == NULL || (o->type == MSGPACK_OBJECT_ARRAY && o->via.array.size == 0))
        return slice_of("", 0);
    mp_packer(&pk, out);
    msgpack_pack_object(&pk, *o);
    return buf_slice(out);
}

static uint64_t expiry_of(const struct spec_job *f)
{
    return f->expires_in_ms > 0 ? clock_wall_ms() + f->expires_in_ms : f->expires_at_ms;
}

static enum err encode(const struct spec_job *f, struct submission *s,
                       struct spec_fault *reterr)
{
    AUTO(buf_done) struct buf args = {0};
    AUTO(buf_done) struct buf then = {0};
    AUTO(buf_done) struct buf retry = {0};
    AUTO(buf_done) struct buf chain = {0};
    struct job job = {
        .id = s->id,
        .max_attempts = f->max_attempts,
        .timeout_ms = f->timeout_ms,
        .args = pack(f->args, &args),
        .then = pack(f->then, &then),
        .retry = pack(f->retry, &retry),
        .chain = pack(f->chain, &chain),
        .expires_ms = expiry_of(f),
        .key = f->key,
        .unique = f->unique,
    };

    (void)slice_to_cstr(slice_str(f->type->name), job.type, sizeof job.type);
    job_encode(&job, &s->item);
    if (buf_failed(&args) || buf_failed(&then) || buf_failed(&retry) || buf_failed(&chain) ||
        buf_failed(&s->item)) {
        (void)spec_fault_set(reterr, "", "no memory to encode the job");
        return ERR_NOMEM;
    }
    if (s->item.len <= JOB_ITEM_MAX)
        return ERR_OK;
    (void)spec_fault_set(reterr, "", "the job takes %zu bytes encoded, at most %zu are taken",
                         s->item.len, JOB_ITEM_MAX);
    return ERR_TOO_BIG;
}

static enum err build(const msgpack_object *root, struct submission *s,
                      struct spec_fault *reterr)
{
    struct place at = place_root("");
    struct spec_job f;
    enum err e = spec_job_parse(root, SPEC_SUBMITTED, &at, &f, reterr);

    if (e != ERR_OK)
        return e;
    s->type = f.type;
    memcpy(s->queue, f.queue, sizeof s->queue);
    s->priority = f.priority;
    s->due_ms = f.delay_ms > 0 ? clock_wall_ms() + f.delay_ms : f.run_at_ms;
    s->unique_window_ms = f.unique_window_ms;
    s->unique_policy = f.unique_policy;
    (void)slice_to_cstr(f.unique, s->unique, sizeof s->unique);
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

/* Recipes make a job larger than what was sent: it must still be one that workers take. */
static enum err check_expanded(const struct submission *s, struct spec_fault *reterr)
{
    struct fault why;
    struct job job;

    if (job_decode(buf_slice(&s->item), &job, &why) == ERR_OK)
        return ERR_OK;
    (void)spec_fault_set(reterr, "", "with what its recipes say, the job is too large: %.120s",
                         why.text);
    return ERR_TOO_BIG;
}

static enum err expand(msgpack_object *root, struct recipe_book *book, msgpack_zone *zone,
                       struct submission *ret, struct spec_fault *reterr)
{
    size_t given = book->given;
    enum err e = recipe_expand(root, book, zone, reterr);

    if (e == ERR_OK)
        e = build(root, ret, reterr);
    return e == ERR_OK && book->given != given ? check_expanded(ret, reterr) : e;
}

enum err submission_unpack_with(struct slice packed, struct recipe_book *book,
                                struct submission *ret, struct spec_fault *reterr)
{
    struct mp_limits limits = {
        .max_depth = JOB_DEPTH_MAX, .max_items = VALUES_MAX, .max_bytes = SIZE_MAX};
    struct fault why;
    msgpack_object root;
    msgpack_zone zone;
    enum err e;

    if (!msgpack_zone_init(&zone, 2048)) {
        (void)spec_fault_set(reterr, "", "no memory to parse the job");
        return ERR_NOMEM;
    }
    memset(ret, 0, sizeof *ret);
    ret->id = uuid_v7();
    e = mp_parse(packed, &limits, &zone, &root, &why);
    if (e != ERR_OK)
        tell_unpackable(e, &why, reterr);
    else if (book != NULL)
        e = expand(&root, book, &zone, ret, reterr);
    else
        e = build(&root, ret, reterr);
    msgpack_zone_destroy(&zone);
    if (e != ERR_OK)
        submission_done(ret);
    return e;
}

enum err submission_unpack(struct slice packed, struct submission *ret,
                           struct spec_fault *reterr)
{
    return submission_unpack_with(packed, NULL, ret, reterr);
}

enum err submission_parse_with(struct slice json, unsigned max_depth, struct recipe_book *book,
                               struct submission *ret, struct spec_fault *reterr)
{
    AUTO(buf_done) struct buf packed = {0};
    struct fault why;
    enum err e = json_to_msgpack(json, max_depth, &packed, &why);

    if (e == ERR_OK)
        return submission_unpack_with(buf_slice(&packed), book, ret, reterr);
    (void)spec_fault_set(reterr, "", "%s", why.text);
    return e;
}

enum err submission_parse(struct slice json, unsigned max_depth, struct submission *ret,
                          struct spec_fault *reterr)
{
    return submission_parse_with(json, max_depth, NULL, ret, reterr);
}

void submission_done(struct submission *s)
{
    buf_done(&s->item);
}

/* Our own encoding has the id at a fixed offset (queue/job.h). */
void submission_rename(struct submission *s, const struct uuid *id)
{
    s->id = *id;
    memcpy(s->item.data + JOB_ID_OFFSET, id->bytes, UUID_LEN);
}

enum err submission_join(struct submission *s, const struct uuid *batch)
{
    struct buf item = {0};
    struct job job;

    if (job_decode(buf_slice(&s->item), &job, NULL) != ERR_OK)
        return ERR_MALFORMED;
    job.has_batch = true;
    job.batch = *batch;
    job_encode(&job, &item);
    if (buf_failed(&item) || item.len > JOB_ITEM_MAX) {
        enum err e = buf_failed(&item) ? ERR_NOMEM : ERR_TOO_BIG;

        buf_done(&item);
        return e;
    }
    buf_done(&s->item);
    s->item = item;
    return ERR_OK;
}

enum job_state submission_state(const struct submission *s)
{
    return s->due_ms > clock_wall_ms() ? JOB_SCHEDULED : JOB_QUEUED;
}

struct producer_job submission_job(const struct submission *s)
{
    return (struct producer_job){
        .queue = s->queue,
        .priority = s->priority,
        .due_ms = s->due_ms,
        .id = s->id,
        .type = s->type->name,
        .item = buf_slice(&s->item),
        .unique = s->unique,
        .unique_window_ms = s->unique_window_ms,
        .unique_policy = s->unique_policy,
    };
}
