/* job: one unit of work as every part sees it, and its msgpack envelope (docs/protocol.md).
 *
 * Envelope: a map. Our own encoding writes the fields in this order, so that the id stands at
 * byte 9 (JOB_ID_OFFSET) of every item and a script need not unpack:
 *
 *     v             int   1
 *     id            bin   16 bytes, a UUIDv7 (any 16 bytes are taken)
 *     type          str   1..64 of [a-z0-9._-], first a letter
 *     args          map   what the handler of that type takes (queue/spec.h)
 *     max_attempts  int   1..100          left out when the type's default is meant
 *     timeout_ms    int   1..86400000     per attempt; likewise
 *     then          array 0..16 follow-up jobs: maps of type, args, queue?, on?   (spec_follow_up)
 *     parent        bin   16 bytes, the job this one follows
 *     retry         map   how long to wait between attempts         (spec_retry_parse)
 *     expires_ms    int   Unix ms after which it is not begun any more
 *     key           str   1..128 bytes: what limits per key go by (a tenant, a host)
 *     unique        str   1..128 bytes: the unique key that it holds while it lives
 *     batch         bin   16 bytes, the batch that it belongs to
 *     chain         array 0..16 maps: the jobs that come one after the other when this one has
 *                         succeeded                                  (spec_chain)
 *
 * Other programs may write the fields in any order. An unknown field, a wrong type or a value out
 * of range makes the whole item malformed: it is set aside as dead with the reason. */
#ifndef QUEUE_JOB_H
#define QUEUE_JOB_H

#include "shared/buf.h"
#include "shared/mp.h"
#include "shared/uuid.h"

#define JOB_VERSION      1
#define JOB_ID_OFFSET    9
#define JOB_NAME_MAX     64 /* type and queue */
#define JOB_ATTEMPTS_MAX 100
#define JOB_TIMEOUT_MAX  86400000u
#define JOB_TIME_MAX     253402300799999ull /* Unix ms: the end of the year 9999 */
#define JOB_FOLLOW_MAX   16
#define JOB_CHAIN_MAX    16
#define JOB_KEY_MAX      128 /* bytes of key and unique: no control characters */
#define JOB_ITEM_MAX     ((size_t)256 * 1024) /* bytes of one encoded envelope */
#define JOB_DEPTH_MAX    16    /* containers inside each other, the envelope counts as 1 */
#define JOB_VALUES_MAX   10000 /* keys and values in one envelope */

enum job_priority {
    JOB_PRIORITY_CRITICAL,
    JOB_PRIORITY_HIGH,
    JOB_PRIORITY_NORMAL,
    JOB_PRIORITY_LOW
};
#define JOB_PRIORITIES 4

/*  scheduled -> queued -> running -> succeeded | dead | cancelled | expired
 *      ^           ^         |
 *      |           +-- lease lost, released by a draining worker
 *      +-- retrying <--------+  (an attempt failed; waits for its next one)               */
/* clang-format off */
#define JOB_STATE_TABLE(X)               \
    X(QUEUED,    1, "queued",    false)  \
    X(SCHEDULED, 2, "scheduled", false)  \
    X(RUNNING,   3, "running",   false)  \
    X(RETRYING,  4, "retrying",  false)  \
    X(SUCCEEDED, 5, "succeeded", true)   \
    X(DEAD,      6, "dead",      true)   \
    X(CANCELLED, 7, "cancelled", true)   \
    X(EXPIRED,   8, "expired",   true)
/* clang-format on */
enum job_state {
#define X(name, value, text, terminal) JOB_##name = (value),
    JOB_STATE_TABLE(X)
#undef X
};

struct job {
    struct uuid id;
    char type[JOB_NAME_MAX + 1];
    uint32_t max_attempts; /* 0: the type's default */
    uint32_t timeout_ms;   /* 0: the type's default */
    bool has_parent;
    struct uuid parent;
    struct slice args;        /* encoded map; borrowed from whoever holds the bytes */
    struct slice then;        /* encoded array, or empty; borrowed, like all below */
    struct slice retry;       /* encoded map, or empty: the worker's own way */
    uint64_t expires_ms;      /* Unix ms; 0: never */
    struct slice key, unique; /* or empty */
    bool has_batch;
    struct uuid batch;
    struct slice chain; /* encoded array, or empty */
};

const char *job_state_name(enum job_state s);
bool job_state_is_terminal(enum job_state s);
MUST_USE bool job_state_parse(struct slice name, enum job_state *ret);
const char *job_priority_name(enum job_priority p); /* "critical" "high" "normal" "low" */
MUST_USE bool job_priority_parse(struct slice name, enum job_priority *ret);
/* Queue and type names: 1..64 of [a-z0-9._-], first a letter. */
bool job_name_is_valid(struct slice name);
/* Keys: 1..128 bytes without control characters. */
bool job_key_is_valid(struct slice key);

void job_encode(const struct job *job, struct buf *out);
/* The slices of *ret point into item. The fault's text begins with the field's name. */
MUST_USE enum err job_decode(struct slice item, struct job *ret, struct fault *reterr);

#endif
