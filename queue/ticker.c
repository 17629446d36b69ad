#include "queue/ticker.h"

#include "queue/schedule_fire.h"
#include "queue/scripts.h"
#include "shared/clock.h"
#include "shared/failpoint.h"

#define TICKER_MAGIC 0x5449434bu
#define LOOK_MS      1000
#define GRACE_MS     10000
#define LOST_MS      20 /* until the tick after one that another worker took is asked for */
#define QUIET_MS     60000
#define DUE_MAX      "32" /* schedules in one look */
#define DUE_HEAD     2    /* now, next */
#define DUE_FIELDS   4    /* name, tick, record, job */

struct clocked {
    struct ticker *ticker;
    struct schedule_keys keys;
    size_t pending;    /* the look, then what it gave to do */
    uint64_t quiet_ms; /* until then faults are not told again */
    bool tells_faults; /* of this look */
    bool again;        /* something was done: more may be due */
    uint64_t next_ms;  /* of the next look, on our clock */
};

struct ticker {
    unsigned magic;
    struct redis *redis;
    void (*on_tick)(void *arg, const struct ticker_event *ev);
    void *arg;
    uint32_t look_ms, grace_ms;
    uv_timer_t timer;
    size_t pending; /* of all queues */
    bool closing;
    void (*on_closed)(void *arg);
    void *closed_arg;
    size_t n;
    struct clocked clocked[];
};

/* One schedule whose tick is being taken. */
struct taking {
    struct clocked *clocked;
    char name[JOB_NAME_MAX + 1];
    uint64_t missed, late_ms;
};

static struct ticker *ticker_of(void *p)
{
    struct ticker *t = p;

    must(t != NULL && t->magic == TICKER_MAGIC);
    return t;
}

static void on_timer(uv_timer_t *timer);

/* --- closing --------------------------------------------------------------------------------- */

static void on_timer_closed(uv_handle_t *h)
{
    struct ticker *t = ticker_of(h->data);
    void (*on_closed)(void *) = t->on_closed;
    void *arg = t->closed_arg;

    t->magic = 0;
    free(t);
    if (on_closed != NULL)
        on_closed(arg);
}

static void close_if_done(struct ticker *t)
{
    if (t->closing && t->pending == 0 && !uv_is_closing((uv_handle_t *)&t->timer))
        uv_close((uv_handle_t *)&t->timer, on_timer_closed);
}

void ticker_close(struct ticker **p, void (*on_closed)(void *arg), void *arg)
{
    struct ticker *t = ticker_of(*p);

    *p = NULL;
    t->closing = true;
    t->on_closed = on_closed;
    t->closed_arg = arg;
    (void)uv_timer_stop(&t->timer);
    close_if_done(t);
}

/* --- waiting --------------------------------------------------------------------------------- */

static void set_timer(struct ticker *t)
{
    uint64_t now_ms = clock_now_ms(), next_ms = now_ms + t->look_ms;

    if (t->closing)
        return;
    for (size_t i = 0; i < t->n; i++) {
        if (t->clocked[i].pending == 0 && t->clocked[i].next_ms < next_ms)
            next_ms = t->clocked[i].next_ms;
    }
    (void)uv_timer_start(&t->timer, on_timer, next_ms > now_ms ? next_ms - now_ms : 0, 0);
}

static void end_part(struct clocked *c)
{
    struct ticker *t = ticker_of(c->ticker);

    t->pending--;
    if (--c->pending == 0) {
        if (c->again)
            c->next_ms = 0;
        c->again = false;
        set_timer(t);
    }
    close_if_done(t);
}

static void look_soon(struct clocked *c)
{
    uint64_t soon_ms = clock_now_ms() + LOST_MS;

    if (c->next_ms > soon_ms)
        c->next_ms = soon_ms;
}

static void begin_part(struct clocked *c)
{
    c->pending++;
    c->ticker->pending++;
}

static void tell_event(const struct taking *k, struct ticker_event *ev)
{
    struct ticker *t = k->clocked->ticker;

    ev->queue = k->clocked->keys.queue.queue;
    ev->name = k->name;
    ev->late_ms = k->late_ms;
    if (t->on_tick != NULL && !t->closing)
        t->on_tick(t->arg, ev);
}

