#include "queue/consumer_internal.h"
#include "queue/consumer_ride.h"
#include "queue/restart.h"
#include "shared/backoff.h"
#include "shared/clock.h"
#include "shared/hash.h"
#include "shared/rand.h"

#define BOOT_BYTES       4
#define REPLACED_BASE_MS 4000
#define REPLACED_CAP_MS  60000
#define RIDE_PART        4     /* of a beat: sooner after the last one none goes along */
#define SETTLED_DOWN_MS  60000 /* after so long a takeover counts as the first again */

bool consumer_is_sure(const struct consumer *c)
{
    return c->registered && clock_now_ms() - c->beat_ok_ms <= c->lease_ms;
}

static bool is_numbers(const redisReply *reply, size_t n)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != n)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (reply->element[i]->type != REDIS_REPLY_INTEGER)
            return false;
    }
    return true;
}

/* --- registration ---------------------------------------------------------------------------- */

static void send_register(struct consumer *c);

static void begin_registering(struct consumer *c, const char *why)
{
    consumer_set_state(c, CONSUMER_REGISTERING, why);
    send_register(c);
}

void consumer_on_retry(uv_timer_t *t)
{
    struct consumer *c = consumer_of(t->data);

    if (c->state == CONSUMER_PARKED)
        begin_registering(c, "registering");
    c->hungry = true;
    consumer_turn(c);
}

void consumer_later(struct consumer *c, uint64_t ms)
{
    if (c->state != CONSUMER_CLOSING && !uv_is_active((uv_handle_t *)&c->retry))
        (void)uv_timer_start(&c->retry, consumer_on_retry, ms, 0);
}

static void park(struct consumer *c, uint64_t ms, const char *why)
{
    consumer_set_state(c, CONSUMER_PARKED, why);
    (void)uv_timer_start(&c->retry, consumer_on_retry, ms, 0);
}

static void on_registered(void *arg, enum err e, const redisReply *reply)
{
    struct consumer *c = consumer_of(arg);

    consumer_called(c);
    if (c->state == CONSUMER_REGISTERING && e == ERR_OK && is_numbers(reply, 2)) {
        if (reply->element[0]->integer != 0) {
            send_register(c);
        } else {
            c->registered = true;
            c->registered_ms = clock_now_ms();
            c->beat_ok_ms = c->beat_sent_ms;
            c->hungry = true;
            consumer_set_state(c, CONSUMER_READY, "");
            consumer_turn(c);
        }
    } else if (c->state == CONSUMER_CLOSING) {
        c->registered = e == ERR_OK; /* to be undone */
    } else if (c->state == CONSUMER_REGISTERING && redis_is_up(c->redis)) {
        park(c, CONSUMER_RETRY_MS, reply != NULL ? reply->str : err_text(e));
    }
    consumer_close_step(c);
}

static void on_announced(void *arg, enum err e, const redisReply *reply)
{
    (void)arg, (void)e, (void)reply; /* the producer says it too; and the next registration */
}

static void send_register(struct consumer *c)
{
    const struct slice words[] = {SLICE_LIT("SADD"), SLICE_LIT(KEYS_QUEUES),
                                  slice_str(c->keys.queue)};
    const struct slice args[] = {slice_str(c->name), slice_str(c->identity),
                                 buf_slice(&c->info), c->keys.active_prefix,
                                 SLICE_LIT(QUEUE_GIVE_BACK)};

    c->beat_sent_ms = clock_now_ms();
    if (redis_command(c->redis, &(struct redis_command){.argc = COUNT_OF(words), .argv = words},
                      on_announced, NULL) != ERR_OK ||
        consumer_call(c, &(struct consumer_call){.script = QUEUE_REGISTER,
                                                 .args = args,
                                                 .n_args = COUNT_OF(args),
                                                 .cb = on_registered,
                                                 .arg = c}) != ERR_OK)
        park(c, CONSUMER_RETRY_MS, "Redis takes no commands now");
}

/* A new boot: nothing that was ever said under an older name can be taken for ours. */
void consumer_take_new_name(struct consumer *c)
{
    uint8_t boot[BOOT_BYTES];
    char hex[2 * BOOT_BYTES + 1];

    rand_bytes(boot, sizeof boot);
    (void)snprintf(c->name, sizeof c->name, "%s%s", c->identity,
                   hex_text(boot, sizeof boot, hex));
    c->call_keys[QUEUE_KEYS] = keys_active(&c->keys, c->name, c->active);
    c->epoch++;
    c->registered = false;
    c->reconciling = false;
}

void consumer_lose(struct consumer *c, bool replaced)
{
    const char *why = replaced ? "another process registered under this host and instance"
                               : "the lease was lost";

    if (clock_now_ms() - c->registered_ms > SETTLED_DOWN_MS)
        c->replaced = 0;
    consumer_take_new_name(c);
    (void)uv_timer_stop(&c->due);
    consumer_drop_held(c, ERR_STALE);
    c->ev.on_lost(c->ev.arg);
    if (c->state == CONSUMER_CLOSING)
        return;
    if (replaced) {
        park(c, backoff_ms(REPLACED_BASE_MS, REPLACED_CAP_MS, c->replaced++), why);
        return;
    }
    begin_registering(c, why);
}

void consumer_come_up(struct consumer *c)
{
    restart_mend(c->redis, c->log);
    if (c->registered)
        consumer_check(c, "asking Redis for the lease");
    else
        begin_registering(c, "registering");
    consumer_turn(c);
}

/* --- beat and reconciliation ----------------------------------------------------------------- */

static void send_reconcile(struct consumer *c);

