#include "queue/schedules.h"

#include <inttypes.h>

#include "queue/inspect_sweep.h"
#include "queue/schedule_fire.h"
#include "queue/schedules_reply.h"
#include "queue/scripts.h"
#include "shared/clock.h"

#define TRIES      5
#define TICK_SIZE  21
#define GET_FIELDS 5 /* now, record, job, next tick, past */

/* "": none. */
static struct slice tick_text(uint64_t tick_ms, char dst[TICK_SIZE])
{
    if (tick_ms == 0)
        return slice_of("", 0);
    return slice_of(dst, (size_t)snprintf(dst, TICK_SIZE, "%" PRIu64, tick_ms));
}

/* --- one operation ---------------------------------------------------------------------------
 *
 *     [announce the queue] -> look (all known queues) -> act -> end
 *                                ^------ changed ---------/                                      */

struct op {
    struct redis *redis;
    schedules_fn *cb;
    void *arg;
    void (*act)(struct op *op); /* after a look: ends, or sends something */
    unsigned tries;
    char name[JOB_NAME_MAX + 1];

    /* What the look gave. */
    bool found;
    uint64_t now_ms, tick_ms;
    struct schedule s;
    struct buf record, job;
    struct schedule_past past;

    /* What it is to become. */
    struct schedule_keys keys;
    struct schedule want;
    struct buf want_job;
    uint64_t want_tick_ms;
    size_t max;
    bool paused;
    struct uuid id; /* of a job made by hand */
};

static void op_free(struct op *op)
{
    buf_done(&op->record);
    buf_done(&op->job);
    buf_done(&op->want_job);
    free(op);
}

static void fail(struct op *op, enum err e, const char *text)
{
    struct fault why;

    (void)fault_set(&why, e, 0, "%s", text);
    op->cb(op->arg, e, NULL, &why);
    op_free(op);
}

static void give(struct op *op, const struct schedule_view *v)
{
    op->cb(op->arg, ERR_OK, v, NULL);
    op_free(op);
}

static enum err op_new(struct redis *r, const char *name, schedules_fn *cb, void *arg,
                       struct op **ret)
{
    struct op *op;

    if (!job_name_is_valid(slice_str(name)))
        return ERR_MALFORMED;
    op = calloc(1, sizeof *op);
    if (op == NULL)
        return ERR_NOMEM;
    op->redis = r;
    op->cb = cb;
    op->arg = arg;
    (void)snprintf(op->name, sizeof op->name, "%s", name);
    *ret = op;
    return ERR_OK;
}

/* --- the look -------------------------------------------------------------------------------- */

/* Calls a script that takes the schedules of a queue and one name. */
static enum err ask_by_name(const struct op *op, struct redis *r,
                            const struct queue_keys *queue, const struct redis_script *script,
                            redis_reply_fn *cb, void *cb_arg)
{
    const struct slice name = slice_str(op->name);
    struct schedule_keys keys;
    enum err e = keys_init_schedules(&keys, queue->queue, NULL);

    if (e != ERR_OK)
        return e;
    return redis_call(r,
                      &(struct redis_call){.script = script,
                                           .n_keys = SCHEDULE_KEYS,
                                           .keys = keys.key,
                                           .n_args = 1,
                                           .args = &name},
                      cb, cb_arg);
}

static enum err ask_one(void *arg, struct redis *r, const struct queue_keys *queue,
                        redis_reply_fn *cb, void *cb_arg)
{
    return ask_by_name(arg, r, queue, queue_script(QUEUE_SCHEDULE_GET), cb, cb_arg);
}

static void take_one(void *arg, const char *queue, const redisReply *reply)
{
    struct op *op = arg;

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements == 0)
        return;
    op->now_ms = number_of(reply->element[0]);
    if (op->found || reply->elements != GET_FIELDS)
        return;
    op->found = true;
    buf_add_slice(&op->record, text_of(reply->element[1]));
    buf_add_slice(&op->job, text_of(reply->element[2]));
    op->tick_ms = tick_of(reply->element[3]);
    op->past = schedule_past_of(text_of(reply->element[4]));
    (void)snprintf(op->s.queue, sizeof op->s.queue, "%s", queue);
}

static enum err decode(struct op *op, struct fault *why)
{
    char queue[sizeof op->s.queue];

    if (buf_failed(&op->record) || buf_failed(&op->job))
        return fault_set(why, ERR_NOMEM, 0, "no memory for a schedule");
    if (!op->found)
        return ERR_OK;
    (void)snprintf(op->s.name, sizeof op->s.name, "%s", op->name);
    memcpy(queue, op->s.queue, sizeof queue);
    if (schedule_decode(buf_slice(&op->record), &op->s, why) != ERR_OK)
        return why->err;
    memcpy(op->s.queue, queue, sizeof queue); /* where it was found counts */
    return ERR_OK;
}

static void on_looked(void *arg, enum err e)
{
    struct op *op = arg;
    struct fault why;

    (void)fault_set(&why, e, 0, "%s", err_text(e));
    if (e == ERR_OK)
        e = decode(op, &why);
    if (e != ERR_OK) {
        fail(op, e, why.text);
        return;
    }
    if (op->now_ms == 0)
        op->now_ms = clock_wall_ms();
    op->act(op);
}

