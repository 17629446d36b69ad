/* The Redis client against a real server that is slow, stopped or killed. */
#include "tests/unit/test_redis_server.h"

#include "shared/redis_internal.h"

/* --- deadlines ------------------------------------------------------------------------------ */

static void a_command_that_takes_too_long_costs_its_neighbours_their_link(void **state)
{
    struct world w;
    struct server s;
    struct got g[3] = {{0}};
    unsigned ups;

    (void)state;
    begin(&w, &s, NULL);
    world_up(&w, (struct redis_options){0});
    ups = w.ups;
    SEND(&w, 60000, &g[0], "BLPOP", "none", "0");
    SEND(&w, 20, &g[1], "BLPOP", "none", "0");
    SEND(&w, 40000, &g[2], "PING");
    done(&w, &g[2]);
    assert_int_equal(g[0].err, ERR_UNREACHABLE);
    assert_int_equal(g[1].err, ERR_TIMEOUT);
    assert_int_equal(g[2].err, ERR_UNREACHABLE);
    turn_until_count(&w, &w.ups, ups + 1);
    ASK(&w, &g[0], "PING");
    assert_int_equal(g[0].err, ERR_OK);
    end(&w, &s);
}

static void a_blocking_command_may_take_longer_than_others(void **state)
{
    struct world w;
    struct server s;
    struct got g = {0};

    (void)state;
    begin(&w, &s, NULL);
    world_up(&w, (struct redis_options){.command_ms = 50});
    SEND(&w, 60000, &g, "BLPOP", "none", "0.2");
    done(&w, &g);
    assert_int_equal(g.err, ERR_OK);
    assert_int_equal(g.type, REDIS_REPLY_NIL);
    end(&w, &s);
}

/* The reply lies in the socket when the deadline passes, but the loop was busy elsewhere. */
static void a_loop_held_up_beyond_a_deadline_reads_before_it_cuts(void **state)
{
    struct world w;
    struct got g = {0};
    int fds[2];
    uint64_t until_ns;

    (void)state;
    world_init(&w);
    world_client(&w, (struct redis_options){0});
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    redis_adopt(w.r, fds[0], on_world_state, &w);
    assert_int_equal(write(fds[1], "+PONG\r\n", 7), 7);
    turn_until(&w, &w.up);
    SEND(&w, 10, &g, "PING");
    assert_int_equal(write(fds[1], "+LATE\r\n", 7), 7);
    until_ns = uv_hrtime() + UINT64_C(30000000);
    while (uv_hrtime() < until_ns)
        continue;
    turn_until_count(&w, &g.calls, 1);
    assert_int_equal(g.err, ERR_OK);
    assert_true(w.up);
    (void)close(fds[1]);
    world_done(&w);
}

/* --- restarts ------------------------------------------------------------------------------- */

static void a_killed_server_fails_what_is_in_flight_and_is_found_again(void **state)
{
    enum { N = 50 };

    (void)state;
    for (int tcp = 0; tcp < 2; tcp++) {
        struct got g[N] = {{0}};
        struct world w;
        struct server s;
        unsigned ups;

        begin(&w, &s, NULL);
        set_url(&w, &s, tcp, "", "");
        world_up(&w, (struct redis_options){0});
        ups = w.ups;
        SEND(&w, 60000, &g[0], "BLPOP", "none", "0");
        for (int i = 1; i < N; i++)
            SEND(&w, 60000, &g[i], "PING");
        assert_true(uv_run(&w.loop, UV_RUN_NOWAIT) != 0);
        server_kill(&s);
        for (int i = 0; i < N; i++) {
            done(&w, &g[i]);
            assert_int_equal(g[i].err, ERR_UNREACHABLE);
        }
        assert_int_equal(redis_state(w.r), REDIS_DOWN);
        server_start(&s, &w);
        turn_until_count(&w, &w.ups, ups + 1);
        ASK(&w, &g[0], "PING");
        assert_int_equal(g[0].err, ERR_OK);
        end(&w, &s);
    }
}

static void a_stopped_server_times_out_and_is_found_again_when_it_goes_on(void **state)
{
    struct world w;
    struct server s;
    struct got g = {0};
    unsigned ups;

    (void)state;
    begin(&w, &s, NULL);
    set_url(&w, &s, true, "", "");
    world_up(&w, (struct redis_options){.command_ms = 30, .connect_ms = 30});
    ups = w.ups;
    assert_int_equal(kill(s.pid, SIGSTOP), 0);
    SEND(&w, 0, &g, "PING");
    done(&w, &g);
    assert_int_equal(g.err, ERR_TIMEOUT);
    while (strstr(w.why, "no greeting in 30 ms") == NULL)
        assert_true(uv_run(&w.loop, UV_RUN_ONCE) != 0);
    assert_int_equal(kill(s.pid, SIGCONT), 0);
    turn_until_count(&w, &w.ups, ups + 1);
    end(&w, &s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_command_that_takes_too_long_costs_its_neighbours_their_link),
        cmocka_unit_test(a_killed_server_fails_what_is_in_flight_and_is_found_again),
        cmocka_unit_test(a_stopped_server_times_out_and_is_found_again_when_it_goes_on),
        cmocka_unit_test(a_blocking_command_may_take_longer_than_others),
        cmocka_unit_test(a_loop_held_up_beyond_a_deadline_reads_before_it_cuts),
    };

    (void)alarm(180);
    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
