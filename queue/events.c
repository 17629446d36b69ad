#include "queue/events.h"

#define KEEP_SECONDS "30"

enum err events_ask(struct redis *r, const struct queue_keys *keys, redis_reply_fn *cb,
                    void *arg)
{
    char key[QUEUE_KEY_SIZE];
    const struct slice words[] = {SLICE_LIT("SET"), keys_watch(keys, key), SLICE_LIT("1"),
                                  SLICE_LIT("EX"), SLICE_LIT(KEEP_SECONDS)};

    return redis_command(r, &(struct redis_command){.argc = COUNT_OF(words), .argv = words}, cb,
                         arg);
}

void events_read(struct slice message, void (*fn)(void *arg, const struct uuid *id), void *arg)
{
    struct uuid id;

    for (size_t at = 0; at + UUID_LEN <= message.len; at += UUID_LEN) {
        memcpy(id.bytes, message.ptr + at, UUID_LEN);
        fn(arg, &id);
    }
}
