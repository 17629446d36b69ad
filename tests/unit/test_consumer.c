/* The consumer against a real Redis, while all goes well. */
#include "tests/unit/test_queue_loop.h"

#include "shared/clock.h"

static void begin(struct world *w)
{
    world_init(w, redis_server_url(server));
    world_producer(w, (struct producer_options){0});
}

static void turn_until_claims(struct world *w, struct eater *e, size_t n)
{
    turn_until_count(w, &e->n, n);
}

static void a_job_is_claimed_with_all_that_is_known_of_it(void **state)
{
    struct world w;
    struct eater e = {0};
    struct taken t = {0};
    struct uuid id = id_of(1);

    (void)state;
    begin(&w);
    world_eater(&w, &e, (struct eater_options){.room = 4});
    PUT(&w, &t, .number = 1, .priority = JOB_PRIORITY_LOW, .before = 2, .size = 500);
    turn_until_claims(&w, &e, 1);
    assert_true(uuid_eq(&e.seen[0].id, &id));
    assert_int_equal(e.seen[0].attempt, 3);
    assert_int_equal(e.seen[0].excused, 2);
    assert_int_equal(e.seen[0].priority, JOB_PRIORITY_LOW);
    assert_in_range(e.seen[0].item_len, 490, 500);
    assert_int_equal(consumer_held(e.c), 1);
    assert_true(e.ready);
    assert_true(consumer_is_sure(e.c));
    assert_int_equal(ask_number("SISMEMBER mr:queues q"), 1);
    world_done(&w);
}

static void no_more_is_claimed_than_there_is_room_for(void **state)
{
    struct world w;
    struct eater e = {0};
    struct taken t = {0};

    (void)state;
    begin(&w);
    for (unsigned n = 0; n < 200; n++)
        PUT(&w, &t, .number = n);
    turn_until_count(&w, &t.ok, 200);
    world_eater(&w, &e, (struct eater_options){.room = 0});
    turn_until(&w, &e.ready);
    consumer_set_room(e.c, 3);
    turn_until_claims(&w, &e, 3);
    consumer_set_room(e.c, 1);
    turn_until_claims(&w, &e, 4);
    breathe(&w);
    assert_int_equal(e.n, 4);
    consumer_set_room(e.c, 150);
    turn_until_claims(&w, &e, 154);
    breathe(&w);
    assert_int_equal(e.n, 154);
    assert_int_equal(ask_number("LLEN mr:{q}:ready:critical"), 46);
    world_done(&w);
}

static void an_idle_consumer_waits_in_redis_and_is_woken(void **state)
{
    struct world w;
    struct eater e = {0};
    struct taken t = {0};

    (void)state;
    begin(&w);
    world_eater(&w, &e, (struct eater_options){.room = 10});
    for (unsigned n = 0; n < 20; n++) {
        turn_until_waiting(&w, 1);
        PUT(&w, &t, .number = n);
        turn_until_claims(&w, &e, n + 1);
        consumer_set_room(e.c, 10);
    }
    world_done(&w);
}

static void a_waiting_consumer_takes_a_delayed_job_when_it_is_due(void **state)
{
    struct world w;
    struct eater e = {0};
    struct taken t = {0};
    struct uuid soon = id_of(2);

    (void)state;
    begin(&w);
    world_eater(&w, &e, (struct eater_options){.room = 10});
    turn_until_waiting(&w, 1);
    PUT(&w, &t, .number = 1, .due_ms = clock_wall_ms() + 3600000);
    turn_until_count(&w, &t.ok, 1);
    turn_until_waiting(&w, 1);
    PUT(&w, &t, .number = 2, .due_ms = clock_wall_ms() + 50);
    turn_until_claims(&w, &e, 1);
    assert_true(uuid_eq(&e.seen[0].id, &soon));
    world_done(&w);
}

