/* POST /v1/jobs: check, encode, enqueue, 202.
 *
 *     check (api/recipe_flow.h) --Idempotency-Key--> begin --> enqueue --> reply
 *         \___________________________________________________/
 *
 * Where the check fails for a job that names recipes, its key is asked all the same: the request may have been
 * taken before, when a recipe that is gone by now was there.
 * The 202 goes out when Redis has confirmed; with the shipped redis.conf the job is then on disk. When Redis was
 * cut off in the middle nobody knows whether it took the job: 503 says so, and with a key the retry is safe. */
#include "api/api.h"
#include "api/endpoints/endpoints.h"
#include "api/idempotency.h"
#include "api/job_answer.h"
#include "api/recipe_flow.h"
#include "api/reply.h"
#include "api/verdict_reply.h"

struct post {
    struct request *rq;
    struct submission job;
    struct idempotency idem;
    struct recipe_flow recipes;
    struct spec_fault why;
    enum err refusal; /* what the check said against it; ERR_OK: nothing */
};

static void post_free(struct post *p)
{
    submission_done(&p->job);
    free(p);
}

static void reply_accepted(struct post *p, const struct fate *f)
{
    AUTO(buf_done) struct buf body = {0};
    char location[FATE_LOCATION_SIZE];
    struct reply r = {.status = fate_status(f), .content_type = "application/json"};

    fate_add_job(f, &body);
    r.body = buf_slice(&body);
    r.headers[r.n_headers++] = (struct reply_header){"location", fate_location(f, location)};
    if (f->verdict->again)
        r.headers[r.n_headers++] = (struct reply_header){"idempotency-replayed", "true"};
    idempotency_done(p->rq, &p->idem, r.status, location, r.body);
    /* Prefer: wait puts the answer off until the job has ended, or the time is over. */
    if (!job_answer_posted(p->rq, p->job.queue, &f->verdict->id))
        reply_send(p->rq, &r);
}

static void on_enqueued(void *arg, enum err e, const struct producer_verdict *v,
                        const struct fault *why)
{
    struct post *p = arg;
    const struct fate f = {.job = &p->job, .err = e, .verdict = v};

    (void)why;
    if (e == ERR_OK) {
        reply_accepted(p, &f);
    } else {
        idempotency_undone(p->rq, &p->idem, fate_is_refusal(&f));
        fate_reply_problem(p->rq, &f);
    }
    post_free(p);
}

static void enqueue(struct post *p)
{
    struct producer_job job = submission_job(&p->job);
    enum err e;

    if (p->idem.used) {
        job.once_ms = p->rq->api->opt->idempotency_ms;
        job.match = slice_of(p->idem.idem.print, HASH_LEN);
    }
    e = producer_submit(p->rq->api->producer, &job, on_enqueued, p);
    if (e == ERR_OK)
        return;
    idempotency_undone(p->rq, &p->idem, true);
    reply_unavailable(p->rq, "the queue cannot be reached", e);
    post_free(p);
}

static void refuse(struct post *p)
{
    fate_reply_problem(p->rq, &(struct fate){.err = p->refusal, .fault = &p->why});
    post_free(p);
}

static void on_begun(void *arg, bool go_on)
{
    struct post *p = arg;

    if (go_on && p->refusal != ERR_OK) {
        idempotency_undone(p->rq, &p->idem, true);
        refuse(p);
    } else if (go_on) {
        submission_rename(&p->job, &p->idem.idem.id);
        enqueue(p);
    } else {
        post_free(p);
    }
}

static void begin(struct post *p)
{
    struct request *rq = p->rq;

    if (!idempotency_read(rq, buf_slice(&rq->body), &p->idem)) {
        post_free(p);
    } else if (p->idem.used) {
        if (p->refusal != ERR_OK)
            p->job.id = uuid_v7();
        idempotency_begin(rq, &p->idem, &p->job.id, on_begun, p);
    } else if (p->refusal != ERR_OK) {
        refuse(p);
    } else {
        enqueue(p);
    }
}

static enum err check(void *arg, struct recipe_book *book)
{
    struct post *p = arg;

    return submission_parse_with(buf_slice(&p->rq->body), (unsigned)p->rq->api->opt->depth_max,
                                 book, &p->job, &p->why);
}

static void on_checked(void *arg, enum err e)
{
    struct post *p = arg;

    bool named = p->recipes.n > 0;

    recipe_flow_done(&p->recipes);
    p->refusal = e;
    if (e == ERR_OK || named)
        begin(p);
    else
        refuse(p);
}

static void on_away(void *arg, enum err e)
{
    struct post *p = arg;

    recipe_flow_done(&p->recipes);
    recipe_flow_unavailable(p->rq, e);
    post_free(p);
}

static void on_end(struct request *rq)
{
    static const struct recipe_user user = {check, on_checked, on_away};
    struct post *p;

    if (request_header(rq, "content-type").len > 0 &&
        !request_is_of_type(rq, "application/json")) {
        reply_problem(rq, 415, NULL, "the body must be application/json");
        return;
    }
    p = calloc(1, sizeof *p);
    if (p == NULL) {
        reply_problem(rq, 503, NULL, "no memory for the job");
        return;
    }
    p->rq = rq;
    recipe_flow_init(&p->recipes, rq->api, RECIPES_PER_JOB);
    recipe_flow_run(&p->recipes, &user, p);
}

const struct endpoint endpoint_jobs_post = {
    .method = "POST", .pattern = "/v1/jobs", .body = BODY_BUFFERED, .on_end = on_end};
