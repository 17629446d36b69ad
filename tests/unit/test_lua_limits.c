/* Limits per queue and per key, as the scripts keep them against a real Redis. */
#include "tests/unit/test_lua_limits_help.h"

#define FOR_EVER "86400000" /* a rate's time in which no token comes back while a test runs */

/* --- running ---------------------------------------------------------------------------------- */

static void a_key_at_its_limit_holds_up_nobody_else(void **state)
{
    (void)state;
    begin_with("0 0 0 0 2 0 0 0", 5);
    enqueue_keyed(6, "b", 0);
    ENQUEUE(.number = 7);
    expect(US, "64", "1 2 6 7");
    assert_int_equal(parked(), 3);
    assert_int_equal(waiting(), 3);
    assert_int_equal(ready("normal"), 0);
    assert_int_equal(tokens(), 0);
    expect(US, "64", "");
    done(US, 2);
    assert_int_equal(tokens(), 1);
    expect(US, "64", "3");
    done(US, 1);
    done(US, 3);
    expect(US, "64", "4 5");
    done(US, 4);
    done(US, 5);
    done(US, 6);
    done(US, 7);
    expect(US, "64", "");
    assert_clean();
}

static void later_jobs_of_a_key_do_not_overtake_parked_ones(void **state)
{
    (void)state;
    enroll(THEM);
    begin_with("0 0 0 0 1 0 0 0", 3);
    expect(US, "1", "1");
    expect(THEM, "1", "");
    enqueue_keyed(4, "a", 0);
    done(US, 1);
    expect(THEM, "1", "2");
    enqueue_keyed(5, "a", 0);
    done(THEM, 2);
    expect(US, "64", "3");
    done(US, 3);
    expect(US, "64", "4");
    done(US, 4);
    expect(US, "64", "5");
}

static void priorities_hold_within_a_key_and_between_keys(void **state)
{
    (void)state;
    enroll(US);
    set_limits("0 0 0 0 1 0 0 0");
    enqueue_keyed(1, "a", 0);
    expect(US, "64", "1");
    enqueue_keyed(2, "a", -1);
    enqueue_keyed(3, "a", 0);
    expect(US, "64", "");
    enqueue_keyed(4, "a", 2);
    expect(US, "64", "");
    done(US, 1);
    ENQUEUE(.number = 5, .above = 1);
    expect(US, "1", "4");
    expect(US, "1", "5");
    done(US, 4);
    expect(US, "64", "3");
    done(US, 3);
    enqueue_keyed(6, "a", 1); /* comes while only a lower one is parked and the key is free */
    expect(US, "64", "6");
    done(US, 6);
    expect(US, "64", "2");
    done(US, 2);
    done(US, 5);
    expect(US, "64", "");
    assert_clean();
}

static void every_way_a_claim_ends_frees_its_slot(void **state)
{
    static const char *const kinds[] = {"done", "retry", "release"};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        RUN("FLUSHALL");
        begin_with("0 0 0 0 1 0 0 0", 2);
        expect(US, "64", "1");
        assert_int_equal(settle(US, 1, 1, kinds[i], "60000"), 0);
        assert_int_equal(ask_number("EXISTS mr:{q}:slots mr:{q}:slots:a"), 0);
        assert_int_equal(tokens(), 1);
        expect(US, "64", "2");
    }
}

static void a_consumer_that_vanishes_leaves_no_slot_behind(void **state)
{
    (void)state;
    for (int way = 0; way < 4; way++) {
        RUN("FLUSHALL");
        enroll(THEM);
        begin_with("0 0 0 0 2 0 0 0", 4);
        expect(US, "64", "1 2");
        if (way == 0) {
            silence(US);
            assert_int_equal(reap("1000"), 2);
        } else if (way == 1) {
            enroll("host:1:next");
        } else if (way == 2) {
            freeReplyObject(
                EVAL(QUEUE_UNREGISTER, US, SLICE_LIT(US), SLICE_LIT(QUEUE_GIVE_BACK)));
        } else {
            freeReplyObject(
                EVAL(QUEUE_RECONCILE, US, SLICE_LIT(US), SLICE_LIT(QUEUE_GIVE_BACK)));
        }
        assert_int_equal(ask_number("EXISTS mr:{q}:slots mr:{q}:slots:a"), 0);
        assert_int_equal(tokens(), 1);
        assert_int_equal(claims(THEM, "64").n, 2);
        assert_int_equal(ask_number("SCARD mr:{q}:slots:a"), 2);
        assert_int_equal(waiting(), 2);
    }
}

