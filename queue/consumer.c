#include <unistd.h>

#include "queue/consumer_internal.h"
#include "shared/mp.h"

#define CONSUMER_MAGIC 0x434f4e53u
#define BEAT_MS        2000
#define LEASE_MS       10000
#define PART_MAX       48 /* host, instance */
#define INFO_PAIRS     5

struct consumer *consumer_of(void *p)
{
    struct consumer *c = p;

    must(c != NULL && c->magic == CONSUMER_MAGIC);
    return c;
}

/* --- state ----------------------------------------------------------------------------------- */

static const char *const state_names[] = {
    [CONSUMER_DOWN] = "down",
    [CONSUMER_PARKED] = "parked",
    [CONSUMER_REGISTERING] = "registering",
    [CONSUMER_CHECKING] = "checking",
    [CONSUMER_READY] = "ready",
    [CONSUMER_CLOSING] = "closing",
};

static bool may_follow(enum consumer_state from, enum consumer_state to)
{
    switch (to) {
    case CONSUMER_DOWN:
    case CONSUMER_CLOSING:
        return from != CONSUMER_CLOSING;
    case CONSUMER_PARKED:
        return from == CONSUMER_REGISTERING || from == CONSUMER_CHECKING ||
               from == CONSUMER_READY;
    case CONSUMER_REGISTERING:
        return from != CONSUMER_CLOSING && from != CONSUMER_REGISTERING;
    case CONSUMER_CHECKING:
        return from == CONSUMER_DOWN || from == CONSUMER_READY;
    case CONSUMER_READY:
        return from == CONSUMER_REGISTERING || from == CONSUMER_CHECKING;
    }
    return false;
}

/* Tells a change, and a new reason for not being ready. */
static void tell(struct consumer *c, bool ready, const char *why)
{
    if (c->told_ready == ready && strcmp(c->told_why, why) == 0)
        return;
    c->told_ready = ready;
    (void)snprintf(c->told_why, sizeof c->told_why, "%s", why);
    if (c->ev.on_state != NULL)
        c->ev.on_state(c->ev.arg, ready, c->told_why);
}

void consumer_set_state(struct consumer *c, enum consumer_state to, const char *why)
{
    must(may_follow(c->state, to));
    log_debug(c->log, "consumer.state", LOG_S("queue", c->keys.queue), LOG_S("name", c->name),
              LOG_S("from", state_names[c->state]), LOG_S("to", state_names[to]),
              LOG_S("why", why));
    c->state = to;
    if (to == CONSUMER_READY)
        tell(c, true, "");
    else if (to != CONSUMER_CLOSING)
        tell(c, false, why);
}

/* --- calls ----------------------------------------------------------------------------------- */

enum err consumer_call(struct consumer *c, const struct consumer_call *call)
{
    enum err e = redis_call(c->redis,
                            &(struct redis_call){.script = queue_script(call->script),
                                                 .n_keys = COUNT_OF(c->call_keys),
                                                 .keys = c->call_keys,
                                                 .n_args = call->n_args,
                                                 .args = call->args},
                            call->cb, call->arg);

    if (e == ERR_OK)
        c->calls++;
    return e;
}

void consumer_called(struct consumer *c)
{
    must(c->calls > 0);
    c->calls--;
}

static void on_tried(void *arg, enum err e, const redisReply *reply)
{
    struct consumer *c = consumer_of(arg);

    (void)e, (void)reply;
    consumer_called(c);
    consumer_close_step(c);
}

void consumer_try(struct consumer *c, enum queue_script script, const struct slice *args,
                  size_t n_args)
{
    enum err e = consumer_call(
        c, &(struct consumer_call){
               .script = script, .args = args, .n_args = n_args, .cb = on_tried, .arg = c});

    if (e != ERR_OK)
        log_debug(c->log, "consumer.not_sent", LOG_S("script", queue_script(script)->name));
}

static void on_turn(uv_idle_t *h)
{
    struct consumer *c = consumer_of(h->data);

    (void)uv_idle_stop(h);
    if (c->state == CONSUMER_CLOSING) {
        consumer_close_step(c);
        return;
    }
    consumer_flush(c);
    consumer_pump(c);
}

