/* Cancelling, and telling who watches: the scripts, called by hand against a real Redis. */
#include "tests/unit/test_lua_help.h"

#define DEAD_FLAG 16 /* on the priority of a claim: only to be recorded */

static long long cancel(unsigned number)
{
    struct uuid id = id_of(number);
    redisReply *r = EVAL(QUEUE_CANCEL, NULL, id_slice(&id));
    long long code = at(r, 0);

    freeReplyObject(r);
    return code;
}

static void assert_cancelled(unsigned number)
{
    struct uuid id = id_of(number);
    struct state_value v;

    assert_true(state_of(&id, &v));
    assert_int_equal(v.state, JOB_CANCELLED);
}

/* Claims one that is cancelled, and gives its attempt. */
static long long claim_tombstone(const char *consumer, unsigned number)
{
    struct uuid id = id_of(number);
    redisReply *r = claim(consumer, "1");
    long long attempt;

    assert_int_equal(r->elements, 4 + 5);
    assert_memory_equal(bytes_at(r, 4).ptr, id.bytes, UUID_LEN);
    attempt = at(r, 5);
    assert_int_equal(at(r, 7), DEAD_FLAG + JOB_PRIORITY_NORMAL);
    freeReplyObject(r);
    return attempt;
}

static void assert_nothing_is_left(void)
{
    assert_int_equal(ask_number("EXISTS mr:{q}:state mr:{q}:delayed mr:{q}:active:" US
                                " mr:{q}:cancels:" US " mr:{q}:ready:normal "
                                "mr:{q}:ready:critical"),
                     0);
}

/* --- what waits ------------------------------------------------------------------------------ */

static void a_queued_job_keeps_its_place_and_is_claimed_to_be_recorded(void **state)
{
    struct uuid id = id_of(2);
    struct state_value v;

    (void)state;
    enroll(US);
    for (unsigned i = 1; i <= 3; i++)
        ENQUEUE(.number = i);
    assert_int_equal(cancel(2), 1);
    assert_cancelled(2);
    assert_int_equal(cancel(2), 1); /* again */
    assert_int_equal(ready("normal"), 3);
    assert_int_equal(claim_number(US), 1);
    assert_int_equal(claim_tombstone(US, 2), 1);
    assert_true(state_of(&id, &v));
    assert_int_equal(v.state, JOB_CANCELLED); /* also while it is recorded */
    assert_true(slice_is(v.consumer, US));
    assert_int_equal(v.attempt, 1);
    assert_int_equal(v.excused, 1);
    assert_int_equal(cancel(2), 1);
    assert_int_equal(settle(US, 2, 1, "done", "0"), 0);
    assert_false(state_of(&id, &v));
    assert_int_equal(claim_number(US), 3);
}

static void a_tombstone_stays_one_however_often_it_comes_back(void **state)
{
    redisReply *r;

    (void)state;
    enroll(US);
    ENQUEUE(.number = 7);
    assert_int_equal(cancel(7), 1);
    assert_int_equal(claim_tombstone(US, 7), 1);
    assert_int_equal(settle(US, 7, 1, "release", "0"), 0);
    assert_cancelled(7);
    assert_int_equal(claim_tombstone(US, 7), 2);
    assert_int_equal(settle(US, 7, 2, "retry", "60000"), 0);
    assert_cancelled(7);
    assert_int_equal(ask_number("ZCARD mr:{q}:delayed"), 0);
    assert_int_equal(claim_tombstone(US, 7), 3);
    silence(US);
    assert_int_equal(reap("1"), 1);
    assert_cancelled(7);
    enroll(US);
    assert_int_equal(claim_tombstone(US, 7), 4);
    r = EVAL(QUEUE_RECONCILE, US, SLICE_LIT(US), SLICE_LIT("8"));
    assert_int_equal(at(r, 2), 1);
    freeReplyObject(r);
    assert_cancelled(7);
    assert_int_equal(claim_tombstone(US, 7), 5);
    assert_int_equal(settle(US, 7, 4, "done", "0"), 1); /* an older attempt's */
    assert_int_equal(settle(US, 7, 5, "done", "0"), 0);
    assert_nothing_is_left();
}

static void a_retry_that_waits_is_found_by_its_due_time_and_comes_at_once(void **state)
{
    (void)state;
    enroll(US);
    for (unsigned i = 1; i <= 3; i++) {
        ENQUEUE(.number = i);
        assert_int_equal(claim_number(US), i);
    }
    for (unsigned i = 1; i <= 3; i++)
        assert_int_equal(settle(US, i, 1, "retry", "60000"), 0);
    RUN("DEL mr:{q}:wake");
    assert_int_equal(cancel(2), 1);
    assert_int_equal(ask_number("ZCARD mr:{q}:delayed"), 2);
    assert_int_equal(ready("critical"), 1);
    assert_int_equal(tokens(), 1);
    assert_int_equal(claim_tombstone(US, 2), 2);
    assert_int_equal(settle(US, 2, 2, "done", "0"), 0);
}