static void tell_fired(const struct taking *k, struct schedule_fired fired)
{
    tell_event(k, &(struct ticker_event){
                      .jobs = fired.n, .skipped = fired.skipped, .missed = k->missed});
}

/* What cannot be done stays due and is tried at every look; it is told once a while. */
static void tell_fault(const struct taking *k, const char *fault)
{
    if (!k->clocked->tells_faults)
        return;
    k->clocked->quiet_ms = clock_now_ms() + QUIET_MS;
    tell_event(k, &(struct ticker_event){.fault = fault});
}

/* --- taking ticks ---------------------------------------------------------------------------- */

/* Not done: another worker was first, and there is a new tick to wait for. When Redis is away or full,
 * nothing was lost, and it is tried again at the next look. */
static void on_fired(void *arg, enum err e, const redisReply *reply)
{
    struct taking *k = arg;
    struct clocked *c = k->clocked;
    struct schedule_fired fired = {.done = false};

    FAILPOINT("ticker.fired");
    if (e == ERR_OK)
        fired = schedule_fired_of(reply);
    if (fired.done) {
        c->again = true;
        tell_fired(k, fired);
    } else if (e == ERR_OK) {
        look_soon(c);
    } else if (reply != NULL) {
        tell_fault(k, reply->str);
    }
    free(k);
    end_part(c);
}

/* More than one call bears: the rest stays due, and is taken by the next look. */
static void cut_plan(struct schedule_plan *p, size_t limit)
{
    if (p->n <= limit)
        return;
    p->next_ms = p->ticks[limit];
    p->n = limit;
}

struct due {
    const struct schedule *s;
    struct slice job;
    uint64_t tick_ms, now_ms;
};

static enum err send_fire(struct taking *k, const struct due *d, const struct schedule_plan *p,
                          struct fault *why)
{
    uint64_t last_ms = p->n > 0 ? p->ticks[p->n - 1] : 0;

    k->missed = p->missed;
    k->late_ms = d->now_ms - (p->n > 0 ? last_ms : d->tick_ms);
    return schedule_fire(k->clocked->ticker->redis, &k->clocked->keys,
                         &(struct schedule_fire){.s = d->s,
                                                 .job = d->job,
                                                 .n = p->n,
                                                 .tick_ms = last_ms,
                                                 .due_ms = d->tick_ms,
                                                 .next_ms = p->next_ms,
                                                 .missed = p->missed,
                                                 .overlap = d->s->overlap},
                         NULL, on_fired, k, why);
}

static enum err fire(struct taking *k, const struct due *d, struct fault *why)
{
    struct schedule_clock clock;
    struct schedule_plan plan;
    enum err e = schedule_clock_init(&clock, d->s, why);

    if (e != ERR_OK)
        return e;
    schedule_plan(&clock, d->tick_ms, d->now_ms, k->clocked->ticker->grace_ms, &plan);
    schedule_clock_done(&clock);
    cut_plan(&plan, schedule_fire_limit(d->job));
    return send_fire(k, d, &plan, why);
}

static struct slice text_of(const redisReply *r)
{
    return r->type == REDIS_REPLY_STRING ? slice_of(r->str, r->len) : slice_of("", 0);
}

static uint64_t number_of(const redisReply *r)
{
    return r->type == REDIS_REPLY_INTEGER && r->integer > 0 ? (uint64_t)r->integer : 0;
}

static void take(struct clocked *c, uint64_t now_ms, redisReply *const *field)
{
    struct schedule s = {.name = ""};
    struct due d = {.s = &s, .now_ms = now_ms, .job = text_of(field[3])};
    struct taking *k = calloc(1, sizeof *k);
    struct fault why = {.text = ""};
    enum err e;

    if (k == NULL)
        return; /* it stays due */
    k->clocked = c;
    d.tick_ms = strtoull(text_of(field[1]).ptr, NULL, 10);
    e = slice_to_cstr(text_of(field[0]), k->name, sizeof k->name)
            ? ERR_OK
            : fault_set(&why, ERR_MALFORMED, 0, "not a name");
    memcpy(s.name, k->name, sizeof s.name);
    if (e == ERR_OK && (d.tick_ms == 0 || d.tick_ms > now_ms))
        e = fault_set(&why, ERR_MALFORMED, 0, "not a tick that is due");
    if (e == ERR_OK)
        e = schedule_decode(text_of(field[2]), &s, &why);
    FAILPOINT("ticker.due");
    if (e == ERR_OK)
        e = fire(k, &d, &why);
    if (e == ERR_OK) {
        begin_part(c);
        return;
    }
    if (e != ERR_UNREACHABLE && e != ERR_BUSY) /* that Redis is away is told by others */
        tell_fault(k, why.text);
    free(k);
}

