/* The producer against a real Redis. */
#include "tests/unit/test_queue_loop.h"

#include "shared/clock.h"

static long long calls_of(const char *command)
{
    redisReply *r = ask("INFO commandstats");
    char key[64];
    const char *at;
    long long n = 0;

    (void)snprintf(key, sizeof key, "cmdstat_%s:calls=", command);
    at = strstr(r->str, key);
    if (at != NULL)
        n = strtoll(at + strlen(key), NULL, 10);
    freeReplyObject(r);
    return n;
}

/* So that no call is counted twice for want of the script. */
static void warm_up(struct world *w)
{
    struct taken t = {0};

    PUT(w, &t, .number = 999999, .queue = "other");
    turn_until_count(w, &t.ok, 1);
    RUN("DEL mr:queues");
    RUN("CONFIG RESETSTAT");
}

static void begin(struct world *w, struct producer_options opt)
{
    world_init(w, redis_server_url(server));
    world_producer(w, opt);
    warm_up(w);
}

static void jobs_of_one_turn_share_one_call(void **state)
{
    static const struct {
        size_t jobs, size;
        long long want;
    } table[] = {
        {1, 0, 1},     {2, 300, 1},         {64, 300, 1},       {65, 300, 2},
        {200, 300, 4}, {20, 100 * 1024, 2}, {3, 256 * 1024, 1}, {9, 256 * 1024, 3},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct world w;
        struct taken t = {0};

        RUN("FLUSHALL");
        begin(&w, (struct producer_options){0});
        for (unsigned n = 0; n < table[i].jobs; n++)
            PUT(&w, &t, .number = n, .size = table[i].size);
        assert_int_equal(t.ok, 0);
        turn_until_count(&w, &t.ok, table[i].jobs);
        assert_int_equal(calls_of("evalsha"), table[i].want);
        assert_int_equal(ask_number("LLEN mr:{q}:ready:critical"), table[i].jobs);
        world_done(&w);
    }
}

static void each_queue_gets_its_own_call_and_becomes_known(void **state)
{
    struct world w;
    struct taken t = {0};

    (void)state;
    begin(&w, (struct producer_options){0});
    for (unsigned n = 0; n < 6; n++)
        PUT(&w, &t, .number = n, .queue = n % 2 == 0 ? "even" : "odd");
    turn_until_count(&w, &t.ok, 6);
    assert_int_equal(calls_of("evalsha"), 2);
    assert_int_equal(ask_number("SISMEMBER mr:queues even"), 1);
    assert_int_equal(ask_number("SISMEMBER mr:queues odd"), 1);
    assert_int_equal(calls_of("sadd"), 2);
    PUT(&w, &t, .number = 7, .queue = "even");
    turn_until_count(&w, &t.ok, 7);
    assert_int_equal(calls_of("sadd"), 2);
    world_done(&w);
}

static void many_queue_names_do_not_pile_up_and_none_is_lost(void **state)
{
    struct world w;
    struct taken t = {0};
    char name[16];

    (void)state;
    begin(&w, (struct producer_options){0});
    for (unsigned n = 0; n < 300; n++) {
        (void)snprintf(name, sizeof name, "q%u", n);
        PUT(&w, &t, .number = n, .queue = name);
        if (n % 50 == 49)
            turn_until_count(&w, &t.ok, n + 1);
    }
    turn_until_count(&w, &t.ok, 300);
    assert_int_equal(ask_number("SCARD mr:queues"), 300);
    world_done(&w);
}