static void each_verdict_reaches_redis_and_is_confirmed_once(void **state)
{
    struct world w;
    struct eater e = {0};
    struct taken t = {0};
    struct settled s = {0};
    struct state_value v;

    (void)state;
    begin(&w);
    for (unsigned n = 0; n < 3; n++)
        PUT(&w, &t, .number = n);
    turn_until_count(&w, &t.ok, 3);
    world_eater(&w, &e, (struct eater_options){.room = 3});
    turn_until_claims(&w, &e, 3);
    assert_int_equal(settle_seen(&e, 0, SETTLE_DONE, &s), ERR_OK);
    assert_int_equal(consumer_settle(e.c,
                                     &(struct settlement){.id = e.seen[1].id,
                                                          .attempt = 1,
                                                          .kind = SETTLE_RETRY,
                                                          .delay_ms = 100000,
                                                          .error = "no route"},
                                     on_settled, &s),
                     ERR_OK);
    assert_int_equal(settle_seen(&e, 2, SETTLE_RELEASE, &s), ERR_OK);
    assert_int_equal(s.calls, 0);
    turn_until_count(&w, &s.calls, 3);
    assert_int_equal(s.last, ERR_OK);
    assert_int_equal(consumer_held(e.c), 0);
    assert_false(state_of(&e.seen[0].id, &v));
    assert_true(state_of(&e.seen[1].id, &v));
    assert_int_equal(v.state, JOB_RETRYING);
    assert_true(slice_is(v.text, "no route"));
    assert_true(state_of(&e.seen[2].id, &v));
    assert_int_equal(v.excused, 1);
    world_done(&w);
}

static void what_is_not_held_cannot_be_settled(void **state)
{
    struct world w;
    struct eater e = {0};
    struct taken t = {0};
    struct settled s = {0};
    struct uuid other = id_of(99);

    (void)state;
    begin(&w);
    world_eater(&w, &e, (struct eater_options){.room = 1});
    PUT(&w, &t, .number = 1);
    turn_until_claims(&w, &e, 1);
    assert_int_equal(
        consumer_settle(e.c, &(struct settlement){.id = other, .attempt = 1}, on_settled, &s),
        ERR_STALE);
    assert_int_equal(consumer_settle(e.c,
                                     &(struct settlement){.id = e.seen[0].id, .attempt = 2},
                                     on_settled, &s),
                     ERR_STALE);
    assert_int_equal(settle_seen(&e, 0, SETTLE_DONE, &s), ERR_OK);
    assert_int_equal(settle_seen(&e, 0, SETTLE_DONE, &s), ERR_STALE);
    turn_until_count(&w, &s.calls, 1);
    assert_int_equal(settle_seen(&e, 0, SETTLE_DONE, &s), ERR_STALE);
    breathe(&w);
    assert_int_equal(s.calls, 1);
    world_done(&w);
}

static void a_job_that_is_not_ours_any_more_settles_as_stale(void **state)
{
    struct world w;
    struct eater e = {0};
    struct taken t = {0};
    struct settled s = {0};

    (void)state;
    begin(&w);
    world_eater(&w, &e, (struct eater_options){.room = 1});
    PUT(&w, &t, .number = 1);
    turn_until_claims(&w, &e, 1);
    RUN("HDEL mr:{q}:state %b", e.seen[0].id.bytes, (size_t)UUID_LEN);
    assert_int_equal(settle_seen(&e, 0, SETTLE_DONE, &s), ERR_OK);
    turn_until(&w, &s.any);
    assert_int_equal(s.last, ERR_STALE);
    assert_int_equal(consumer_held(e.c), 0);
    world_done(&w);
}

/* n jobs are claimed, the first is settled; from then on Redis counts calls. */
static void begin_counting(struct world *w, struct eater *e, struct settled *s, unsigned n)
{
    struct taken t = {0};

    begin(w);
    world_eater(w, e, (struct eater_options){.room = n, .beat_ms = 3600000});
    for (unsigned i = 0; i < n; i++)
        PUT(w, &t, .number = i);
    turn_until_count(w, &t.ok, n);
    turn_until_claims(w, e, n);
    assert_int_equal(settle_seen(e, 0, SETTLE_DONE, s), ERR_OK);
    turn_until_count(w, &s->calls, 1);
    breathe(w);
    RUN("CONFIG RESETSTAT");
}

