/* The reaper against a real Redis. Silence is made by old beats, not by waiting. */
#include "tests/unit/test_queue_loop.h"

#include "queue/reaper.h"
#include "shared/clock.h"

struct reapings {
    size_t n, jobs;
    char queue[64], consumer[128];
    bool closed;
    struct eater *eater; /* of queue "q": its beats go along */
    size_t ticks;        /* told of "q" */
    uint64_t wait_ms;
};

static struct consumer *consumer_of_place(void *arg, size_t queue)
{
    struct reapings *r = arg;

    return queue == 1 && r->eater != NULL ? r->eater->c : NULL;
}

static void on_tick(void *arg, size_t queue, uint64_t wait_ms)
{
    struct reapings *r = arg;

    assert_int_equal(queue, 1);
    r->ticks++;
    r->wait_ms = wait_ms;
}

static void on_reaped(void *arg, const char *queue, const char *consumer, size_t jobs)
{
    struct reapings *r = arg;

    r->n++;
    r->jobs += jobs;
    (void)snprintf(r->queue, sizeof r->queue, "%s", queue);
    (void)snprintf(r->consumer, sizeof r->consumer, "%s", consumer);
}

static void on_reaper_closed(void *arg)
{
    ((struct reapings *)arg)->closed = true;
}

static struct reaper *begin(struct world *w, struct reapings *seen, uint32_t tick_ms)
{
    static const char *const queues[] = {"p", "q"};
    struct reaper *r;
    struct fault f;

    world_init(w, redis_server_url(server));
    world_producer(w, (struct producer_options){0});
    if (reaper_new(&w->loop, w->redis,
                   &(struct reaper_options){.queues = queues,
                                            .n_queues = COUNT_OF(queues),
                                            .tick_ms = tick_ms,
                                            .on_reaped = on_reaped,
                                            .consumer_of = consumer_of_place,
                                            .on_tick = on_tick,
                                            .arg = seen},
                   &r, &f) != ERR_OK)
        fail_msg("%s", f.text);
    reaper_start(r);
    return r;
}

static void end(struct world *w, struct reaper *r, struct reapings *seen)
{
    reaper_close(&r, on_reaper_closed, seen);
    assert_null(r);
    turn_until(w, &seen->closed);
    world_done(w);
}

/* A consumer of long ago that holds so many jobs. */
static void bury(const char *name, unsigned jobs, unsigned first)
{
    RUN("HSET mr:{q}:workers %s x", name);
    for (unsigned i = first; i < first + jobs; i++) {
        struct uuid id = id_of(i);
        struct buf item = {0}, st = {0};

        buf_add_char(&item, '1');
        add_item(&item, &id, 0);
        state_encode(&(struct state_value){.state = JOB_RUNNING,
                                           .attempt = 4,
                                           .priority = JOB_PRIORITY_HIGH,
                                           .type = SLICE_LIT("noop"),
                                           .consumer = slice_str(name)},
                     &st);
        RUN("HSET mr:{q}:active:%s %b %b", name, id.bytes, (size_t)UUID_LEN, item.data,
            item.len);
        RUN("HSET mr:{q}:state %b %b", id.bytes, (size_t)UUID_LEN, st.data, st.len);
        buf_done(&item);
        buf_done(&st);
    }
    RUN("ZADD mr:{q}:consumers 1000 %s", name); /* last: now it can be reaped */
}

static void the_jobs_of_the_dead_are_given_back_and_told_of(void **state)
{
    struct world w;
    struct reapings seen = {0};
    struct reaper *r = begin(&w, &seen, 5);
    struct uuid id = id_of(2);
    struct state_value v;

    (void)state;
    bury("dead:1:a", 3, 1);
    turn_until_count(&w, &seen.n, 1);
    assert_int_equal(seen.jobs, 3);
    assert_string_equal(seen.queue, "q");
    assert_string_equal(seen.consumer, "dead:1:a");
    assert_int_equal(ask_number("LLEN mr:{q}:ready:high"), 3);
    assert_int_equal(ask_number("LLEN mr:{q}:wake"), 1);
    assert_true(state_of(&id, &v));
    assert_int_equal(v.state, JOB_QUEUED);
    assert_int_equal(v.attempt, 4);
    assert_int_equal(v.excused, 0);
    bury("dead:2:b", 0, 0);
    turn_until_count(&w, &seen.n, 2);
    assert_int_equal(seen.jobs, 3);
    end(&w, r, &seen);
}

static void a_look_that_was_cut_short_is_repeated_at_once(void **state)
{
    struct world w;
    struct reapings seen = {0};
    struct reaper *r;

    (void)state;
    bury("dead:1:a", 300, 1);
    for (unsigned i = 0; i < 20; i++) {
        char name[32];

        (void)snprintf(name, sizeof name, "old:%u:x", i);
        bury(name, 1, 1000 + i);
    }
    r = begin(&w, &seen, 3600000); /* the next tick is an hour away */
    turn_until_count(&w, &seen.jobs, 320);
    assert_int_equal(ask_number("ZCARD mr:{q}:consumers"), 0);
    assert_int_equal(ask_number("LLEN mr:{q}:ready:high"), 320);
    end(&w, r, &seen);
}