static void priority_time_and_earlier_attempts_reach_the_state(void **state)
{
    struct world w;
    struct taken t = {0};
    struct state_value v;
    struct uuid id[3] = {id_of(1), id_of(2), id_of(3)};
    uint64_t due = clock_wall_ms() + 3600000;

    (void)state;
    begin(&w, (struct producer_options){0});
    PUT(&w, &t, .number = 1, .priority = JOB_PRIORITY_LOW, .before = 70000);
    PUT(&w, &t, .number = 2, .priority = JOB_PRIORITY_HIGH, .due_ms = due);
    PUT(&w, &t, .number = 3, .priority = JOB_PRIORITY_HIGH, .due_ms = 1);
    turn_until_count(&w, &t.ok, 3);
    assert_true(state_of(&id[0], &v));
    assert_int_equal(v.state, JOB_QUEUED);
    assert_int_equal(v.attempt, 70000);
    assert_int_equal(v.excused, 65535);
    assert_int_equal(ask_number("LLEN mr:{q}:ready:low"), 1);
    assert_true(state_of(&id[1], &v));
    assert_int_equal(v.state, JOB_SCHEDULED);
    assert_int_equal(v.due_ms, due);
    assert_int_equal(v.priority, JOB_PRIORITY_HIGH);
    assert_int_equal(ask_number("ZCARD mr:{q}:delayed"), 1);
    assert_true(state_of(&id[2], &v));
    assert_int_equal(v.state, JOB_QUEUED); /* its time is past */
    world_done(&w);
}

static void a_known_job_is_taken_as_enqueued_and_left_alone(void **state)
{
    struct world w;
    struct taken t = {0};

    (void)state;
    world_init(&w, redis_server_url(server));
    world_producer(&w, (struct producer_options){.skip_known = true});
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned n = 0; n < 5; n++)
            PUT(&w, &t, .number = n + round, .priority = (enum job_priority)((n + round) % 4));
        turn_until_count(&w, &t.ok, 5 * (round + 1));
    }
    assert_int_equal(ask_number("HLEN mr:{q}:state"), 7);
    assert_int_equal(ask_number("HGET mr:{q}:meta enqueued"), 7);
    assert_int_equal(
        ask_number("LLEN mr:{q}:ready:critical") + ask_number("LLEN mr:{q}:ready:high") +
            ask_number("LLEN mr:{q}:ready:normal") + ask_number("LLEN mr:{q}:ready:low"),
        7);
    world_done(&w);
}

static void what_cannot_be_taken_is_refused_at_once_and_never_calls_back(void **state)
{
    struct world w;
    struct taken t = {0};
    char *big = malloc(JOB_ITEM_MAX + 1);
    const struct {
        struct producer_job job;
        enum err want;
    } table[] = {
        {{.queue = "Q", .type = "noop"}, ERR_MALFORMED},
        {{.queue = "", .type = "noop"}, ERR_MALFORMED},
        {{.queue = "q", .type = ""}, ERR_MALFORMED},
        {{.queue = "q", .type = "no op"}, ERR_MALFORMED},
        {{.queue = "q", .type = "noop", .item = {big, JOB_ITEM_MAX + 1}}, ERR_TOO_BIG},
    };

    (void)state;
    assert_non_null(big);
    memset(big, 'x', JOB_ITEM_MAX + 1);
    begin(&w, (struct producer_options){.max_pending = 3, .max_pending_bytes = 300});
    for (size_t i = 0; i < COUNT_OF(table); i++)
        assert_int_equal(producer_enqueue(w.producer, &table[i].job, on_taken, &t),
                         table[i].want);
    PUT(&w, &t, .number = 1);
    PUT(&w, &t, .number = 2);
    assert_int_equal(put(&w, (struct put){.number = 3, .size = 250}, &t), ERR_BUSY);
    PUT(&w, &t, .number = 3);
    assert_int_equal(put(&w, (struct put){.number = 4}, &t), ERR_BUSY);
    turn_until_count(&w, &t.ok, 3);
    PUT(&w, &t, .number = 4);
    turn_until_count(&w, &t.ok, 4);
    assert_int_equal(t.failed, 0);
    world_done(&w);
    free(big);
}

static void at_maxmemory_the_answer_is_busy_with_the_reason(void **state)
{
    struct world w;
    struct taken t = {0};

    (void)state;
    begin(&w, (struct producer_options){0});
    RUN("CONFIG SET maxmemory 1");
    PUT(&w, &t, .number = 1);
    turn_until_count(&w, &t.failed, 1);
    RUN("CONFIG SET maxmemory 0");
    assert_int_equal(t.last, ERR_BUSY);
    assert_non_null(strstr(t.why, "OOM"));
    assert_int_equal(ask_number("EXISTS mr:{q}:state mr:{q}:ready:critical"), 0);
    PUT(&w, &t, .number = 1);
    turn_until_count(&w, &t.ok, 1);
    world_done(&w);
}