static void settlements_of_one_turn_share_calls(void **state)
{
    struct world w;
    struct eater e = {0};
    struct settled s = {0};
    redisReply *r;

    (void)state;
    begin_counting(&w, &e, &s, 60);
    for (size_t i = 1; i < 60; i++)
        assert_int_equal(settle_seen(&e, i, SETTLE_DONE, &s), ERR_OK);
    turn_until_count(&w, &s.calls, 60);
    r = ask("INFO commandstats");
    assert_non_null(strstr(r->str, "cmdstat_evalsha:calls=1,"));
    freeReplyObject(r);
    world_done(&w);
}

static void progress_is_seen_while_the_job_runs(void **state)
{
    struct world w;
    struct eater e = {0};
    struct taken t = {0};
    struct state_value v = {.progress = 0};
    struct uuid id = id_of(1);

    (void)state;
    begin(&w);
    world_eater(&w, &e, (struct eater_options){.room = 1});
    PUT(&w, &t, .number = 1);
    turn_until_claims(&w, &e, 1);
    consumer_progress(e.c, &id, 1, 10, "first");
    consumer_progress(e.c, &id, 1, 250, "decoding");
    consumer_progress(e.c, &id, 2, 50, "not ours");
    while (v.progress == 0) {
        breathe(&w);
        assert_true(state_of(&id, &v));
    }
    assert_int_equal(v.progress, 100);
    assert_true(slice_is(v.text, "decoding"));
    assert_true(slice_is(v.consumer, consumer_name(e.c)));
    world_done(&w);
}

static void progress_of_a_job_that_ends_soon_costs_no_call(void **state)
{
    struct world w;
    struct eater e = {0};
    struct settled s = {0};
    redisReply *r;

    (void)state;
    begin_counting(&w, &e, &s, 2);
    consumer_progress(e.c, &e.seen[1].id, e.seen[1].attempt, 50, "half");
    breathe(&w);
    consumer_progress(e.c, &e.seen[1].id, e.seen[1].attempt, 100, "storing");
    assert_int_equal(settle_seen(&e, 1, SETTLE_DONE, &s), ERR_OK);
    turn_until_count(&w, &s.calls, 2);
    r = ask("INFO commandstats");
    assert_non_null(strstr(r->str, "cmdstat_evalsha:calls=1,"));
    freeReplyObject(r);
    world_done(&w);
}

static void a_token_that_cannot_be_used_goes_to_another(void **state)
{
    struct world w;
    struct eater full = {0}, idle = {0};
    struct taken t = {0};

    (void)state;
    begin(&w);
    world_eater(&w, &full, (struct eater_options){.room = 1, .instance = "full"});
    turn_until_waiting(&w, 1);
    consumer_set_room(full.c, 0); /* still waits in Redis, first in line */
    world_eater(&w, &idle, (struct eater_options){.room = 1, .instance = "idle"});
    turn_until_waiting(&w, 2);
    PUT(&w, &t, .number = 1);
    turn_until_claims(&w, &idle, 1);
    assert_int_equal(full.n, 0);
    world_done(&w);
}

