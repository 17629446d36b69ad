/* producer_internal: what the files of producer.h share.
 *
 *     producer.c          taking jobs, gathering them, the plain call
 *     producer_checked.c  the call that judges, and the caps it judges by
 */
#ifndef QUEUE_PRODUCER_INTERNAL_H
#define QUEUE_PRODUCER_INTERNAL_H

#include "queue/keys.h"
#include "queue/producer.h"

#define PRODUCER_MAGIC     0x50524f44u
#define PRODUCER_MATCH_MAX 32
#define DUE_SIZE           21

/* One job between enqueue and callback. bytes holds the state value's tail, then the priority
 * digit, then the item: what the script takes is a view of it. */
struct entry {
    struct entry *next; /* in the lane, then in the call */
    struct producer *producer;
    struct lane *lane; /* checked calls: it stays until they are answered */
    producer_fn *cb;   /* one of the two */
    producer_verdict_fn *on_verdict;
    void *arg;
    struct entry_check *check; /* NULL: nothing to check by the job itself */
    struct uuid id;
    enum job_priority priority;
    bool delayed;
    char due[DUE_SIZE];
    size_t tail_len, item_len;
    char bytes[];
};

/* What enqueue_checked.lua is told beside, as it takes it. */
struct entry_check {
    char window[DUE_SIZE], once[DUE_SIZE], match[PRODUCER_MATCH_MAX], unique[JOB_KEY_MAX];
    size_t match_len, unique_len;
    enum unique_policy policy;
};

/* One queue and what waits for it in this loop turn. */
struct lane {
    struct lane *next;
    struct queue_keys keys;
    struct entry *first, **last;
    size_t n;
    uint64_t announce_ms; /* from then on the queue's name is added to the known ones again */
    size_t busy;          /* answers that it waits for itself: it must stay */

    /* producer_checked.c: the queue's caps, and how quickly it empties */
    bool asking, capped;
    uint64_t asked_ms, known_ms; /* known_ms: when what is known was asked for; 0: nothing is */
    uint64_t settled, settled_ms, refused; /* refused: since it was asked for last */
    double per_second;
};

struct producer {
    unsigned magic;
    struct redis *redis;
    size_t max_batch, max_pending, max_pending_bytes;
    uint32_t deadline_ms;
    bool skip_known, over_limit, caps;

    uv_idle_t idle; /* active while a lane holds jobs, so that the loop turns at once */
    struct lane *lanes;
    size_t n_lanes;
    size_t pending, pending_bytes, asking;
    struct buf scratch;
    struct slice *args;

    bool flushing; /* on_idle walks the lanes */
    bool closing;
    producer_closed_fn *on_closed;
    void *closed_arg;
};

struct producer *producer_of(void *p);
/* Ends all of them alike. */
void producer_end_call(struct entry *first, enum err e, const struct fault *why);
/* Calls back and takes the entry. */
void producer_end_entry(struct entry *entry, enum err e, const struct producer_verdict *v,
                        const struct fault *why);
void producer_close_if_done(struct producer *p);
/* Part of an entry's bytes. */
struct slice producer_view(const struct entry *entry, size_t at, size_t len);

/* producer_checked.c. ERR_NOMEM. A job that needs no check leaves *ret NULL. */
MUST_USE enum err producer_check_new(const struct producer_job *job, struct entry_check **ret);
/* Whether this call has to be a checked one; looks the queue's caps up where that is due. */
bool producer_must_check(struct producer *p, struct lane *lane, const struct entry *first);
void producer_send_checked(struct producer *p, struct lane *lane, struct entry *first);

#endif
