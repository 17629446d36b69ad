#include "queue/reaper.h"

#include <inttypes.h>

#include "queue/consumer_ride.h"
#include "queue/keys.h"
#include "queue/scripts.h"
#include "shared/clock.h"

#define REAPER_MAGIC 0x52454150u
#define TICK_MS      1000
#define TICK_EACH_MS \
    500 /* with many queues it looks less often, so that an idle worker is quiet */
#define TICK_MAX_MS 5000
#define LEASE_MS    10000
#define REPLY_HEAD  5 /* cut short, now, next due, next tick, the beat */
#define LOOK_ARGS   3

struct watched {
    struct reaper *reaper;
    struct schedule_keys keys;
    size_t place;           /* in the owner's list */
    struct consumer *rider; /* whose beat goes along with the look in flight; may be NULL */
    bool looking;
    uint64_t next_ms; /* on our clock */
};

struct reaper {
    unsigned magic;
    struct redis *redis;
    const struct log_ctx *log;
    void (*on_reaped)(void *arg, const char *queue, const char *consumer, size_t jobs);
    struct consumer *(*consumer_of)(void *arg, size_t queue);
    void (*on_tick)(void *arg, size_t queue, uint64_t wait_ms);
    void *arg;
    uint32_t tick_ms, lease_ms;
    uv_timer_t timer;
    uint64_t reap_from_ms; /* before, silence says nothing */
    uint64_t looked_ms;    /* when the timer last ran */
    size_t looking;        /* calls in flight */
    bool closing;
    void (*on_closed)(void *arg);
    void *closed_arg;
    size_t n;
    struct watched watched[];
};

static struct reaper *reaper_of(void *p)
{
    struct reaper *r = p;

    must(r != NULL && r->magic == REAPER_MAGIC);
    return r;
}

static void on_timer(uv_timer_t *t);

/* --- closing --------------------------------------------------------------------------------- */

static void on_timer_closed(uv_handle_t *h)
{
    struct reaper *r = reaper_of(h->data);
    void (*on_closed)(void *) = r->on_closed;
    void *arg = r->closed_arg;

    r->magic = 0;
    free(r);
    if (on_closed != NULL)
        on_closed(arg);
}

static void close_if_done(struct reaper *r)
{
    if (r->closing && r->looking == 0 && !uv_is_closing((uv_handle_t *)&r->timer))
        uv_close((uv_handle_t *)&r->timer, on_timer_closed);
}

void reaper_close(struct reaper **r, void (*on_closed)(void *arg), void *arg)
{
    struct reaper *reaper = reaper_of(*r);

    *r = NULL;
    reaper->closing = true;
    reaper->on_closed = on_closed;
    reaper->closed_arg = arg;
    (void)uv_timer_stop(&reaper->timer);
    close_if_done(reaper);
}

/* --- looking --------------------------------------------------------------------------------- */

static void set_timer(struct reaper *r)
{
    uint64_t now_ms = clock_now_ms(), next_ms = now_ms + r->tick_ms;

    if (r->closing)
        return;
    for (size_t i = 0; i < r->n; i++) {
        if (!r->watched[i].looking && r->watched[i].next_ms < next_ms)
            next_ms = r->watched[i].next_ms;
    }
    (void)uv_timer_start(&r->timer, on_timer, next_ms > now_ms ? next_ms - now_ms : 0, 0);
}

static uint64_t number_of(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_INTEGER && reply->integer > 0 ? (uint64_t)reply->integer
                                                                    : 0;
}

static void tell_reaped(struct watched *w, const redisReply *name, const redisReply *jobs)
{
    struct reaper *r = w->reaper;

    if (name->type != REDIS_REPLY_STRING)
        return;
    log_debug(r->log, "reaper.reaped", LOG_S("queue", w->keys.queue.queue),
              LOG_S("consumer", name->str), LOG_U("jobs", number_of(jobs)));
    if (r->on_reaped != NULL)
        r->on_reaped(r->arg, w->keys.queue.queue, name->str, (size_t)number_of(jobs));
}

/* How long until this queue needs a look again. */
static uint64_t rest_ms(const struct reaper *r, const redisReply *reply)
{
    uint64_t now_ms = number_of(reply->element[1]), due_ms = number_of(reply->element[2]);

    if (number_of(reply->element[0]) > 0)
        return 0;
    if (due_ms == 0 || due_ms > now_ms + r->tick_ms)
        return r->tick_ms;
    return due_ms > now_ms ? due_ms - now_ms : 0;
}

static void tell_tick(const struct watched *w, const redisReply *reply)
{
    const struct reaper *r = w->reaper;
    uint64_t now_ms = number_of(reply->element[1]), tick_ms = number_of(reply->element[3]);

    if (tick_ms > 0 && r->on_tick != NULL && !r->closing)
        r->on_tick(r->arg, w->place, tick_ms > now_ms ? tick_ms - now_ms : 0);
}

