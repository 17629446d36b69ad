/* idem: what came of the request that carried an Idempotency-Key, for as long as it is kept.
 *
 *     begin --BEGIN, or RESUME (its first bearer died or was cut off)--> enqueue under the id that it told --> done
 *        |                                                                      \--refused--> drop, or open
 *        \--ANSWERED: say it again; BUSY: somebody is at it; OTHER: not the same request
 *
 * The id is chosen once and kept by the key, so that whoever goes on enqueues under the same id, with
 * producer_job.once_ms: then there is one job, however many try, at once or much later, and wherever they
 * died before. PostgreSQL is not needed for that.
 * After a refusal on BEGIN nothing of the request is anywhere, so the key is dropped; in all other cases without
 * an answer it is opened: free to be gone on with, under its id. */
#ifndef QUEUE_IDEM_H
#define QUEUE_IDEM_H

#include "shared/hash.h"
#include "shared/redis.h"
#include "shared/uuid.h"

#define IDEM_KEY_MAX 255 /* printable ASCII characters of a key */

struct idem {
    uint8_t key[HASH_LEN];   /* of the key */
    uint8_t print[HASH_LEN]; /* of the request: another one must not use the key */
    struct uuid id;          /* proposed before begin; chosen after it */
    uint64_t begun;          /* a token, set by BEGIN and RESUME */
    bool resumed;
};
/* false: the key breaks the rule. Surrounding quotes are not part of it (RFC 8941 strings). */
MUST_USE bool idem_key(struct slice key, struct idem *ret);

enum idem_verdict { IDEM_BEGIN, IDEM_RESUME, IDEM_ANSWERED, IDEM_BUSY, IDEM_OTHER };
struct idem_told {
    enum idem_verdict verdict;
    struct uuid id;
    uint64_t begun;
    unsigned status;   /* ANSWERED */
    struct slice body; /* ANSWERED; borrowed for the call */
    uint64_t wait_ms;  /* BUSY: until it may be taken over */
};
typedef void idem_fn(void *arg, enum err e, const struct idem_told *told);

struct idem_times {
    uint64_t keep_ms, takeover_ms;
};
MUST_USE enum err idem_begin(struct redis *r, const struct idem *i, const struct idem_times *t,
                             idem_fn *cb, void *arg);
/* These are not waited for: should one be lost, the key is gone on with later, to the same end. */
void idem_done(struct redis *r, const struct idem *i, unsigned status, struct slice body);
/* refused: for certain nothing was enqueued by this call. */
void idem_undone(struct redis *r, const struct idem *i, bool refused);

#endif
