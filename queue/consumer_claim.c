#include "queue/consumer_internal.h"
#include "shared/failpoint.h"

#define CLAIM_HEAD      4 /* registered, now, more, next due */
#define CLAIM_FIELDS    5 /* id, attempt, excused, priority, item */
#define DUE_MAX_MS      3600000
#define CLAIM_CANCELLED 16 /* added to the priority */

/* --- waking ---------------------------------------------------------------------------------- */

static bool may_claim(const struct consumer *c)
{
    return c->state == CONSUMER_READY && !c->quiet && c->room > 0 && !c->claiming;
}

static void looked(struct consumer *c)
{
    if (c->ev.on_looked != NULL && c->state != CONSUMER_CLOSING)
        c->ev.on_looked(c->ev.arg);
}

struct consumer_look consumer_look(const struct consumer *c)
{
    return (struct consumer_look){.asked = c->claiming ? c->asked : 0,
                                  .dry = c->state != CONSUMER_READY || c->quiet ||
                                         (!c->hungry && !c->claiming)};
}

/* Somebody else can use it. */
static void pass_token_on(struct consumer *c)
{
    c->has_token = false;
    consumer_try(c, QUEUE_WAKE, NULL, 0);
}

void consumer_on_token(void *arg)
{
    struct consumer *c = consumer_of(arg);

    c->hungry = true; /* also without room: something is there */
    c->has_token = true;
    if (c->state == CONSUMER_READY && !c->quiet && c->room > 0)
        consumer_turn(c);
    else
        pass_token_on(c);
    looked(c);
}

void consumer_on_due(uv_timer_t *t)
{
    struct consumer *c = consumer_of(t->data);

    c->hungry = true;
    consumer_turn(c);
    looked(c);
}

static void on_unblocked(void *arg, enum err e, const redisReply *reply)
{
    (void)arg, (void)e, (void)reply;
}

void consumer_stop_waiting(struct consumer *c)
{
    int64_t id = waiter_client_id(c->waiter);

    waiter_want(c->waiter, false);
    (void)uv_timer_stop(&c->due);
    if (id != 0 && redis_commandf(c->redis, on_unblocked, NULL, "CLIENT UNBLOCK %lld",
                                  (long long)id) != ERR_OK)
        log_debug(c->log,
                  "consumer.not_unblocked"); /* at worst one token is lost for a second */
}

/* --- claims ---------------------------------------------------------------------------------- */

static uint64_t number_of(const redisReply *r)
{
    return r->type == REDIS_REPLY_INTEGER && r->integer > 0 ? (uint64_t)r->integer : 0;
}

static bool is_claim(const redisReply *const *field)
{
    return field[0]->type == REDIS_REPLY_STRING && field[0]->len == UUID_LEN &&
           field[1]->type == REDIS_REPLY_INTEGER && field[2]->type == REDIS_REPLY_INTEGER &&
           number_of(field[3]) % CLAIM_CANCELLED < JOB_PRIORITIES &&
           field[4]->type == REDIS_REPLY_STRING;
}

/* Only when somebody wiped the job's state can an id come that is held already. The older attempt
 * is no longer the job's. */
static void forget_older(struct consumer *c, const struct uuid *id)
{
    struct held_job *old = held_find(&c->held, id);
    settle_fn *cb;
    void *arg;

    if (old == NULL)
        return;
    cb = old->cb;
    arg = old->arg;
    held_remove(&c->held, old);
    if (cb != NULL)
        cb(arg, ERR_STALE);
}

static void deliver(struct consumer *c, const redisReply *const *field, uint64_t now_ms)
{
    struct claim claim = {.claimed_ms = now_ms};

    if (!is_claim(field))
        return; /* stays in active; the next beat finds one too many there */
    memcpy(claim.id.bytes, field[0]->str, UUID_LEN);
    claim.attempt = (uint32_t)field[1]->integer;
    claim.excused = (uint32_t)field[2]->integer;
    claim.priority = (enum job_priority)(field[3]->integer % CLAIM_CANCELLED);
    claim.cancelled = field[3]->integer >= CLAIM_CANCELLED;
    claim.item = slice_of(field[4]->str, field[4]->len);
    forget_older(c, &claim.id);
    if (held_add(&c->held, &claim.id, claim.attempt) == NULL)
        return; /* likewise */
    if (c->room > 0)
        c->room--;
    c->ev.on_claim(c->ev.arg, &claim);
}

