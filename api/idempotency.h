/* idempotency: the Idempotency-Key of a request (draft-ietf-httpapi-idempotency-key-header), over queue/idem.h.
 *
 * The same key with the same method, path and body is answered the same again, with Idempotency-Replayed: true;
 * with others it is 422; while the first is under way, 409. Refused requests leave no trace. */
#ifndef API_IDEMPOTENCY_H
#define API_IDEMPOTENCY_H

#include "api/request.h"
#include "queue/idem.h"

struct idempotency {
    bool used; /* the request has a key; without one the functions below do nothing */
    struct idem idem;
    struct request *rq; /* that waits for its begin */
};

/* body: whole, or what stands for it. false: it is answered, the key breaks a rule. */
MUST_USE bool idempotency_read(struct request *rq, struct slice body, struct idempotency *ret);

/* go_on: i->idem.id is the id to enqueue under. Else the request is answered. */
typedef void idempotency_fn(void *arg, bool go_on);
/* id: proposed. Calls back exactly once, later. */
void idempotency_begin(struct request *rq, struct idempotency *i, const struct uuid *id,
                       idempotency_fn *cb, void *arg);
/* The request ends before the callback (streamed ones, whose client went away): it says go_on false, and nothing
 * is answered. */
void idempotency_forget(struct idempotency *i);
/* Before the answer is sent. location: NULL where it has none. */
void idempotency_done(const struct request *rq, const struct idempotency *i, unsigned status,
                      const char *location, struct slice body);
/* Instead of it. refused: for certain nothing was enqueued. */
void idempotency_undone(const struct request *rq, const struct idempotency *i, bool refused);

#endif