static void the_living_are_spared(void **state)
{
    struct world w;
    struct reapings seen = {0};
    struct reaper *r = begin(&w, &seen, 5);
    struct eater e = {0};
    struct taken t = {0};

    (void)state;
    world_eater(&w, &e, (struct eater_options){.room = 1, .beat_ms = 100});
    PUT(&w, &t, .number = 900);
    turn_until_count(&w, &e.n, 1);
    bury("dead:1:a", 1, 1);
    turn_until_count(&w, &seen.n, 1);
    assert_string_equal(seen.consumer, "dead:1:a");
    assert_int_equal(ask_number("ZCARD mr:{q}:consumers"), 1);
    assert_int_equal(consumer_held(e.c), 1);
    end(&w, r, &seen);
}

static void due_jobs_are_moved_at_their_time_whoever_waits(void **state)
{
    struct world w;
    struct reapings seen = {0};
    struct reaper *r = begin(&w, &seen, 20);
    struct taken t = {0};

    (void)state;
    for (unsigned i = 0; i < 150; i++)
        PUT(&w, &t, .number = i, .due_ms = clock_wall_ms() + 30);
    turn_until_count(&w, &t.ok, 150);
    TURN_UNTIL_ASKED(&w, 150, "LLEN mr:{q}:ready:critical");
    assert_int_equal(ask_number("ZCARD mr:{q}:delayed"), 0);
    TURN_UNTIL_ASKED(&w, 1, "LLEN mr:{q}:wake");
    end(&w, r, &seen);
}

static void a_lost_token_is_replaced(void **state)
{
    struct world w;
    struct reapings seen = {0};
    struct reaper *r = begin(&w, &seen, 5);

    (void)state;
    RUN("LPUSH mr:{q}:ready:low x");
    RUN("LPUSH mr:{p}:ready:low x");
    TURN_UNTIL_ASKED(&w, 1, "LLEN mr:{q}:wake");
    TURN_UNTIL_ASKED(&w, 1, "LLEN mr:{p}:wake");
    end(&w, r, &seen);
}

/* Our own clock is held: looks go on, for the timers have another one. */
static void after_an_outage_nobody_is_reaped_for_a_lease(void **state)
{
    struct world w;
    struct reapings seen = {0};
    uint64_t now_us = clock_now_us(), wall_ms = clock_wall_ms();
    struct reaper *r;
    long long looks;

    (void)state;
    clock_fake(now_us, wall_ms);
    r = begin(&w, &seen, 5);
    RUN("CLIENT KILL TYPE normal SKIPME yes");
    while (w.up)
        (void)uv_run(&w.loop, UV_RUN_ONCE);
    for (int i = 0; i < 20; i++) { /* it notices that Redis is gone */
        clock_fake(now_us += 6000, wall_ms);
        (void)uv_run(&w.loop, UV_RUN_NOWAIT);
    }
    bury("dead:1:a", 1, 1);
    turn_until(&w, &w.up);
    RUN("LPUSH mr:{q}:ready:low x");
    for (looks = 0; looks < 5; looks++) { /* each leaves a token: so it looked */
        RUN("DEL mr:{q}:wake");
        while (ask_number("LLEN mr:{q}:wake") == 0) {
            clock_fake(now_us += 6000, wall_ms);
            breathe(&w);
        }
    }
    assert_int_equal(seen.n, 0);
    for (int i = 0; i < 4; i++) { /* in steps: a jump would be taken for a stop of ours */
        clock_fake(now_us += 4000 * 1000, wall_ms);
        breathe(&w);
    }
    while (seen.n == 0) {
        clock_fake(now_us += 6000, wall_ms);
        breathe(&w);
    }
    assert_int_equal(seen.jobs, 1);
    clock_fake(0, 0);
    end(&w, r, &seen);
}

static void a_queue_that_cannot_be_is_refused(void **state)
{
    static const char *const queues[] = {"good", "Bad"};
    struct world w;
    struct reaper *r;
    struct fault f;

    (void)state;
    world_init(&w, redis_server_url(server));
    assert_int_equal(reaper_new(&w.loop, w.redis,
                                &(struct reaper_options){.queues = queues, .n_queues = 2}, &r,
                                &f),
                     ERR_MALFORMED);
    world_done(&w);
}

/* --- what goes along ---------------------------------------------------------------------------- */

#define RIDE_BEAT_MS 40000 /* so long that no beat of its own comes */

/* Our own clock is held, and put forward until a beat may go along again. */
static void pass_beats(struct world *w, uint64_t *now_us)
{
    for (int i = 0; i < 4; i++) {
        clock_fake(*now_us += 3000 * 1000, clock_wall_ms());
        breathe(w);
    }
}

