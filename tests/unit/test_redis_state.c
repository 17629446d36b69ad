/* The Redis client's way up: every arrow of the picture in redis.h that leads to or from `up`. */
#include "tests/unit/test_redis_help.h"

/* --- greeting ------------------------------------------------------------------------------- */

static void login_url(struct world *w)
{
    (void)snprintf(w->url, sizeof w->url, "unix://me:s3cret@%s?db=4", w->path);
}

static const struct {
    struct hello hello;
    const char *why;
} hellos[] = {
    {{"AUTH", "-WRONGPASS invalid pair\r\n", 2}, "AUTH refused: WRONGPASS invalid pair"},
    {{"AUTH", "-ERR unknown command 'AUTH', with args beginning with: 'me' 's3cret'\r\n", 1},
     "not shown"},
    {{"AUTH", PEER_CLOSE, 1}, "closed"},
    {{"PING", PEER_SILENT, 1}, "no greeting in 30 ms"},
    {{"AUTH", "?\r\n", 1}, "Protocol error"},
    {{"AUTH", "*0\r\n", 1}, "AUTH refused: this is no answer of Redis"},
    {{"SELECT", "-ERR DB index is out of range\r\n", 1}, "SELECT refused: ERR DB index"},
    {{"PING", "-LOADING Redis is loading\r\n", 2}, "PING refused: LOADING"},
    {{"PING", "-MASTERDOWN Link is down\r\n", 1}, "PING refused: MASTERDOWN"},
    {{"PING", "-NOAUTH Authentication required.\r\n", 1}, "PING refused: NOAUTH"},
    {{"PING", "+OK\r\n", 1}, "PING refused: this is no answer of Redis"},
    {{"PING", "$4\r\nPONG\r\n", 1}, "PING refused: this is no answer of Redis"},
    {{"PING", PEER_RESET, 1}, "closed"},
};

static void a_greeting_that_fails_says_why_without_the_password_and_is_tried_again(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(hellos); i++) {
        struct hello hello = hellos[i].hello;
        struct world w;
        struct peer p = {0};

        world_init(&w);
        peer_listen(&p, &w, answer_hello, &hello);
        login_url(&w);
        world_up(&w, (struct redis_options){.connect_ms = 30});
        if (strstr(w.why, hellos[i].why) == NULL || strstr(w.why, "s3cret") != NULL)
            fail_msg("%s %s: down because of \"%s\"", hello.word, hello.says, w.why);
        assert_int_equal(w.ups, 1);
        assert_true(w.downs >= 1 && p.accepted > hello.bad);
        peer_stop(&p);
        world_done(&w);
    }
}

static void the_same_reason_is_told_once(void **state)
{
    struct hello hello = {"PING", "-LOADING x\r\n", 3};
    struct world w;
    struct peer p = {0};

    (void)state;
    world_init(&w);
    peer_listen(&p, &w, answer_hello, &hello);
    world_up(&w, (struct redis_options){0});
    assert_int_equal(p.accepted, 4);
    assert_int_equal(w.downs, 1);
    peer_stop(&p);
    world_done(&w);
}

static void a_name_that_may_not_be_set_does_no_harm(void **state)
{
    struct hello hello = {"CLIENT", "-NOPERM no\r\n", 1};
    struct world w;
    struct peer p = {0};

    (void)state;
    world_init(&w);
    peer_listen(&p, &w, answer_hello, &hello);
    world_up(&w, (struct redis_options){.name = "api"});
    assert_int_equal(p.accepted, 1);
    peer_stop(&p);
    world_done(&w);
}

static void the_greeting_sends_login_database_and_name_in_this_order(void **state)
{
    struct hello hello = {"", NULL, 0};
    struct world w;
    struct peer p = {0};
    char where[256];

    (void)state;
    world_init(&w);
    peer_listen(&p, &w, answer_hello, &hello);
    login_url(&w);
    world_up(&w, (struct redis_options){.name = "millrace-api"});
    assert_string_equal(p.log, "1:AUTH 1:SELECT 1:CLIENT 1:PING ");
    (void)snprintf(where, sizeof where, "unix://%s?db=4", w.path);
    assert_string_equal(redis_where(w.r), where);
    peer_stop(&p);
    world_done(&w);
}