static void on_reconciled(void *arg, enum err e, const redisReply *reply)
{
    struct consumer *c = consumer_of(arg);

    consumer_called(c);
    c->reconciling = false;
    if (c->reconcile_epoch == c->epoch && c->state == CONSUMER_CHECKING && e == ERR_OK &&
        is_numbers(reply, 3)) {
        if (reply->element[0]->integer == 0) {
            consumer_lose(c, false);
        } else if (reply->element[1]->integer != 0) {
            send_reconcile(c);
        } else {
            c->hungry = true;
            consumer_set_state(c, CONSUMER_READY, "");
            consumer_turn(c);
        }
    }
    /* else: the next beat begins again */
    consumer_close_step(c);
}

/* Never while a claim is in flight: its jobs would be given back before they arrive. */
static void send_reconcile(struct consumer *c)
{
    size_t n = 2 + c->held.len;
    struct slice *args = calloc(n, sizeof *args);

    if (args == NULL)
        return; /* the next beat begins again */
    args[0] = slice_str(c->name);
    args[1] = SLICE_LIT(QUEUE_GIVE_BACK);
    held_ids(&c->held, args + 2);
    c->reconcile_epoch = c->epoch;
    c->reconciling = consumer_call(c, &(struct consumer_call){.script = QUEUE_RECONCILE,
                                                              .args = args,
                                                              .n_args = n,
                                                              .cb = on_reconciled,
                                                              .arg = c}) == ERR_OK;
    free(args);
}

/* claims: how many Redis thinks are ours. Replies come in the order of execution, so by now held
 * counts whatever Redis had done when it counted. */
static void beat_answered(struct consumer *c, size_t claims)
{
    c->beat_ok_ms = c->beat_sent_ms;
    if (c->state == CONSUMER_READY && claims > c->held.len)
        consumer_set_state(c, CONSUMER_CHECKING, "Redis counts more claims than arrived");
    if (c->state == CONSUMER_CHECKING && !c->claiming && !c->reconciling)
        send_reconcile(c);
}

static bool is_beat(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_ARRAY && reply->elements >= 2 &&
           reply->element[0]->type == REDIS_REPLY_INTEGER &&
           reply->element[1]->type == REDIS_REPLY_INTEGER;
}

static void alive(struct consumer *c, const redisReply *reply)
{
    unsigned epoch = c->epoch;

    beat_answered(c, (size_t)reply->element[1]->integer);
    for (size_t i = 2; i < reply->elements && c->epoch == epoch; i++) {
        if (reply->element[i]->type == REDIS_REPLY_STRING && reply->element[i]->len == UUID_LEN)
            consumer_cancelled(c, reply->element[i]->str);
    }
}

static void beat_told(struct consumer *c, const redisReply *reply)
{
    c->beating = false;
    if (c->beat_epoch == c->epoch && reply != NULL && is_beat(reply) &&
        (c->state == CONSUMER_READY || c->state == CONSUMER_CHECKING)) {
        if (reply->element[0]->integer == 1)
            alive(c, reply);
        else
            consumer_lose(c, reply->element[0]->integer == 2);
    }
    consumer_ask_missed(c);
}

static void on_beat(void *arg, enum err e, const redisReply *reply)
{
    struct consumer *c = consumer_of(arg);

    consumer_called(c);
    beat_told(c, e == ERR_OK ? reply : NULL);
    consumer_close_step(c);
}

static void note_beat(struct consumer *c)
{
    c->beat_sent_ms = clock_now_ms();
    c->beat_epoch = c->epoch;
}

void consumer_send_beat(struct consumer *c)
{
    const struct slice args[] = {slice_str(c->name), slice_str(c->identity)};

    if (c->beating)
        return;
    note_beat(c);
    c->beating = consumer_call(c, &(struct consumer_call){.script = QUEUE_BEAT,
                                                          .args = args,
                                                          .n_args = COUNT_OF(args),
                                                          .cb = on_beat,
                                                          .arg = c}) == ERR_OK;
}

void consumer_check(struct consumer *c, const char *why)
{
    consumer_set_state(c, CONSUMER_CHECKING, why);
    consumer_send_beat(c);
}

/* What is seen to at each beat. False: there is none to be sent. */
static bool before_beat(struct consumer *c)
{
    if (c->state != CONSUMER_READY && c->state != CONSUMER_CHECKING)
        return false;
    if (c->state == CONSUMER_READY && !consumer_is_sure(c))
        consumer_set_state(c, CONSUMER_CHECKING, CONSUMER_UNSURE);
    if (!waiter_is_up(c->waiter))
        c->hungry = true; /* nobody would wake us */
    consumer_turn(c);
    return true;
}

void consumer_on_beat_timer(uv_timer_t *t)
{
    struct consumer *c = consumer_of(t->data);

    if (before_beat(c))
        consumer_send_beat(c);
}

/* --- a beat that goes along ------------------------------------------------------------------ */

bool consumer_ride(struct consumer *c, struct slice ret[CONSUMER_RIDE_ARGS])
{
    if (c->beating || clock_now_ms() - c->beat_sent_ms < c->beat_ms / RIDE_PART ||
        !before_beat(c))
        return false;
    ret[0] = slice_str(c->name);
    ret[1] = slice_str(c->identity);
    return true;
}

void consumer_ride_sent(struct consumer *c)
{
    c->calls++;
    c->beating = true;
    note_beat(c);
    (void)uv_timer_again(&c->beat); /* the next of its own is due a whole beat from now */
}

void consumer_rode(struct consumer *c, const redisReply *beat)
{
    consumer_called(c);
    beat_told(c, beat);
    consumer_close_step(c);
}