static void a_redis_that_answers_nothing_ends_in_a_timeout(void **state)
{
    struct world w;
    struct taken t = {0};

    (void)state;
    begin(&w, (struct producer_options){.deadline_ms = 50});
    redis_server_pause(server, true);
    PUT(&w, &t, .number = 1);
    PUT(&w, &t, .number = 2, .queue = "other");
    turn_until_count(&w, &t.failed, 2);
    assert_true(t.last == ERR_TIMEOUT || t.last == ERR_UNREACHABLE);
    assert_int_equal(put(&w, (struct put){.number = 3}, &t), ERR_UNREACHABLE);
    redis_server_pause(server, false);
    turn_until(&w, &w.up);
    PUT(&w, &t, .number = 4);
    turn_until_count(&w, &t.ok, 1);
    world_done(&w);
}

struct chain {
    struct world *w;
    struct taken taken;
    size_t done;
    unsigned left;
};

static void on_link(void *arg, enum err e, const struct fault *why)
{
    struct chain *c = arg;
    struct uuid id = id_of(c->left);
    struct buf item = {0};

    (void)why;
    assert_int_equal(e, ERR_OK);
    c->done++;
    if (c->left-- == 0)
        return;
    add_item(&item, &id, 0);
    assert_int_equal(
        producer_enqueue(c->w->producer,
                         &(struct producer_job){
                             .queue = "q", .id = id, .type = "noop", .item = buf_slice(&item)},
                         on_link, c),
        ERR_OK);
    buf_done(&item);
}

static void a_callback_may_enqueue_more(void **state)
{
    struct world w;
    struct chain c = {.w = &w, .left = 10};

    (void)state;
    begin(&w, (struct producer_options){0});
    on_link(&c, ERR_OK, NULL);
    turn_until_count(&w, &c.done, 11);
    assert_int_equal(ask_number("LLEN mr:{q}:ready:critical"), 10);
    world_done(&w);
}

static void closing_waits_for_what_was_taken(void **state)
{
    struct world w;
    struct taken t = {0};

    (void)state;
    begin(&w, (struct producer_options){0});
    for (unsigned n = 0; n < 100; n++)
        PUT(&w, &t, .number = n);
    producer_close(&w.producer, on_world_flag, &w.producer_closed);
    assert_null(w.producer);
    assert_false(w.producer_closed);
    turn_until(&w, &w.producer_closed);
    assert_int_equal(t.ok, 100);
    world_done(&w);
}

static void closing_while_redis_is_gone_ends_all(void **state)
{
    struct world w;
    struct taken t = {0};

    (void)state;
    begin(&w, (struct producer_options){.deadline_ms = 50});
    redis_server_pause(server, true);
    for (unsigned n = 0; n < 100; n++)
        PUT(&w, &t, .number = n);
    producer_close(&w.producer, on_world_flag, &w.producer_closed);
    turn_until(&w, &w.producer_closed);
    assert_int_equal(t.failed, 100);
    redis_server_pause(server, false);
    world_done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(jobs_of_one_turn_share_one_call, flush),
        cmocka_unit_test_setup(each_queue_gets_its_own_call_and_becomes_known, flush),
        cmocka_unit_test_setup(many_queue_names_do_not_pile_up_and_none_is_lost, flush),
        cmocka_unit_test_setup(priority_time_and_earlier_attempts_reach_the_state, flush),
        cmocka_unit_test_setup(a_known_job_is_taken_as_enqueued_and_left_alone, flush),
        cmocka_unit_test_setup(what_cannot_be_taken_is_refused_at_once_and_never_calls_back,
                               flush),
        cmocka_unit_test_setup(at_maxmemory_the_answer_is_busy_with_the_reason, flush),
        cmocka_unit_test_setup(a_redis_that_answers_nothing_ends_in_a_timeout, flush),
        cmocka_unit_test_setup(a_callback_may_enqueue_more, flush),
        cmocka_unit_test_setup(closing_waits_for_what_was_taken, flush),
        cmocka_unit_test_setup(closing_while_redis_is_gone_ends_all, flush),
    };

    return cmocka_run_group_tests(tests, start_server, stop_server);
}