static void set_due_timer(struct consumer *c, uint64_t now_ms, uint64_t due_ms)
{
    uint64_t wait_ms = due_ms > now_ms ? due_ms - now_ms : 1;

    (void)uv_timer_stop(&c->due);
    if (due_ms > 0)
        (void)uv_timer_start(&c->due, consumer_on_due,
                             wait_ms < DUE_MAX_MS ? wait_ms : DUE_MAX_MS, 0);
}

static void take_claims(struct consumer *c, const redisReply *reply)
{
    const redisReply *const *field = (const redisReply *const *)reply->element;
    uint64_t now_ms = number_of(field[1]);

    if (number_of(field[2]) > 0)
        c->hungry = true; /* and stays so if a token came meanwhile */
    set_due_timer(c, now_ms, number_of(field[3]));
    FAILPOINT("consumer.claimed");
    for (size_t i = CLAIM_HEAD; i + CLAIM_FIELDS <= reply->elements; i += CLAIM_FIELDS) {
        if (c->state != CONSUMER_READY)
            return; /* closed from inside on_claim: unregistering gives the rest back */
        deliver(c, field + i, now_ms);
    }
}

static bool is_claim_reply(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_ARRAY && reply->elements >= 1 &&
           (number_of(reply->element[0]) == 0 || reply->elements >= CLAIM_HEAD);
}

static void judge_reply(struct consumer *c, enum err e, const redisReply *reply)
{
    if (c->claim_epoch != c->epoch || c->state == CONSUMER_CLOSING)
        return;
    if (e != ERR_OK || !is_claim_reply(reply)) {
        /* Whether jobs were claimed is unknown; the reconnect or the next beat finds out. */
        consumer_later(c, CONSUMER_RETRY_MS);
        return;
    }
    if (number_of(reply->element[0]) == 0) {
        consumer_lose(c, false);
        return;
    }
    if (c->state == CONSUMER_READY && !consumer_is_sure(c))
        consumer_check(c, CONSUMER_UNSURE);
    if (c->state == CONSUMER_READY)
        take_claims(c, reply);
    else if (c->state == CONSUMER_CHECKING)
        consumer_send_beat(c); /* not begun: now that no claim is in flight, they go back */
}

static void on_claimed(void *arg, enum err e, const redisReply *reply)
{
    struct consumer *c = consumer_of(arg);

    consumer_called(c);
    c->claiming = false;
    judge_reply(c, e, reply);
    consumer_ask_missed(c);
    consumer_turn(c);
    looked(c);
    consumer_close_step(c);
}

static size_t format_size(size_t n, char *dst, size_t cap)
{
    return (size_t)snprintf(dst, cap, "%zu", n);
}

static size_t may_want(struct consumer *c)
{
    size_t want = c->room < CONSUMER_BATCH ? c->room : CONSUMER_BATCH;

    return c->ev.on_want == NULL ? want : c->ev.on_want(c->ev.arg, want);
}

static void send_claim(struct consumer *c)
{
    size_t want = may_want(c);
    char n[24];
    const struct slice args[] = {
        slice_str(c->name), slice_of(n, format_size(want, n, sizeof n)), c->keys.active_prefix};

    if (want == 0) {
        if (c->has_token)
            pass_token_on(c);
        return;
    }
    c->claim_epoch = c->epoch;
    c->hungry = false;
    c->has_token = false;
    c->asked = want;
    c->claiming = consumer_call(c, &(struct consumer_call){.script = QUEUE_CLAIM,
                                                           .args = args,
                                                           .n_args = COUNT_OF(args),
                                                           .cb = on_claimed,
                                                           .arg = c}) == ERR_OK;
    if (!c->claiming)
        consumer_later(c, CONSUMER_RETRY_MS);
}

void consumer_pump(struct consumer *c)
{
    if (!may_claim(c))
        return;
    if (!consumer_is_sure(c)) {
        consumer_check(c, CONSUMER_UNSURE);
        return;
    }
    if (c->hungry)
        send_claim(c);
    else
        waiter_want(c->waiter, true);
}

void consumer_set_room(struct consumer *c, size_t room)
{
    c->room = room;
    if (may_claim(c))
        consumer_turn(c);
}

void consumer_quiesce(struct consumer *c)
{
    if (c->quiet)
        return;
    c->quiet = true;
    consumer_stop_waiting(c);
}
