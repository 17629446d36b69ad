/* POST /v1/jobs/cancel: ends many live jobs of one queue before their time; or only counts them. */
#include "api/api.h"
#include "api/body_json.h"
#include "api/endpoints/endpoints.h"
#include "api/reply.h"
#include "queue/cancel_many.h"
#include "queue/spec/walk.h"

#define LIMIT_DEFAULT 1000

struct cancel {
    struct request *rq;
    struct body_json body;
    struct cancel_many what;
    char queue[JOB_NAME_MAX + 1], type[JOB_NAME_MAX + 1];
};

static void cancel_free(struct cancel *c)
{
    body_json_done(&c->body);
    free(c);
}

#define TAKE(name)                                                                          \
    static enum err take_##name(void *out, const msgpack_object *v, const struct place *at, \
                                struct spec_fault *ret)

TAKE(queue)
{
    struct cancel *c = out;
    struct slice name;
    enum err e = walk_name(v, &name, at, ret);

    if (e == ERR_OK && slice_to_cstr(name, c->queue, sizeof c->queue))
        c->what.queue = c->queue;
    return e;
}

TAKE(type)
{
    struct cancel *c = out;
    struct slice name;
    enum err e = walk_name(v, &name, at, ret);

    if (e == ERR_OK && slice_to_cstr(name, c->type, sizeof c->type))
        c->what.type = c->type;
    return e;
}

TAKE(state)
{
    static const struct walk_word words[] = {{"queued", JOB_QUEUED},
                                             {"scheduled", JOB_SCHEDULED},
                                             {"retrying", JOB_RETRYING},
                                             {"running", JOB_RUNNING}};
    struct cancel *c = out;
    int state = JOB_QUEUED;
    enum err e = walk_word(v, (struct walk_words){words, COUNT_OF(words), COUNT_OF(words)},
                           &state, at, ret);

    c->what.state = (enum job_state)state;
    return e;
}

TAKE(filter)
{
    static const struct walk_field fields[] = {
        {"queue", take_queue, true}, {"state", take_state, true}, {"type", take_type, false}};

    return walk_map(v, WALK_TABLE(fields), out, at, ret);
}

TAKE(limit)
{
    struct cancel *c = out;

    return walk_uint(v, 1, CANCEL_MANY_MAX, &c->what.limit, at, ret);
}

TAKE(dry_run)
{
    struct cancel *c = out;

    return walk_bool(v, &c->what.dry_run, at, ret);
}

static const struct walk_field fields[] = {
    {"filter", take_filter, true},
    {"limit", take_limit, false},
    {"dry_run", take_dry_run, false},
};

static void on_done(void *arg, const struct cancel_many_result *r)
{
    AUTO(buf_done) struct buf out = {0};
    struct cancel *c = arg;

    if (r->err != ERR_OK && r->done + r->requested == 0) {
        reply_unavailable(c->rq, "the jobs cannot be cancelled now", r->err);
    } else {
        buf_addf(&out, "{\"matched\":%zu,\"done\":%zu,\"requested\":%zu,\"more\":%s",
                 r->matched, r->done, r->requested, r->more ? "true" : "false");
        if (r->err != ERR_OK)
            buf_addf(&out, ",\"error\":\"%s\"", err_name(r->err));
        buf_add_char(&out, '}');
        reply_json(c->rq, 200, &out);
    }
    cancel_free(c);
}

static void on_end(struct request *rq)
{
    struct cancel *c = calloc(1, sizeof *c);
    struct place at = place_root("");
    struct spec_fault why;
    enum err e;

    if (c == NULL) {
        reply_problem(rq, 503, NULL, "no memory for the request");
        return;
    }
    c->rq = rq;
    c->what.limit = LIMIT_DEFAULT;
    if (!body_json_read(rq, &c->body)) {
        cancel_free(c);
        return;
    }
    if (walk_map(&c->body.root, WALK_TABLE(fields), c, &at, &why) != ERR_OK) {
        body_json_refuse(rq, &why);
        cancel_free(c);
        return;
    }
    e = cancel_many(rq->api->redis, &c->what, on_done, c);
    if (e == ERR_OK)
        return;
    reply_unavailable(rq, "the jobs cannot be cancelled now", e);
    cancel_free(c);
}

const struct endpoint endpoint_jobs_cancel = {
    .method = "POST", .pattern = "/v1/jobs/cancel", .body = BODY_BUFFERED, .on_end = on_end};
