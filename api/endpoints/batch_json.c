/* The JSON form of POST /v1/jobs/batch: parse all -> (recipes) -> (Idempotency-Key) -> (open the batch) -> enqueue
 * all -> one answer, in order. With `then` the jobs are a batch that something follows (api/batch_group.h).
 *
 * 202: every job was accepted. 200: some were not, `results` says which. 422 with "atomic": true: some were not
 * valid, and none was enqueued. 503: none was taken, and none was refused: the queue is away, or PostgreSQL and a recipe is
 * not at hand.
 * With a key the ids follow from the one that the key keeps, so a batch that was cut off is completed, not doubled. */
#include "api/api.h"
#include "api/endpoints/batch.h"
#include "api/endpoints/batch_doc.h"
#include "api/reply.h"
#include "api/verdict_reply.h"

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
    batch_doc_free(b);
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
    batch_doc_free(b);
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
    batch_doc_free(b);
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
        batch_doc_free(b);
}

/* --- the whole -------------------------------------------------------------------------------- */

static void refuse(struct request *rq, enum err e, const struct spec_fault *why)
{
    const struct fate f = {.err = e, .fault = why};

    if (e == ERR_MALFORMED && why->pointer[0] == '\0' &&
        !slice_starts(slice_str(why->text), "JSON"))
        reply_problem(rq, 422, "", "the body %s", why->text);
    else
        fate_reply_problem(rq, &f);
}

static void on_checked(void *arg, enum err e)
{
    struct batch *b = arg;
    struct uuid base = uuid_v7();

    recipe_flow_done(&b->recipes);
    if (e != ERR_OK) {
        refuse(b->rq, e, &b->why);
        batch_doc_free(b);
    } else if (b->atomic && batch_doc_has_bad(b)) {
        reply_spoiled(b);
    } else if (!idempotency_read(b->rq, buf_slice(&b->rq->body), &b->idem)) {
        batch_doc_free(b);
    } else if (b->idem.used) {
        idempotency_begin(b->rq, &b->idem, &base, on_begun, b);
    } else {
        begin_batch(b);
    }
}

static void on_away(void *arg, enum err e)
{
    struct batch *b = arg;

    recipe_flow_unavailable(b->rq, e);
    batch_doc_free(b);
}

void batch_json_end(struct request *rq)
{
    static const struct recipe_user user = {batch_doc_check, on_checked, on_away};
    struct batch *b = calloc(1, sizeof *b);
    enum err e;

    if (b == NULL) {
        reply_problem(rq, 503, NULL, "no memory for the batch");
        return;
    }
    b->rq = rq;
    recipe_flow_init(&b->recipes, rq->api, rq->api->opt->batch_recipes);
    e = batch_doc_read(b);
    if (e == ERR_OK)
        recipe_flow_run(&b->recipes, &user, b);
    else
        on_checked(b, e);
}