static void a_long_line_of_one_key_is_parked_in_bounded_pieces(void **state)
{
    struct claimed c;
    int calls = 0;

    (void)state;
    enroll(US);
    set_limits("0 0 0 0 1 0 0 0");
    for (unsigned i = 0; i < 1000; i++)
        enqueue_keyed(i, "a", 0);
    enqueue_keyed(1000, "b", 0);
    expect(US, "1", "0");
    do {
        long long before = parked();

        c = claims(US, "1");
        calls++;
        assert_true(parked() - before <= 256);
        assert_true(c.n > 0 || c.more == 1);
        assert_int_equal(tokens(), c.more);
    } while (c.n == 0);
    assert_int_equal(c.number[0], 1000);
    assert_true(calls >= 4 && calls <= 5);
    done(US, 0);
    for (unsigned i = 1; i < 1000; i++) {
        c = claims(US, "8");
        assert_int_equal(c.n, 1);
        assert_int_equal(c.number[0], i);
        done(US, i);
    }
}

static void a_queue_runs_no_more_than_its_limit_over_all_consumers(void **state)
{
    (void)state;
    enroll(US);
    enroll(THEM);
    set_limits("3 0 0 0 0 0 0 0");
    for (unsigned i = 1; i <= 6; i++)
        ENQUEUE(.number = i);
    expect(US, "2", "1 2");
    expect(THEM, "64", "3");
    assert_int_equal(tokens(), 0);
    expect(THEM, "64", "");
    (void)reap("0");
    assert_int_equal(tokens(), 0); /* nothing could be found */
    done(US, 1);
    assert_int_equal(tokens(), 1);
    expect(THEM, "64", "4");
    silence(THEM);
    assert_int_equal(reap("1000"), 2);
    assert_int_equal(tokens(), 1);
    assert_int_equal(claims(US, "64").n, 2);
    assert_int_equal(claims(US, "64").n, 0);
}

/* --- rates ------------------------------------------------------------------------------------ */

static void a_rate_gives_its_burst_and_then_one_at_a_time(void **state)
{
    struct claimed c;

    (void)state;
    enroll(US);
    set_limits("0 10 " FOR_EVER " 3 0 0 0 0");
    for (unsigned i = 1; i <= 6; i++)
        ENQUEUE(.number = i);
    c = claims(US, "64");
    assert_int_equal(c.n, 3);
    assert_int_equal(c.more, 0);
    /* the next in a tenth of a day */
    assert_true(c.next > c.now + 8639000 && c.next <= c.now + 8640001);
    assert_int_equal(claims(US, "64").n, 0);
    (void)reap("0");
    assert_int_equal(tokens(), 0);
    /* a tenth of a day later */
    RUN("ZINCRBY mr:{q}:rates -8640000000 %b", "", (size_t)0);
    expect(US, "64", "4");
    expect(US, "64", "");
}

static void a_key_has_its_own_rate(void **state)
{
    struct claimed c;

    (void)state;
    enroll(US);
    set_limits("0 0 0 0 0 1 " FOR_EVER " 1");
    for (unsigned i = 1; i <= 4; i++)
        enqueue_keyed(i, i % 2 == 0 ? "a" : "b", 0);
    c = claims(US, "64");
    assert_int_equal(c.n, 2);
    assert_true(c.next > c.now + 86000000 && c.next <= c.now + 86400001);
    done(US, 1);
    done(US, 2);
    assert_int_equal(claims(US, "64").n, 0);
    assert_int_equal(parked(), 2);
    RUN("ZADD mr:{q}:rates 1 a");
    assert_int_equal(claims(US, "64").n, 0); /* the gate is not due yet */
    RUN("ZADD mr:{q}:gates 1 a");
    (void)reap("0");
    assert_int_equal(tokens(), 1);
    expect(US, "64", "4");
}

