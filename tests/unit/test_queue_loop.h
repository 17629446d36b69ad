/* What the tests of producer, consumer, reaper and inspection share: a loop, a client, a producer
 * that counts, consumers that remember, and a proxy that loses replies. */
#ifndef TESTS_UNIT_TEST_QUEUE_LOOP_H
#define TESTS_UNIT_TEST_QUEUE_LOOP_H

#include "tests/unit/test_queue_help.h"

#include "queue/consumer.h"
#include "queue/producer.h"

/* --- a consumer that remembers --------------------------------------------------------------- */

#define SEEN_MAX 64

struct seen {
    struct uuid id;
    uint32_t attempt, excused;
    enum job_priority priority;
    bool cancelled;
    size_t item_len;
};

struct eater {
    struct consumer *c;
    struct seen seen[SEEN_MAX]; /* the last claims */
    size_t n;                   /* all claims */
    unsigned lost, states, cancels;
    struct uuid cancelled; /* the last */
    bool ready, closed, any;
    char why[128];
    void (*on_claim)(struct eater *e, const struct claim *claim); /* may be NULL */
    void *arg;
    size_t allow, asked; /* what it may claim, when it is asked; and how often it was */
    unsigned looked;
};

HELPER void on_eater_claim(void *arg, const struct claim *claim)
{
    struct eater *e = arg;

    e->seen[e->n % SEEN_MAX] =
        (struct seen){claim->id,       claim->attempt,   claim->excused,
                      claim->priority, claim->cancelled, claim->item.len};
    e->n++;
    e->any = true;
    if (e->on_claim != NULL)
        e->on_claim(e, claim);
}

HELPER size_t on_eater_want(void *arg, size_t want)
{
    struct eater *e = arg;

    e->asked++;
    return want < e->allow ? want : e->allow;
}

HELPER void on_eater_looked(void *arg)
{
    ((struct eater *)arg)->looked++;
}

HELPER void on_eater_lost(void *arg)
{
    ((struct eater *)arg)->lost++;
}

HELPER void on_eater_state(void *arg, bool ready, const char *why)
{
    struct eater *e = arg;

    e->ready = ready;
    e->states++;
    (void)snprintf(e->why, sizeof e->why, "%s", why);
}

HELPER void on_eater_cancel(void *arg, const struct uuid *id)
{
    struct eater *e = arg;

    e->cancels++;
    e->cancelled = *id;
}

HELPER void on_eater_closed(void *arg)
{
    ((struct eater *)arg)->closed = true;
}

/* --- the world ------------------------------------------------------------------------------- */

#define EATERS_MAX 4

struct world {
    uv_loop_t loop;
    struct redis *redis;
    bool up, redis_closed;
    unsigned downs;
    struct producer *producer;
    bool producer_closed;
    struct eater *eaters[EATERS_MAX];
    size_t n_eaters;
};

HELPER void on_world_state(void *arg, bool up, const char *why)
{
    struct world *w = arg;

    (void)why;
    if (w->up && !up)
        w->downs++;
    w->up = up;
    for (size_t i = 0; i < w->n_eaters; i++) {
        if (w->eaters[i]->c != NULL)
            consumer_on_redis(w->eaters[i]->c, up);
    }
}

HELPER void on_world_flag(void *arg)
{
    *(bool *)arg = true;
}

HELPER void turn_until(struct world *w, const bool *flag)
{
    run_until(&w->loop, flag);
}

HELPER void turn_until_count(struct world *w, const size_t *n, size_t want)
{
    while (*n < want)
        assert_true(uv_run(&w->loop, UV_RUN_ONCE) != 0 || *n >= want);
}

HELPER void turn_until_units(struct world *w, const unsigned *n, unsigned want)
{
    while (*n < want)
        assert_true(uv_run(&w->loop, UV_RUN_ONCE) != 0 || *n >= want);
}

HELPER void on_breath_closed(uv_handle_t *h)
{
    *(bool *)h->data = true;
}

HELPER void on_breath(uv_timer_t *t)
{
    uv_close((uv_handle_t *)t, on_breath_closed);
}

/* Lets the loop turn for a moment: between looks at something that only Redis can tell. */
HELPER void breathe(struct world *w)
{
    bool over = false;
    uv_timer_t t;

    assert_int_equal(uv_timer_init(&w->loop, &t), 0);
    t.data = &over;
    assert_int_equal(uv_timer_start(&t, on_breath, 2, 0), 0);
    turn_until(w, &over);
}

/* Redis commands as a question: turns until it answers at least that. */
#define TURN_UNTIL_ASKED(w, want, ...)           \
    do {                                         \
        while (ask_number(__VA_ARGS__) < (want)) \
            breathe(w);                          \
    } while (0)

HELPER void world_init(struct world *w, const char *url)
{
    struct fault f = {0};

    *w = (struct world){.up = false};
    assert_int_equal(uv_loop_init(&w->loop), 0);
    if (redis_new(&w->loop, &(struct redis_options){.url = url}, &w->redis, &f) != ERR_OK)
        fail_msg("%s", f.text);
    redis_start(w->redis, on_world_state, w);
    turn_until(w, &w->up);
}