/* The due time in the state is not that of the set: as when there are too many of the same. */
static void a_delayed_job_that_is_not_found_is_recorded_when_it_is_due(void **state)
{
    (void)state;
    enroll(US);
    ENQUEUE(.number = 7, .due = "9999999999999");
    assert_int_equal(cancel(7), 1);
    assert_cancelled(7);
    assert_int_equal(ask_number("ZCARD mr:{q}:delayed"), 1);
    assert_int_equal(claim_number(US), -1);
    make_due();
    assert_int_equal(reap("0"), 0);
    assert_cancelled(7);
    assert_int_equal(claim_tombstone(US, 7), 1);
}

static void what_is_not_there_is_unknown(void **state)
{
    struct uuid id[2] = {id_of(1), id_of(2)};
    redisReply *r;

    (void)state;
    ENQUEUE(.number = 2);
    RUN("HSET mr:{q}:state 0123456789abcdef x");
    r = EVAL(QUEUE_CANCEL, NULL, id_slice(&id[0]), id_slice(&id[1]),
             SLICE_LIT("0123456789abcdef"));
    assert_int_equal(at(r, 0), 0);
    assert_int_equal(at(r, 1), 1);
    assert_int_equal(at(r, 2), 0);
    freeReplyObject(r);
}

static void lists_show_it_as_cancelled(void **state)
{
    redisReply *r;
    struct state_value v;

    (void)state;
    ENQUEUE(.number = 7);
    assert_int_equal(cancel(7), 1);
    r = EVAL(QUEUE_LIST, NULL, SLICE_LIT("1"), SLICE_LIT("0"), SLICE_LIT("10"),
             keys.active_prefix);
    assert_int_equal(r->elements, 1 + 4);
    assert_int_equal(state_decode(bytes_at(r, 2), &v), ERR_OK);
    assert_int_equal(v.state, JOB_CANCELLED);
    freeReplyObject(r);
}

/* --- what runs ------------------------------------------------------------------------------- */

static void run_one(unsigned number)
{
    enroll(US);
    ENQUEUE(.number = number);
    assert_int_equal(claim_number(US), number);
}

static void a_running_job_is_named_to_its_consumer_until_it_ends(void **state)
{
    struct uuid id = id_of(7);
    struct state_value v;
    redisReply *r;

    (void)state;
    run_one(7);
    assert_int_equal(cancel(7), 2);
    assert_true(state_of(&id, &v));
    assert_int_equal(v.state, JOB_RUNNING); /* it may end otherwise */
    r = EVAL(QUEUE_BEAT, US, SLICE_LIT(US), SLICE_LIT("host:1:"));
    assert_int_equal(r->elements, 3);
    assert_memory_equal(bytes_at(r, 2).ptr, id.bytes, UUID_LEN);
    freeReplyObject(r);
    show_progress(1);
    assert_int_equal(settle(US, 7, 1, "done", "0"), 0);
    r = EVAL(QUEUE_BEAT, US, SLICE_LIT(US), SLICE_LIT("host:1:"));
    assert_int_equal(r->elements, 2);
    freeReplyObject(r);
    assert_nothing_is_left();
}

static void it_waits_for_no_other_attempt(void **state)
{
    static const char *const kinds[][2] = {
        {"retry", "0"}, {"retry", "60000"}, {"release", "0"}};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        RUN("FLUSHALL");
        run_one(7);
        assert_int_equal(cancel(7), 2);
        assert_int_equal(settle(US, 7, 1, kinds[i][0], kinds[i][1]), 0);
        assert_cancelled(7);
        assert_int_equal(settle(US, 7, 1, kinds[i][0], kinds[i][1]), 3); /* sent twice */
        assert_int_equal(tokens(), 1);
        assert_int_equal(claim_tombstone(US, 7), 2);
        assert_int_equal(settle(US, 7, 2, "done", "0"), 0);
        assert_nothing_is_left();
    }
}

static void when_its_worker_dies_it_is_a_tombstone(void **state)
{
    (void)state;
    run_one(7);
    assert_int_equal(cancel(7), 2);
    silence(US);
    assert_int_equal(reap("1"), 1);
    assert_cancelled(7);
    assert_int_equal(ask_number("EXISTS mr:{q}:cancels:" US), 0);
    enroll(THEM);
    assert_int_equal(claim_tombstone(THEM, 7), 2);
    assert_int_equal(settle(THEM, 7, 2, "done", "0"), 0);
    assert_nothing_is_left();
}

