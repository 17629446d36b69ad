/* The Redis client against a real server that is slow, stopped or killed. */
#include "tests/unit/test_redis_server.h"

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

struct hold {
    uv_check_t h;
    uint64_t until_ns; /* 0: hold nothing */
};

static void hold_the_loop_up(uv_check_t *h)
{
    struct hold *hold = h->data;

    while (uv_hrtime() < hold->until_ns)
        continue;
}

static void do_nothing(uv_idle_t *h)
{
    (void)h;
}

/* The reply has arrived long before the loop gets to read it, behind the timer. */
static void a_loop_held_up_beyond_a_deadline_reads_before_it_cuts(void **state)
{
    struct world w;
    struct server s;
    struct got g = {0};
    struct hold hold = {.until_ns = 0};
    uv_idle_t idle;
    unsigned ups;

    (void)state;
    begin(&w, &s, NULL);
    world_up(&w, (struct redis_options){0});
    ups = w.ups;
    assert_int_equal(uv_check_init(&w.loop, &hold.h), 0);
    assert_int_equal(uv_idle_init(&w.loop, &idle), 0);
    hold.h.data = &hold;
    assert_int_equal(uv_check_start(&hold.h, hold_the_loop_up), 0);
    assert_int_equal(uv_idle_start(&idle, do_nothing), 0); /* polls do not wait */
    SEND(&w, 10, &g, "PING");
    hold.until_ns = uv_hrtime() + UINT64_C(100000000);
    done(&w, &g);
    assert_int_equal(g.err, ERR_OK);
    assert_int_equal(w.ups, ups);
    uv_close((uv_handle_t *)&hold.h, NULL);
    uv_close((uv_handle_t *)&idle, NULL);
    end(&w, &s);
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