static void a_beat_goes_along_before_anybody_is_reaped(void **state)
{
    struct world w;
    struct eater e = {0};
    struct reapings seen = {.eater = &e};
    uint64_t now_us = clock_now_us();
    struct uuid id = id_of(7);
    struct taken t = {0};
    struct reaper *r;

    (void)state;
    clock_fake(now_us, clock_wall_ms());
    r = begin(&w, &seen, 5);
    world_eater(&w, &e,
                (struct eater_options){
                    .room = 1, .beat_ms = RIDE_BEAT_MS, .lease_ms = 3 * RIDE_BEAT_MS});
    PUT(&w, &t, .number = 7);
    turn_until_count(&w, &e.n, 1);
    RUN("ZADD mr:{q}:consumers XX %llu %s", clock_wall_ms() - 9000, consumer_name(e.c));
    pass_beats(&w, &now_us); /* nearly silent for the length of the lease */
    while (ask_number("ZCOUNT mr:{q}:consumers %llu +inf", clock_wall_ms() - 5000) == 0)
        pass_beats(&w, &now_us);
    RUN("SADD mr:{q}:cancels:%s %b", consumer_name(e.c), id.bytes, (size_t)UUID_LEN);
    while (e.cancels == 0)
        pass_beats(&w, &now_us);
    assert_true(uuid_eq(&e.cancelled, &id));
    assert_int_equal(e.lost, 0);
    RUN("ZREM mr:{q}:consumers %s", consumer_name(e.c));
    while (e.lost == 0) /* it is told so, as by any beat */
        pass_beats(&w, &now_us);
    turn_until(&w, &e.ready);
    assert_int_equal(seen.n, 0);
    clock_fake(0, 0);
    end(&w, r, &seen);
}

static void a_consumer_closes_while_its_beat_goes_along(void **state)
{
    struct world w;
    struct eater e = {0};
    struct reapings seen = {.eater = &e};
    struct reaper *r = begin(&w, &seen, 1);

    (void)state;
    world_eater(&w, &e, (struct eater_options){.beat_ms = 4}); /* one a look */
    turn_until(&w, &e.ready);
    for (int i = 0; i < 50; i++)
        (void)uv_run(&w.loop, UV_RUN_NOWAIT);
    consumer_close(&e.c, on_eater_closed, &e);
    turn_until(&w, &e.closed);
    assert_int_equal(ask_number("ZCARD mr:{q}:consumers"), 0);
    end(&w, r, &seen);
}

static void a_look_tells_of_the_next_tick(void **state)
{
    struct world w;
    struct reapings seen = {0};
    struct reaper *r = begin(&w, &seen, 5);

    (void)state;
    RUN("LPUSH mr:{q}:ready:low x");
    TURN_UNTIL_ASKED(&w, 1, "LLEN mr:{q}:wake");
    assert_int_equal(seen.ticks, 0); /* there is none */
    RUN("ZADD mr:{q}:ticks %llu later", clock_wall_ms() + 3600000);
    turn_until_count(&w, &seen.ticks, 1);
    assert_in_range(seen.wait_ms, 3000000, 3600000);
    RUN("ZADD mr:{q}:ticks 1000 due");
    do
        turn_until_count(&w, &seen.ticks, seen.ticks + 1);
    while (seen.wait_ms > 0);
    end(&w, r, &seen);
}

static void closing_waits_for_the_look_under_way(void **state)
{
    struct world w;
    struct reapings seen = {0};
    struct reaper *r = begin(&w, &seen, 1);

    (void)state;
    (void)uv_run(&w.loop, UV_RUN_NOWAIT);
    (void)uv_run(&w.loop, UV_RUN_NOWAIT);
    end(&w, r, &seen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_jobs_of_the_dead_are_given_back_and_told_of, flush),
        cmocka_unit_test_setup(a_look_that_was_cut_short_is_repeated_at_once, flush),
        cmocka_unit_test_setup(the_living_are_spared, flush),
        cmocka_unit_test_setup(due_jobs_are_moved_at_their_time_whoever_waits, flush),
        cmocka_unit_test_setup(a_lost_token_is_replaced, flush),
        cmocka_unit_test_setup(after_an_outage_nobody_is_reaped_for_a_lease, flush),
        cmocka_unit_test_setup(a_queue_that_cannot_be_is_refused, flush),
        cmocka_unit_test_setup(a_beat_goes_along_before_anybody_is_reaped, flush),
        cmocka_unit_test_setup(a_consumer_closes_while_its_beat_goes_along, flush),
        cmocka_unit_test_setup(a_look_tells_of_the_next_tick, flush),
        cmocka_unit_test_setup(closing_waits_for_the_look_under_way, flush),
    };

    return cmocka_run_group_tests(tests, start_server, stop_server);
}
