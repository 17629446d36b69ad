/* GET /v1/jobs/{id}: live state from Redis, else the record from PostgreSQL; with Prefer: wait=N when
 * the job has ended, or after N seconds. */
#include "api/by_id.h"
#include "api/endpoints/endpoints.h"
#include "api/job_answer.h"

static void on_end(struct request *rq)
{
    struct uuid id;

    if (by_id_read(rq, "job", &id))
        job_answer(rq, &id);
}

const struct endpoint endpoint_job_get = {
    .method = "GET", .pattern = "/v1/jobs/{id}", .on_end = on_end};
