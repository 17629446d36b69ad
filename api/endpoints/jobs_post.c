/* POST /v1/jobs: check, encode, enqueue, 202.
 *
 *     parse -> enqueue -> reply
 *      ^  \--a recipe that is not at hand--> fetch --+
 *      +---------------------------------------------+
 *
 * The 202 goes out when Redis has confirmed; with the shipped redis.conf the
 * job is then on disk. When Redis was cut off in the middle nobody knows whether it took the job: 503 says so. */
#include "api/api.h"
#include "api/endpoints/endpoints.h"
#include "api/recipes.h"
#include "api/reply.h"
#include "queue/submission.h"

#define FETCHES_MAX 32 /* recipes that one job may name */

struct post {
    struct request *rq;
    struct submission job;
    struct recipe_book book;
    struct spec_fault why;
    unsigned fetches;
};

static void reply_accepted(struct request *rq, const struct submission *s)
{
    char id[UUID_TEXT_SIZE], location[sizeof id + 16], body[512];
    int n;

    (void)uuid_text(&s->id, id);
    (void)snprintf(location, sizeof location, "/v1/jobs/%s", id);
    n = snprintf(body, sizeof body,
                 "{\"id\":\"%s\",\"state\":\"%s\",\"type\":\"%s\",\"queue\":\"%s\","
                 "\"priority\":\"%s\",\"url\":\"%s\"}",
                 id, job_state_name(submission_state(s)), s->type->name, s->queue,
                 job_priority_name(s->priority), location);
    reply_send(rq, &(struct reply){.status = 202,
                                   .content_type = "application/json",
                                   .body = slice_of(body, (size_t)n),
                                   .headers = {{"location", location}},
                                   .n_headers = 1});
}

static void on_enqueued(void *arg, enum err e, const struct fault *why)
{
    struct post *p = arg;

    (void)why;
    if (e == ERR_OK)
        reply_accepted(p->rq, &p->job);
    else if (e == ERR_UNREACHABLE || e == ERR_TIMEOUT)
        reply_unavailable(
            p->rq, "the queue was cut off while it took the job; it may have been taken", e);
    else
        reply_unavailable(p->rq, "the queue does not take jobs now", e);
    submission_done(&p->job);
    free(p);
}

static void refuse(struct request *rq, enum err e, const struct spec_fault *why)
{
    if (e == ERR_NOMEM)
        reply_problem(rq, 503, NULL, "%s", why->text);
    else if (e == ERR_TOO_BIG)
        reply_problem(rq, 413, NULL, "%s", why->text);
    else if (why->pointer[0] == '\0')
        reply_problem(rq, 400, NULL, "%s", why->text);
    else
        reply_problem(rq, 422, why->pointer, "%s %s", why->pointer, why->text);
}

static void enqueue(struct post *p)
{
    struct request *rq = p->rq;
    struct producer_job job = submission_job(&p->job);
    enum err e = producer_enqueue(rq->api->producer, &job, on_enqueued, p);

    if (e == ERR_OK)
        return;
    submission_done(&p->job);
    free(p);
    reply_unavailable(rq, "the queue cannot be reached", e);
}

static void parse(struct post *p);

static void on_fetched(void *arg, enum err e)
{
    struct post *p = arg;
    struct request *rq = p->rq;

    if (e == ERR_OK) {
        parse(p);
        return;
    }
    if (e == ERR_NOT_FOUND)
        refuse(rq, ERR_MALFORMED, &p->why);
    else
        reply_unavailable(rq, "recipes cannot be looked up", e);
    free(p);
}

static void fetch(struct post *p)
{
    struct api *api = p->rq->api;
    enum err e = p->fetches++ < FETCHES_MAX
                     ? recipes_fetch(api->recipes, api->pg, &p->book.wanted, on_fetched, p)
                     : ERR_NOT_FOUND;

    if (e == ERR_NOT_FOUND)
        (void)snprintf(p->why.text, sizeof p->why.text, "more than %d recipes in one job",
                       FETCHES_MAX);
    if (e != ERR_OK)
        on_fetched(p, e);
}

static void parse(struct post *p)
{
    struct request *rq = p->rq;
    enum err e = submission_parse_with(buf_slice(&rq->body), (unsigned)rq->api->opt->depth_max,
                                       &p->book, &p->job, &p->why);

    if (e == ERR_OK) {
        enqueue(p);
    } else if (e == ERR_NOT_FOUND) {
        fetch(p);
    } else {
        refuse(rq, e, &p->why);
        free(p);
    }
}

static void on_end(struct request *rq)
{
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
    p->book = (struct recipe_book){.find = recipes_find, .arg = rq->api->recipes};
    parse(p);
}

const struct endpoint endpoint_jobs_post = {
    .method = "POST", .pattern = "/v1/jobs", .body = BODY_BUFFERED, .on_end = on_end};
