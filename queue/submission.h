/* submission: a job as a user writes it in JSON, made into an envelope: for the API and the
 * command line alike.
 *
 *     {"type": "image", "args": {…}, "queue"?, "priority"?, "key"?, "max_attempts"?, "timeout_ms"?, "retry"?,
 *      "delay_ms"? or "run_at"?, "expires_in_ms"? or "expires_at"?, "unique"?, "then"?, "chain"?}
 *
 * Everything is checked here: the JSON, the fields, the args against the type (queue/spec.h), the
 * follow-ups, the size of the envelope. A fault names the field by JSON pointer ("" when the JSON itself is at fault). */
#ifndef QUEUE_SUBMISSION_H
#define QUEUE_SUBMISSION_H

#include "queue/producer.h"
#include "queue/recipe.h"
#include "queue/spec.h"

struct submission {
    struct uuid id; /* new */
    const struct spec_type *type;
    char queue[JOB_NAME_MAX + 1];
    enum job_priority priority;
    uint64_t due_ms;              /* Unix ms; 0: now */
    char unique[JOB_KEY_MAX + 1]; /* "": none */
    uint64_t unique_window_ms;    /* 0: for as long as the job lives */
    enum unique_policy unique_policy;
    struct buf item; /* encoded; freed by submission_done() */
};

/* ERR_MALFORMED: the JSON or a field; ERR_TOO_BIG: the envelope; ERR_NOMEM. On failure nothing is left to free. */
MUST_USE enum err submission_parse(struct slice json, unsigned max_depth,
                                   struct submission *ret, struct spec_fault *reterr);
/* The same from the JSON as msgpack (shared/json.h). */
MUST_USE enum err submission_unpack(struct slice packed, struct submission *ret,
                                    struct spec_fault *reterr);
/* The same, for jobs that may name recipes (NULL: they may not). ERR_NOT_FOUND: the book has not at hand what it wants: when
 * that has been found elsewhere and put into it, the same call is to be made again. */
MUST_USE enum err submission_parse_with(struct slice json, unsigned max_depth,
                                        struct recipe_book *book, struct submission *ret,
                                        struct spec_fault *reterr);
MUST_USE enum err submission_unpack_with(struct slice packed, struct recipe_book *book,
                                         struct submission *ret, struct spec_fault *reterr);
void submission_done(struct submission *s);
/* Under another id. */
void submission_rename(struct submission *s, const struct uuid *id);
/* As one of a batch. ERR_NOMEM, ERR_TOO_BIG. */
MUST_USE enum err submission_join(struct submission *s, const struct uuid *batch);
/* Queued or scheduled, as it will be once it is taken now. */
enum job_state submission_state(const struct submission *s);
/* What the producer takes; borrows from s. */
struct producer_job submission_job(const struct submission *s);

#endif