void consumer_turn(struct consumer *c)
{
    if (!uv_is_closing((uv_handle_t *)&c->turn))
        (void)uv_idle_start(&c->turn, on_turn);
}

/* --- closing --------------------------------------------------------------------------------- */

static void free_parts(struct consumer *c)
{
    held_done(&c->held);
    buf_done(&c->info);
    buf_done(&c->scratch);
    c->magic = 0;
    free(c);
}

static void finish_if_closed(struct consumer *c)
{
    consumer_closed_fn *on_closed = c->on_closed;
    void *arg = c->closed_arg;

    if (c->handles > 0 || c->waiter_live)
        return;
    free_parts(c);
    if (on_closed != NULL)
        on_closed(arg);
}

static void on_waiter_closed(void *arg)
{
    struct consumer *c = consumer_of(arg);

    c->waiter_live = false;
    finish_if_closed(c);
}

static void on_handle_closed(uv_handle_t *h)
{
    struct consumer *c = consumer_of(h->data);

    c->handles--;
    finish_if_closed(c);
}

static void finish(struct consumer *c)
{
    consumer_drop_held(c, ERR_CANCELED);
    waiter_close(&c->waiter, on_waiter_closed, c);
    uv_close((uv_handle_t *)&c->beat, on_handle_closed);
    uv_close((uv_handle_t *)&c->retry, on_handle_closed);
    uv_close((uv_handle_t *)&c->due, on_handle_closed);
    uv_close((uv_handle_t *)&c->news, on_handle_closed);
    uv_close((uv_handle_t *)&c->turn, on_handle_closed);
}

static void on_unregistered(void *arg, enum err e, const redisReply *reply)
{
    struct consumer *c = consumer_of(arg);

    consumer_called(c);
    /* When it failed, the lease gives the jobs back. */
    c->registered = e == ERR_OK && reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 &&
                    reply->element[0]->integer != 0;
    consumer_close_step(c);
}

static void send_unregister(struct consumer *c)
{
    const struct slice args[] = {slice_str(c->name), SLICE_LIT(QUEUE_GIVE_BACK)};

    if (consumer_call(c, &(struct consumer_call){.script = QUEUE_UNREGISTER,
                                                 .args = args,
                                                 .n_args = COUNT_OF(args),
                                                 .cb = on_unregistered,
                                                 .arg = c}) != ERR_OK)
        c->registered = false;
}

/* Settlements first, then the name; each waits for the one before, because a script that has to be
 * loaded again is repeated behind what was sent after it. */
void consumer_close_step(struct consumer *c)
{
    if (c->state != CONSUMER_CLOSING || c->calls > 0 || uv_is_closing((uv_handle_t *)&c->turn))
        return;
    if (!redis_is_up(c->redis))
        c->registered = false;
    if (c->registered && !c->settle_failed)
        consumer_flush(c);
    if (c->calls == 0 && c->registered)
        send_unregister(c);
    if (c->calls == 0)
        finish(c);
}

void consumer_close(struct consumer **c, consumer_closed_fn *on_closed, void *arg)
{
    struct consumer *consumer = consumer_of(*c);

    *c = NULL;
    consumer_set_state(consumer, CONSUMER_CLOSING, "closed");
    consumer->on_closed = on_closed;
    consumer->closed_arg = arg;
    consumer_stop_waiting(consumer);
    redis_sub_remove(&consumer->control);
    (void)uv_timer_stop(&consumer->beat);
    (void)uv_timer_stop(&consumer->retry);
    (void)uv_timer_stop(&consumer->news);
    consumer_turn(consumer);
}

/* --- life ------------------------------------------------------------------------------------ */

void consumer_on_redis(struct consumer *c, bool up)
{
    if (!c->started || c->state == CONSUMER_CLOSING)
        return;
    if (up && c->state == CONSUMER_DOWN) {
        consumer_come_up(c);
    } else if (!up && c->state != CONSUMER_DOWN) {
        (void)uv_timer_stop(&c->due);
        consumer_set_state(c, CONSUMER_DOWN, "Redis is not reachable");
    }
}

