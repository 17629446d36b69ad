/* POST /v1/jobs/{id}/retry: runs one job again that is dead, cancelled or expired, as it was or edited.
 * POST /v1/jobs/retry: many, by filter, perhaps spread over time; or only counted.
 *
 * check (of an edit: api/recipe_flow.h) -> redrive (queue/redrive.h) -> reply. */
#include "api/api.h"
#include "api/body_json.h"
#include "api/by_id.h"
#include "api/endpoints/endpoints.h"
#include "api/recipe_flow.h"
#include "api/reply.h"
#include "queue/redrive.h"
#include "queue/spec/walk.h"

#define LIMIT_DEFAULT 1000

static struct redrive_parts parts_of(const struct api *api)
{
    return (struct redrive_parts){
        .redis = api->redis, .pg = api->pg, .producer = api->producer};
}

/* --- one ------------------------------------------------------------------------------------- */

struct retry_one {
    struct request *rq;
    struct uuid id;
    struct body_json body;
    struct recipe_flow recipes;
    struct redrive_edit edit;
    struct spec_fault why;
};

static void retry_one_free(struct retry_one *r)
{
    recipe_flow_done(&r->recipes);
    body_json_done(&r->body);
    free(r);
}

static void reply_redriven(struct request *rq, const struct uuid *id,
                           const struct redrive_result *result)
{
    char text[UUID_TEXT_SIZE], location[sizeof text + 16], body[320];
    int n;

    (void)snprintf(location, sizeof location, "/v1/jobs/%s", uuid_text(id, text));
    n = snprintf(
        body, sizeof body,
        "{\"id\":\"%s\",\"state\":\"%s\",\"queue\":\"%s\",\"attempt\":%u,\"url\":\"%s\"}", text,
        job_state_name(result->state), result->queue, result->attempt, location);
    reply_send(rq, &(struct reply){.status = 202,
                                   .content_type = "application/json",
                                   .body = slice_of(body, (size_t)n),
                                   .headers = {{"location", location}},
                                   .n_headers = 1});
}

static void on_redriven(void *arg, const struct redrive_result *result)
{
    struct retry_one *r = arg;

    if (result->err == ERR_OK)
        reply_redriven(r->rq, &r->id, result);
    else if (result->err == ERR_NOT_FOUND)
        reply_problem(r->rq, 404, NULL, "there is no such job");
    else if (result->err == ERR_STALE || result->err == ERR_BUSY)
        reply_problem(r->rq, 409, NULL, "%s; only dead, cancelled and expired jobs run again",
                      result->why.text);
    else if (result->err == ERR_MALFORMED)
        reply_problem(r->rq, 422, result->pointer, "%s %s", result->pointer, result->why.text);
    else
        reply_unavailable(r->rq, "the job cannot be run again now", result->err);
    retry_one_free(r);
}

static void redrive(struct retry_one *r, const struct redrive_edit *edit)
{
    struct redrive_parts parts = parts_of(r->rq->api);
    enum err e = redrive_job(&parts, &r->id, edit, on_redriven, r);

    if (e == ERR_OK)
        return;
    reply_unavailable(r->rq, "the job cannot be run again now", e);
    retry_one_free(r);
}

static enum err check_edit(void *arg, struct recipe_book *book)
{
    struct retry_one *r = arg;
    enum err e = body_json_again(&r->body);

    if (e != ERR_OK)
        (void)spec_fault_set(&r->why, "", "no memory for the request");
    return e != ERR_OK
               ? e
               : redrive_edit_parse(&r->body.root, book, &r->body.zone, &r->edit, &r->why);
}

static void on_checked(void *arg, enum err e)
{
    struct retry_one *r = arg;

    if (e == ERR_OK) {
        redrive(r, &r->edit);
        return;
    }
    if (e == ERR_NOMEM)
        reply_problem(r->rq, 503, NULL, "%s", r->why.text);
    else if (e == ERR_TOO_BIG)
        reply_problem(r->rq, 413, NULL, "%s", r->why.text);
    else
        body_json_refuse(r->rq, &r->why);
    retry_one_free(r);
}

static void on_away(void *arg, enum err e)
{
    struct retry_one *r = arg;

    recipe_flow_unavailable(r->rq, e);
    retry_one_free(r);
}

/* Of an empty body nothing is to be other. */
static void retry_one(struct request *rq)
{
    static const struct recipe_user user = {check_edit, on_checked, on_away};
    struct retry_one *r;
    struct uuid id;

    if (!by_id_read(rq, "job", &id))
        return;
    r = calloc(1, sizeof *r);
    if (r == NULL) {
        reply_problem(rq, 503, NULL, "no memory for the request");
        return;
    }
    r->rq = rq;
    r->id = id;
    recipe_flow_init(&r->recipes, rq->api, RECIPES_PER_JOB);
    if (rq->body.len == 0) {
        redrive(r, NULL);
    } else if (!body_json_read(rq, &r->body)) {
        retry_one_free(r);
    } else {
        recipe_flow_run(&r->recipes, &user, r);
    }
}

/* --- many ------------------------------------------------------------------------------------ */

struct retry_many {
    struct request *rq;
    struct body_json body;
    struct redrive_many what;
    char queue[JOB_NAME_MAX + 1], type[JOB_NAME_MAX + 1], state[16], error[32];
};

