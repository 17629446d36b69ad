/* spec: the job types and what their args may hold: one table, used by the API before it takes a
 * job, by the worker before it runs one (other programs enqueue too), and by the renderer.
 *
 * A fault names the wrong field by a JSON pointer from the job's root ("/args/outputs/0/format")
 * and the rule that it breaks. Unknown fields are faults. */
#ifndef QUEUE_SPEC_H
#define QUEUE_SPEC_H

#include "queue/job.h"

struct spec_fault {
    char pointer[160];
    char text[200];
};
/* Fills *ret (may be NULL) and gives ERR_MALFORMED. */
enum err spec_fault_set(struct spec_fault *ret, const char *pointer, const char *fmt, ...)
    PRINTF_LIKE(3, 4);

typedef enum err spec_check_fn(const msgpack_object *args, const char *at,
                               struct spec_fault *ret);

struct spec_type {
    const char *name;          /* "image" */
    const char *default_queue; /* "image"; webhook and email: "notify"; noop: "default" */
    uint32_t default_max_attempts, default_timeout_ms;
    spec_check_fn *check; /* at: pointer of args, "/args" or "/then/0/args" */
};
const struct spec_type *spec_find(const char *type); /* NULL: no such type */
const struct spec_type *spec_table(size_t *ret_n);

/* --- how long to wait between attempts ---------------------------------------------------------
 *     {"policy"?: "exponential" (default) | "fixed" | "list", "base_ms"?, "cap_ms"?,
 *      "jitter_pct"?: 0..100 (default 50), "delays_ms"?: [1..32 of 0..604800000]}
 * exponential: base_ms * 2^n, at most cap_ms; fixed: base_ms each time; list: one after the other,
 * the last again and again. base_ms and cap_ms left out: the worker's own. jitter_pct: so much of the
 * delay is left to chance, downwards: 50 gives something between half and the whole. */
#define SPEC_RETRY_DELAY_MAX  604800000u
#define SPEC_RETRY_DELAYS_MAX 32
enum retry_kind { RETRY_EXPONENTIAL, RETRY_FIXED, RETRY_LIST };
struct retry_policy {
    enum retry_kind kind;
    uint32_t base_ms, cap_ms; /* 0: the worker's own */
    uint32_t jitter_pct;
    uint32_t delays_ms[SPEC_RETRY_DELAYS_MAX];
    size_t n_delays;
};
struct place;
MUST_USE enum err spec_retry_parse(const msgpack_object *o, const struct place *at,
                                   struct retry_policy *ret, struct spec_fault *reterr);

/* --- a job as users write it (queue/spec/job.h) ------------------------------------------------- */
#define SPEC_DELAY_MAX 31536000000u /* a year */
/* of the parent: "success" (default), "failure", "always" */
enum follow_on { FOLLOW_ON_SUCCESS, FOLLOW_ON_FAILURE, FOLLOW_ALWAYS };
/* When the key is held by a live job: refuse the new one, answer with the old one, or take the old one's
 * place (as long as it has not been claimed). */
enum unique_policy { UNIQUE_REJECT, UNIQUE_KEEP, UNIQUE_REPLACE };
struct spec_job {
    const struct spec_type *type;
    char queue[JOB_NAME_MAX + 1];
    const msgpack_object *args, *retry, *then, *chain; /* the last three: NULL when not given */
    enum job_priority priority;                        /* normal when not given */
    bool has_priority;
    uint32_t max_attempts, timeout_ms;                          /* 0: the type's default */
    uint64_t delay_ms, run_at_ms, expires_in_ms, expires_at_ms; /* 0: not given */
    struct slice key, unique;
    uint64_t unique_window_ms; /* 0: for as long as the job lives */
    enum unique_policy unique_policy;
    enum follow_on on; /* follow-ups */
};
/* Check the array whole; fill at most JOB_FOLLOW_MAX or JOB_CHAIN_MAX entries of ret (may be NULL). */
MUST_USE enum err spec_follow_ups(const msgpack_object *then, struct spec_job *ret,
                                  size_t *ret_n, struct spec_fault *reterr);
MUST_USE enum err spec_chain(const msgpack_object *chain, struct spec_job *ret, size_t *ret_n,
                             struct spec_fault *reterr);

/* --- noop, for tests and measuring: {"payload"?: any, "work_ms"?: 0..60000, "fail_attempts"?: 0..100,
 *     "fail_final"?: bool, "clock"?: bool} ---------------------------------------------------------- */
struct spec_noop {
    uint32_t work_ms; /* how long it pretends to work, without using the processor */
    unsigned
        fail_attempts; /* so many first attempts fail as ERR_INTERNAL would: class retry ("fail_attempts") */
    bool fail_final; /* fails once and for all ("fail_final": true) */
    bool clock;      /* its result tells when it was started ("clock": true) */
};
MUST_USE enum err spec_noop_parse(const msgpack_object *args, const char *at,
                                  struct spec_noop *ret, struct spec_fault *reterr);

/* --- webhook: {"url", "body"?: any JSON value, "event"?: str} --------------------------------- */
struct spec_webhook {
    struct slice url;           /* http or https, 1..2048 bytes, no user info */
    const msgpack_object *body; /* NULL: none given; as a follow-up: the parent's result */
    struct slice
        event; /* type of the Standard Webhooks payload; "job.finished" when not given */
};
MUST_USE enum err spec_webhook_parse(const msgpack_object *args, const char *at,
                                     struct spec_webhook *ret, struct spec_fault *reterr);

/* --- email: {"to": str|[str], "subject", "text"?, "html"?, "from"?, "reply_to"?} --------------- */
#define SPEC_EMAIL_TO_MAX 50
struct spec_email {
    struct slice to[SPEC_EMAIL_TO_MAX];
    size_t n_to;
    struct slice from, reply_to, subject, text,
        html; /* len 0: not given; text or html is required */
};
MUST_USE enum err spec_email_parse(const msgpack_object *args, const char *at,
                                   struct spec_email *ret, struct spec_fault *reterr);

/* --- image, image.info ------------------------------------------------------------------------ */
#include "queue/spec_image.h"

#endif
