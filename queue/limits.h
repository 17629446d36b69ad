/* limits: how many jobs of a queue may run at once, and begin in a time: all of them, and those of
 * each key (struct job.key). They hold over all workers; the claim keeps them (queue/lua/part_limits.lua).
 *
 * A rate is a bucket of `burst` tokens that fills at count / per_ms: in any time t at most
 * burst + t * count / per_ms jobs begin. */
#ifndef QUEUE_LIMITS_H
#define QUEUE_LIMITS_H

#include "queue/spec.h"

#define LIMITS_COUNT_MAX 1000000u
#define LIMITS_PER_MAX   86400000u /* ms: a day */
#define LIMITS_TEXT_SIZE 96
#define LIMITS_RATE_SIZE 48

struct rate_limit {
    uint32_t count, per_ms, burst; /* count 0: none */
};
struct limit {
    uint32_t running; /* 0: none */
    struct rate_limit rate;
};
struct queue_limits {
    struct limit whole, per_key;
};

bool limits_are_set(const struct queue_limits *l);
/* As users write them: {"running"?, "rate"?: {"count", "per_ms", "burst"?}, "per_key"?: {the same}}.
 * null is the same as leaving out. ERR_MALFORMED (pointer ""): no JSON; (a pointer): a wrong field. */
MUST_USE enum err limits_parse(struct slice json, struct queue_limits *ret,
                               struct spec_fault *reterr);
/* "10/1s", "100/60s,20": count / time, burst. ERR_MALFORMED: *reterr says why. */
MUST_USE enum err limits_parse_rate(const char *text, struct rate_limit *ret,
                                    struct fault *reterr);
/* The same, back. */
const char *limits_rate_text(const struct rate_limit *r, char dst[LIMITS_RATE_SIZE]);
/* An object of the form that limits_parse reads; {} for none. */
void limits_json(const struct queue_limits *l, struct buf *out);
/* As Redis keeps them: eight numbers. "" for none. */
struct slice limits_encode(const struct queue_limits *l, char dst[LIMITS_TEXT_SIZE]);
/* What is not of that form counts as none. */
void limits_decode(struct slice text, struct queue_limits *ret);

#endif
