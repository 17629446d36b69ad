#include "queue/inspect.h"

#include "queue/inspect_sweep.h"
#include "queue/scripts.h"
#include "queue/state_codec.h"

#define LIST_MAX    200
#define LIST_FIELDS 4 /* id, state value, priority, item */
#define NUMBER_SIZE 24
#define CARRIED     0xc1

static uint64_t number_of(const redisReply *r)
{
    return r->type == REDIS_REPLY_INTEGER && r->integer > 0 ? (uint64_t)r->integer : 0;
}

static struct slice text_of(const redisReply *r)
{
    return r->type == REDIS_REPLY_STRING ? slice_of(r->str, r->len) : slice_of("", 0);
}

/* --- one live job ---------------------------------------------------------------------------- */

static void take_state(struct live_job *job, const struct state_value *v)
{
    job->state = v->state;
    job->priority = v->priority;
    job->attempt = v->attempt;
    job->excused = v->excused;
    job->since_ms = v->since_ms;
    job->due_ms = v->due_ms;
    job->progress = v->progress;
    job->note = v->text;
    job->consumer = v->consumer;
    (void)slice_to_cstr(v->type, job->type, sizeof job->type);
}

/* A job that another program enqueued has no state entry before it is claimed. */
static void take_item(struct live_job *job, struct slice item)
{
    struct job decoded;

    job->item = item;
    if (job->type[0] == '\0' && item.len > 0 && job_decode(item, &decoded, NULL) == ERR_OK)
        (void)snprintf(job->type, sizeof job->type, "%s", decoded.type);
}

/* What active holds is a priority digit, then the item; before an item without an id stand c1 and
 * the id that it was given. */
static struct slice bare_item(struct slice stored)
{
    size_t skip = 1;

    if (stored.len > 1 && (unsigned char)stored.ptr[1] == CARRIED)
        skip += 1 + UUID_LEN;
    return stored.len > skip ? slice_of(stored.ptr + skip, stored.len - skip) : slice_of("", 0);
}

struct look {
    struct redis *redis;
    struct uuid id;
    inspect_job_fn *cb;
    void *arg;
    char queue[JOB_NAME_MAX + 1];
    bool bare;        /* without the item */
    struct buf state; /* as found; empty: nowhere */
    struct live_job job;
};

static void look_end(struct look *l, enum err e)
{
    l->cb(l->arg, e, e == ERR_OK ? &l->job : NULL);
    buf_done(&l->state);
    free(l);
}

static enum err ask_state(void *arg, struct redis *r, const struct queue_keys *keys,
                          redis_reply_fn *cb, void *cb_arg)
{
    const struct look *l = arg;
    const struct slice words[] = {SLICE_LIT("HGET"), keys->key[QUEUE_KEY_STATE],
                                  slice_of(l->id.bytes, UUID_LEN)};

    return redis_command(r, &(struct redis_command){.argc = COUNT_OF(words), .argv = words}, cb,
                         cb_arg);
}

static void take_answer(void *arg, const char *queue, const redisReply *reply)
{
    struct look *l = arg;

    if (l->state.len > 0 || reply->type != REDIS_REPLY_STRING)
        return;
    buf_add(&l->state, reply->str, reply->len);
    if (queue != l->queue)
        (void)snprintf(l->queue, sizeof l->queue, "%s", queue);
}

static void on_item(void *arg, enum err e, const redisReply *reply)
{
    struct look *l = arg;

    if (e == ERR_OK)
        take_item(&l->job, bare_item(text_of(reply)));
    look_end(l, e == ERR_CANCELED ? e : ERR_OK); /* without the item it is still an answer */
}

static enum err ask_item(struct look *l)
{
    struct queue_keys keys;
    char consumer[KEYS_CONSUMER_MAX + 1], active[KEYS_ACTIVE_SIZE];
    enum err e = keys_init(&keys, l->queue, NULL);
    struct slice words[3] = {SLICE_LIT("HGET")};

    if (e != ERR_OK || !slice_to_cstr(l->job.consumer, consumer, sizeof consumer))
        return ERR_MALFORMED;
    words[1] = keys_active(&keys, consumer, active);
    words[2] = slice_of(l->id.bytes, UUID_LEN);
    return redis_command(
        l->redis, &(struct redis_command){.argc = COUNT_OF(words), .argv = words}, on_item, l);
}

static void on_swept(void *arg, enum err e)
{
    struct look *l = arg;
    struct state_value v;

    if (e == ERR_OK && buf_failed(&l->state))
        e = ERR_NOMEM;
    if (l->state.len == 0 || state_decode(buf_slice(&l->state), &v) != ERR_OK) {
        look_end(l, e == ERR_OK ? ERR_NOT_FOUND : e);
        return;
    }
    l->job.id = l->id;
    (void)snprintf(l->job.queue, sizeof l->job.queue, "%s", l->queue);
    take_state(&l->job, &v);
    if (v.state != JOB_RUNNING || l->bare || ask_item(l) != ERR_OK)
        look_end(l, ERR_OK);
}

static struct look *look_new(struct redis *r, const struct uuid *id, inspect_job_fn *cb,
                             void *arg)
{
    struct look *l = calloc(1, sizeof *l);

    if (l == NULL)
        return NULL;
    l->redis = r;
    l->id = *id;
    l->cb = cb;
    l->arg = arg;
    return l;
}

