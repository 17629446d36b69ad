/* The atomic moves, each called by hand against a real Redis. */
#include "tests/unit/test_lua_help.h"

/* --- enqueue --------------------------------------------------------------------------------- */

static void a_job_has_a_state_and_a_token_and_is_counted(void **state)
{
    struct uuid id = id_of(1);
    struct state_value v;

    (void)state;
    assert_int_equal(ENQUEUE(.number = 1, .above = 1), 1);
    assert_int_equal(ENQUEUE(.number = 2, .above = -1), 1);
    assert_int_equal(ready("high"), 1);
    assert_int_equal(ready("low"), 1);
    assert_int_equal(tokens(), 1);
    assert_int_equal(counter("enqueued"), 2);
    assert_true(state_of(&id, &v));
    assert_int_equal(v.state, JOB_QUEUED);
    assert_int_equal(v.attempt, 0);
    assert_int_equal(v.priority, JOB_PRIORITY_HIGH);
    assert_true(slice_is(v.type, "noop"));
}

static void a_batch_reaches_its_lists_in_order(void **state)
{
    static const char *const want[] = {"c1", "n1", "n2", "l1"};
    const struct slice k[] = {
        keys.key[QUEUE_KEY_STATE],     keys.key[QUEUE_KEY_META],
        keys.key[QUEUE_KEY_WAKE],      keys.key[QUEUE_KEY_DELAYED],
        keys.key[QUEUE_KEY_READY],     keys.key[QUEUE_KEY_READY + JOB_PRIORITY_NORMAL],
        keys.key[QUEUE_KEY_READY + 3],
    };
    struct buf tail = {0};
    struct uuid id[6];
    struct slice args[40] = {SLICE_LIT("0"), SLICE_LIT("4"), SLICE_LIT("2"),
                             SLICE_LIT("1"), SLICE_LIT("2"), SLICE_LIT("1")};
    static const char *const items[] = {
        "c1", "n1", "n2", "l1", "9999999999998", "2d1", "9999999999999", "2d2"};
    size_t n = 6;
    redisReply *r;

    (void)state;
    state_encode_tail(&(struct state_value){.state = JOB_QUEUED}, &tail);
    for (unsigned i = 0; i < 6; i++) {
        id[i] = id_of(i);
        args[n++] = id_slice(&id[i]);
        args[n++] = buf_slice(&tail);
    }
    for (size_t i = 0; i < COUNT_OF(items); i++)
        args[n++] = slice_str(items[i]);
    r = eval_raw(QUEUE_ENQUEUE, k, COUNT_OF(k), args, n);
    assert_int_equal(r->integer, 6);
    freeReplyObject(r);
    buf_done(&tail);
    assert_int_equal(ask_number("ZCARD mr:{q}:delayed"), 2);
    assert_int_equal(ask_number("HLEN mr:{q}:state"), 6);
    enroll(US);
    r = claim(US, "64");
    assert_int_equal(r->elements, 4 + 4 * 5);
    for (size_t i = 0; i < 4; i++)
        assert_true(slice_is(bytes_at(r, 4 + 5 * i + 4), want[i]));
    freeReplyObject(r);
}

static void a_job_that_is_known_is_left_alone_if_asked_for(void **state)
{
    struct uuid id = id_of(1);
    struct state_value v;

    (void)state;
    assert_int_equal(ENQUEUE(.number = 1, .skip_known = true), 1);
    assert_int_equal(ENQUEUE(.number = 1, .skip_known = true), 0);
    assert_int_equal(ENQUEUE(.number = 1, .skip_known = true, .due = "9999999999999"), 0);
    assert_int_equal(ready("normal"), 1);
    assert_int_equal(ask_number("ZCARD mr:{q}:delayed"), 0);
    assert_int_equal(counter("enqueued"), 1);
    assert_true(state_of(&id, &v));
    assert_int_equal(v.state, JOB_QUEUED);
}

static void a_job_that_is_run_once_more_keeps_its_attempts_without_their_weight(void **state)
{
    redisReply *r;

    (void)state;
    enroll(US);
    assert_int_equal(ENQUEUE(.number = 1, .skip_known = true, .before = 5), 1);
    r = claim(US, "1");
    assert_int_equal(at(r, 5), 6);
    assert_int_equal(at(r, 6), 5);
    freeReplyObject(r);
}