/* --- who listens ----------------------------------------------------------------------------- */

static redisContext *ear;

static void listen_to(const char *channel)
{
    ear = redisConnectUnix(redis_server_path(server));
    assert_int_equal(ear->err, 0);
    assert_int_equal(redisSetTimeout(ear, (struct timeval){.tv_sec = 30}), REDIS_OK);
    freeReplyObject(redisCommand(ear, "SUBSCRIBE %s", channel));
}

/* The next message names exactly these two jobs (-1: none). */
static void assert_heard(int first, int second)
{
    struct uuid id[2] = {id_of((unsigned)first), id_of((unsigned)second)};
    void *got = NULL;
    redisReply *r;

    assert_int_equal(redisGetReply(ear, &got), REDIS_OK);
    r = got;
    assert_int_equal(r->elements, 3);
    assert_int_equal(r->element[2]->len, second < 0 ? UUID_LEN : 2 * UUID_LEN);
    assert_memory_equal(r->element[2]->str, id[0].bytes, UUID_LEN);
    if (second >= 0)
        assert_memory_equal(r->element[2]->str + UUID_LEN, id[1].bytes, UUID_LEN);
    freeReplyObject(r);
}

/* Nothing was said before this. */
static void assert_silent(const char *channel)
{
    struct uuid id = id_of(99);

    RUN("PUBLISH %s %b", channel, id.bytes, (size_t)UUID_LEN);
    assert_heard(99, -1);
}

static void workers_hear_of_a_cancel_on_the_control_channel(void **state)
{
    (void)state;
    listen_to("mr:{q}:control");
    run_one(7);
    ENQUEUE(.number = 8);
    assert_int_equal(cancel(8), 1);
    assert_silent("mr:{q}:control");
    assert_int_equal(cancel(7), 2);
    assert_heard(7, -1);
    redisFree(ear);
}

static void each_move_tells_who_watches_in_one_message(void **state)
{
    (void)state;
    listen_to("mr:{q}:events");
    RUN("SET mr:{q}:watch 1");
    enroll(US);
    ENQUEUE(.number = 7);
    ENQUEUE(.number = 8);
    freeReplyObject(claim(US, "64"));
    assert_heard(7, 8);
    show_progress(1);
    assert_heard(7, -1);
    assert_int_equal(cancel(8), 2);
    assert_heard(8, -1);
    assert_int_equal(settle(US, 7, 1, "retry", "60000"), 0);
    assert_heard(7, -1);
    make_due();
    assert_int_equal(reap("0"), 0);
    assert_heard(7, -1);
    silence(US);
    assert_int_equal(reap("1"), 1);
    assert_heard(8, -1);
    enroll(US);
    freeReplyObject(claim(US, "64"));
    assert_heard(8, 7);
    assert_int_equal(settle(US, 7, 2, "done", "0"), 0);
    assert_heard(7, -1);
    redisFree(ear);
}

static void nobody_is_told_when_nobody_watches(void **state)
{
    (void)state;
    listen_to("mr:{q}:events");
    run_one(7);
    show_progress(1);
    assert_int_equal(cancel(7), 2);
    assert_int_equal(settle(US, 7, 1, "done", "0"), 0);
    assert_silent("mr:{q}:events");
    redisFree(ear);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_queued_job_keeps_its_place_and_is_claimed_to_be_recorded,
                               flush),
        cmocka_unit_test_setup(a_tombstone_stays_one_however_often_it_comes_back, flush),
        cmocka_unit_test_setup(a_retry_that_waits_is_found_by_its_due_time_and_comes_at_once,
                               flush),
        cmocka_unit_test_setup(a_delayed_job_that_is_not_found_is_recorded_when_it_is_due,
                               flush),
        cmocka_unit_test_setup(what_is_not_there_is_unknown, flush),
        cmocka_unit_test_setup(lists_show_it_as_cancelled, flush),
        cmocka_unit_test_setup(a_running_job_is_named_to_its_consumer_until_it_ends, flush),
        cmocka_unit_test_setup(it_waits_for_no_other_attempt, flush),
        cmocka_unit_test_setup(when_its_worker_dies_it_is_a_tombstone, flush),
        cmocka_unit_test_setup(workers_hear_of_a_cancel_on_the_control_channel, flush),
        cmocka_unit_test_setup(each_move_tells_who_watches_in_one_message, flush),
        cmocka_unit_test_setup(nobody_is_told_when_nobody_watches, flush),
    };

    return cmocka_run_group_tests(tests, start_server, stop_server);
}
