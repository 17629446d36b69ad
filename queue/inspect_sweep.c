#include "queue/inspect_sweep.h"

struct sweep;

struct sweep_queue {
    struct sweep *sweep;
    char name[JOB_NAME_MAX + 1];
};

struct sweep {
    struct redis *redis;
    struct sweep_plan plan;
    enum err err; /* the first that went wrong */
    size_t pending, n;
    struct sweep_queue *queues;
};

static void end_part(struct sweep *s)
{
    if (--s->pending > 0)
        return;
    s->plan.done(s->plan.arg, s->err);
    free(s->queues);
    free(s);
}

static void on_answer(void *arg, enum err e, const redisReply *reply)
{
    struct sweep_queue *q = arg;
    struct sweep *s = q->sweep;

    if (e == ERR_OK)
        s->plan.answer(s->plan.arg, q->name, reply);
    else if (s->err == ERR_OK)
        s->err = e;
    end_part(s);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct sweep_queue *)a)->name, ((const struct sweep_queue *)b)->name);
}

/* Names that no queue can have are passed over: the set is open to all. */
static enum err take_names(struct sweep *s, const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ARRAY)
        return ERR_INTERNAL;
    s->queues = calloc(reply->elements + 1, sizeof *s->queues);
    if (s->queues == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < reply->elements; i++) {
        const redisReply *r = reply->element[i];
        struct slice name = slice_of(r->str, r->len);

        if (r->type != REDIS_REPLY_STRING || !job_name_is_valid(name))
            continue;
        s->queues[s->n].sweep = s;
        (void)slice_to_cstr(name, s->queues[s->n].name, sizeof s->queues[s->n].name);
        s->n++;
    }
    qsort(s->queues, s->n, sizeof *s->queues, by_name);
    return ERR_OK;
}

static enum err ask_one(struct sweep *s, struct sweep_queue *q)
{
    struct queue_keys keys;
    enum err e = keys_init(&keys, q->name, NULL);

    return e != ERR_OK ? e : s->plan.ask(s->plan.arg, s->redis, &keys, on_answer, q);
}

static void on_names(void *arg, enum err e, const redisReply *reply)
{
    struct sweep *s = arg;

    if (e == ERR_OK)
        e = take_names(s, reply);
    s->err = e;
    for (size_t i = 0; i < s->n && s->err == ERR_OK; i++) {
        s->err = ask_one(s, &s->queues[i]);
        if (s->err == ERR_OK)
            s->pending++;
    }
    end_part(s);
}

enum err sweep_start(struct redis *r, const struct sweep_plan *plan)
{
    struct sweep *s = calloc(1, sizeof *s);
    enum err e;

    if (s == NULL)
        return ERR_NOMEM;
    s->redis = r;
    s->plan = *plan;
    s->pending = 1;
    e = redis_commandf(r, on_names, s, "SRANDMEMBER " KEYS_QUEUES " %d", SWEEP_QUEUES_MAX);
    if (e != ERR_OK)
        free(s);
    return e;
}
