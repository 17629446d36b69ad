#include "shared/redis_internal.h"

static void fall(struct redis *r, enum err first, const redisReply *reply, const char *why)
{
    redis_fall(r, &(struct redis_fall){.first = first, .reply = reply, .why = why});
}

static void end_first(struct redis *r, enum err e, const redisReply *reply)
{
    struct redis_waiter w = redis_line_pop(&r->line);

    w.cb(w.arg, e, reply);
}

/* A call whose script Redis refused to load a moment ago fails with that reason. */
static const redisReply *better_reason(const struct redis *r, const redisReply *reply)
{
    const struct redis_waiter *w = redis_line_first(&r->line);

    return w->repeated && r->load_refused != NULL && resp_judge(reply) == RESP_NOSCRIPT
               ? r->load_refused
               : reply;
}

static void user_reply(struct redis *r, const redisReply *got)
{
    const struct redis_waiter *w = redis_line_first(&r->line);
    const redisReply *reply = better_reason(r, got);

    switch (resp_judge(reply)) {
    case RESP_FINE:
        r->tries = 0; /* this connection was of use: the next back-off starts small */
        end_first(r, ERR_OK, reply);
        return;
    case RESP_NOSCRIPT:
        if (w->script != NULL && !w->repeated)
            redis_script_repeat(r);
        else
            end_first(r, ERR_REJECTED, reply);
        return;
    case RESP_FAILOVER:
        fall(r, ERR_BUSY, reply, reply->str);
        return;
    case RESP_LATER:
        end_first(r, ERR_BUSY, reply);
        return;
    case RESP_REFUSED:
        end_first(r, ERR_REJECTED, reply);
        return;
    }
}

static void load_reply(struct redis *r, redisReply **reply)
{
    if (resp_judge(*reply) == RESP_FAILOVER)
        fall(r, ERR_UNREACHABLE, NULL, (*reply)->str);
    else
        redis_script_loaded(r, reply);
}

/* May set *reply NULL: kept. */
static void take_reply(struct redis *r, redisReply **reply)
{
    if (r->line.len == 0 || (*reply)->type > REDIS_REPLY_ERROR) {
        fall(r, ERR_UNREACHABLE, NULL, "a reply that nobody asked for");
        return;
    }
    switch (redis_line_first(&r->line)->kind) {
    case REDIS_KIND_USER:
        user_reply(r, *reply);
        return;
    case REDIS_KIND_LOAD:
        load_reply(r, reply);
        return;
    case REDIS_KIND_AUTH:
    case REDIS_KIND_SELECT:
    case REDIS_KIND_NAME:
    case REDIS_KIND_PING:
        redis_greeting_reply(r, *reply);
        return;
    }
}

void redis_on_bytes(void *arg, const char *bytes, size_t len)
{
    struct redis *r = arg;
    redisReply *reply = NULL;

    resp_parser_feed(&r->parser, bytes, len);
    while (redis_is_linked(r)) {
        switch (resp_parser_next(&r->parser, &reply)) {
        case RESP_GOT_NOTHING:
            return;
        case RESP_GOT_REPLY:
            take_reply(r, &reply);
            freeReplyObject(reply);
            break;
        case RESP_GOT_TOO_BIG:
            fall(r, ERR_TOO_BIG, NULL, resp_parser_why(&r->parser));
            return;
        case RESP_GOT_NO_MEMORY:
            fall(r, ERR_NOMEM, NULL, resp_parser_why(&r->parser));
            return;
        case RESP_GOT_BAD:
            fall(r, ERR_UNREACHABLE, NULL, resp_parser_why(&r->parser));
            return;
        }
    }
}
