/* POST /v1/jobs/batch: many jobs in one request, as application/json or application/x-ndjson. */
#include "api/api.h"
#include "api/endpoints/batch.h"
#include "api/endpoints/endpoints.h"
#include "api/reply.h"

static bool is_lines(const struct request *rq)
{
    return request_is_of_type(rq, "application/x-ndjson") ||
           request_is_of_type(rq, "application/ndjson") ||
           request_is_of_type(rq, "application/jsonl");
}

static void limits(const struct request *rq, struct body_limits *ret)
{
    const struct api_options *opt = rq->api->opt;

    if (is_lines(rq))
        *ret =
            (struct body_limits){.max = UINT64_MAX,
                                 .ms = opt->body_ms,
                                 .by_pieces = true,
                                 .too_big = "",
                                 .too_slow = "nothing was sent for longer than BODY_TIMEOUT"};
    else
        *ret =
            (struct body_limits){.max = opt->batch_body_max,
                                 .ms = opt->body_ms,
                                 .gather = true,
                                 .too_big = "the body is larger than BATCH_BODY_MAX",
                                 .too_slow = "the request body took longer than BODY_TIMEOUT"};
}

static void begin(struct request *rq)
{
    if (is_lines(rq))
        batch_lines_begin(rq);
    else if (request_header(rq, "content-type").len > 0 &&
             !request_is_of_type(rq, "application/json"))
        reply_problem(rq, 415, NULL,
                      "the body must be application/json or application/x-ndjson");
}

static void on_end(struct request *rq)
{
    if (is_lines(rq))
        batch_lines_end(rq);
    else
        batch_json_end(rq);
}

/* A document's bytes are freed with the connection. */
static void on_abort(struct request *rq)
{
    if (is_lines(rq))
        batch_lines_abort(rq);
}

const struct endpoint endpoint_batch_post = {
    .method = "POST",
    .pattern = "/v1/jobs/batch",
    .body = BODY_STREAMED,
    .limits = limits,
    .begin = begin,
    .on_body = batch_lines_body,
    .on_end = on_end,
    .on_abort = on_abort,
};
