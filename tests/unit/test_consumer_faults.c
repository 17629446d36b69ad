/* The consumer when things go wrong: lost replies, lost leases, a Redis that goes and comes. */
#include "tests/unit/test_queue_proxy.h"

#include "shared/clock.h"

/* A world whose commands pass the proxy; the waiting connection does not. */
static void begin(struct world *w, struct proxy *x)
{
    struct fault f = {0};

    *w = (struct world){.up = false};
    assert_int_equal(uv_loop_init(&w->loop), 0);
    proxy_start(x, &w->loop);
    if (redis_new(&w->loop, &(struct redis_options){.url = x->url}, &w->redis, &f) != ERR_OK)
        fail_msg("%s", f.text);
    redis_start(w->redis, on_world_state, w);
    turn_until(w, &w->up);
    world_producer(w, (struct producer_options){0});
}

static void end(struct world *w, struct proxy *x)
{
    for (size_t i = 0; i < w->n_eaters; i++) {
        if (w->eaters[i]->c != NULL)
            consumer_close(&w->eaters[i]->c, on_eater_closed, w->eaters[i]);
        turn_until(w, &w->eaters[i]->closed);
    }
    w->n_eaters = 0;
    producer_close(&w->producer, on_world_flag, &w->producer_closed);
    turn_until(w, &w->producer_closed);
    w->producer = NULL;
    proxy_stop(x);
    world_done(w);
    (void)unlink(x->path);
}

static void put_jobs(struct world *w, unsigned n)
{
    struct taken t = {0};

    for (unsigned i = 0; i < n; i++)
        PUT(w, &t, .number = i);
    turn_until_count(w, &t.ok, n);
}

/* --- lost replies ---------------------------------------------------------------------------- */

static void jobs_whose_claim_was_lost_come_back_excused(void **state)
{
    struct world w;
    struct proxy x;
    struct eater e = {0};

    (void)state;
    begin(&w, &x);
    put_jobs(&w, 10);
    world_eater(&w, &e, (struct eater_options){.room = 0});
    turn_until(&w, &e.ready);
    x.lose_after = queue_script(QUEUE_CLAIM)->sha1; /* NOSCRIPT is lost, */
    consumer_set_room(e.c, 10);
    turn_until_units(&w, &x.lost, 1);
    turn_until_count(&w, &e.n, 10); /* so that nothing was claimed */
    assert_int_equal(e.seen[0].attempt, 1);
    for (size_t i = 0; i < 10; i++)
        assert_int_equal(settle_seen(&e, i, SETTLE_RELEASE, NULL), ERR_OK);
    TURN_UNTIL_ASKED(&w, 10, "LLEN mr:{q}:ready:critical");
    x.lose_after = queue_script(QUEUE_CLAIM)->sha1; /* and now the jobs themselves are */
    consumer_set_room(e.c, 10);
    turn_until_count(&w, &e.n, 20);
    assert_int_equal(x.lost, 2);
    for (size_t i = 10; i < 20; i++) {
        assert_int_equal(e.seen[i].attempt, 3);
        assert_int_equal(e.seen[i].excused, 2);
    }
    assert_int_equal(e.lost, 0);
    assert_int_equal(consumer_held(e.c), 10);
    end(&w, &x);
}

static void held_jobs_outlive_a_cut_connection(void **state)
{
    struct world w;
    struct proxy x;
    struct eater e = {0};
    struct settled s = {0};

    (void)state;
    begin(&w, &x);
    put_jobs(&w, 5);
    world_eater(&w, &e, (struct eater_options){.room = 5});
    turn_until_count(&w, &e.n, 5);
    proxy_cut_all(&x);
    while (w.up)
        (void)uv_run(&w.loop, UV_RUN_ONCE);
    assert_false(e.ready);
    for (size_t i = 0; i < 5; i++) /* kept until Redis is back */
        assert_int_equal(settle_seen(&e, i, SETTLE_DONE, &s), ERR_OK);
    turn_until_count(&w, &s.calls, 5);
    assert_int_equal(s.last, ERR_OK);
    turn_until(&w, &e.ready);
    assert_int_equal(e.lost, 0);
    assert_int_equal(ask_number("HLEN mr:{q}:state"), 0);
    end(&w, &x);
}

