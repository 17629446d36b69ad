/* The JSON form of POST /v1/jobs/batch: parse all -> (Idempotency-Key) -> (open the batch) -> enqueue all -> one
 * answer, in order. With `then` the jobs are a batch that something follows (api/batch_group.h).
 *
 * 202: every job was accepted. 200: some were not, `results` says which. 422 with "atomic": true: some were not
 * valid, and none was enqueued. 503: none was taken, and none was refused: the queue is away.
 * With a key the ids follow from the one that the key keeps, so a batch that was cut off is completed, not doubled. */
#include "api/api.h"
#include "api/batch_group.h"
#include "api/endpoints/batch.h"
#include "api/idempotency.h"
#include "api/reply.h"
#include "api/verdict_reply.h"
#include "shared/json.h"

#define OUTER_DEPTH 2 /* the document and its list */

struct member {
    struct batch *batch;
    struct submission job;
    struct spec_fault fault; /* of a bad one */
    struct producer_verdict verdict;
    enum err err;
    bool bad, judged;
};

struct batch {
    struct request *rq;
    struct idempotency idem;
    struct batch_group group;
    bool atomic;
    size_t n, pending, accepted, refused; /* refused: for certain */
    struct member *members;
};

static void batch_free(struct batch *b)
{
    for (size_t i = 0; i < b->n; i++) {
        if (!b->members[i].bad)
            submission_done(&b->members[i].job);
    }
    batch_group_done(&b->group);
    free(b->members);
    free(b);
}

/* --- the answer --------------------------------------------------------------------------------- */

static struct fate fate_of(const struct member *m)
{
    return (struct fate){.job = m->bad ? NULL : &m->job,
                         .err = m->err,
                         .verdict = m->judged ? &m->verdict : NULL,
                         .fault = m->bad ? &m->fault : NULL};
}

static void add_results(const struct batch *b, struct buf *out)
{
    buf_add_str(out, "\"results\":[");
    for (size_t i = 0; i < b->n; i++) {
        const struct fate f = fate_of(&b->members[i]);

        buf_add_str(out, i == 0 ? "{" : ",{");
        fate_add_members(&f, out);
        buf_add_char(out, '}');
    }
    buf_addf(out, "],\"accepted\":%zu,\"rejected\":%zu}", b->accepted, b->n - b->accepted);
}

static void reply_results(struct batch *b)
{
    AUTO(buf_done) struct buf body = {0};
    char id[UUID_TEXT_SIZE];
    unsigned status = b->accepted == b->n ? 202 : 200;
    bool known = b->accepted + b->refused == b->n;

    buf_add_char(&body, '{');
    if (b->group.used)
        buf_addf(&body, "\"batch\":\"%s\",", uuid_text(&b->group.id, id));
    add_results(b, &body);
    if (b->accepted == 0 || !known)
        idempotency_undone(b->rq, &b->idem, known);
    else
        idempotency_done(b->rq, &b->idem, status, NULL, buf_slice(&body));
    reply_json(b->rq, status, &body);
}

static void finish(void *arg)
{
    struct batch *b = arg;

    if (b->accepted + b->refused > 0) {
        reply_results(b);
    } else {
        const struct fate f = fate_of(&b->members[0]);

        idempotency_undone(b->rq, &b->idem, false);
        fate_reply_problem(b->rq, &f);
    }
    batch_free(b);
}

/* Nothing of an atomic batch is enqueued when one is bad; 424 are the good ones. */
static void reply_spoiled(struct batch *b)
{
    AUTO(buf_done) struct buf body = {0};
    struct reply r = {.status = 422, .content_type = "application/problem+json"};

    reply_problem_body(422, NULL, "the batch is atomic, and jobs in it are not valid", &body);
    if (body.len > 0)
        buf_truncate(&body, body.len - 1);
    buf_add_str(&body, ",\"results\":[");
    for (size_t i = 0; i < b->n; i++) {
        const struct fate f = fate_of(&b->members[i]);

        buf_add_str(&body, i == 0 ? "{" : ",{");
        if (b->members[i].bad)
            fate_add_members(&f, &body);
        else
            buf_add_str(&body, "\"status\":424,\"error\":{\"detail\":\"another job of the "
                               "batch is not valid\"}");
        buf_add_char(&body, '}');
    }
    buf_addf(&body, "],\"accepted\":0,\"rejected\":%zu}", b->n);
    r.body = buf_slice(&body);
    reply_send(b->rq, &r);
    batch_free(b);
}

/* --- enqueue ------------------------------------------------------------------------------------ */

static void end_one(struct batch *b)
{
    if (--b->pending == 0)
        batch_group_over(&b->group, finish, b);
}

static void on_judged(void *arg, enum err e, const struct producer_verdict *v,
                      const struct fault *why)
{
    struct member *m = arg;

    (void)why;
    m->err = e;
    m->judged = v != NULL;
    if (m->judged)
        m->verdict = *v;
    m->batch->accepted += e == ERR_OK;
    m->batch->refused += m->judged && e != ERR_OK;
    if (m->judged &&
        (e != ERR_OK || !uuid_eq(&v->id, &m->job.id))) /* or another has its place */
        batch_group_gone(&m->batch->group, &m->job.id);
    end_one(m->batch);
}

static void enqueue_one(struct batch *b, size_t i)
{
    struct member *m = &b->members[i];
    struct producer_job job;

    job = submission_job(&m->job);
    if (b->idem.used) {
        job.once_ms = b->rq->api->opt->idempotency_ms;
        job.match = slice_of(b->idem.idem.print, HASH_LEN);
    }
    m->err = producer_submit(b->rq->api->producer, &job, on_judged, m);
    b->pending += m->err == ERR_OK;
}

