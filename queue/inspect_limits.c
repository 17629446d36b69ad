/* One queue, and its limits. */
#include "queue/inspect_counts.h"
#include "queue/known.h"
#include "queue/scripts.h"

/* --- one queue -------------------------------------------------------------------------------- */

struct queue_look {
    struct redis *redis;
    struct queue_keys keys;
    inspect_queues_fn *cb;
    void *arg;
};

static void queue_end(struct queue_look *l, enum err e, const struct queue_info *info)
{
    l->cb(l->arg, e, e == ERR_OK ? info : NULL, e == ERR_OK);
    free(l);
}

static void on_counts(void *arg, enum err e, const redisReply *reply)
{
    struct queue_look *l = arg;
    struct queue_info info;

    if (e == ERR_OK && !inspect_read_counts(reply, l->keys.queue, &info))
        e = ERR_INTERNAL;
    queue_end(l, e, &info);
}

static void on_member(void *arg, enum err e, const redisReply *reply)
{
    struct queue_look *l = arg;

    e = known_answer(e, reply);
    if (e == ERR_OK)
        e = redis_call(l->redis,
                       &(struct redis_call){.script = queue_script(QUEUE_COUNTS),
                                            .n_keys = QUEUE_KEYS,
                                            .keys = l->keys.key,
                                            .n_args = 1,
                                            .args = &l->keys.active_prefix},
                       on_counts, l);
    if (e != ERR_OK)
        queue_end(l, e, NULL);
}

enum err inspect_queue(struct redis *r, const char *queue, inspect_queues_fn *cb, void *arg)
{
    struct queue_look *l = calloc(1, sizeof *l);
    enum err e;

    if (l == NULL)
        return ERR_NOMEM;
    *l = (struct queue_look){.redis = r, .cb = cb, .arg = arg};
    e = known_ask(r, queue, &l->keys, on_member, l);
    if (e != ERR_OK)
        free(l);
    return e;
}

/* --- limits ----------------------------------------------------------------------------------- */

struct limits_change {
    struct redis *redis;
    struct queue_keys keys;
    char text[LIMITS_TEXT_SIZE];
    struct slice limits; /* points into text */
    inspect_pause_fn *cb;
    void *arg;
};

static void change_end(struct limits_change *c, enum err e)
{
    c->cb(c->arg, e);
    free(c);
}

static enum err send_limits(struct limits_change *c);

/* Gates are opened in pieces, until all are. */
static void on_set(void *arg, enum err e, const redisReply *reply)
{
    struct limits_change *c = arg;
    bool more = e == ERR_OK && reply->type == REDIS_REPLY_ARRAY && reply->elements == 1 &&
                reply->element[0]->integer != 0;

    if (more)
        e = send_limits(c);
    if (!more || e != ERR_OK)
        change_end(c, e);
}

static enum err send_limits(struct limits_change *c)
{
    return redis_call(c->redis,
                      &(struct redis_call){.script = queue_script(QUEUE_LIMITS),
                                           .n_keys = QUEUE_KEYS,
                                           .keys = c->keys.key,
                                           .n_args = 1,
                                           .args = &c->limits},
                      on_set, c);
}

static void on_known(void *arg, enum err e, const redisReply *reply)
{
    struct limits_change *c = arg;

    (void)reply;
    if (e == ERR_OK)
        e = send_limits(c);
    if (e != ERR_OK)
        change_end(c, e);
}

/* The name first: limits that nobody sees would puzzle. */
static enum err make_known(struct limits_change *c)
{
    const struct slice words[] = {SLICE_LIT("SADD"), SLICE_LIT(KEYS_QUEUES),
                                  slice_str(c->keys.queue)};

    return redis_command(
        c->redis, &(struct redis_command){.argc = COUNT_OF(words), .argv = words}, on_known, c);
}

enum err inspect_set_limits(struct redis *r, const char *queue,
                            const struct queue_limits *limits, inspect_pause_fn *cb, void *arg)
{
    struct limits_change *c = calloc(1, sizeof *c);
    enum err e;

    if (c == NULL)
        return ERR_NOMEM;
    *c = (struct limits_change){.redis = r, .cb = cb, .arg = arg};
    c->limits = limits_encode(limits, c->text);
    e = keys_init(&c->keys, queue, NULL);
    if (e == ERR_OK)
        e = limits_are_set(limits) ? make_known(c) : send_limits(c);
    if (e != ERR_OK)
        free(c);
    return e;
}
