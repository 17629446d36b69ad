#include "api/body_json.h"

#include "api/api.h"
#include "api/reply.h"
#include "shared/json.h"

void body_json_done(struct body_json *b)
{
    if (b->has_zone)
        msgpack_zone_destroy(&b->zone);
    buf_done(&b->packed);
}

static enum err parse(struct body_json *b, struct fault *reterr)
{
    struct mp_limits limits = {
        .max_depth = JOB_DEPTH_MAX, .max_items = JOB_VALUES_MAX, .max_bytes = JOB_ITEM_MAX};

    return mp_parse(buf_slice(&b->packed), &limits, &b->zone, &b->root, reterr);
}

enum err body_json_again(struct body_json *b)
{
    msgpack_zone_clear(&b->zone);
    return parse(b, NULL);
}

bool body_json_read(struct request *rq, struct body_json *b)
{
    struct fault why;

    if (request_header(rq, "content-type").len > 0 &&
        !request_is_of_type(rq, "application/json")) {
        reply_problem(rq, 415, NULL, "the body must be application/json");
        return false;
    }
    if (json_to_msgpack(buf_slice(&rq->body), (unsigned)rq->api->opt->depth_max, &b->packed,
                        &why) != ERR_OK) {
        reply_problem(rq, 400, NULL, "%s", why.text);
        return false;
    }
    b->has_zone = msgpack_zone_init(&b->zone, 1024);
    if (!b->has_zone) {
        reply_problem(rq, 503, NULL, "no memory for the request");
        return false;
    }
    if (parse(b, &why) != ERR_OK) {
        reply_problem(rq, why.err == ERR_TOO_BIG ? 413 : 400, NULL, "%s", why.text);
        return false;
    }
    return true;
}

void body_json_refuse(struct request *rq, const struct spec_fault *why)
{
    reply_problem(rq, 422, why->pointer, "%s %s", why->pointer, why->text);
}