static void enqueue_all(struct batch *b)
{
    b->pending = 1; /* this loop */
    for (size_t i = 0; i < b->n; i++) {
        if (b->members[i].bad)
            b->refused++;
        else
            enqueue_one(b, i);
    }
    end_one(b);
}

static void on_open(void *arg, enum err e)
{
    struct batch *b = arg;

    if (e == ERR_OK) {
        enqueue_all(b);
        return;
    }
    idempotency_undone(b->rq, &b->idem, false);
    reply_unavailable(b->rq, "the batch cannot be opened now", e);
    batch_free(b);
}

/* Their ids stand fast here: made from the key's where there is one. */
static enum err name_all(struct batch *b)
{
    enum err e = ERR_OK;

    if (b->idem.used)
        b->group.id = uuid_derive(&b->idem.idem.id, UINT32_MAX);
    for (size_t i = 0; e == ERR_OK && i < b->n; i++) {
        struct uuid id = uuid_derive(&b->idem.idem.id, (uint32_t)i);

        if (b->members[i].bad)
            continue;
        if (b->idem.used)
            submission_rename(&b->members[i].job, &id);
        e = batch_group_add(&b->group, &b->members[i].job);
    }
    return e;
}

static void begin_batch(struct batch *b)
{
    enum err e = name_all(b);

    if (e == ERR_OK)
        batch_group_open(&b->group, b->rq->api, on_open, b);
    else
        on_open(b, e);
}

static void on_begun(void *arg, bool go_on)
{
    struct batch *b = arg;

    if (go_on)
        begin_batch(b);
    else
        batch_free(b);
}

/* --- the document ------------------------------------------------------------------------------- */

static void take_member(struct batch *b, size_t i, const msgpack_object *o, struct buf *packed)
{
    struct member *m = &b->members[i];
    msgpack_packer pk;

    m->batch = b;
    buf_clear(packed);
    mp_packer(&pk, packed);
    msgpack_pack_object(&pk, *o);
    m->err = buf_failed(packed) ? ERR_NOMEM
                                : submission_unpack(buf_slice(packed), &m->job, &m->fault);
    if (buf_failed(packed))
        (void)spec_fault_set(&m->fault, "", "no memory for the job");
    m->bad = m->err != ERR_OK;
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

static enum err build(struct batch *b, const msgpack_object *root, struct spec_fault *why)
{
    const msgpack_object *atomic;
    enum err e = check_fields(root, b->rq->api->opt->batch_jobs, why);

    if (e != ERR_OK)
        return e;
    atomic = mp_get(root, "atomic");
    b->atomic = atomic != NULL && atomic->via.boolean;
    e = batch_group_read(&b->group, mp_get(root, "then"), why);
    if (e != ERR_OK)
        return e;
    e = take_members(b, mp_get(root, "jobs"));
    if (e != ERR_OK)
        (void)spec_fault_set(why, "", "no memory for the batch");
    return e;
}

/* The bytes are of our own making, so msgpack-c may see them unchecked; each job is checked by itself. */
static enum err parse(struct batch *b, struct spec_fault *why)
{
    AUTO(buf_done) struct buf packed = {0};
    msgpack_unpacked root;
    struct fault text;
    size_t at = 0;
    enum err e =
        json_to_msgpack(buf_slice(&b->rq->body),
                        (unsigned)b->rq->api->opt->depth_max + OUTER_DEPTH, &packed, &text);

    if (e != ERR_OK) {
        (void)spec_fault_set(why, "", "%s", text.text);
        return e;
    }
    msgpack_unpacked_init(&root);
    if (msgpack_unpack_next(&root, packed.data, packed.len, &at) == MSGPACK_UNPACK_SUCCESS) {
        e = build(b, &root.data, why);
    } else {
        e = ERR_NOMEM;
        (void)spec_fault_set(why, "", "no memory for the batch");
    }
    msgpack_unpacked_destroy(&root);
    return e;
}

static size_t count_bad(const struct batch *b)
{
    size_t n = 0;

    for (size_t i = 0; i < b->n; i++)
        n += b->members[i].bad;
    return n;
}

static void refuse(struct request *rq, enum err e, const struct spec_fault *why)
{
    const struct fate f = {.err = e, .fault = why};

    if (e == ERR_MALFORMED && why->pointer[0] == '\0' &&
        !slice_starts(slice_str(why->text), "JSON"))
        reply_problem(rq, 422, "", "the body %s", why->text);
    else
        fate_reply_problem(rq, &f);
}

void batch_json_end(struct request *rq)
{
    struct batch *b = calloc(1, sizeof *b);
    struct uuid base = uuid_v7();
    struct spec_fault why = {"", "no memory for the batch"};
    enum err e = ERR_NOMEM;

    if (b != NULL) {
        b->rq = rq;
        e = parse(b, &why);
    }
    if (e != ERR_OK) {
        if (b != NULL)
            batch_free(b);
        refuse(rq, e, &why);
    } else if (b->atomic && count_bad(b) > 0) {
        reply_spoiled(b);
    } else if (!idempotency_read(rq, buf_slice(&rq->body), &b->idem)) {
        batch_free(b);
    } else if (b->idem.used) {
        idempotency_begin(rq, &b->idem, &base, on_begun, b);
    } else {
        begin_batch(b);
    }
}
