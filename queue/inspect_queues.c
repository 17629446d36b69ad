#include "queue/inspect_counts.h"
#include "queue/inspect_sweep.h"
#include "queue/known.h"
#include "queue/scripts.h"

#define WORKER_FIELDS 4 /* name, last beat, who it is, claims held */
#define LEASE_MS      10000

static uint64_t number_of(const redisReply *r)
{
    return r->type == REDIS_REPLY_INTEGER && r->integer > 0 ? (uint64_t)r->integer : 0;
}

static struct slice text_of(const redisReply *r)
{
    return r->type == REDIS_REPLY_STRING ? slice_of(r->str, r->len) : slice_of("", 0);
}

/* --- queues and workers ---------------------------------------------------------------------- */

static enum err ask_script(enum queue_script script, struct redis *r,
                           const struct queue_keys *keys, redis_reply_fn *cb, void *cb_arg)
{
    return redis_call(r,
                      &(struct redis_call){.script = queue_script(script),
                                           .n_keys = QUEUE_KEYS,
                                           .keys = keys->key,
                                           .n_args = 1,
                                           .args = &keys->active_prefix},
                      cb, cb_arg);
}

struct queues_look {
    inspect_queues_fn *cb;
    void *arg;
    struct buf found; /* struct queue_info, one behind the other */
};

static enum err ask_counts(void *arg, struct redis *r, const struct queue_keys *keys,
                           redis_reply_fn *cb, void *cb_arg)
{
    (void)arg;
    return ask_script(QUEUE_COUNTS, r, keys, cb, cb_arg);
}

static void take_caps(const redisReply *reply, struct queue_info *ret)
{
    uint64_t *const fields[] = {&ret->caps.jobs, &ret->caps.bytes, &ret->caps.age_ms,
                                &ret->waiting_bytes, &ret->oldest_ms};

    for (size_t i = 0; i < reply->elements && i < COUNT_OF(fields); i++)
        *fields[i] = number_of(reply->element[i]);
}

bool inspect_read_counts(const redisReply *reply, const char *queue, struct queue_info *ret)
{
    struct queue_info q = {.paused = false};
    uint64_t *const fields[] = {&q.ready[0], &q.ready[1],  &q.ready[2], &q.ready[3], &q.delayed,
                                &q.active,   &q.consumers, NULL,        &q.enqueued, &q.claimed,
                                &q.settled,  &q.retried,   &q.released, &q.reaped,   &q.parked};

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != COUNT_OF(fields) + 2)
        return false;
    take_caps(reply->element[reply->elements - 1], &q);
    (void)snprintf(q.name, sizeof q.name, "%s", queue);
    limits_decode(text_of(reply->element[COUNT_OF(fields)]), &q.limits);
    for (size_t i = 0; i < COUNT_OF(fields); i++) {
        if (fields[i] != NULL)
            *fields[i] = number_of(reply->element[i]);
        else
            q.paused = number_of(reply->element[i]) > 0;
    }
    *ret = q;
    return true;
}

static void take_counts(void *arg, const char *queue, const redisReply *reply)
{
    struct queues_look *l = arg;
    struct queue_info q;

    if (inspect_read_counts(reply, queue, &q))
        buf_add(&l->found, &q, sizeof q);
}

static void on_counted(void *arg, enum err e)
{
    struct queues_look *l = arg;

    if (e == ERR_OK && buf_failed(&l->found))
        e = ERR_NOMEM;
    if (e == ERR_OK)
        l->cb(l->arg, e, (const struct queue_info *)(const void *)l->found.data,
              l->found.len / sizeof(struct queue_info));
    else
        l->cb(l->arg, e, NULL, 0);
    buf_done(&l->found);
    free(l);
}

enum err inspect_queues(struct redis *r, inspect_queues_fn *cb, void *arg)
{
    struct queues_look *l = calloc(1, sizeof *l);
    enum err e;

    if (l == NULL)
        return ERR_NOMEM;
    l->cb = cb;
    l->arg = arg;
    e = sweep_start(
        r, &(struct sweep_plan){
               .arg = l, .ask = ask_counts, .answer = take_counts, .done = on_counted});
    if (e != ERR_OK)
        free(l);
    return e;
}

struct workers_look {
    inspect_workers_fn *cb;
    void *arg;
    struct buf found; /* struct worker_info, one behind the other */
};

static enum err ask_workers(void *arg, struct redis *r, const struct queue_keys *keys,
                            redis_reply_fn *cb, void *cb_arg)
{
    (void)arg;
    return ask_script(QUEUE_WORKERS, r, keys, cb, cb_arg);
}