/* --- looking --------------------------------------------------------------------------------- */

/* How long until this queue needs a look again. */
static uint64_t rest_ms(const struct ticker *t, uint64_t now_ms, uint64_t next_ms)
{
    return next_ms > now_ms && next_ms - now_ms < t->look_ms ? next_ms - now_ms : t->look_ms;
}

static void on_looked(void *arg, enum err e, const redisReply *reply)
{
    struct clocked *c = arg;
    struct ticker *t = ticker_of(c->ticker);

    c->next_ms = clock_now_ms() + t->look_ms;
    c->tells_faults = clock_now_ms() >= c->quiet_ms;
    if (e == ERR_OK && reply->type == REDIS_REPLY_ARRAY && reply->elements >= DUE_HEAD) {
        uint64_t now_ms = number_of(reply->element[0]);

        c->next_ms = clock_now_ms() + rest_ms(t, now_ms, number_of(reply->element[1]));
        for (size_t i = DUE_HEAD; i + DUE_FIELDS <= reply->elements && !t->closing;
             i += DUE_FIELDS)
            take(c, now_ms, reply->element + i);
    }
    end_part(c);
}

static void look(struct clocked *c)
{
    struct ticker *t = c->ticker;
    const struct slice limit = SLICE_LIT(DUE_MAX);

    if (redis_call(t->redis,
                   &(struct redis_call){.script = queue_script(QUEUE_SCHEDULE_DUE),
                                        .n_keys = SCHEDULE_KEYS,
                                        .keys = c->keys.key,
                                        .n_args = 1,
                                        .args = &limit},
                   on_looked, c) == ERR_OK)
        begin_part(c);
    else
        c->next_ms = clock_now_ms() + t->look_ms;
}

static void on_timer(uv_timer_t *timer)
{
    struct ticker *t = ticker_of(timer->data);
    uint64_t now_ms = clock_now_ms();

    for (size_t i = 0; i < t->n; i++) {
        if (t->clocked[i].pending == 0 && t->clocked[i].next_ms <= now_ms)
            look(&t->clocked[i]);
    }
    set_timer(t);
}

void ticker_expect(struct ticker *t, size_t queue, uint64_t wait_ms)
{
    struct clocked *c = &t->clocked[queue];
    uint64_t next_ms = clock_now_ms() + wait_ms;

    must(queue < t->n);
    if (c->pending > 0 || next_ms >= c->next_ms)
        return; /* what is in flight will tell */
    c->next_ms = next_ms;
    set_timer(t);
}

/* --- life ------------------------------------------------------------------------------------ */

void ticker_start(struct ticker *t)
{
    set_timer(t);
}

enum err ticker_new(uv_loop_t *loop, struct redis *redis, const struct ticker_options *opt,
                    struct ticker **ret, struct fault *reterr)
{
    struct ticker *t = calloc(1, sizeof *t + opt->n_queues * sizeof t->clocked[0]);

    if (t == NULL)
        return fault_set(reterr, ERR_NOMEM, 0, "ticker: out of memory");
    t->magic = TICKER_MAGIC;
    t->redis = redis;
    t->on_tick = opt->on_tick;
    t->arg = opt->arg;
    t->look_ms = opt->look_ms == 0 ? LOOK_MS : opt->look_ms;
    t->grace_ms = opt->grace_ms == 0 ? GRACE_MS : opt->grace_ms;
    t->n = opt->n_queues;
    for (size_t i = 0; i < t->n; i++) {
        enum err e = keys_init_schedules(&t->clocked[i].keys, opt->queues[i], reterr);

        if (e != ERR_OK) {
            free(t);
            return e;
        }
        t->clocked[i].ticker = t;
    }
    must(uv_timer_init(loop, &t->timer) == 0);
    t->timer.data = t;
    *ret = t;
    return ERR_OK;
}
