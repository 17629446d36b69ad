/* job_answer: a request is answered with how a job stands: live from Redis, else from PostgreSQL.
 *
 *     look (Redis) --not live--> recall (PostgreSQL) --no row--> 404
 *        \--lives, and Prefer: wait--> wait --ended--> 200
 *                                        \--not yet--> look, once more
 *
 * In this order a job cannot be missed: its row is written before it leaves Redis. While Redis is away
 * a recorded, ended job is still told. */
#ifndef API_JOB_ANSWER_H
#define API_JOB_ANSWER_H

#include "api/api.h"
#include "api/request.h"

/* GET: 200, 404, 503. */
void job_answer(struct request *rq, const struct uuid *id);
/* After an enqueue into queue: gives false, and does nothing, unless the request waits. 200 when the job has ended
 * in time, else 202; both with Location. */
bool job_answer_posted(struct request *rq, const char *queue, const struct uuid *id);

#endif