static void on_state(void *arg, enum err e, const redisReply *reply)
{
    struct look *l = arg;

    if (e == ERR_OK)
        take_answer(l, l->queue, reply);
    on_swept(l, e);
}

enum err inspect_job_in(struct redis *r, const char *queue, const struct uuid *id,
                        inspect_job_fn *cb, void *arg)
{
    struct queue_keys keys;
    struct look *l;
    enum err e = keys_init(&keys, queue, NULL);

    if (e != ERR_OK)
        return e;
    l = look_new(r, id, cb, arg);
    if (l == NULL)
        return ERR_NOMEM;
    l->bare = true;
    (void)snprintf(l->queue, sizeof l->queue, "%s", keys.queue);
    e = ask_state(l, r, &keys, on_state, l);
    if (e != ERR_OK)
        free(l);
    return e;
}

enum err inspect_job(struct redis *r, const struct uuid *id, inspect_job_fn *cb, void *arg)
{
    struct look *l = look_new(r, id, cb, arg);
    enum err e;

    if (l == NULL)
        return ERR_NOMEM;
    e = sweep_start(r,
                    &(struct sweep_plan){
                        .arg = l, .ask = ask_state, .answer = take_answer, .done = on_swept});
    if (e != ERR_OK)
        free(l);
    return e;
}

/* --- lists ----------------------------------------------------------------------------------- */

struct list_look {
    inspect_list_fn *cb;
    void *arg;
    enum job_state state;
    char queue[JOB_NAME_MAX + 1];
};

static bool take_listed(const struct list_look *l, const redisReply *const *field,
                        struct live_job *ret)
{
    struct slice id = text_of(field[0]);
    struct state_value v;

    *ret = (struct live_job){.state = l->state,
                             .priority = (enum job_priority)number_of(field[2])};
    if (state_decode(text_of(field[1]), &v) == ERR_OK)
        take_state(ret, &v);
    if (ret->state != JOB_CANCELLED)
        if (ret->state != JOB_CANCELLED)
        ret->state = l->state; /* where it was found counts */
    if (id.len == UUID_LEN)
        memcpy(ret->id.bytes, id.ptr, UUID_LEN);
    (void)snprintf(ret->queue, sizeof ret->queue, "%s", l->queue);
    take_item(ret, text_of(field[3]));
    return number_of(field[2]) < JOB_PRIORITIES;
}

static enum err answer_list(const struct list_look *l, const redisReply *reply)
{
    const redisReply *const *field = (const redisReply *const *)reply->element;
    struct live_job *jobs;
    size_t n = 0;

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements % LIST_FIELDS != 1)
        return ERR_INTERNAL;
    jobs = calloc(reply->elements / LIST_FIELDS + 1, sizeof *jobs);
    if (jobs == NULL)
        return ERR_NOMEM;
    for (size_t i = 1; i + LIST_FIELDS <= reply->elements; i += LIST_FIELDS) {
        if (take_listed(l, field + i, &jobs[n]))
            n++;
    }
    l->cb(l->arg, ERR_OK, jobs, n, number_of(field[0]) > 0);
    free(jobs);
    return ERR_OK;
}

static void on_listed(void *arg, enum err e, const redisReply *reply)
{
    struct list_look *l = arg;

    if (e == ERR_OK)
        e = answer_list(l, reply);
    if (e != ERR_OK)
        l->cb(l->arg, e, NULL, 0, false);
    free(l);
}

static enum err ask_list(struct redis *r, const struct queue_keys *keys, const size_t number[3],
                         struct list_look *l)
{
    char text[3][NUMBER_SIZE];
    struct slice args[4];

    for (size_t i = 0; i < 3; i++)
        args[i] = slice_of(text[i], (size_t)snprintf(text[i], NUMBER_SIZE, "%zu", number[i]));
    args[3] = keys->active_prefix;
    return redis_call(r,
                      &(struct redis_call){.script = queue_script(QUEUE_LIST),
                                           .n_keys = QUEUE_KEYS,
                                           .keys = keys->key,
                                           .n_args = COUNT_OF(args),
                                           .args = args},
                      on_listed, l);
}

struct page {
    struct redis *redis;
    const char *queue;
    enum job_state state;
    size_t offset, limit;
};

static enum err list_page(const struct page *p, inspect_list_fn *cb, void *arg)
{
    struct queue_keys keys;
    struct list_look *l;
    enum err e = keys_init(&keys, p->queue, NULL);

    if (e != ERR_OK || job_state_is_terminal(p->state))
        return ERR_MALFORMED;
    l = malloc(sizeof *l);
    if (l == NULL)
        return ERR_NOMEM;
    *l = (struct list_look){.cb = cb, .arg = arg, .state = p->state};
    (void)snprintf(l->queue, sizeof l->queue, "%s", keys.queue);
    e = ask_list(p->redis, &keys,
                 (const size_t[]){(size_t)p->state, p->offset,
                                  p->limit < LIST_MAX ? p->limit : LIST_MAX},
                 l);
    if (e != ERR_OK)
        free(l);
    return e;
}

/* NOLINTNEXTLINE(readability-function-size): seven parameters are the contract */
enum err inspect_list(struct redis *r, const char *queue, enum job_state state, size_t offset,
                      size_t limit, inspect_list_fn *cb, void *arg)
{
    const struct page p = {r, queue, state, offset, limit};

    return list_page(&p, cb, arg);
}