static void distrust_silence(struct reaper *r)
{
    r->reap_from_ms = clock_now_ms() + r->lease_ms;
}

static void end_ride(struct watched *w, const redisReply *beat)
{
    struct consumer *rider = w->rider;

    w->rider = NULL;
    if (rider != NULL)
        consumer_rode(rider, beat);
}

static void on_looked(void *arg, enum err e, const redisReply *reply)
{
    struct watched *w = arg;
    struct reaper *r = reaper_of(w->reaper);
    bool answered =
        e == ERR_OK && reply->type == REDIS_REPLY_ARRAY && reply->elements >= REPLY_HEAD;

    w->looking = false;
    r->looking--;
    w->next_ms = clock_now_ms() + r->tick_ms;
    end_ride(w, answered ? reply->element[4] : NULL);
    if (answered) {
        tell_tick(w, reply);
        w->next_ms = clock_now_ms() + rest_ms(r, reply);
        for (size_t i = REPLY_HEAD; i + 2 <= reply->elements && !r->closing; i += 2)
            tell_reaped(w, reply->element[i], reply->element[i + 1]);
    } else if (!redis_is_up(r->redis)) {
        distrust_silence(r);
    }
    set_timer(r);
    close_if_done(r);
}

static void look(struct watched *w)
{
    struct reaper *r = w->reaper;
    char lease[16];
    struct slice args[LOOK_ARGS + CONSUMER_RIDE_ARGS] = {
        slice_of("", 0), SLICE_LIT(QUEUE_GIVE_BACK), w->keys.queue.active_prefix};
    struct consumer *c = r->consumer_of == NULL ? NULL : r->consumer_of(r->arg, w->place);
    bool rides = c != NULL && consumer_ride(c, args + LOOK_ARGS);

    (void)snprintf(lease, sizeof lease, "%" PRIu32,
                   clock_now_ms() >= r->reap_from_ms ? r->lease_ms : 0);
    args[0] = slice_str(lease);
    w->looking =
        redis_call(r->redis,
                   &(struct redis_call){.script = queue_script(QUEUE_REAP),
                                        .n_keys = SCHEDULE_KEYS,
                                        .keys = w->keys.key,
                                        .n_args = LOOK_ARGS + rides * CONSUMER_RIDE_ARGS,
                                        .args = args},
                   on_looked, w) == ERR_OK;
    if (!w->looking) {
        w->next_ms = clock_now_ms() + r->tick_ms;
        return;
    }
    r->looking++;
    if (rides) {
        w->rider = c;
        consumer_ride_sent(c);
    }
}

static void on_timer(uv_timer_t *t)
{
    struct reaper *r = reaper_of(t->data);
    uint64_t now_ms = clock_now_ms();

    if (!redis_is_up(r->redis) || now_ms - r->looked_ms > r->tick_ms + r->lease_ms / 2)
        distrust_silence(r);
    r->looked_ms = now_ms;
    for (size_t i = 0; i < r->n; i++) {
        if (!r->watched[i].looking && r->watched[i].next_ms <= now_ms)
            look(&r->watched[i]);
    }
    set_timer(r);
}

/* --- life ------------------------------------------------------------------------------------ */

void reaper_start(struct reaper *r)
{
    r->looked_ms = clock_now_ms();
    set_timer(r);
}

static uint32_t default_tick_ms(size_t n_queues)
{
    size_t ms = n_queues * TICK_EACH_MS;

    return ms < TICK_MS ? TICK_MS : ms > TICK_MAX_MS ? TICK_MAX_MS : (uint32_t)ms;
}

enum err reaper_new(uv_loop_t *loop, struct redis *redis, const struct reaper_options *opt,
                    struct reaper **ret, struct fault *reterr)
{
    struct reaper *r = calloc(1, sizeof *r + opt->n_queues * sizeof r->watched[0]);

    if (r == NULL)
        return fault_set(reterr, ERR_NOMEM, 0, "reaper: out of memory");
    r->magic = REAPER_MAGIC;
    r->redis = redis;
    r->log = opt->log;
    r->on_reaped = opt->on_reaped;
    r->consumer_of = opt->consumer_of;
    r->on_tick = opt->on_tick;
    r->arg = opt->arg;
    r->tick_ms = opt->tick_ms == 0 ? default_tick_ms(opt->n_queues) : opt->tick_ms;
    r->lease_ms = opt->lease_ms == 0 ? LEASE_MS : opt->lease_ms;
    r->n = opt->n_queues;
    for (size_t i = 0; i < r->n; i++) {
        enum err e = keys_init_schedules(&r->watched[i].keys, opt->queues[i], reterr);

        if (e != ERR_OK) {
            free(r);
            return e;
        }
        r->watched[i].reaper = r;
        r->watched[i].place = i;
    }
    must(uv_timer_init(loop, &r->timer) == 0);
    r->timer.data = r;
    *ret = r;
    return ERR_OK;
}