static void bad_options_are_refused_and_leave_nothing_behind(void **state)
{
    static const struct redis_options table[] = {
        {.url = "nonsense"},
        {.url = "rediss://h"},
        {.url = "redis://h", .name = "two words"},
        {.url = "redis://h", .name = "line\nbreak"},
    };
    struct world w;

    (void)state;
    world_init(&w);
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct fault f = {0};

        assert_int_not_equal(redis_new(&w.loop, &table[i], &w.r, &f), ERR_OK);
        assert_null(w.r);
        assert_true(f.text[0] != '\0');
    }
    world_done(&w);
}

/* --- connecting ----------------------------------------------------------------------------- */

static void a_client_started_before_its_server_comes_up_when_the_server_does(void **state)
{
    struct hello hello = {"", NULL, 0};
    struct world w;
    struct peer p = {0};

    (void)state;
    world_init(&w);
    world_client(&w, (struct redis_options){0});
    redis_start(w.r, on_world_state, &w);
    assert_int_equal(w.downs + w.ups, 0);
    turn_until_count(&w, &w.downs, 1);
    assert_non_null(strstr(w.why, "connect: "));
    turn_until_state(&w, REDIS_CONNECTING); /* it tries again */
    peer_listen(&p, &w, answer_hello, &hello);
    turn_until(&w, &w.up);
    peer_stop(&p);
    world_done(&w);
}

static void a_refused_port_and_a_name_that_does_not_resolve_are_reported(void **state)
{
    static const struct {
        const char *url, *why;
    } table[] = {
        {"redis://127.0.0.1:1", "connect: connection refused"},
        {"redis://[::1]:1", "connect: "},
        /* no label is longer than 63: refused without asking anyone */
        {"redis://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
         "resolve: "},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct world w;

        world_init(&w);
        world_client(&w, (struct redis_options){.url = table[i].url});
        redis_start(w.r, on_world_state, &w);
        turn_until_count(&w, &w.downs, 1);
        if (strstr(w.why, table[i].why) == NULL)
            fail_msg("%s: %s", table[i].url, w.why);
        turn_until_state(&w, REDIS_CONNECTING);
        world_done(&w);
    }
}

/* Where localhost is both ::1 and 127.0.0.1, only the second listens. */
static void a_host_name_is_resolved_and_all_its_addresses_are_tried(void **state)
{
    struct hello hello = {"", NULL, 0};
    struct world w;
    struct peer p = {0};

    (void)state;
    world_init(&w);
    peer_listen_tcp(&p, &w, answer_hello, &hello);
    (void)snprintf(w.url, sizeof w.url, "redis://localhost:%u", p.port);
    world_up(&w, (struct redis_options){0});
    assert_int_equal(w.downs, 0);
    peer_stop(&p);
    world_done(&w);
}

static void a_connect_that_hangs_ends_at_its_deadline(void **state)
{
    struct full f;
    struct world w;

    (void)state;
    full_open(&f);
    world_init(&w);
    (void)snprintf(w.url, sizeof w.url, "redis://127.0.0.1:%u", f.port);
    world_client(&w, (struct redis_options){.connect_ms = 20});
    redis_start(w.r, on_world_state, &w);
    turn_until_count(&w, &w.downs, 1);
    assert_string_equal(w.why, "no connection in 20 ms");
    turn_until_state(&w, REDIS_CONNECTING);
    world_done(&w);
    full_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            a_greeting_that_fails_says_why_without_the_password_and_is_tried_again),
        cmocka_unit_test(the_same_reason_is_told_once),
        cmocka_unit_test(a_name_that_may_not_be_set_does_no_harm),
        cmocka_unit_test(the_greeting_sends_login_database_and_name_in_this_order),
        cmocka_unit_test(bad_options_are_refused_and_leave_nothing_behind),
        cmocka_unit_test(a_client_started_before_its_server_comes_up_when_the_server_does),
        cmocka_unit_test(a_refused_port_and_a_name_that_does_not_resolve_are_reported),
        cmocka_unit_test(a_host_name_is_resolved_and_all_its_addresses_are_tried),
        cmocka_unit_test(a_connect_that_hangs_ends_at_its_deadline),
    };

    (void)alarm(120);
    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
