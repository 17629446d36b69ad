/* verdict_reply: what became of a submitted job, as JSON: for the answer to one, and for each of many. */
#ifndef API_VERDICT_REPLY_H
#define API_VERDICT_REPLY_H

#include "api/request.h"
#include "queue/submission.h"

/* A job's fate: the submission's own fault, or what the producer said. */
struct fate {
    const struct submission *job; /* NULL: it was not one */
    enum err err;
    const struct producer_verdict *verdict; /* NULL: Redis has not judged */
    const struct spec_fault *fault;         /* the submission's; NULL: it was good */
};

unsigned fate_status(const struct fate *f);
/* For certain nothing was enqueued. */
bool fate_is_refusal(const struct fate *f);
/* "/v1/jobs/<id>" of the job that is there now. */
#define FATE_LOCATION_SIZE (UUID_TEXT_SIZE + 16)
const char *fate_location(const struct fate *f, char dst[FATE_LOCATION_SIZE]);
/* The whole answer: {"id", "state", "type", "queue", "priority", "url"}, with "kept" or "replaced": true. */
void fate_add_job(const struct fate *f, struct buf *out);
/* Members for a list: "status":…,"id":… or "status":…,"error":{"detail":…,…}, without braces. */
void fate_add_members(const struct fate *f, struct buf *out);
/* Answers a refused or failed one as a problem. */
void fate_reply_problem(struct request *rq, const struct fate *f);

#endif