static void a_settlement_whose_reply_was_lost_is_sent_again_and_counts_once(void **state)
{
    static const struct {
        enum settle_kind kind;
        uint64_t delay_ms;
        long long states, ready, delayed;
    } table[] = {
        {SETTLE_DONE, 0, 0, 0, 0},
        {SETTLE_RETRY, 3600000, 1, 0, 1},
        {SETTLE_RETRY, 0, 1, 1, 0},
        {SETTLE_RELEASE, 0, 1, 1, 0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct world w;
        struct proxy x;
        struct eater e = {0};
        struct settled s = {0};
        struct settlement how = {.kind = table[i].kind, .delay_ms = table[i].delay_ms};

        RUN("FLUSHALL");
        RUN("SCRIPT LOAD %b", queue_script(QUEUE_SETTLE)->source,
            queue_script(QUEUE_SETTLE)->len);
        begin(&w, &x);
        put_jobs(&w, 1);
        world_eater(&w, &e, (struct eater_options){.room = 1});
        turn_until_count(&w, &e.n, 1);
        how.id = e.seen[0].id;
        how.attempt = e.seen[0].attempt;
        x.lose_after = queue_script(QUEUE_SETTLE)->sha1;
        assert_int_equal(consumer_settle(e.c, &how, on_settled, &s), ERR_OK);
        turn_until(&w, &s.any);
        assert_int_equal(x.lost, 1);
        if (s.last != ERR_OK)
            fail_msg("row %zu: %s", i, err_name(s.last));
        assert_int_equal(ask_number("HLEN mr:{q}:state"), table[i].states);
        assert_int_equal(ask_number("LLEN mr:{q}:ready:critical"), table[i].ready);
        assert_int_equal(ask_number("ZCARD mr:{q}:delayed"), table[i].delayed);
        assert_int_equal(s.calls, 1);
        end(&w, &x);
    }
}

static void a_claim_that_redis_runs_late_is_found_by_the_beat(void **state)
{
    struct world w;
    struct proxy x;
    struct eater e = {0};

    (void)state;
    begin(&w, &x);
    world_eater(&w, &e, (struct eater_options){.room = 1, .beat_ms = 5});
    turn_until(&w, &e.ready);
    turn_until_waiting(&w, 1);
    consumer_quiesce(e.c); /* the job must not come the usual way */
    put_jobs(&w, 3);
    /* as if a stalled network had delivered the bytes of a connection that is long gone */
    freeReplyObject(EVAL(QUEUE_CLAIM, consumer_name(e.c), slice_str(consumer_name(e.c)),
                         SLICE_LIT("2"), keys.active_prefix));
    TURN_UNTIL_ASKED(&w, 3, "LLEN mr:{q}:ready:critical");
    turn_until(&w, &e.ready);
    assert_int_equal(e.n, 0);
    assert_int_equal(ask_number("HGET mr:{q}:meta released"), 2);
    end(&w, &x);
}

/* --- lost leases ----------------------------------------------------------------------------- */

static void who_was_reaped_drops_everything_and_starts_anew(void **state)
{
    struct world w;
    struct proxy x;
    struct eater e = {0};
    struct settled s = {0};
    char before[128];

    (void)state;
    begin(&w, &x);
    put_jobs(&w, 4);
    world_eater(&w, &e, (struct eater_options){.room = 4, .beat_ms = 5});
    turn_until_count(&w, &e.n, 4);
    (void)snprintf(before, sizeof before, "%s", consumer_name(e.c));
    RUN("ZADD mr:{q}:consumers 1 %s", before);
    freeReplyObject(
        EVAL(QUEUE_REAP, NULL, SLICE_LIT("1"), SLICE_LIT("128"), keys.active_prefix));
    consumer_set_room(e.c, 4);
    turn_until_units(&w, &e.lost, 1);
    assert_int_equal(consumer_held(e.c), 0);
    assert_string_not_equal(consumer_name(e.c), before);
    assert_int_equal(settle_seen(&e, 0, SETTLE_DONE, &s), ERR_STALE);
    turn_until_count(&w, &e.n, 8);
    for (size_t i = 4; i < 8; i++) {
        assert_int_equal(e.seen[i].attempt, 2);
        assert_int_equal(e.seen[i].excused, 0);
        assert_int_equal(settle_seen(&e, i, SETTLE_DONE, &s), ERR_OK);
    }
    turn_until_count(&w, &s.calls, 4);
    assert_int_equal(s.last, ERR_OK);
    assert_int_equal(ask_number("HLEN mr:{q}:state"), 0);
    end(&w, &x);
}

static void settlements_under_way_when_the_lease_is_lost_end_as_stale(void **state)
{
    struct world w;
    struct proxy x;
    struct eater e = {0};
    struct settled s = {0};

    (void)state;
    begin(&w, &x);
    put_jobs(&w, 4);
    world_eater(&w, &e, (struct eater_options){.room = 4, .beat_ms = 5});
    turn_until_count(&w, &e.n, 4);
    proxy_cut_all(&x);
    while (w.up)
        (void)uv_run(&w.loop, UV_RUN_ONCE);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(settle_seen(&e, i, SETTLE_DONE, &s), ERR_OK);
    RUN("ZADD mr:{q}:consumers 1 %s", consumer_name(e.c));
    freeReplyObject(
        EVAL(QUEUE_REAP, NULL, SLICE_LIT("1"), SLICE_LIT("128"), keys.active_prefix));
    turn_until_units(&w, &e.lost, 1);
    assert_int_equal(s.calls, 4);
    assert_int_equal(s.last, ERR_STALE);
    assert_int_equal(ask_number("HLEN mr:{q}:state"), 4);
    end(&w, &x);
}

static void a_second_process_of_the_same_name_takes_over(void **state)
{
    struct world w;
    struct proxy x;
    struct eater first = {0}, second = {0};

    (void)state;
    begin(&w, &x);
    put_jobs(&w, 1);
    world_eater(&w, &first, (struct eater_options){.room = 1, .beat_ms = 20});
    turn_until_count(&w, &first.n, 1);
    world_eater(&w, &second, (struct eater_options){.room = 1, .beat_ms = 20});
    turn_until_count(&w, &second.n, 1); /* at once, without a lease's wait */
    assert_int_equal(second.seen[0].attempt, 2);
    turn_until_units(&w, &first.lost, 1);
    while (first.ready)
        (void)uv_run(&w.loop, UV_RUN_ONCE);
    assert_non_null(strstr(first.why, "another process"));
    assert_int_equal(ask_number("ZCARD mr:{q}:consumers"), 1);
    assert_int_equal(second.lost, 0);
    end(&w, &x);
}

static void a_process_that_was_stopped_asks_before_it_goes_on(void **state)
{
    struct world w;
    struct proxy x;
    struct eater e = {0};
    uint64_t now_us = clock_now_us();
    unsigned states;

    (void)state;
    clock_fake(now_us, clock_wall_ms());
    begin(&w, &x);
    world_eater(&w, &e, (struct eater_options){.room = 1, .beat_ms = 3600000});
    turn_until(&w, &e.ready);
    turn_until_waiting(&w, 1);
    states = e.states;
    assert_true(consumer_is_sure(e.c));
    clock_fake(now_us + 10001 * 1000, clock_wall_ms());
    assert_false(consumer_is_sure(e.c));
    put_jobs(&w, 1);
    turn_until_count(&w, &e.n, 1);
    assert_int_equal(e.states, states + 2); /* unsure, then ready again */
    assert_true(consumer_is_sure(e.c));
    assert_int_equal(e.lost, 0);
    clock_fake(0, 0);
    end(&w, &x);
}

static void a_stopped_process_whose_lease_is_gone_begins_nothing(void **state)
{
    struct world w;
    struct proxy x;
    struct eater e = {0};
    uint64_t now_us = clock_now_us();

    (void)state;
    clock_fake(now_us, clock_wall_ms());
    begin(&w, &x);
    world_eater(&w, &e, (struct eater_options){.room = 2, .beat_ms = 3600000});
    put_jobs(&w, 1);
    turn_until_count(&w, &e.n, 1);
    turn_until_waiting(&w, 1);
    RUN("ZADD mr:{q}:consumers 1 %s", consumer_name(e.c));
    freeReplyObject(
        EVAL(QUEUE_REAP, NULL, SLICE_LIT("1"), SLICE_LIT("128"), keys.active_prefix));
    clock_fake(now_us + 60000 * 1000, clock_wall_ms());
    turn_until_units(&w, &e.lost, 1);
    assert_int_equal(e.n, 1);
    consumer_set_room(e.c, 2);
    turn_until_count(&w, &e.n, 2);
    assert_int_equal(e.seen[1].attempt, 2);
    clock_fake(0, 0);
    end(&w, &x);
}

static void wiped_keys_are_noticed_and_work_goes_on(void **state)
{
    struct world w;
    struct proxy x;
    struct eater e = {0};

    (void)state;
    begin(&w, &x);
    put_jobs(&w, 2);
    world_eater(&w, &e, (struct eater_options){.room = 9, .beat_ms = 5});
    turn_until_count(&w, &e.n, 2);
    RUN("FLUSHALL");
    RUN("SCRIPT FLUSH");
    turn_until_units(&w, &e.lost, 1);
    consumer_set_room(e.c, 9);
    put_jobs(&w, 3);
    turn_until_count(&w, &e.n, 5);
    assert_int_equal(ask_number("SISMEMBER mr:queues q"), 1);
    end(&w, &x);
}

/* --- Redis gone ------------------------------------------------------------------------------ */

static void closing_without_redis_ends_soon_and_says_so(void **state)
{
    struct world w;
    struct proxy x;
    struct eater e = {0};
    struct settled s = {0};

    (void)state;
    begin(&w, &x);
    put_jobs(&w, 3);
    world_eater(&w, &e, (struct eater_options){.room = 3});
    turn_until_count(&w, &e.n, 3);
    proxy_cut_all(&x);
    while (w.up)
        (void)uv_run(&w.loop, UV_RUN_ONCE);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(settle_seen(&e, i, SETTLE_DONE, &s), ERR_OK);
    consumer_close(&e.c, on_eater_closed, &e);
    turn_until(&w, &e.closed);
    assert_int_equal(s.calls, 2);
    assert_int_equal(s.last, ERR_CANCELED);
    end(&w, &x);
}

static void a_consumer_that_starts_before_redis_registers_when_it_is_there(void **state)
{
    struct world w;
    struct proxy x;
    struct eater e = {0};

    (void)state;
    begin(&w, &x);
    proxy_cut_all(&x);
    while (w.up)
        (void)uv_run(&w.loop, UV_RUN_ONCE);
    world_eater(&w, &e, (struct eater_options){.room = 3});
    assert_false(e.ready);
    turn_until(&w, &e.ready);
    end(&w, &x);
}

static void closing_before_the_start_and_right_after_it_works(void **state)
{
    (void)state;
    for (int started = 0; started < 2; started++) {
        struct world w;
        struct proxy x;
        struct eater e = {0};

        begin(&w, &x);
        world_eater(&w, &e, (struct eater_options){.room = 3});
        if (started == 0)
            consumer_close(&e.c, on_eater_closed, &e);
        else
            turn_until(&w, &e.ready);
        end(&w, &x);
        assert_int_equal(ask_number("ZCARD mr:{q}:consumers"), 0);
    }
}

static void what_redis_cannot_do_now_is_tried_again(void **state)
{
    struct world w;
    struct proxy x;
    struct eater e = {0};
    struct settled s = {0};

    (void)state;
    begin(&w, &x);
    put_jobs(&w, 2);
    world_eater(&w, &e, (struct eater_options){.room = 1});
    turn_until_count(&w, &e.n, 1);
    /* as a replica refuses to write: min-replicas makes a master do the same */
    RUN("CONFIG SET min-replicas-to-write 1");
    assert_int_equal(settle_seen(&e, 0, SETTLE_DONE, &s), ERR_OK);
    consumer_set_room(e.c, 1);
    breathe(&w);
    assert_int_equal(s.calls, 0);
    assert_int_equal(e.n, 1);
    RUN("CONFIG SET min-replicas-to-write 0");
    turn_until(&w, &s.any);
    assert_int_equal(s.last, ERR_OK);
    turn_until_count(&w, &e.n, 2);
    end(&w, &x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(jobs_whose_claim_was_lost_come_back_excused, flush),
        cmocka_unit_test_setup(held_jobs_outlive_a_cut_connection, flush),
        cmocka_unit_test_setup(a_settlement_whose_reply_was_lost_is_sent_again_and_counts_once,
                               flush),
        cmocka_unit_test_setup(a_claim_that_redis_runs_late_is_found_by_the_beat, flush),
        cmocka_unit_test_setup(who_was_reaped_drops_everything_and_starts_anew, flush),
        cmocka_unit_test_setup(settlements_under_way_when_the_lease_is_lost_end_as_stale,
                               flush),
        cmocka_unit_test_setup(a_second_process_of_the_same_name_takes_over, flush),
        cmocka_unit_test_setup(a_process_that_was_stopped_asks_before_it_goes_on, flush),
        cmocka_unit_test_setup(a_stopped_process_whose_lease_is_gone_begins_nothing, flush),
        cmocka_unit_test_setup(wiped_keys_are_noticed_and_work_goes_on, flush),
        cmocka_unit_test_setup(closing_without_redis_ends_soon_and_says_so, flush),
        cmocka_unit_test_setup(a_consumer_that_starts_before_redis_registers_when_it_is_there,
                               flush),
        cmocka_unit_test_setup(closing_before_the_start_and_right_after_it_works, flush),
        cmocka_unit_test_setup(what_redis_cannot_do_now_is_tried_again, flush),
    };

    return cmocka_run_group_tests(tests, start_server, stop_server);
}