static void a_consumer_claims_no_more_than_its_owner_allows(void **state)
{
    struct world w;
    struct eater e = {0};
    struct taken t = {0};

    (void)state;
    begin(&w);
    for (unsigned n = 0; n < 10; n++)
        PUT(&w, &t, .number = n);
    turn_until_count(&w, &t.ok, 10);
    world_eater(&w, &e, (struct eater_options){.room = 10, .asks = true});
    turn_until_count(&w, &e.asked, 1);
    breathe(&w);
    assert_int_equal(e.n, 0);
    assert_false(consumer_look(e.c).dry); /* nobody has looked yet */
    e.allow = 3;
    consumer_set_room(e.c, 10);
    turn_until_claims(&w, &e, 3);
    e.allow = 0;
    breathe(&w);
    assert_int_equal(e.n, 3);
    assert_false(consumer_look(e.c).dry);
    e.allow = 100;
    consumer_set_room(e.c, 10);
    turn_until_claims(&w, &e, 10);
    turn_until_waiting(&w, 1);
    assert_true(consumer_look(e.c).dry);
    assert_int_equal(consumer_look(e.c).asked, 0);
    assert_true(e.looked > 0);
    world_done(&w);
}

static void a_token_that_may_not_be_used_goes_to_another(void **state)
{
    struct world w;
    struct eater denied = {.allow = 1}, idle = {0};
    struct taken t = {0};

    (void)state;
    begin(&w);
    world_eater(&w, &denied,
                (struct eater_options){.room = 1, .instance = "denied", .asks = true});
    turn_until_waiting(&w, 1);
    denied.allow = 0;
    world_eater(&w, &idle, (struct eater_options){.room = 1, .instance = "idle"});
    turn_until_waiting(&w, 2);
    PUT(&w, &t, .number = 1);
    turn_until_claims(&w, &idle, 1);
    assert_int_equal(denied.n, 0);
    assert_false(consumer_look(denied.c).dry); /* it looks when it may */
    world_done(&w);
}

static void a_quiet_consumer_claims_nothing_and_takes_no_token(void **state)
{
    struct world w;
    struct eater e = {0};
    struct taken t = {0};

    (void)state;
    begin(&w);
    world_eater(&w, &e, (struct eater_options){.room = 5});
    turn_until_waiting(&w, 1);
    consumer_quiesce(e.c);
    turn_until_waiting(&w, 0);
    PUT(&w, &t, .number = 1);
    turn_until_count(&w, &t.ok, 1);
    consumer_set_room(e.c, 9);
    breathe(&w);
    assert_int_equal(ask_number("LLEN mr:{q}:wake"), 1);
    assert_int_equal(e.n, 0);
    world_done(&w);
}

static void closing_settles_what_was_said_and_gives_back_the_rest(void **state)
{
    struct world w;
    struct eater e = {0};
    struct taken t = {0};
    struct settled s = {0};
    struct state_value v;

    (void)state;
    begin(&w);
    for (unsigned n = 0; n < 200; n++)
        PUT(&w, &t, .number = n);
    world_eater(&w, &e, (struct eater_options){.room = 200});
    turn_until_claims(&w, &e, 200);
    for (size_t i = 0; i < 10; i++) /* the last ten that were seen */
        assert_int_equal(settle_seen(&e, (199 - i) % SEEN_MAX, SETTLE_DONE, &s), ERR_OK);
    consumer_close(&e.c, on_eater_closed, &e);
    assert_null(e.c);
    turn_until(&w, &e.closed);
    assert_int_equal(s.calls, 10);
    assert_int_equal(s.last, ERR_OK);
    assert_int_equal(ask_number("HLEN mr:{q}:state"), 190);
    assert_int_equal(ask_number("LLEN mr:{q}:ready:critical"), 190);
    assert_int_equal(ask_number("ZCARD mr:{q}:consumers"), 0);
    assert_int_equal(ask_number("HLEN mr:{q}:workers"), 0);
    assert_int_equal(ask_number("LLEN mr:{q}:wake"), 1);
    assert_true(state_of(&e.seen[0].id, &v) == false || v.excused == 1);
    world_done(&w);
}

static void close_at_once(struct eater *e, const struct claim *claim)
{
    (void)claim;
    consumer_close(&e->c, on_eater_closed, e);
}