static uint64_t map_number(const msgpack_object *map, const char *key)
{
    const msgpack_object *o = mp_get(map, key);

    return o != NULL && o->type == MSGPACK_OBJECT_POSITIVE_INTEGER ? o->via.u64 : 0;
}

static void take_info(struct slice info, struct worker_info *ret, uint64_t *ret_lease_ms)
{
    msgpack_zone z;
    msgpack_object root;
    const msgpack_object *version;

    *ret_lease_ms = LEASE_MS;
    if (!msgpack_zone_init(&z, 512))
        return;
    if (mp_parse(info, &MP_LIMITS_DEFAULT, &z, &root, NULL) == ERR_OK &&
        root.type == MSGPACK_OBJECT_MAP) {
        ret->pid = (uint32_t)map_number(&root, "pid");
        ret->slots = (uint32_t)map_number(&root, "slots");
        ret->started_ms = map_number(&root, "started_ms");
        *ret_lease_ms = map_number(&root, "lease_ms");
        version = mp_get(&root, "version");
        if (version != NULL && version->type == MSGPACK_OBJECT_STR)
            (void)slice_to_cstr(mp_as_slice(version), ret->version, sizeof ret->version);
    }
    msgpack_zone_destroy(&z);
}

static void take_workers(void *arg, const char *queue, const redisReply *reply)
{
    struct workers_look *l = arg;
    uint64_t now_ms, lease_ms;

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements % WORKER_FIELDS != 1)
        return;
    now_ms = number_of(reply->element[0]);
    for (size_t i = 1; i + WORKER_FIELDS <= reply->elements; i += WORKER_FIELDS) {
        struct worker_info w = {.beat_ms = number_of(reply->element[i + 1])};

        (void)slice_to_cstr(text_of(reply->element[i]), w.name, sizeof w.name);
        (void)snprintf(w.queue, sizeof w.queue, "%s", queue);
        take_info(text_of(reply->element[i + 2]), &w, &lease_ms);
        w.active = (uint32_t)number_of(reply->element[i + 3]);
        w.alive = w.beat_ms + lease_ms >= now_ms;
        buf_add(&l->found, &w, sizeof w);
    }
}

static void on_workers(void *arg, enum err e)
{
    struct workers_look *l = arg;

    if (e == ERR_OK && buf_failed(&l->found))
        e = ERR_NOMEM;
    if (e == ERR_OK)
        l->cb(l->arg, e, (const struct worker_info *)(const void *)l->found.data,
              l->found.len / sizeof(struct worker_info));
    else
        l->cb(l->arg, e, NULL, 0);
    buf_done(&l->found);
    free(l);
}

enum err inspect_workers(struct redis *r, inspect_workers_fn *cb, void *arg)
{
    struct workers_look *l = calloc(1, sizeof *l);
    enum err e;

    if (l == NULL)
        return ERR_NOMEM;
    l->cb = cb;
    l->arg = arg;
    e = sweep_start(
        r, &(struct sweep_plan){
               .arg = l, .ask = ask_workers, .answer = take_workers, .done = on_workers});
    if (e != ERR_OK)
        free(l);
    return e;
}

/* --- pause ----------------------------------------------------------------------------------- */

struct pause_look {
    struct redis *redis;
    struct queue_keys keys;
    bool paused;
    inspect_pause_fn *cb;
    void *arg;
};

static void pause_end(struct pause_look *l, enum err e)
{
    l->cb(l->arg, e);
    free(l);
}

static void on_paused(void *arg, enum err e, const redisReply *reply)
{
    (void)reply;
    pause_end(arg, e);
}

static void on_known(void *arg, enum err e, const redisReply *reply)
{
    struct pause_look *l = arg;
    const struct slice flag = l->paused ? SLICE_LIT("1") : SLICE_LIT("0");

    e = known_answer(e, reply);
    if (e == ERR_OK)
        e = redis_call(l->redis,
                       &(struct redis_call){.script = queue_script(QUEUE_PAUSE),
                                            .n_keys = QUEUE_KEYS,
                                            .keys = l->keys.key,
                                            .n_args = 1,
                                            .args = &flag},
                       on_paused, l);
    if (e != ERR_OK)
        pause_end(l, e);
}

enum err inspect_pause(struct redis *r, const char *queue, bool paused, inspect_pause_fn *cb,
                       void *arg)
{
    struct pause_look *l = calloc(1, sizeof *l);
    enum err e;

    if (l == NULL)
        return ERR_NOMEM;
    *l = (struct pause_look){.redis = r, .paused = paused, .cb = cb, .arg = arg};
    e = known_ask(r, queue, &l->keys, on_known, l);
    if (e != ERR_OK)
        free(l);
    return e;
}
