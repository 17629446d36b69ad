/* GET /v1/jobs/{id}: live state from Redis, else the record from PostgreSQL; with Prefer: wait=N when
 * the job has ended, or after N seconds. */
#include "api/endpoints/endpoints.h"
#include "api/job_answer.h"
#include "api/reply.h"

static void on_end(struct request *rq)
{
    struct uuid id;

    if (uuid_parse(rq->params[0], &id))
        job_answer(rq, &id);
    else
        reply_problem(rq, 404, NULL, "there is no such job: an id is a UUID");
}

const struct endpoint endpoint_job_get = {
    .method = "GET", .pattern = "/v1/jobs/{id}", .on_end = on_end};
