#include "queue/turn.h"

#include <inttypes.h>

enum err turn_ask(struct redis *r, struct slice key, uint64_t keep_ms, redis_reply_fn *cb,
                  void *arg)
{
    char kept[24];
    int n = snprintf(kept, sizeof kept, "%" PRIu64, keep_ms);
    const struct slice words[] = {
        SLICE_LIT("SET"),          key, SLICE_LIT("1"), SLICE_LIT("NX"), SLICE_LIT("PX"),
        slice_of(kept, (size_t)n),
    };

    return redis_command(r, &(struct redis_command){.argc = COUNT_OF(words), .argv = words}, cb,
                         arg);
}

bool turn_is_ours(enum err e, const redisReply *reply)
{
    return e == ERR_OK && reply->type == REDIS_REPLY_STATUS;
}
