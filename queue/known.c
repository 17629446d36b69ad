#include "queue/known.h"

enum err known_ask(struct redis *r, const char *queue, struct queue_keys *ret_keys,
                   redis_reply_fn *cb, void *arg)
{
    const struct slice words[] = {SLICE_LIT("SISMEMBER"), SLICE_LIT(KEYS_QUEUES),
                                  slice_str(queue)};
    enum err e = keys_init(ret_keys, queue, NULL);

    if (e != ERR_OK)
        return e;
    return redis_command(r, &(struct redis_command){.argc = COUNT_OF(words), .argv = words}, cb,
                         arg);
}

enum err known_answer(enum err e, const redisReply *reply)
{
    if (e != ERR_OK)
        return e;
    return reply->type == REDIS_REPLY_INTEGER && reply->integer > 0 ? ERR_OK : ERR_NOT_FOUND;
}
