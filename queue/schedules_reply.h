/* schedules_reply: what scripts answer of schedules, field by field. For schedules.c and schedules_list.c. */
#ifndef QUEUE_SCHEDULES_REPLY_H
#define QUEUE_SCHEDULES_REPLY_H

#include "shared/redis.h"

static inline uint64_t number_of(const redisReply *r)
{
    return r->type == REDIS_REPLY_INTEGER && r->integer > 0 ? (uint64_t)r->integer : 0;
}

static inline struct slice text_of(const redisReply *r)
{
    return r->type == REDIS_REPLY_STRING ? slice_of(r->str, r->len) : slice_of("", 0);
}

static inline uint64_t tick_of(const redisReply *r)
{
    return r->type == REDIS_REPLY_STRING ? strtoull(r->str, NULL, 10) : 0;
}

#endif