void consumer_start(struct consumer *c)
{
    c->started = true;
    waiter_start(c->waiter);
    consumer_listen(c);
    (void)uv_timer_start(&c->beat, consumer_on_beat_timer, c->beat_ms, c->beat_ms);
    if (redis_is_up(c->redis))
        consumer_come_up(c);
}

size_t consumer_held(const struct consumer *c)
{
    return c->held.len;
}

const char *consumer_name(const struct consumer *c)
{
    return c->name;
}

static bool is_part(const char *text)
{
    size_t len = strlen(text);

    if (len == 0 || len > PART_MAX)
        return false;
    for (const char *p = text; *p != '\0'; p++) {
        if (*p <= ' ' || *p > '~' || *p == ':')
            return false;
    }
    return true;
}

/* A map whose last value, the time, is put on by the script. */
static void pack_info(struct consumer *c, const struct consumer_options *opt)
{
    msgpack_packer pk;

    mp_packer(&pk, &c->info);
    msgpack_pack_map(&pk, INFO_PAIRS);
    mp_str(&pk, "pid");
    msgpack_pack_uint32(&pk, (uint32_t)getpid());
    mp_str(&pk, "version");
    mp_str(&pk, opt->info_version == NULL ? "" : opt->info_version);
    mp_str(&pk, "slots");
    msgpack_pack_uint32(&pk, opt->info_slots);
    mp_str(&pk, "lease_ms");
    msgpack_pack_uint32(&pk, c->lease_ms);
    mp_str(&pk, "started_ms");
}

static enum err take_options(struct consumer *c, const struct consumer_options *opt,
                             struct fault *reterr)
{
    enum err e = keys_init(&c->keys, opt->queue, reterr);

    if (e != ERR_OK)
        return e;
    if (!is_part(opt->host) || !is_part(opt->instance))
        return fault_set(
            reterr, ERR_MALFORMED, 0,
            "host and instance: 1 to %d printable characters without space and :", PART_MAX);
    (void)snprintf(c->identity, sizeof c->identity, "%s:%s:", opt->host, opt->instance);
    c->beat_ms = opt->beat_ms == 0 ? BEAT_MS : opt->beat_ms;
    c->lease_ms = opt->lease_ms == 0 ? LEASE_MS : opt->lease_ms;
    c->log = opt->log;
    memcpy(c->call_keys, c->keys.key, sizeof c->keys.key);
    consumer_take_new_name(c);
    pack_info(c, opt);
    if (buf_failed(&c->info) || held_init(&c->held) != ERR_OK)
        return fault_set(reterr, ERR_NOMEM, 0, "consumer: out of memory");
    return ERR_OK;
}

static void init_handles(struct consumer *c, uv_loop_t *loop)
{
    must(uv_timer_init(loop, &c->beat) == 0);
    must(uv_timer_init(loop, &c->retry) == 0);
    must(uv_timer_init(loop, &c->due) == 0);
    must(uv_timer_init(loop, &c->news) == 0);
    must(uv_idle_init(loop, &c->turn) == 0);
    c->beat.data = c->retry.data = c->due.data = c->news.data = c->turn.data = c;
    c->handles = 5;
}

enum err consumer_new(uv_loop_t *loop, struct redis *redis, const struct consumer_options *opt,
                      const struct consumer_events *ev, struct consumer **ret,
                      struct fault *reterr)
{
    struct consumer *c = calloc(1, sizeof *c);
    enum err e;

    if (c == NULL)
        return fault_set(reterr, ERR_NOMEM, 0, "consumer: out of memory");
    c->magic = CONSUMER_MAGIC;
    c->redis = redis;
    c->sub = opt->sub;
    c->ev = *ev;
    e = take_options(c, opt, reterr);
    if (e == ERR_OK)
        e = waiter_new(loop,
                       &(struct waiter_options){.redis_url = opt->redis_url,
                                                .name = "millrace-wait",
                                                .wake_key = c->keys.key[QUEUE_KEY_WAKE],
                                                .log = opt->log,
                                                .on_token = consumer_on_token,
                                                .arg = c},
                       &c->waiter, reterr);
    if (e != ERR_OK) {
        free_parts(c);
        return e;
    }
    c->waiter_live = true;
    init_handles(c, loop);
    *ret = c;
    return ERR_OK;
}