static void only_an_earlier_due_time_leaves_a_token(void **state)
{
    (void)state;
    ENQUEUE(.number = 1, .due = "9999999999000");
    assert_int_equal(tokens(), 1);
    RUN("DEL mr:{q}:wake");
    ENQUEUE(.number = 2, .due = "9999999999999");
    assert_int_equal(tokens(), 0);
    ENQUEUE(.number = 3, .due = "9999999990000");
    assert_int_equal(tokens(), 1);
}

static void at_maxmemory_nothing_comes_in_and_everything_goes_out(void **state)
{
    struct uuid id = id_of(2);
    struct state_value v;
    struct buf item = {0};
    redisReply *r;
    const struct slice k[] = {keys.key[QUEUE_KEY_STATE], keys.key[QUEUE_KEY_META],
                              keys.key[QUEUE_KEY_WAKE], keys.key[QUEUE_KEY_DELAYED],
                              keys.key[QUEUE_KEY_READY]};

    (void)state;
    enroll(US);
    ENQUEUE(.number = 1);
    RUN("CONFIG SET maxmemory 1");
    add_item(&item, &id, 0);
    r = eval_raw(QUEUE_ENQUEUE, k, COUNT_OF(k),
                 (const struct slice[]){SLICE_LIT("0"), SLICE_LIT("1"), SLICE_LIT("0"),
                                        SLICE_LIT("1"), id_slice(&id), SLICE_LIT("x"),
                                        buf_slice(&item)},
                 7);
    assert_int_equal(r->type, REDIS_REPLY_ERROR);
    assert_memory_equal(r->str, "OOM", 3);
    freeReplyObject(r);
    buf_done(&item);
    assert_int_equal(claim_number(US), 1);
    assert_int_equal(settle(US, 1, 1, "release", "0"), 0);
    assert_int_equal(claim_number(US), 1);
    assert_int_equal(reap("0"), 0);
    assert_int_equal(settle(US, 1, 2, "done", "0"), 0);
    RUN("CONFIG SET maxmemory 0");
    assert_false(state_of(&id, &v));
    assert_int_equal(counter("enqueued"), 1);
}

/* --- claim ----------------------------------------------------------------------------------- */

static void higher_priorities_first_then_the_oldest(void **state)
{
    (void)state;
    enroll(US);
    for (unsigned i = 0; i < 8; i++)
        ENQUEUE(.number = i, .above = (int)(i / 2) - 1);
    for (unsigned i = 0; i < 8; i++)
        assert_int_equal(claim_number(US), (3 - i / 2) * 2 + i % 2);
    assert_int_equal(claim_number(US), -1);
}

static void who_is_not_registered_gets_nothing(void **state)
{
    redisReply *r;

    (void)state;
    ENQUEUE(.number = 1);
    r = claim(US, "1");
    assert_int_equal(r->elements, 1);
    assert_int_equal(at(r, 0), 0);
    freeReplyObject(r);
    enroll(US);
    RUN("ZADD mr:{q}:consumers 0 " US);
    r = claim(US, "1");
    assert_int_equal(at(r, 0), 0);
    freeReplyObject(r);
    assert_int_equal(ready("normal"), 1);
}

static void a_paused_queue_takes_jobs_and_gives_none(void **state)
{
    (void)state;
    enroll(US);
    freeReplyObject(EVAL(QUEUE_PAUSE, NULL, SLICE_LIT("1")));
    ENQUEUE(.number = 1);
    RUN("DEL mr:{q}:wake");
    assert_int_equal(claim_number(US), -1);
    (void)reap("0");
    assert_int_equal(tokens(), 0);
    freeReplyObject(EVAL(QUEUE_PAUSE, NULL, SLICE_LIT("0")));
    assert_int_equal(tokens(), 1);
    assert_int_equal(claim_number(US), 1);
}