static void retry_many_free(struct retry_many *r)
{
    body_json_done(&r->body);
    free(r);
}

#define TAKE(name)                                                                          \
    static enum err take_##name(void *out, const msgpack_object *v, const struct place *at, \
                                struct spec_fault *ret)

TAKE(queue)
{
    struct retry_many *r = out;
    struct slice name;
    enum err e = walk_name(v, &name, at, ret);

    if (e == ERR_OK && slice_to_cstr(name, r->queue, sizeof r->queue))
        r->what.filter.queue = r->queue;
    return e;
}

TAKE(type)
{
    struct retry_many *r = out;
    struct slice name;
    enum err e = walk_name(v, &name, at, ret);

    if (e == ERR_OK && slice_to_cstr(name, r->type, sizeof r->type))
        r->what.filter.type = r->type;
    return e;
}

TAKE(state)
{
    static const struct walk_word words[] = {
        {"dead", JOB_DEAD}, {"cancelled", JOB_CANCELLED}, {"expired", JOB_EXPIRED}};
    struct retry_many *r = out;
    int state = JOB_DEAD;
    enum err e = walk_word(v, (struct walk_words){words, COUNT_OF(words), COUNT_OF(words)},
                           &state, at, ret);

    (void)snprintf(r->state, sizeof r->state, "%s", job_state_name((enum job_state)state));
    r->what.filter.state = r->state;
    return e;
}

TAKE(error)
{
    struct retry_many *r = out;
    struct slice name;
    enum err e = walk_line(v, sizeof r->error - 1, &name, at, ret);

    if (e == ERR_OK && slice_to_cstr(name, r->error, sizeof r->error))
        r->what.filter.error = r->error;
    return e;
}

TAKE(batch)
{
    struct retry_many *r = out;

    if (v->type != MSGPACK_OBJECT_STR || !uuid_parse(mp_as_slice(v), &r->what.filter.batch))
        return walk_fault(at, ret, "must be a UUID");
    r->what.filter.has_batch = true;
    return ERR_OK;
}

TAKE(filter)
{
    static const struct walk_field fields[] = {{"state", take_state, true},
                                               {"queue", take_queue, false},
                                               {"type", take_type, false},
                                               {"error", take_error, false},
                                               {"batch", take_batch, false}};

    return walk_map(v, WALK_TABLE(fields), out, at, ret);
}

TAKE(limit)
{
    struct retry_many *r = out;

    return walk_uint(v, 1, REDRIVE_LIMIT_MAX, &r->what.limit, at, ret);
}

TAKE(per_second)
{
    struct retry_many *r = out;
    double n = 0;

    if (v->type == MSGPACK_OBJECT_POSITIVE_INTEGER)
        n = (double)v->via.u64;
    else if (v->type == MSGPACK_OBJECT_FLOAT64)
        n = v->via.f64;
    if (!(n >= 0.001 && n <= 1e6))
        return walk_fault(at, ret, "must be a number from 0.001 to 1000000");
    r->what.per_second = n;
    return ERR_OK;
}

TAKE(dry_run)
{
    struct retry_many *r = out;

    return walk_bool(v, &r->what.dry_run, at, ret);
}

static const struct walk_field many_fields[] = {
    {"filter", take_filter, true},
    {"limit", take_limit, false},
    {"per_second", take_per_second, false},
    {"dry_run", take_dry_run, false},
};

static void on_many(void *arg, const struct redrive_many_result *result)
{
    AUTO(buf_done) struct buf out = {0};
    struct retry_many *r = arg;

    if (result->err != ERR_OK && result->n == 0) {
        reply_unavailable(r->rq, "the jobs cannot be run again now", result->err);
    } else {
        buf_addf(&out, "{\"%s\":%zu,\"more\":%s", r->what.dry_run ? "matched" : "redriven",
                 result->n, result->more ? "true" : "false");
        if (result->err != ERR_OK)
            buf_addf(&out, ",\"error\":\"%s\"", err_name(result->err));
        buf_add_char(&out, '}');
        reply_json(r->rq, 200, &out);
    }
    retry_many_free(r);
}

static void retry_many(struct request *rq)
{
    struct redrive_parts parts = parts_of(rq->api);
    struct place at = place_root("");
    struct retry_many *r = calloc(1, sizeof *r);
    struct spec_fault why;
    enum err e;

    if (r == NULL) {
        reply_problem(rq, 503, NULL, "no memory for the request");
        return;
    }
    r->rq = rq;
    r->what.limit = LIMIT_DEFAULT;
    if (!body_json_read(rq, &r->body)) {
        retry_many_free(r);
        return;
    }
    if (walk_map(&r->body.root, WALK_TABLE(many_fields), r, &at, &why) != ERR_OK) {
        body_json_refuse(rq, &why);
        retry_many_free(r);
        return;
    }
    e = redrive_many(&parts, &r->what, on_many, r);
    if (e == ERR_OK)
        return;
    reply_unavailable(rq, "the jobs cannot be run again now", e);
    retry_many_free(r);
}

const struct endpoint endpoint_job_retry = {.method = "POST",
                                            .pattern = "/v1/jobs/{id}/retry",
                                            .body = BODY_BUFFERED,
                                            .on_end = retry_one};
const struct endpoint endpoint_jobs_retry = {
    .method = "POST", .pattern = "/v1/jobs/retry", .body = BODY_BUFFERED, .on_end = retry_many};
