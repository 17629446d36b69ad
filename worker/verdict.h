/* verdict: what becomes of a job when an attempt has ended: pure rules, no I/O.
 *
 *     ok                                -> succeeded
 *     failed, and is to be cancelled    -> cancelled
 *     came too late                     -> expired
 *     stopped by a draining worker      -> released: back to its queue, no row, attempt excused
 *     failed, retry cannot help         -> dead
 *     failed, attempts used up          -> dead
 *     failed otherwise                  -> retrying, after max(Retry-After, the policy's delay) */
#ifndef WORKER_VERDICT_H
#define WORKER_VERDICT_H

#include "queue/spec.h"

struct attempt_end {
    enum err err;
    bool released;  /* the worker is draining and ran out of time */
    bool cancelled; /* somebody asked for it, whether or not that is why it failed */
    uint32_t attempt, excused, max_attempts;
    int64_t retry_after_ms; /* asked for by the peer; -1: not */
    uint64_t retry_base_ms, retry_cap_ms;
    const struct retry_policy
        *retry; /* the job's own; NULL: exponential, the worker's figures */
};

enum verdict_kind {
    VERDICT_SUCCEEDED,
    VERDICT_DEAD,
    VERDICT_RETRY,
    VERDICT_RELEASE,
    VERDICT_CANCELLED,
    VERDICT_EXPIRED
};
struct verdict {
    enum verdict_kind kind;
    uint64_t delay_ms; /* VERDICT_RETRY */
};

struct verdict verdict_of(const struct attempt_end *end);
/* Attempts that count against the limit. */
uint32_t verdict_counted(uint32_t attempt, uint32_t excused);
enum job_state verdict_state(enum verdict_kind kind); /* not for VERDICT_RELEASE */

#endif