static void what_is_left_is_told_and_so_is_the_next_due_time(void **state)
{
    redisReply *r;

    (void)state;
    enroll(US);
    ENQUEUE(.number = 1);
    ENQUEUE(.number = 2);
    ENQUEUE(.number = 3, .due = "9999999999999");
    RUN("DEL mr:{q}:wake");
    r = claim(US, "1");
    assert_int_equal(at(r, 2), 1);
    assert_int_equal(tokens(), 1);
    freeReplyObject(r);
    r = claim(US, "2");
    assert_int_equal(r->elements, 4 + 5);
    assert_int_equal(at(r, 2), 0);
    assert_int_equal(at(r, 3), 9999999999999);
    assert_int_equal(tokens(), 0);
    freeReplyObject(r);
}

static void a_claim_brings_what_is_due(void **state)
{
    (void)state;
    enroll(US);
    for (unsigned i = 0; i < 130; i++)
        ENQUEUE(.number = i, .due = "1");
    for (unsigned i = 0; i < 130; i++)
        assert_int_not_equal(claim_number(US), -1);
    assert_int_equal(claim_number(US), -1);
}

static void a_second_copy_of_a_running_job_is_dropped(void **state)
{
    struct new_job job = {.number = 1};
    struct uuid id = id_of(1);
    struct state_value v;
    struct buf item = {0};

    (void)state;
    enroll(US);
    enroll(THEM);
    add_item(&item, &id, 0);
    assert_int_equal(enqueue_item(&job, buf_slice(&item)), 1);
    for (int i = 0; i < 2; i++)
        RUN("LPUSH mr:{q}:ready:normal %b", item.data, item.len);
    assert_int_equal(claim_number(US), 1);
    assert_int_equal(claim_number(THEM), -1); /* the second */
    assert_int_equal(ready("normal"), 1);
    assert_true(state_of(&id, &v));
    assert_int_equal(v.attempt, 1);
    assert_true(slice_is(v.consumer, US));
    assert_int_equal(settle(US, 1, 1, "done", "0"), 0);
    assert_int_equal(claim_number(THEM), 1); /* the third: what is over is not known here */
    assert_int_equal(settle(THEM, 1, 1, "done", "0"), 0);
    /* both in one claim */
    for (int i = 0; i < 2; i++)
        RUN("LPUSH mr:{q}:ready:normal %b", item.data, item.len);
    freeReplyObject(claim(US, "64"));
    assert_int_equal(ask_number("HLEN mr:{q}:active:" US), 1);
    assert_int_equal(ready("normal"), 0);
    buf_done(&item);
}

static void a_spoilt_state_entry_does_not_stop_a_job(void **state)
{
    static const struct slice table[] = {
        SLICE_LIT(""),
        SLICE_LIT("x"),
        SLICE_LIT("\x97\x03"),
        SLICE_LIT("not a state value at all"),
        SLICE_LIT("\x97\x03\xcf\0\0\0\0\0\0\0\0\xce\0\0\0\x01\xcd\0\0\x02\xd9\xff"
                  "abc"),
        SLICE_LIT("\x97\x03\xcf\0\0\0\0\0\0\0\0\xce\0\0\0\x01\xcd\0\0\x02\xd9\x01"
                  "a\xc0"),
    };
    struct uuid id = id_of(1);

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        RUN("FLUSHALL");
        enroll(US);
        ENQUEUE(.number = 1);
        RUN("HSET mr:{q}:state %b %b", id.bytes, (size_t)UUID_LEN, table[i].ptr, table[i].len);
        assert_int_equal(claim_number(US), 1);
        assert_int_equal(ask_number("HLEN mr:{q}:active:" US), 1);
    }
}

/* --- settle, progress ------------------------------------------------------------------------ */

static void a_released_job_is_claimed_next_and_a_retried_one_last(void **state)
{
    (void)state;
    enroll(US);
    for (unsigned i = 1; i <= 4; i++)
        ENQUEUE(.number = i);
    assert_int_equal(claim_number(US), 1);
    assert_int_equal(claim_number(US), 2);
    assert_int_equal(settle(US, 1, 1, "retry", "0"), 0);
    assert_int_equal(settle(US, 2, 1, "release", "0"), 0);
    assert_int_equal(claim_number(US), 2);
    assert_int_equal(claim_number(US), 3);
    assert_int_equal(claim_number(US), 4);
    assert_int_equal(claim_number(US), 1);
    assert_int_equal(counter("retried"), 1);
    assert_int_equal(counter("released"), 1);
    assert_int_equal(counter("claimed"), 6);
}

