#include "queue/schedule_fire.h"

#include <inttypes.h>

#include "queue/scripts.h"
#include "queue/state_codec.h"
#include "queue/submission.h"

#define CALL_BYTES   ((size_t)1 << 20)
#define ARGS_FIXED   7
#define ARGS_PER_JOB 4
#define NUMBER_SIZE  21

static uint64_t number_at(const redisReply *r, size_t i)
{
    return r->element[i]->type == REDIS_REPLY_INTEGER && r->element[i]->integer > 0
               ? (uint64_t)r->element[i]->integer
               : 0;
}

struct schedule_fired schedule_fired_of(const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 3)
        return (struct schedule_fired){.done = false};
    return (struct schedule_fired){.done = number_at(reply, 0) > 0,
                                   .n = number_at(reply, 1),
                                   .skipped = number_at(reply, 2)};
}

/* An envelope is hardly longer than its JSON. */
size_t schedule_fire_limit(struct slice job)
{
    size_t n = CALL_BYTES / (job.len + 64);

    return n < 1 ? 1 : n;
}

/* What the call is made of; all slices point into it. */
struct order {
    struct submission job;
    struct buf items; /* n copies of the envelope, each with an id of its own */
    struct buf tail;
    char number[4][NUMBER_SIZE], digit[2];
    struct slice args[ARGS_FIXED + ARGS_PER_JOB * SCHEDULE_CATCH_UP_MAX];
    size_t n_args;
};

static void order_free(struct order *o)
{
    buf_done(&o->items);
    buf_done(&o->tail);
    submission_done(&o->job);
    free(o);
}

static enum err parse_job(struct order *o, struct slice job, struct fault *reterr)
{
    struct spec_fault why;
    enum err e = submission_parse(job, JOB_DEPTH_MAX, &o->job, &why);

    return e == ERR_OK ? e
                       : fault_set(reterr, e, 0, "the job: %s%s%s", why.pointer,
                                   why.pointer[0] == '\0' ? "" : " ", why.text);
}

static void add(struct order *o, struct slice s)
{
    o->args[o->n_args++] = s;
}

static void add_number(struct order *o, size_t slot, uint64_t n, bool is_tick)
{
    (void)snprintf(o->number[slot], NUMBER_SIZE, "%" PRIu64, n);
    add(o, is_tick && n == 0 ? slice_of("", 0) : slice_str(o->number[slot]));
}

static void add_head(struct order *o, const struct schedule_fire *f)
{
    add(o, slice_str(f->s->name));
    add(o, slice_of(f->s->rev.bytes, UUID_LEN));
    add_number(o, 0, f->due_ms, true);
    add_number(o, 1, f->next_ms, true);
    add_number(o, 2, f->missed, false);
    add(o, f->overlap ? SLICE_LIT("0") : SLICE_LIT("1"));
    add_number(o, 3, f->tick_ms, false);
}

/* Copies of one envelope that differ in the id, which stands at a fixed place. */
static void add_jobs(struct order *o, size_t n, struct uuid *ids)
{
    struct slice item = buf_slice(&o->job.item);
    char *to = buf_reserve(&o->items, n * item.len);

    for (size_t i = 0; i < n && to != NULL; i++, to += item.len) {
        struct uuid id = uuid_v7();

        memcpy(to, item.ptr, item.len);
        memcpy(to + JOB_ID_OFFSET, id.bytes, UUID_LEN);
        if (ids != NULL)
            ids[i] = id;
        add(o, slice_of(to + JOB_ID_OFFSET, UUID_LEN));
        add(o, buf_slice(&o->tail));
        add(o, slice_str(o->digit));
        add(o, slice_of(to, item.len));
    }
}

static enum err fill(struct order *o, const struct schedule_fire *f, struct uuid *ids,
                     struct fault *reterr)
{
    state_encode_tail(&(struct state_value){.state = JOB_QUEUED,
                                            .priority = o->job.priority,
                                            .type = slice_str(o->job.type->name)},
                      &o->tail);
    o->digit[0] = (char)('0' + o->job.priority);
    add_head(o, f);
    add_jobs(o, f->n, ids);
    if (buf_failed(&o->tail) || buf_failed(&o->items))
        return fault_set(reterr, ERR_NOMEM, 0, "no memory for the jobs");
    return ERR_OK;
}

/* NOLINTNEXTLINE(readability-function-size): seven parameters are the contract */
enum err schedule_fire(struct redis *r, const struct schedule_keys *keys,
                       const struct schedule_fire *f, struct uuid *ids, redis_reply_fn *cb,
                       void *arg, struct fault *reterr)
{
    struct order *o = calloc(1, sizeof *o);
    enum err e;

    must(f->n <= SCHEDULE_CATCH_UP_MAX);
    if (o == NULL)
        return fault_set(reterr, ERR_NOMEM, 0, "no memory for the jobs");
    e = parse_job(o, f->job, reterr);
    if (e == ERR_OK)
        e = fill(o, f, ids, reterr);
    if (e == ERR_OK) {
        e = redis_call(r,
                       &(struct redis_call){.script = queue_script(QUEUE_SCHEDULE_FIRE),
                                            .n_keys = SCHEDULE_KEYS,
                                            .keys = keys->key,
                                            .n_args = o->n_args,
                                            .args = o->args},
                       cb, arg);
        if (e != ERR_OK)
            (void)fault_set(reterr, e, 0, "not sent to Redis: %s", err_text(e));
    }
    order_free(o);
    return e;
}