static void a_fast_rate_is_not_woken_for_every_token(void **state)
{
    struct claimed c;

    (void)state;
    enroll(US);
    set_limits("0 10000 1000 100 0 0 0 0");
    for (unsigned i = 0; i < 200; i++)
        ENQUEUE(.number = i);
    for (int i = 0; i < 20 && (c = claims(US, "64")).n > 0; i++)
        ;
    if (c.next != 0) /* else this machine was too slow to come to the end of the bucket */
        assert_true(c.next >= c.now + 5 && c.next <= c.now + 12);
}

static void buckets_that_are_full_again_are_forgotten(void **state)
{
    (void)state;
    enroll(US);
    set_limits("0 0 0 0 0 1 1 1");
    for (unsigned i = 0; i < 20; i++) {
        char key[16];

        (void)snprintf(key, sizeof key, "k%u", i);
        enqueue_keyed(i, key, 0);
    }
    assert_int_equal(claims(US, "64").n, 20);
    assert_int_equal(ask_number("ZCARD mr:{q}:rates"), 20);
    RUN("ZUNIONSTORE mr:{q}:rates 1 mr:{q}:rates WEIGHTS 0");
    (void)reap("0");
    assert_int_equal(ask_number("EXISTS mr:{q}:rates"), 0);
}

/* --- changes ---------------------------------------------------------------------------------- */

static void limits_that_are_raised_or_taken_away_let_parked_jobs_go(void **state)
{
    (void)state;
    begin_with("0 0 0 0 1 0 0 0", 6);
    expect(US, "64", "1");
    set_limits("0 0 0 0 3 0 0 0");
    assert_int_equal(tokens(), 1);
    expect(US, "64", "2 3");
    set_limits("");
    assert_int_equal(tokens(), 1);
    expect(US, "2", "4 5");
    enqueue_keyed(7, "a", 0);
    expect(US, "64", "6 7");
    assert_int_equal(ask_number("HEXISTS mr:{q}:meta limits"), 0);
    for (unsigned i = 1; i <= 7; i++)
        done(US, i);
    assert_clean();
}

static void limits_of_many_keys_are_opened_in_pieces(void **state)
{
    redisReply *r;

    (void)state;
    for (unsigned i = 0; i < 1500; i++)
        RUN("ZADD mr:{q}:gates 9007199254740992 k%u", i);
    r = EVAL(QUEUE_LIMITS, NULL, SLICE_LIT(""));
    assert_int_equal(at(r, 0), 1);
    freeReplyObject(r);
    assert_int_equal(ask_number("ZCOUNT mr:{q}:gates 9007199254740992 +inf"), 500);
    r = EVAL(QUEUE_LIMITS, NULL, SLICE_LIT(""));
    assert_int_equal(at(r, 0), 0);
    freeReplyObject(r);
    assert_int_equal(ask_number("ZCOUNT mr:{q}:gates 9007199254740992 +inf"), 0);
    /* gates without jobs behind them go away */
    enroll(US);
    for (int i = 0; i < 1000 && ask_number("EXISTS mr:{q}:gates") == 1; i++)
        assert_int_equal(claims(US, "1").n, 0);
    assert_clean();
    assert_int_equal(ask_number("HEXISTS mr:{q}:meta limits"), 0);
}

