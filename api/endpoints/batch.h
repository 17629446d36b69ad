/* batch: the two forms of POST /v1/jobs/batch: a JSON document, answered as a whole, and a stream of lines. */
#ifndef API_ENDPOINTS_BATCH_H
#define API_ENDPOINTS_BATCH_H

#include "api/request.h"

/* {"jobs": [...], "atomic"?: bool}: at most BATCH_JOBS, BATCH_BODY_MAX. */
void batch_json_end(struct request *rq);

/* NDJSON: a job a line, any number of lines, a verdict a line. */
void batch_lines_begin(struct request *rq);
bool batch_lines_body(struct request *rq, struct slice piece);
void batch_lines_end(struct request *rq);
void batch_lines_abort(struct request *rq);

#endif