HELPER void world_producer(struct world *w, struct producer_options opt)
{
    struct fault f = {0};

    if (producer_new(&w->loop, w->redis, &opt, &w->producer, &f) != ERR_OK)
        fail_msg("%s", f.text);
}

struct eater_options {
    const char *url, *instance, *queue;
    uint32_t beat_ms, lease_ms;
    size_t room;
    bool asks; /* what it may claim (eater.allow) */
    struct redis_sub *sub;
};

HELPER void world_eater(struct world *w, struct eater *e, struct eater_options opt)
{
    struct consumer_options co = {
        .queue = opt.queue == NULL ? "q" : opt.queue,
        .host = "host",
        .instance = opt.instance == NULL ? "1" : opt.instance,
        .redis_url = opt.url == NULL ? redis_server_url(server) : opt.url,
        .beat_ms = opt.beat_ms,
        .lease_ms = opt.lease_ms,
        .info_slots = 7,
        .info_version = "9.9",
        .sub = opt.sub,
    };
    const struct consumer_events ev = {
        .arg = e,
        .on_claim = on_eater_claim,
        .on_lost = on_eater_lost,
        .on_state = on_eater_state,
        .on_want = opt.asks ? on_eater_want : NULL,
        .on_looked = on_eater_looked,
        .on_cancel = on_eater_cancel,
    };
    struct fault f = {0};

    if (consumer_new(&w->loop, w->redis, &co, &ev, &e->c, &f) != ERR_OK)
        fail_msg("%s", f.text);
    w->eaters[w->n_eaters++] = e;
    consumer_start(e->c);
    consumer_set_room(e->c, opt.room);
}

HELPER void world_done(struct world *w)
{
    for (size_t i = 0; i < w->n_eaters; i++) {
        if (w->eaters[i]->c != NULL)
            consumer_close(&w->eaters[i]->c, on_eater_closed, w->eaters[i]);
        turn_until(w, &w->eaters[i]->closed);
    }
    if (w->producer != NULL) {
        producer_close(&w->producer, on_world_flag, &w->producer_closed);
        turn_until(w, &w->producer_closed);
    }
    redis_close(&w->redis, on_world_flag, &w->redis_closed);
    turn_until(w, &w->redis_closed);
    assert_int_equal(uv_run(&w->loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&w->loop), 0);
}

/* --- enqueueing ------------------------------------------------------------------------------ */

struct taken {
    size_t ok, failed;
    enum err last;
    char why[200];
};

HELPER void on_taken(void *arg, enum err e, const struct fault *why)
{
    struct taken *t = arg;

    if (e == ERR_OK)
        t->ok++;
    else
        t->failed++;
    t->last = e;
    if (e == ERR_OK)
        assert_null(why);
    else
        (void)snprintf(t->why, sizeof t->why, "%s", why->text);
}

struct put {
    unsigned number;
    const char *queue;
    enum job_priority priority;
    uint64_t due_ms;
    uint32_t before;
    size_t size;
};

HELPER enum err put(struct world *w, struct put p, struct taken *t)
{
    struct uuid id = id_of(p.number);
    struct buf item = {0};
    enum err e;

    add_item(&item, &id, p.size);
    e = producer_enqueue(w->producer,
                         &(struct producer_job){.queue = p.queue == NULL ? "q" : p.queue,
                                                .priority = p.priority,
                                                .due_ms = p.due_ms,
                                                .id = id,
                                                .type = "noop",
                                                .item = buf_slice(&item),
                                                .attempts_before = p.before,
                                                .attempts_excused = p.before},
                         on_taken, t);
    buf_done(&item);
    return e;
}
#define PUT(w, t, ...) assert_int_equal(put(w, (struct put){__VA_ARGS__}, t), ERR_OK)

/* --- settling -------------------------------------------------------------------------------- */

struct settled {
    size_t calls;
    bool any;
    enum err last;
};

HELPER void on_settled(void *arg, enum err e)
{
    struct settled *s = arg;

    s->calls++;
    s->any = true;
    s->last = e;
}

HELPER enum err settle_seen(struct eater *e, size_t i, enum settle_kind kind, struct settled *s)
{
    return consumer_settle(
        e->c,
        &(struct settlement){.id = e->seen[i].id, .attempt = e->seen[i].attempt, .kind = kind},
        s == NULL ? NULL : on_settled, s);
}

/* Turns until Redis knows of a client that waits for the wake token. */
HELPER void turn_until_waiting(struct world *w, unsigned want)
{
    for (;;) {
        redisReply *r = ask("INFO clients");
        const char *at = strstr(r->str, "blocked_clients:");
        unsigned n = (unsigned)strtoul(at + strlen("blocked_clients:"), NULL, 10);

        freeReplyObject(r);
        if (n == want)
            return;
        breathe(w);
    }
}

#endif
