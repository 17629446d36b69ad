#include "queue/batch.h"

#include <inttypes.h>

#include "queue/keys.h"
#include "queue/scripts.h"

#define TALLY_FIELDS 10
#define NUMBER_SIZE  24

struct ask {
    batch_tally_fn *on_tally;
    batch_done_fn *on_done;
    batch_left_fn *on_left;
    void *arg;
};

/* --- replies --------------------------------------------------------------------------------- */

static uint64_t number_at(const redisReply *r, size_t i)
{
    const redisReply *e = r->element[i];

    return e->type == REDIS_REPLY_INTEGER && e->integer > 0 ? (uint64_t)e->integer : 0;
}

static void read_tally(const redisReply *r, struct batch_tally *ret)
{
    const redisReply *then = r->element[8];
    uint64_t priority = number_at(r, 9);

    *ret = (struct batch_tally){
        .left = number_at(r, 0),
        .total = number_at(r, 1),
        .created_ms = number_at(r, 2),
        .succeeded = number_at(r, 3),
        .dead = number_at(r, 4),
        .cancelled = number_at(r, 5),
        .expired = number_at(r, 6),
        .closed = number_at(r, 7) != 0,
        .priority =
            priority < JOB_PRIORITIES ? (enum job_priority)priority : JOB_PRIORITY_NORMAL,
    };
    if (then->type == REDIS_REPLY_STRING)
        ret->then = slice_of(then->str, then->len);
}

static void on_tally(void *arg, enum err e, const redisReply *reply)
{
    struct ask *ask = arg;
    struct batch_tally tally;

    if (e == ERR_OK && reply->type == REDIS_REPLY_ARRAY && reply->elements == 0)
        e = ERR_NOT_FOUND;
    else if (e == ERR_OK &&
             (reply->type != REDIS_REPLY_ARRAY || reply->elements != TALLY_FIELDS))
        e = ERR_INTERNAL;
    if (e == ERR_OK)
        read_tally(reply, &tally);
    ask->on_tally(ask->arg, e, e == ERR_OK ? &tally : NULL);
    free(ask);
}

static void on_done(void *arg, enum err e, const redisReply *reply)
{
    struct ask *ask = arg;

    (void)reply;
    ask->on_done(ask->arg, e);
    free(ask);
}

static void on_left(void *arg, enum err e, const redisReply *reply)
{
    struct ask *ask = arg;

    if (e == ERR_OK && (reply->type != REDIS_REPLY_INTEGER || reply->integer < 0))
        e = ERR_NOT_FOUND;
    ask->on_left(ask->arg, e, e == ERR_OK ? (uint64_t)reply->integer : 0);
    free(ask);
}

static redis_reply_fn *reply_of(const struct ask *ask)
{
    if (ask->on_tally != NULL)
        return on_tally;
    return ask->on_left != NULL ? on_left : on_done;
}

/* --- calls ----------------------------------------------------------------------------------- */

struct batch_call {
    enum queue_script script;
    const struct uuid *batch;
    const struct slice *args;
    size_t n_args;
};

static struct slice number(uint64_t n, char dst[NUMBER_SIZE])
{
    return slice_of(dst, (size_t)snprintf(dst, NUMBER_SIZE, "%" PRIu64, n));
}

static enum err call(struct redis *r, const struct batch_call *c, const struct ask *ask)
{
    struct ask *copy = malloc(sizeof *copy);
    char text[KEYS_BATCH][KEYS_BATCH_SIZE];
    struct slice keys[KEYS_BATCH];
    enum err e;

    if (copy == NULL)
        return ERR_NOMEM;
    *copy = *ask;
    keys_batch(c->batch, text, keys);
    e = redis_call(r,
                   &(struct redis_call){.script = queue_script(c->script),
                                        .n_keys = KEYS_BATCH,
                                        .keys = keys,
                                        .n_args = c->n_args,
                                        .args = c->args},
                   reply_of(ask), copy);
    if (e != ERR_OK)
        free(copy);
    return e;
}

enum err batch_open(struct redis *r, const struct batch_new *b, batch_done_fn *cb, void *arg)
{
    char priority = (char)('0' + b->priority), kept[NUMBER_SIZE];
    struct slice *args;
    enum err e;

    if (b->n_jobs == 0 || b->n_jobs > BATCH_JOBS_MAX)
        return ERR_TOO_BIG;
    args = calloc(3 + b->n_jobs, sizeof *args);
    if (args == NULL)
        return ERR_NOMEM;
    args[0] = number(BATCH_OPEN_MS, kept);
    args[1] = b->then;
    args[2] = slice_of(&priority, 1);
    for (size_t i = 0; i < b->n_jobs; i++)
        args[3 + i] = slice_of(b->jobs[i].bytes, UUID_LEN);
    e = call(r, &(struct batch_call){QUEUE_BATCH_OPEN, &b->id, args, 3 + b->n_jobs},
             &(struct ask){.on_done = cb, .arg = arg});
    free(args);
    return e;
}

enum err batch_end(struct redis *r, const struct uuid *batch, const struct uuid *job,
                   enum job_state state, batch_tally_fn *cb, void *arg)
{
    const struct slice args[] = {slice_of(job->bytes, UUID_LEN),
                                 slice_str(job_state_name(state))};

    must(job_state_is_terminal(state));
    return call(r, &(struct batch_call){QUEUE_BATCH_END, batch, args, COUNT_OF(args)},
                &(struct ask){.on_tally = cb, .arg = arg});
}

enum err batch_close(struct redis *r, const struct uuid *batch, batch_done_fn *cb, void *arg)
{
    char kept[NUMBER_SIZE];
    const struct slice args[] = {number(BATCH_KEPT_MS, kept)};

    return call(r, &(struct batch_call){QUEUE_BATCH_CLOSE, batch, args, COUNT_OF(args)},
                &(struct ask){.on_done = cb, .arg = arg});
}

enum err batch_look(struct redis *r, const struct uuid *batch, batch_tally_fn *cb, void *arg)
{
    return call(r, &(struct batch_call){QUEUE_BATCH_LOOK, batch, NULL, 0},
                &(struct ask){.on_tally = cb, .arg = arg});
}

enum err batch_drop(struct redis *r, const struct uuid *batch, const struct uuid *jobs,
                    size_t n, batch_left_fn *cb, void *arg)
{
    struct slice args[BATCH_DROP_MAX];

    if (n == 0 || n > BATCH_DROP_MAX)
        return ERR_TOO_BIG;
    for (size_t i = 0; i < n; i++)
        args[i] = slice_of(jobs[i].bytes, UUID_LEN);
    return call(r, &(struct batch_call){QUEUE_BATCH_DROP, batch, args, n},
                &(struct ask){.on_left = cb, .arg = arg});
}

/* Not one that a follow-up of the batch may have. */
struct uuid batch_closer_id(const struct uuid *batch)
{
    return uuid_derive(batch, UINT32_MAX);
}