static void a_paused_queue_keeps_parked_jobs_and_resumes_with_a_token(void **state)
{
    (void)state;
    begin_with("0 0 0 0 1 0 0 0", 2);
    expect(US, "64", "1");
    freeReplyObject(EVAL(QUEUE_PAUSE, NULL, SLICE_LIT("1")));
    done(US, 1);
    expect(US, "64", "");
    RUN("DEL mr:{q}:wake");
    (void)reap("0");
    assert_int_equal(tokens(), 0);
    freeReplyObject(EVAL(QUEUE_PAUSE, NULL, SLICE_LIT("0")));
    assert_int_equal(tokens(), 1);
    expect(US, "64", "2");
}

/* --- healing ---------------------------------------------------------------------------------- */

static void what_was_torn_is_mended_by_the_reaper(void **state)
{
    (void)state;
    begin_with("1 0 0 0 1 0 0 0", 3);
    expect(US, "64", "1");
    expect(US, "64", "");
    /* the claim vanishes, and its slot stays; an id is counted that nobody wrote down */
    RUN("DEL mr:{q}:active:" US);
    RUN("SADD mr:{q}:slots:a stray");
    RUN("DEL mr:{q}:wake");
    expect(US, "64", "");
    (void)reap("0");
    (void)reap("0");
    assert_int_equal(ask_number("EXISTS mr:{q}:slots mr:{q}:slots:a"), 0);
    assert_int_equal(tokens(), 1);
    expect(US, "64", "2");
    assert_int_equal(ask_number("SCARD mr:{q}:slots:a"), 1);
}

static void a_slot_that_is_held_stays_held(void **state)
{
    (void)state;
    begin_with("0 0 0 0 1 0 0 0", 2);
    expect(US, "64", "1");
    for (int i = 0; i < 5; i++)
        (void)reap("60000");
    assert_int_equal(ask_number("SCARD mr:{q}:slots:a"), 1);
    expect(US, "64", "");
}

static void a_tombstone_keeps_its_slot_until_it_is_recorded(void **state)
{
    struct uuid id = id_of(1);

    (void)state;
    begin_with("0 0 0 0 1 0 0 0", 2);
    freeReplyObject(EVAL(QUEUE_CANCEL, NULL, id_slice(&id)));
    expect(US, "64", "1");
    (void)reap("60000");
    assert_int_equal(ask_number("SCARD mr:{q}:slots:a"), 1);
    expect(US, "64", "");
    done(US, 1);
    expect(US, "64", "2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_key_at_its_limit_holds_up_nobody_else, flush),
        cmocka_unit_test_setup(later_jobs_of_a_key_do_not_overtake_parked_ones, flush),
        cmocka_unit_test_setup(priorities_hold_within_a_key_and_between_keys, flush),
        cmocka_unit_test_setup(every_way_a_claim_ends_frees_its_slot, flush),
        cmocka_unit_test_setup(a_consumer_that_vanishes_leaves_no_slot_behind, flush),
        cmocka_unit_test_setup(a_long_line_of_one_key_is_parked_in_bounded_pieces, flush),
        cmocka_unit_test_setup(a_queue_runs_no_more_than_its_limit_over_all_consumers, flush),
        cmocka_unit_test_setup(a_rate_gives_its_burst_and_then_one_at_a_time, flush),
        cmocka_unit_test_setup(a_key_has_its_own_rate, flush),
        cmocka_unit_test_setup(a_fast_rate_is_not_woken_for_every_token, flush),
        cmocka_unit_test_setup(buckets_that_are_full_again_are_forgotten, flush),
        cmocka_unit_test_setup(limits_that_are_raised_or_taken_away_let_parked_jobs_go, flush),
        cmocka_unit_test_setup(limits_of_many_keys_are_opened_in_pieces, flush),
        cmocka_unit_test_setup(a_paused_queue_keeps_parked_jobs_and_resumes_with_a_token,
                               flush),
        cmocka_unit_test_setup(what_was_torn_is_mended_by_the_reaper, flush),
        cmocka_unit_test_setup(a_slot_that_is_held_stays_held, flush),
        cmocka_unit_test_setup(a_tombstone_keeps_its_slot_until_it_is_recorded, flush),
    };

    return cmocka_run_group_tests(tests, start_server, stop_server);
}
