/* How a consumer hears of cancelled jobs, and cancel_jobs() that makes them. */
#include "tests/unit/test_queue_loop.h"

#include "queue/cancel.h"

struct answered {
    unsigned calls;
    enum err err;
    enum cancel_answer answers[CANCEL_BATCH_MAX];
};

static void on_answers(void *arg, enum err e, const enum cancel_answer *answers, size_t n)
{
    struct answered *a = arg;

    a->calls++;
    a->err = e;
    if (e == ERR_OK)
        memcpy(a->answers, answers, n * sizeof *answers);
}

static enum cancel_answer cancel(struct world *w, unsigned number)
{
    struct answered a = {0};
    struct uuid id = id_of(number);

    assert_int_equal(cancel_jobs(w->redis, &(struct cancel_order){"q", &id, 1}, on_answers, &a),
                     ERR_OK);
    turn_until_units(w, &a.calls, 1);
    assert_int_equal(a.err, ERR_OK);
    return a.answers[0];
}

static void begin(struct world *w, struct eater *e, struct eater_options opt)
{
    struct taken t = {0};

    world_init(w, redis_server_url(server));
    world_producer(w, (struct producer_options){0});
    PUT(w, &t, .number = 1);
    turn_until_count(w, &t.ok, 1);
    world_eater(w, e, opt);
}

static struct redis_sub *open_sub(struct world *w)
{
    struct redis_sub *s;

    assert_int_equal(redis_sub_new(&w->loop,
                                   &(struct redis_sub_options){.url = redis_server_url(server)},
                                   &s, NULL),
                     ERR_OK);
    redis_sub_start(s);
    return s;
}

static void close_all(struct world *w, struct redis_sub *s)
{
    bool closed = false;

    for (size_t i = 0; i < w->n_eaters; i++)
        consumer_close(&w->eaters[i]->c, on_eater_closed, w->eaters[i]);
    for (size_t i = 0; i < w->n_eaters; i++)
        turn_until(w, &w->eaters[i]->closed);
    redis_sub_close(&s, on_world_flag, &closed);
    turn_until(w, &closed);
    world_done(w);
}

static void turn_until_heard(struct world *w, long long ears)
{
    for (;;) {
        redisReply *r = ask("PUBSUB NUMSUB mr:{q}:control");
        long long n = r->element[1]->integer;

        freeReplyObject(r);
        if (n == ears)
            return;
        breathe(w);
    }
}

static void a_message_tells_at_once(void **state)
{
    struct world w;
    struct eater e = {0};
    struct settled s = {0};
    struct redis_sub *sub;
    struct uuid id = id_of(1);

    (void)state;
    world_init(&w, redis_server_url(server));
    sub = open_sub(&w);
    /* beats that are too late for the alarm */
    world_eater(
        &w, &e,
        (struct eater_options){.room = 8, .sub = sub, .beat_ms = 1000000, .lease_ms = 4000000});
    turn_until_heard(&w, 1);
    world_producer(&w, (struct producer_options){0});
    {
        struct taken t = {0};

        PUT(&w, &t, .number = 1);
        turn_until_count(&w, &t.ok, 1);
    }
    turn_until(&w, &e.any);
    assert_false(e.seen[0].cancelled);
    assert_int_equal(cancel(&w, 2), CANCEL_UNKNOWN);
    assert_int_equal(cancel(&w, 1), CANCEL_REQUESTED);
    turn_until_units(&w, &e.cancels, 1);
    assert_true(uuid_eq(&e.cancelled, &id));
    assert_int_equal(settle_seen(&e, 0, SETTLE_DONE, &s), ERR_OK);
    turn_until(&w, &s.any);
    assert_int_equal(s.last, ERR_OK);
    assert_int_equal(cancel(&w, 1), CANCEL_UNKNOWN);
    close_all(&w, sub);
}

static void without_messages_a_beat_tells(void **state)
{
    struct world w;
    struct eater e = {0};
    struct uuid id = id_of(1);

    (void)state;
    begin(&w, &e, (struct eater_options){.room = 8, .beat_ms = 20});
    turn_until(&w, &e.any);
    assert_int_equal(cancel(&w, 1), CANCEL_REQUESTED);
    turn_until_units(&w, &e.cancels, 2); /* until it is settled */
    assert_true(uuid_eq(&e.cancelled, &id));
    world_done(&w);
}

static void after_a_gap_redis_is_asked(void **state)
{
    struct world w;
    struct eater e = {0};
    struct redis_sub *sub;

    (void)state;
    world_init(&w, redis_server_url(server));
    sub = open_sub(&w);
    world_producer(&w, (struct producer_options){0});
    {
        struct taken t = {0};

        PUT(&w, &t, .number = 1);
        turn_until_count(&w, &t.ok, 1);
    }
    world_eater(
        &w, &e,
        (struct eater_options){.room = 8, .sub = sub, .beat_ms = 1000000, .lease_ms = 4000000});
    turn_until(&w, &e.any);
    turn_until_heard(&w, 1);
    RUN("CLIENT KILL TYPE pubsub");
    RUN("SADD mr:{q}:cancels:%s %b", consumer_name(e.c), e.seen[0].id.bytes, (size_t)UUID_LEN);
    turn_until_units(&w, &e.cancels, 1);
    close_all(&w, sub);
}

static void what_was_cancelled_while_it_waited_says_so_when_it_is_claimed(void **state)
{
    struct world w;
    struct eater e = {0};

    (void)state;
    begin(&w, &e, (struct eater_options){.room = 0});
    assert_int_equal(cancel(&w, 1), CANCEL_DONE);
    consumer_set_room(e.c, 1);
    turn_until(&w, &e.any);
    assert_true(e.seen[0].cancelled);
    assert_int_equal(e.seen[0].priority, JOB_PRIORITY_CRITICAL); /* as it was put */
    assert_int_equal(e.seen[0].attempt, 1);
    assert_int_equal(settle_seen(&e, 0, SETTLE_DONE, NULL), ERR_OK);
    TURN_UNTIL_ASKED(&w, 1, "HGET mr:{q}:meta settled");
    assert_int_equal(ask_number("HLEN mr:{q}:state"), 0);
    world_done(&w);
}

static void it_fails_as_redis_does(void **state)
{
    struct world w;
    struct answered a = {0};
    struct uuid id = id_of(1);

    (void)state;
    world_init(&w, redis_server_url(server));
    assert_int_equal(cancel_jobs(w.redis, &(struct cancel_order){"NO", &id, 1}, on_answers, &a),
                     ERR_MALFORMED);
    RUN("SET mr:{q}:state x");
    assert_int_equal(cancel_jobs(w.redis, &(struct cancel_order){"q", &id, 1}, on_answers, &a),
                     ERR_OK);
    turn_until_units(&w, &a.calls, 1);
    assert_int_equal(a.err, ERR_REJECTED);
    world_done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_message_tells_at_once, flush),
        cmocka_unit_test_setup(without_messages_a_beat_tells, flush),
        cmocka_unit_test_setup(after_a_gap_redis_is_asked, flush),
        cmocka_unit_test_setup(what_was_cancelled_while_it_waited_says_so_when_it_is_claimed,
                               flush),
        cmocka_unit_test_setup(it_fails_as_redis_does, flush),
    };

    return cmocka_run_group_tests(tests, start_server, stop_server);
}
