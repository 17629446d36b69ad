/* job: a job as users write it: the request's body, an entry of `then`, an entry of `chain`. One
 * table says which fields each of them may have.
 *
 * What it fills points into the message. Follow-ups are checked to their leaves, so that a job
 * that is taken can be followed. */
#ifndef QUEUE_SPEC_JOB_H
#define QUEUE_SPEC_JOB_H

#include "queue/spec/walk.h"

enum spec_role {
    SPEC_SUBMITTED, /* the whole request */
    SPEC_FOLLOW_UP, /* an entry of `then` */
    SPEC_LINK,      /* an entry of `chain` */
    SPEC_EDIT, /* what is to be other when a job runs again: no type, nothing is required */
};

/* *ret is filled with the defaults first. */
MUST_USE enum err spec_job_parse(const msgpack_object *o, enum spec_role role,
                                 const struct place *at, struct spec_job *ret,
                                 struct spec_fault *reterr);

#endif
