#include "queue/consumer_wait.h"

#define WAITER_MAGIC     0x57414954u
#define WAIT_SECONDS     "5"
#define WAIT_DEADLINE_MS 10000

struct waiter {
    unsigned magic;
    struct redis *redis;
    struct slice wake_key;
    waiter_token_fn *on_token;
    void *arg;
    bool wanted, waiting, up;
    int64_t client_id;
    waiter_closed_fn *on_closed;
    void *closed_arg;
};

static struct waiter *waiter_of(void *p)
{
    struct waiter *w = p;

    must(w != NULL && w->magic == WAITER_MAGIC);
    return w;
}

static void wait_if_wanted(struct waiter *w);

static bool is_token(enum err e, const redisReply *reply)
{
    return e == ERR_OK && reply->type == REDIS_REPLY_ARRAY && reply->elements == 2;
}

static void on_waited(void *arg, enum err e, const redisReply *reply)
{
    struct waiter *w = waiter_of(arg);

    w->waiting = false;
    if (e == ERR_CANCELED)
        return;
    if (is_token(e, reply)) {
        w->wanted = false;
        w->on_token(w->arg);
        return;
    }
    if (e == ERR_OK)
        wait_if_wanted(w);
    /* else: the connection is gone, and on_state goes on; or Redis cannot serve now, and the
     * consumer's beat asks again */
}

static void wait_if_wanted(struct waiter *w)
{
    const struct slice words[] = {SLICE_LIT("BLPOP"), w->wake_key, SLICE_LIT(WAIT_SECONDS)};

    if (!w->wanted || w->waiting || !w->up)
        return;
    w->waiting = redis_command(w->redis,
                               &(struct redis_command){.argc = COUNT_OF(words),
                                                       .argv = words,
                                                       .deadline_ms = WAIT_DEADLINE_MS},
                               on_waited, w) == ERR_OK;
}

static void on_client_id(void *arg, enum err e, const redisReply *reply)
{
    struct waiter *w = waiter_of(arg);

    if (e == ERR_OK && reply->type == REDIS_REPLY_INTEGER)
        w->client_id = reply->integer;
}

static void on_state(void *arg, bool up, const char *why)
{
    struct waiter *w = waiter_of(arg);

    (void)why;
    w->up = up;
    w->client_id = 0;
    if (!up)
        return;
    if (redis_commandf(w->redis, on_client_id, w, "CLIENT ID") == ERR_OK)
        wait_if_wanted(w);
}

void waiter_want(struct waiter *w, bool wanted)
{
    w->wanted = wanted;
    wait_if_wanted(w);
}

bool waiter_is_up(const struct waiter *w)
{
    return w->up;
}

int64_t waiter_client_id(const struct waiter *w)
{
    return w->waiting ? w->client_id : 0;
}

enum err waiter_new(uv_loop_t *loop, const struct waiter_options *opt, struct waiter **ret,
                    struct fault *reterr)
{
    struct waiter *w = calloc(1, sizeof *w);
    enum err e;

    if (w == NULL)
        return fault_set(reterr, ERR_NOMEM, 0, "consumer: out of memory");
    w->magic = WAITER_MAGIC;
    w->wake_key = opt->wake_key;
    w->on_token = opt->on_token;
    w->arg = opt->arg;
    e = redis_new(
        loop,
        &(struct redis_options){.url = opt->redis_url, .name = opt->name, .log = opt->log},
        &w->redis, reterr);
    if (e != ERR_OK) {
        free(w);
        return e;
    }
    *ret = w;
    return ERR_OK;
}

void waiter_start(struct waiter *w)
{
    redis_start(w->redis, on_state, w);
}

static void on_redis_closed(void *arg)
{
    struct waiter *w = waiter_of(arg);
    waiter_closed_fn *on_closed = w->on_closed;
    void *closed_arg = w->closed_arg;

    w->magic = 0;
    free(w);
    on_closed(closed_arg);
}

void waiter_close(struct waiter **w, waiter_closed_fn *on_closed, void *arg)
{
    struct waiter *waiter = waiter_of(*w);

    *w = NULL;
    waiter->wanted = false;
    waiter->on_closed = on_closed;
    waiter->closed_arg = arg;
    redis_close(&waiter->redis, on_redis_closed, waiter);
}