static void it_may_be_closed_from_inside_a_claim(void **state)
{
    struct world w;
    struct eater e = {.on_claim = close_at_once};
    struct taken t = {0};

    (void)state;
    begin(&w);
    for (unsigned n = 0; n < 20; n++)
        PUT(&w, &t, .number = n);
    turn_until_count(&w, &t.ok, 20);
    world_eater(&w, &e, (struct eater_options){.room = 20});
    turn_until(&w, &e.closed);
    assert_int_equal(e.n, 1);
    assert_int_equal(ask_number("LLEN mr:{q}:ready:critical"), 20);
    world_done(&w);
}

static void a_paused_queue_goes_on_when_it_is_resumed(void **state)
{
    struct world w;
    struct eater e = {0};
    struct taken t = {0};

    (void)state;
    begin(&w);
    RUN("HSET mr:{q}:meta paused 1");
    world_eater(&w, &e, (struct eater_options){.room = 5});
    PUT(&w, &t, .number = 1);
    turn_until_count(&w, &t.ok, 1);
    turn_until_waiting(&w, 1);
    assert_int_equal(e.n, 0);
    freeReplyObject(EVAL(QUEUE_PAUSE, NULL, SLICE_LIT("0")));
    turn_until_claims(&w, &e, 1);
    world_done(&w);
}

static void names_that_would_spoil_a_key_are_refused(void **state)
{
    static const char *const bad[] = {"", "a:b", "a b", "a\n",
                                      "0123456789012345678901234567890123456789012345678"};
    const struct consumer_events ev = {.on_claim = on_eater_claim, .on_lost = on_eater_lost};
    struct consumer *c;
    struct world w;
    struct fault f;

    (void)state;
    begin(&w);
    for (size_t i = 0; i < 3 * COUNT_OF(bad); i++) {
        struct consumer_options opt = {
            .queue = "q", .host = "h", .instance = "1", .redis_url = redis_server_url(server)};
        const char **part[] = {&opt.host, &opt.instance, &opt.queue};

        *part[i % 3] = bad[i / 3];
        assert_int_equal(consumer_new(&w.loop, w.redis, &opt, &ev, &c, &f), ERR_MALFORMED);
    }
    world_done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_job_is_claimed_with_all_that_is_known_of_it, flush),
        cmocka_unit_test_setup(no_more_is_claimed_than_there_is_room_for, flush),
        cmocka_unit_test_setup(an_idle_consumer_waits_in_redis_and_is_woken, flush),
        cmocka_unit_test_setup(a_waiting_consumer_takes_a_delayed_job_when_it_is_due, flush),
        cmocka_unit_test_setup(each_verdict_reaches_redis_and_is_confirmed_once, flush),
        cmocka_unit_test_setup(what_is_not_held_cannot_be_settled, flush),
        cmocka_unit_test_setup(a_job_that_is_not_ours_any_more_settles_as_stale, flush),
        cmocka_unit_test_setup(settlements_of_one_turn_share_calls, flush),
        cmocka_unit_test_setup(progress_is_seen_while_the_job_runs, flush),
        cmocka_unit_test_setup(progress_of_a_job_that_ends_soon_costs_no_call, flush),
        cmocka_unit_test_setup(a_token_that_cannot_be_used_goes_to_another, flush),
        cmocka_unit_test_setup(a_consumer_claims_no_more_than_its_owner_allows, flush),
        cmocka_unit_test_setup(a_token_that_may_not_be_used_goes_to_another, flush),
        cmocka_unit_test_setup(a_quiet_consumer_claims_nothing_and_takes_no_token, flush),
        cmocka_unit_test_setup(closing_settles_what_was_said_and_gives_back_the_rest, flush),
        cmocka_unit_test_setup(it_may_be_closed_from_inside_a_claim, flush),
        cmocka_unit_test_setup(a_paused_queue_goes_on_when_it_is_resumed, flush),
        cmocka_unit_test_setup(names_that_would_spoil_a_key_are_refused, flush),
    };

    return cmocka_run_group_tests(tests, start_server, stop_server);
}