static enum err look(struct op *op)
{
    op->found = false;
    op->now_ms = 0;
    buf_clear(&op->record);
    buf_clear(&op->job);
    return sweep_start(
        op->redis,
        &(struct sweep_plan){.arg = op, .ask = ask_one, .answer = take_one, .done = on_looked});
}

/* Somebody was quicker. */
static void look_again(struct op *op)
{
    enum err e = ++op->tries < TRIES ? look(op) : ERR_BUSY;

    if (e != ERR_OK)
        fail(op, e, e == ERR_BUSY ? "others keep changing it" : err_text(e));
}

static enum err begin(struct op *op)
{
    enum err e = look(op);

    if (e != ERR_OK)
        op_free(op);
    return e;
}

static struct schedule_view found_view(const struct op *op)
{
    return (struct schedule_view){.s = &op->s,
                                  .job = buf_slice(&op->job),
                                  .next_ms = op->tick_ms,
                                  .now_ms = op->now_ms,
                                  .past = op->past};
}

/* False: it has ended with that. */
static bool is_found(struct op *op)
{
    bool found = op->found;

    if (!found)
        fail(op, ERR_NOT_FOUND, "there is no such schedule");
    return found;
}

static void act_get(struct op *op)
{
    struct schedule_view v = found_view(op);

    if (is_found(op))
        give(op, &v);
}

enum err schedules_get(struct redis *r, const char *name, schedules_fn *cb, void *arg)
{
    struct op *op;
    enum err e = op_new(r, name, cb, arg, &op);

    if (e != ERR_OK)
        return e;
    op->act = act_get;
    return begin(op);
}

/* --- writing --------------------------------------------------------------------------------- */

static void on_written(void *arg, enum err e, const redisReply *reply)
{
    struct op *op = arg;
    struct schedule_view v = {.s = &op->want,
                              .job = buf_slice(&op->want_job),
                              .next_ms = op->want_tick_ms,
                              .now_ms = op->now_ms,
                              .past = op->past,
                              .created = !op->found};

    if (e != ERR_OK)
        fail(op, e, reply != NULL ? reply->str : err_text(e));
    else if (reply->type == REDIS_REPLY_INTEGER && reply->integer < 0)
        fail(op, ERR_FORBIDDEN, "the queue has as many schedules as it may");
    else if (number_of(reply) == 0)
        look_again(op);
    else
        give(op, &v);
}

static enum err write_record(struct op *op)
{
    AUTO(buf_done) struct buf record = {0};
    char ticks[2][TICK_SIZE], max[TICK_SIZE];
    struct slice args[7] = {slice_str(op->name)};

    op->want.rev = uuid_v7();
    op->want.updated_ms = op->now_ms;
    schedule_encode(&op->want, &record);
    if (buf_failed(&record) || buf_failed(&op->want_job))
        return ERR_NOMEM;
    args[1] = slice_of(op->s.rev.bytes, op->found ? UUID_LEN : 0);
    args[2] = tick_text(op->found ? op->tick_ms : 0, ticks[0]);
    args[3] = buf_slice(&record);
    args[4] = buf_slice(&op->want_job);
    args[5] = tick_text(op->want_tick_ms, ticks[1]);
    args[6] = slice_of(max, (size_t)snprintf(max, sizeof max, "%zu", op->max));
    return redis_call(op->redis,
                      &(struct redis_call){.script = queue_script(QUEUE_SCHEDULE_PUT),
                                           .n_keys = SCHEDULE_KEYS,
                                           .keys = op->keys.key,
                                           .n_args = COUNT_OF(args),
                                           .args = args},
                      on_written, op);
}

/* The tick that it waits for from now on. */
static enum err choose_tick(struct op *op, struct fault *why)
{
    struct schedule_clock c;
    bool keeps = op->found && schedule_ticks_alike(&op->s, &op->want);
    enum err e;

    if (keeps)
        op->want.anchor_ms = op->s.anchor_ms;
    else
        op->want.anchor_ms = op->want.start_ms > 0 ? op->want.start_ms : op->now_ms;
    op->want_tick_ms = 0;
    if (op->want.paused)
        return ERR_OK;
    if (keeps && !op->s.paused) {
        op->want_tick_ms = op->tick_ms;
        return ERR_OK;
    }
    e = schedule_clock_init(&c, &op->want, why);
    if (e == ERR_OK)
        op->want_tick_ms = schedule_next(&c, op->now_ms);
    schedule_clock_done(&c);
    return e;
}

static void change(struct op *op)
{
    struct fault why;
    enum err e = keys_init_schedules(&op->keys, op->want.queue, &why);

    if (e == ERR_OK)
        e = choose_tick(op, &why);
    if (e != ERR_OK) {
        fail(op, e, why.text);
        return;
    }
    e = write_record(op);
    if (e != ERR_OK)
        fail(op, e, err_text(e));
}

