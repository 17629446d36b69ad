/* A Redis that died in the middle of a write, and is started twice. */
#include "tests/unit/test_queue_loop.h"

#include "queue/restart.h"

#define TORN 7 /* bytes: the EXEC at the end of a script's transaction is cut in two */

static int start_durable(void **state)
{
    (void)state;
    (void)signal(SIGPIPE, SIG_IGN);
    (void)alarm(240);
    server = redis_server_new(true);
    connect_hand();
    return keys_init(&keys, "q", NULL);
}

static void restart(struct world *w, size_t torn)
{
    redisFree(hand);
    redis_server_kill(server);
    if (torn > 0)
        redis_server_tear(server, torn);
    while (w->up)
        (void)uv_run(&w->loop, UV_RUN_ONCE);
    redis_server_start(server);
    connect_hand();
    turn_until(w, &w->up);
}

static long long rewrites(void)
{
    redisReply *r = ask("INFO persistence");
    const char *at = strstr(r->str, "aof_rewrites:");
    long long n = strstr(r->str, "aof_rewrite_in_progress:0") == NULL
                      ? -1
                      : strtoll(at + strlen("aof_rewrites:"), NULL, 10);

    freeReplyObject(r);
    return n;
}

/* Gives how many jobs are there after the second start. */
static long long start_twice_after_a_torn_write(bool mend)
{
    struct world w;
    struct taken t = {0};
    long long jobs;

    RUN("FLUSHALL");
    world_init(&w, redis_server_url(server));
    world_producer(&w, (struct producer_options){0});
    restart_mend(w.redis, NULL);
    TURN_UNTIL_ASKED(&w, 1, "EXISTS mr:redis");
    PUT(&w, &t, .number = 1);
    turn_until_count(&w, &t.ok, 1);
    RUN("DEL mr:{q}:wake mr:{q}:meta");
    freeReplyObject(ask("EVAL %s 0",
                        "for i = 1, 9 do redis.call('RPUSH', 'mr:{q}:ready:low', i) "
                        "end return 1"));
    restart(&w, TORN);
    assert_int_equal(ask_number("LLEN mr:{q}:ready:low"), 0); /* nothing of the torn one */
    if (mend)
        restart_mend(w.redis, NULL);
    while (mend && rewrites() < 1)
        breathe(&w);
    freeReplyObject(
        ask("EVAL %s 0", "redis.call('SET', 'a', 1) return redis.call('SET', 'b', 1)"));
    restart(&w, 0);
    jobs = ask_number("LLEN mr:{q}:ready:low");
    assert_int_equal(ask_number("LLEN mr:{q}:ready:critical"), 1);
    world_done(&w);
    return jobs;
}

static void a_torn_script_stays_undone_at_every_later_start(void **state)
{
    (void)state;
    assert_int_equal(start_twice_after_a_torn_write(true), 0);
}

static void a_redis_that_was_not_started_again_is_left_alone(void **state)
{
    struct world w;
    long long before;

    (void)state;
    RUN("FLUSHALL");
    world_init(&w, redis_server_url(server));
    before = rewrites();
    for (int i = 0; i < 5; i++) {
        restart_mend(w.redis, NULL);
        TURN_UNTIL_ASKED(&w, 1, "EXISTS mr:redis");
        breathe(&w);
    }
    assert_int_equal(rewrites(), before);
    world_done(&w);
}

static void a_redis_without_aof_is_left_alone(void **state)
{
    struct world w;

    (void)state;
    RUN("CONFIG SET appendonly no");
    RUN("SET mr:redis other");
    world_init(&w, redis_server_url(server));
    restart_mend(w.redis, NULL);
    while (redis_pending(w.redis) > 0)
        (void)uv_run(&w.loop, UV_RUN_ONCE);
    assert_int_equal(ask_number("EXISTS mr:redis"), 1);
    assert_int_equal(ask_number("STRLEN mr:redis"), 5);
    world_done(&w);
}

static void where_redis_forbids_it_nothing_happens(void **state)
{
    struct world w;

    (void)state;
    RUN("CONFIG SET appendonly yes");
    RUN("SET mr:redis other");
    RUN("ACL SETUSER default -bgrewriteaof");
    world_init(&w, redis_server_url(server));
    restart_mend(w.redis, NULL);
    while (redis_pending(w.redis) > 0)
        (void)uv_run(&w.loop, UV_RUN_ONCE);
    assert_int_equal(ask_number("STRLEN mr:redis"), 5);
    world_done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_redis_that_was_not_started_again_is_left_alone),
        cmocka_unit_test(a_torn_script_stays_undone_at_every_later_start),
        cmocka_unit_test(a_redis_without_aof_is_left_alone),
        cmocka_unit_test(where_redis_forbids_it_nothing_happens),
    };

    return cmocka_run_group_tests(tests, start_durable, stop_server);
}
