/* submission: a job as a user writes it in JSON, made into an envelope: for the API and the
 * command line alike.
 *
 *     {"type": "image", "args": {…}, "queue"?, "priority"?, "max_attempts"?, "timeout_ms"?, "delay_ms"?, "then"?}
 *
 * Everything is checked here: the JSON, the fields, the args against the type (queue/spec.h), the
 * follow-ups, the size of the envelope. A fault names the field by JSON pointer ("" when the JSON itself is at fault). */
#ifndef QUEUE_SUBMISSION_H
#define QUEUE_SUBMISSION_H

#include "queue/producer.h"
#include "queue/spec.h"

#define SUBMISSION_DELAY_MAX 31536000000u /* a year */

struct submission {
    struct uuid id; /* new */
    const struct spec_type *type;
    char queue[JOB_NAME_MAX + 1];
    enum job_priority priority;
    uint64_t delay_ms;
    struct buf item; /* encoded; freed by submission_done() */
};

/* ERR_MALFORMED: the JSON or a field; ERR_TOO_BIG: the envelope; ERR_NOMEM. On failure nothing is left to free. */
MUST_USE enum err submission_parse(struct slice json, unsigned max_depth,
                                   struct submission *ret, struct spec_fault *reterr);
void submission_done(struct submission *s);
/* What the producer takes; borrows from s. */
struct producer_job submission_job(const struct submission *s);

#endif