static void one_call_settles_all_kinds_and_names_the_stale(void **state)
{
    struct uuid id[6];
    char a[4];
    struct slice one;
    redisReply *r;
    struct state_value v;

    (void)state;
    enroll(US);
    for (unsigned i = 0; i < 6; i++) {
        id[i] = id_of(i);
        ENQUEUE(.number = i);
    }
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(claim_number(US), i);
    RUN("DEL mr:{q}:wake");
    state_put_u32(1, a);
    one = slice_of(a, 4);
    r = EVAL(QUEUE_SETTLE, US, SLICE_LIT(US), SLICE_LIT("3"), id_slice(&id[0]),
             id_slice(&id[5]), id_slice(&id[1]), one, one, one, id_slice(&id[2]), one,
             SLICE_LIT("retry"), SLICE_LIT("60000"), SLICE_LIT("\xd9\x04oops"),
             id_slice(&id[5]), one, SLICE_LIT("release"), SLICE_LIT("0"), SLICE_LIT("\xd9\0"),
             id_slice(&id[3]), one, SLICE_LIT("release"), SLICE_LIT("0"), SLICE_LIT("\xd9\0"));
    assert_int_equal(r->elements, 4);
    assert_int_equal(at(r, 0), 2);
    assert_int_equal(at(r, 1), 1);
    assert_int_equal(at(r, 2), 5);
    assert_int_equal(at(r, 3), 1);
    freeReplyObject(r);
    assert_false(state_of(&id[0], &v));
    assert_false(state_of(&id[1], &v));
    assert_true(state_of(&id[2], &v));
    assert_int_equal(v.state, JOB_RETRYING);
    assert_true(slice_is(v.text, "oops"));
    assert_int_equal(v.due_ms, v.since_ms + 60000);
    assert_int_equal(ask_number("HLEN mr:{q}:active:" US), 1);
    assert_int_equal(counter("settled"), 2);
    assert_int_equal(tokens(), 1);
    assert_int_equal(claim_number(US), 3);
}

static void progress_is_shown_only_for_the_attempt_that_runs(void **state)
{
    struct uuid id = id_of(7);
    struct state_value v;

    (void)state;
    enroll(US);
    ENQUEUE(.number = 7);
    assert_int_equal(claim_number(US), 7);
    show_progress(2);
    assert_true(state_of(&id, &v));
    assert_int_equal(v.progress, 0);
    show_progress(1);
    assert_true(state_of(&id, &v));
    assert_int_equal(v.progress, 42);
    assert_true(slice_is(v.text, "abc"));
    assert_true(slice_is(v.consumer, US));
    assert_int_equal(settle(US, 7, 1, "done", "0"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_job_has_a_state_and_a_token_and_is_counted, flush),
        cmocka_unit_test_setup(a_batch_reaches_its_lists_in_order, flush),
        cmocka_unit_test_setup(a_job_that_is_known_is_left_alone_if_asked_for, flush),
        cmocka_unit_test_setup(
            a_job_that_is_run_once_more_keeps_its_attempts_without_their_weight, flush),
        cmocka_unit_test_setup(only_an_earlier_due_time_leaves_a_token, flush),
        cmocka_unit_test_setup(at_maxmemory_nothing_comes_in_and_everything_goes_out, flush),
        cmocka_unit_test_setup(higher_priorities_first_then_the_oldest, flush),
        cmocka_unit_test_setup(who_is_not_registered_gets_nothing, flush),
        cmocka_unit_test_setup(a_paused_queue_takes_jobs_and_gives_none, flush),
        cmocka_unit_test_setup(what_is_left_is_told_and_so_is_the_next_due_time, flush),
        cmocka_unit_test_setup(a_claim_brings_what_is_due, flush),
        cmocka_unit_test_setup(a_second_copy_of_a_running_job_is_dropped, flush),
        cmocka_unit_test_setup(a_spoilt_state_entry_does_not_stop_a_job, flush),
        cmocka_unit_test_setup(a_released_job_is_claimed_next_and_a_retried_one_last, flush),
        cmocka_unit_test_setup(one_call_settles_all_kinds_and_names_the_stale, flush),
        cmocka_unit_test_setup(progress_is_shown_only_for_the_attempt_that_runs, flush),
    };

    return cmocka_run_group_tests(tests, start_server, stop_server);
}
