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

/* --- follow-ups (`then`) --------------------------------------------------------------------- */
enum follow_on {
    FOLLOW_ON_SUCCESS,
    FOLLOW_ON_FAILURE,
    FOLLOW_ALWAYS
}; /* "success" (default), "failure", "always" */
struct follow_up {
    const struct spec_type *type;
    enum follow_on on;
    char queue[JOB_NAME_MAX + 1];
    const msgpack_object *args;
};
/* Checks the array whole; fills at most JOB_FOLLOW_MAX entries of ret (may be NULL). */
MUST_USE enum err spec_follow_ups(const msgpack_object *then, struct follow_up *ret,
                                  size_t *ret_n, struct spec_fault *reterr);

/* --- noop, for tests and measuring: {"payload"?: any, "work_ms"?: 0..60000, "fail_attempts"?: 0..100,
 *     "fail_final"?: bool} -------------------------------------------------------------------------- */
struct spec_noop {
    uint32_t work_ms; /* how long it pretends to work, without using the processor */
    unsigned
        fail_attempts; /* so many first attempts fail as ERR_INTERNAL would: class retry ("fail_attempts") */
    bool fail_final; /* fails once and for all ("fail_final": true) */
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
