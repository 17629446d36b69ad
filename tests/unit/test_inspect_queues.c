/* Looks at queues and workers in a real Redis, and pausing. */
#include "tests/unit/test_queue_loop.h"

#include "queue/inspect.h"
#include "shared/clock.h"

struct look {
    bool any;
    enum err err;
    size_t n;
    struct queue_info queue[16];
    struct worker_info worker[16];
};

static void on_queues(void *arg, enum err e, const struct queue_info *queues, size_t n)
{
    struct look *l = arg;

    l->any = true;
    l->err = e;
    l->n = n;
    for (size_t i = 0; i < n && i < COUNT_OF(l->queue); i++)
        l->queue[i] = queues[i];
}

static void on_workers(void *arg, enum err e, const struct worker_info *workers, size_t n)
{
    struct look *l = arg;

    l->any = true;
    l->err = e;
    l->n = n;
    for (size_t i = 0; i < n && i < COUNT_OF(l->worker); i++)
        l->worker[i] = workers[i];
}

static void on_pause(void *arg, enum err e)
{
    struct look *l = arg;

    l->any = true;
    l->err = e;
}

static struct look look; /* large */

static void begin(struct world *w)
{
    world_init(w, redis_server_url(server));
    world_producer(w, (struct producer_options){0});
}

static void queues_are_counted(void **state)
{
    struct world w;
    struct eater e = {0};
    struct taken t = {0};
    struct settled s = {0};
    const struct queue_info *q = look.queue;

    (void)state;
    begin(&w);
    for (unsigned n = 0; n < 10; n++)
        PUT(&w, &t, .number = n);
    PUT(&w, &t, .number = 10, .priority = JOB_PRIORITY_LOW);
    PUT(&w, &t, .number = 11, .due_ms = clock_wall_ms() + 3600000);
    PUT(&w, &t, .number = 12, .queue = "alone", .priority = JOB_PRIORITY_HIGH);
    turn_until_count(&w, &t.ok, 13);
    world_eater(&w, &e, (struct eater_options){.room = 5});
    turn_until_count(&w, &e.n, 5);
    assert_int_equal(settle_seen(&e, 0, SETTLE_DONE, &s), ERR_OK);
    assert_int_equal(settle_seen(&e, 1, SETTLE_RETRY, &s), ERR_OK);
    assert_int_equal(settle_seen(&e, 2, SETTLE_RELEASE, &s), ERR_OK);
    turn_until_count(&w, &s.calls, 3);
    look = (struct look){.any = false};
    assert_int_equal(inspect_queues(w.redis, on_queues, &look), ERR_OK);
    turn_until(&w, &look.any);
    assert_int_equal(look.err, ERR_OK);
    assert_int_equal(look.n, 2);
    assert_string_equal(q[0].name, "alone");
    assert_int_equal(q[0].ready[JOB_PRIORITY_HIGH], 1);
    assert_int_equal(q[0].consumers, 0);
    assert_string_equal(q[1].name, "q");
    assert_int_equal(q[1].ready[JOB_PRIORITY_CRITICAL], 7);
    assert_int_equal(q[1].ready[JOB_PRIORITY_LOW], 1);
    assert_int_equal(q[1].delayed, 1);
    assert_int_equal(q[1].active, 2);
    assert_int_equal(q[1].consumers, 1);
    assert_false(q[1].paused);
    assert_int_equal(q[1].enqueued, 12);
    assert_int_equal(q[1].claimed, 5);
    assert_int_equal(q[1].settled, 1);
    assert_int_equal(q[1].retried, 1);
    assert_int_equal(q[1].released, 1);
    assert_int_equal(q[1].reaped, 0);
    world_done(&w);
}

static void workers_are_shown_with_who_they_are(void **state)
{
    struct world w;
    struct eater e = {0};
    struct taken t = {0};
    const struct worker_info *i = look.worker;

    (void)state;
    begin(&w);
    PUT(&w, &t, .number = 1);
    world_eater(&w, &e, (struct eater_options){.room = 2});
    turn_until_count(&w, &e.n, 1);
    RUN("ZADD mr:{q}:consumers 1000 aaa:1:x");
    RUN("HSET mr:{q}:workers aaa:1:x junk");
    look = (struct look){.any = false};
    assert_int_equal(inspect_workers(w.redis, on_workers, &look), ERR_OK);
    turn_until(&w, &look.any);
    assert_int_equal(look.err, ERR_OK);
    assert_int_equal(look.n, 2);
    assert_string_equal(i[0].name, "aaa:1:x");
    assert_false(i[0].alive);
    assert_int_equal(i[0].beat_ms, 1000);
    assert_string_equal(i[1].name, consumer_name(e.c));
    assert_string_equal(i[1].queue, "q");
    assert_string_equal(i[1].version, "9.9");
    assert_int_equal(i[1].slots, 7);
    assert_int_equal(i[1].pid, getpid());
    assert_int_equal(i[1].active, 1);
    assert_true(i[1].alive);
    assert_true(i[1].started_ms > 1500000000000);
    assert_true(i[1].beat_ms >= i[1].started_ms);
    world_done(&w);
}

static void a_queue_is_paused_and_resumed_if_it_is_known(void **state)
{
    static const struct {
        const char *queue;
        bool paused;
        enum err want;
        long long flag;
    } table[] = {
        {"q", true, ERR_OK, 1},
        {"q", true, ERR_OK, 1},
        {"q", false, ERR_OK, 0},
        {"nobody", true, ERR_NOT_FOUND, 0},
    };
    struct world w;
    struct taken t = {0};

    (void)state;
    begin(&w);
    PUT(&w, &t, .number = 1);
    turn_until_count(&w, &t.ok, 1);
    RUN("DEL mr:{q}:wake");
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        look = (struct look){.any = false};
        assert_int_equal(
            inspect_pause(w.redis, table[i].queue, table[i].paused, on_pause, &look), ERR_OK);
        turn_until(&w, &look.any);
        assert_int_equal(look.err, table[i].want);
        assert_int_equal(ask_number("HEXISTS mr:{q}:meta paused"), table[i].flag);
        assert_int_equal(ask_number("LLEN mr:{q}:wake"), i >= 2);
    }
    assert_int_equal(ask_number("EXISTS mr:{nobody}:meta"), 0);
    world_done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(queues_are_counted, flush),
        cmocka_unit_test_setup(workers_are_shown_with_who_they_are, flush),
        cmocka_unit_test_setup(a_queue_is_paused_and_resumed_if_it_is_known, flush),
    };

    return cmocka_run_group_tests(tests, start_server, stop_server);
}
