#include "queue/cancel.h"

#include "queue/keys.h"
#include "queue/scripts.h"

struct cancel {
    cancel_fn *cb;
    void *arg;
    size_t n;
};

static enum err read_answers(const struct cancel *c, const redisReply *reply,
                             enum cancel_answer *ret)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != c->n)
        return ERR_INTERNAL;
    for (size_t i = 0; i < c->n; i++) {
        const redisReply *code = reply->element[i];

        if (code->type != REDIS_REPLY_INTEGER || code->integer < CANCEL_UNKNOWN ||
            code->integer > CANCEL_REQUESTED)
            return ERR_INTERNAL;
        ret[i] = (enum cancel_answer)code->integer;
    }
    return ERR_OK;
}

static void on_reply(void *arg, enum err e, const redisReply *reply)
{
    struct cancel *c = arg;
    enum cancel_answer answers[CANCEL_BATCH_MAX];

    if (e == ERR_OK)
        e = read_answers(c, reply, answers);
    c->cb(c->arg, e, e == ERR_OK ? answers : NULL, c->n);
    free(c);
}

enum err cancel_jobs(struct redis *r, const struct cancel_order *order, cancel_fn *cb,
                     void *arg)
{
    struct queue_keys keys;
    struct slice args[CANCEL_BATCH_MAX];
    struct cancel *c;
    enum err e = keys_init(&keys, order->queue, NULL);

    must(order->n >= 1 && order->n <= CANCEL_BATCH_MAX);
    if (e != ERR_OK)
        return e;
    c = malloc(sizeof *c);
    if (c == NULL)
        return ERR_NOMEM;
    *c = (struct cancel){cb, arg, order->n};
    for (size_t i = 0; i < order->n; i++)
        args[i] = slice_of(order->ids[i].bytes, UUID_LEN);
    e = redis_call(r,
                   &(struct redis_call){.script = queue_script(QUEUE_CANCEL),
                                        .n_keys = QUEUE_KEYS,
                                        .keys = keys.key,
                                        .n_args = order->n,
                                        .args = args},
                   on_reply, c);
    if (e != ERR_OK)
        free(c);
    return e;
}