static void act_put(struct op *op)
{
    char text[160];

    if (op->found && strcmp(op->s.queue, op->want.queue) != 0) {
        (void)snprintf(text, sizeof text,
                       "a schedule of this name is in the queue \"%s\": remove it first",
                       op->s.queue);
        fail(op, ERR_REJECTED, text);
        return;
    }
    op->want.created_ms = op->found ? op->s.created_ms : op->now_ms;
    change(op);
}

/* The set of known queues is in a slot of its own. Until the queue stands there nobody finds its schedules. */
static void on_announced(void *arg, enum err e, const redisReply *reply)
{
    struct op *op = arg;

    if (e == ERR_OK)
        e = look(op);
    if (e != ERR_OK)
        fail(op, e,
             reply != NULL && reply->type == REDIS_REPLY_ERROR ? reply->str : err_text(e));
}

enum err schedules_put(struct redis *r, const char *name, struct schedule_body *body,
                       size_t max, schedules_fn *cb, void *arg)
{
    const struct slice words[] = {SLICE_LIT("SADD"), SLICE_LIT(KEYS_QUEUES),
                                  slice_str(body->s.queue)};
    struct op *op;
    enum err e = op_new(r, name, cb, arg, &op);

    if (e != ERR_OK)
        return e;
    op->act = act_put;
    op->max = max;
    op->want = body->s;
    (void)snprintf(op->want.name, sizeof op->want.name, "%s", name);
    op->want_job = body->job;
    e = redis_command(r, &(struct redis_command){.argc = COUNT_OF(words), .argv = words},
                      on_announced, op);
    if (e == ERR_OK) {
        body->job = (struct buf){0};
        return ERR_OK;
    }
    op->want_job = (struct buf){0};
    op_free(op);
    return e;
}

static void act_pause(struct op *op)
{
    struct schedule_view v = found_view(op);

    if (!is_found(op))
        return;
    if (op->s.paused == op->paused) {
        give(op, &v);
        return;
    }
    op->want = op->s;
    op->want.paused = op->paused;
    buf_clear(&op->want_job);
    buf_add_slice(&op->want_job, buf_slice(&op->job));
    change(op);
}

enum err schedules_pause(struct redis *r, const char *name, bool paused, schedules_fn *cb,
                         void *arg)
{
    struct op *op;
    enum err e = op_new(r, name, cb, arg, &op);

    if (e != ERR_OK)
        return e;
    op->act = act_pause;
    op->paused = paused;
    op->max = SIZE_MAX;
    return begin(op);
}

/* --- a job by hand --------------------------------------------------------------------------- */

static void on_run(void *arg, enum err e, const redisReply *reply)
{
    struct op *op = arg;
    struct schedule_view v = found_view(op);

    if (e != ERR_OK) {
        fail(op, e, reply != NULL ? reply->str : err_text(e));
    } else if (!schedule_fired_of(reply).done) {
        look_again(op);
    } else {
        v.past.job = op->id;
        v.past.made_ms = v.past.tick_ms = op->now_ms;
        v.past.fired++;
        give(op, &v);
    }
}

static void act_run(struct op *op)
{
    struct schedule_fire f = {.s = &op->s,
                              .job = buf_slice(&op->job),
                              .n = 1,
                              .tick_ms = op->now_ms,
                              .overlap = true};
    struct fault why;
    enum err e;

    if (!is_found(op))
        return;
    e = keys_init_schedules(&op->keys, op->s.queue, &why);
    if (e == ERR_OK)
        e = schedule_fire(op->redis, &op->keys, &f, &op->id, on_run, op, &why);
    if (e != ERR_OK)
        fail(op, e, why.text);
}

enum err schedules_run(struct redis *r, const char *name, schedules_fn *cb, void *arg)
{
    struct op *op;
    enum err e = op_new(r, name, cb, arg, &op);

    if (e != ERR_OK)
        return e;
    op->act = act_run;
    return begin(op);
}

/* --- removing -------------------------------------------------------------------------------- */

static enum err ask_removal(void *arg, struct redis *r, const struct queue_keys *queue,
                            redis_reply_fn *cb, void *cb_arg)
{
    return ask_by_name(arg, r, queue, queue_script(QUEUE_SCHEDULE_REMOVE), cb, cb_arg);
}

static void take_removal(void *arg, const char *queue, const redisReply *reply)
{
    struct op *op = arg;

    (void)queue;
    op->found |= number_of(reply) > 0;
}

static void on_removed(void *arg, enum err e)
{
    struct op *op = arg;

    if (e != ERR_OK)
        fail(op, e, err_text(e));
    else if (is_found(op))
        give(op, NULL);
}

enum err schedules_remove(struct redis *r, const char *name, schedules_fn *cb, void *arg)
{
    struct op *op;
    enum err e = op_new(r, name, cb, arg, &op);

    if (e != ERR_OK)
        return e;
    e = sweep_start(
        r, &(struct sweep_plan){
               .arg = op, .ask = ask_removal, .answer = take_removal, .done = on_removed});
    if (e != ERR_OK)
        op_free(op);
    return e;
}
