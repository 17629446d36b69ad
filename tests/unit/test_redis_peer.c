/* The Redis client against peers that break the rules: every command that was taken is called
 * back once, with the right error, and the client comes back by itself. */
#include "tests/unit/test_redis_help.h"

#include "shared/redis_internal.h"

#define N_COMMANDS 3

/* --- one table: what the first connection answers to three commands ------------------------- */

struct scene {
    const char *name, *says; /* to the third command; PEER_* too */
    enum err want[N_COMMANDS];
    const char *why; /* in the reason for going down; NULL: stays up */
};

/* The answers to all three commands come with the third, so that they can be cut anywhere. */
static const char *play_scene(struct peer_conn *c, const redisReply *command)
{
    const struct scene *s = c->peer->arg;
    const char *greeting = peer_greeting(command);

    if (greeting != NULL)
        return greeting;
    if (c->number > 1 || c->commands > N_COMMANDS)
        return "+OK\r\n";
    return c->commands < N_COMMANDS ? PEER_SILENT : s->says;
}

static void send_three(struct world *w, uint32_t first_ms, struct got *g)
{
    SEND(w, first_ms, &g[0], "GET", "a");
    SEND(w, 0, &g[1], "GET", "b");
    SEND(w, 0, &g[2], "GET", "c");
    for (int i = 0; i < N_COMMANDS; i++)
        assert_int_equal(g[i].calls, 0); /* never from inside the call */
}

static void run_scene(const struct scene *s, uint32_t first_ms, bool tcp, bool drip)
{
    struct world w;
    struct peer p = {.drip = drip};
    struct got g[N_COMMANDS] = {{0}}, again = {0};
    struct scene copy = *s;

    world_init(&w);
    (tcp ? peer_listen_tcp : peer_listen)(&p, &w, play_scene, &copy);
    world_up(&w, (struct redis_options){.max_reply_bytes = 1000});
    send_three(&w, first_ms, g);
    for (int i = 0; i < N_COMMANDS; i++)
        turn_until_count(&w, &g[i].calls, 1);
    if (s->why != NULL)
        turn_until_count(&w, &w.ups, 2);
    SEND(&w, 0, &again, "GET", "d");
    turn_until_count(&w, &again.calls, 1);
    for (int i = 0; i < N_COMMANDS; i++) {
        if (g[i].calls != 1 || g[i].err != s->want[i])
            fail_msg("%s: command %d called back %u times, last with %s, want %s", s->name, i,
                     g[i].calls, err_name(g[i].err), err_name(s->want[i]));
    }
    if (s->why != NULL && strstr(w.why, s->why) == NULL)
        fail_msg("%s: down because of \"%s\", want \"%s\"", s->name, w.why, s->why);
    assert_int_equal(again.err, ERR_OK);
    if (w.downs != (s->why != NULL))
        fail_msg("%s: down %u times: %s", s->name, w.downs, w.why);
    assert_int_equal(p.accepted, s->why != NULL ? 2 : 1);
    peer_stop(&p);
    world_done(&w);
}

#define ALL(e)                    \
    {                             \
        ERR_##e, ERR_##e, ERR_##e \
    }
#define FIRST(e)                                  \
    {                                             \
        ERR_##e, ERR_UNREACHABLE, ERR_UNREACHABLE \
    }
#define CUT_AFTER_1                              \
    {                                            \
        ERR_OK, ERR_UNREACHABLE, ERR_UNREACHABLE \
    }

#define TEN_DEEP "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n"

static const struct scene scenes[] = {
    {"good", "+OK\r\n$1\r\nx\r\n*2\r\n:1\r\n$-1\r\n", ALL(OK), NULL},
    {"closes", PEER_CLOSE, ALL(UNREACHABLE), "closed the connection"},
    {"resets", PEER_RESET, ALL(UNREACHABLE), ""},
    {"garbage", "HTTP/1.1 400 Bad Request\r\n\r\n", ALL(UNREACHABLE), "Protocol error"},
    {"garbage behind a reply", "+OK\r\n!!\r\n", CUT_AFTER_1, "Protocol error"},
    {"length that is no number", "$x\r\n", ALL(UNREACHABLE), ""},
    {"array nested too deep", TEN_DEEP TEN_DEEP ":1\r\n",
#if HIREDIS_MAJOR >= 1
     FIRST(TOO_BIG), /* any depth that fits into the limit */
#else
     ALL(UNREACHABLE), /* seven levels */
#endif
     ""},
    {"one reply too many", "+OK\r\n+OK\r\n+OK\r\n+OK\r\n", ALL(OK), "nobody asked for"},
    {"array over the limit", "*1000\r\n", FIRST(TOO_BIG), "over the configured limit"},
    {"arrays over the limit together",
     "+OK\r\n*2\r\n*7\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n*7\r\n",
     {ERR_OK, ERR_TOO_BIG, ERR_UNREACHABLE},
     "over the configured limit"},
    {"array no machine can hold", "*2147483647\r\n", FIRST(TOO_BIG),
     "over the configured limit"},
    {"refused", "-ERR no\r\n-WRONGTYPE no\r\n-NOSCRIPT no\r\n", ALL(REJECTED), NULL},
    {"cannot now", "-OOM used\r\n-MISCONF disk\r\n-BUSY script\r\n", ALL(BUSY), NULL},
    {"cannot now, cluster", "-NOREPLICAS x\r\n-TRYAGAIN x\r\n-CLUSTERDOWN x\r\n", ALL(BUSY),
     NULL},
    {"a word that only begins alike", "-BUSYGROUP x\r\n-BUSYKEY x\r\n-OOMPH\r\n", ALL(REJECTED),
     NULL},
    {"became a replica", "-READONLY you can't\r\n", FIRST(BUSY), "READONLY you can't"},
    {"became a replica, second",
     "+OK\r\n-READONLY x\r\n+OK\r\n",
     {ERR_OK, ERR_BUSY, ERR_UNREACHABLE},
     "READONLY"},
    {"loads", "-LOADING x\r\n", FIRST(BUSY), "LOADING"},
    {"lost its master", "-MASTERDOWN x\r\n", FIRST(BUSY), "MASTERDOWN"},
};

static void each_kind_of_bad_peer_ends_every_command_once_and_the_client_returns(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(scenes); i++) {
        run_scene(&scenes[i], 0, false, false);
        run_scene(&scenes[i], 0, true, false);
    }
}

static void replies_that_come_byte_by_byte_are_whole_replies(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(scenes); i++)
        run_scene(&scenes[i], 0, i % 2 == 0, true);
}

static void a_bulk_over_the_limit_ends_its_own_command_as_too_big(void **state)
{
    char says[4096];
    struct scene whole = {"whole", says, FIRST(TOO_BIG), "over the configured limit"};
    struct scene begun = {"begun", says, FIRST(TOO_BIG), "over the configured limit"};

    (void)state;
    (void)snprintf(says, sizeof says, "$1001\r\n%01001d\r\n", 0);
    run_scene(&whole, 0, false, false);
    (void)snprintf(says, sizeof says, "$99999999999\r\n%02000d", 0);
    run_scene(&begun, 0, false, false);
    (void)snprintf(says, sizeof says, "+%02000d", 0); /* a line without end */
    run_scene(&begun, 0, false, false);
}

static void a_silent_peer_times_out_the_command_whose_deadline_passed(void **state)
{
    static const struct scene silent = {"silent", PEER_SILENT, FIRST(TIMEOUT),
                                        "no reply in time"};
    static const struct scene half = {"half", "$10\r\nabc", FIRST(TIMEOUT), "no reply in time"};

    (void)state;
    run_scene(&silent, 20, false, false);
    run_scene(&half, 20, true, false);
}

/* --- cut at every byte ---------------------------------------------------------------------- */

struct cut {
    const char *whole;
    size_t at;
};

static const char *answer_up_to_the_cut(struct peer_conn *c, const redisReply *command)
{
    struct cut *cut = c->peer->arg;
    const char *greeting = peer_greeting(command);

    if (greeting != NULL || c->number > 1 || c->commands < N_COMMANDS)
        return greeting;
    if (cut->at > 0)
        peer_send(c, cut->whole, cut->at);
    return PEER_CLOSE;
}

static void a_link_cut_at_any_byte_answers_what_came_and_fails_the_rest(void **state)
{
    static const char whole[] = "+OK\r\n*2\r\n:1\r\n$3\r\nabc\r\n$-1\r\n";
    static const size_t ends[N_COMMANDS] = {5, 22, 27};

    (void)state;
    assert_int_equal(ends[N_COMMANDS - 1], strlen(whole));
    for (size_t at = 0; at < sizeof whole; at++) {
        struct cut cut = {.whole = whole, .at = at};
        struct got g[N_COMMANDS] = {{0}};
        struct world w;
        struct peer p = {0};

        world_init(&w);
        peer_listen(&p, &w, answer_up_to_the_cut, &cut);
        world_up(&w, (struct redis_options){0});
        send_three(&w, 0, g);
        turn_until_count(&w, &w.ups, 2);
        for (int i = 0; i < N_COMMANDS; i++) {
            assert_int_equal(g[i].calls, 1);
            assert_int_equal(g[i].err, at >= ends[i] ? ERR_OK : ERR_UNREACHABLE);
        }
        peer_stop(&p);
        world_done(&w);
    }
}

/* --- limits, early flush -------------------------------------------------------------------- */

static const char *answer_nothing(struct peer_conn *c, const redisReply *command)
{
    (void)c;
    return peer_greeting(command);
}

static enum err try_send(struct world *w, const void *value, size_t len, struct got *g)
{
    const struct slice argv[] = {SLICE_LIT("ECHO"), slice_of(value, len)};

    return redis_command(w->r, &(struct redis_command){.argc = 2, .argv = argv}, on_got, g);
}

static void a_full_line_refuses_at_once_and_what_is_refused_is_never_called_back(void **state)
{
    static const char value[400];
    struct world w;
    struct peer p = {0};
    struct got g = {0}, refused = {0};

    (void)state;
    world_init(&w);
    peer_listen(&p, &w, answer_nothing, NULL);
    world_up(&w, (struct redis_options){.max_pending = 3, .max_pending_bytes = 1000});
    assert_int_equal(try_send(&w, value, 1000, &refused), ERR_TOO_BIG);
    assert_int_equal(try_send(&w, value, 400, &g), ERR_OK);
    assert_int_equal(try_send(&w, value, 400, &g), ERR_OK);
    assert_int_equal(try_send(&w, value, 400, &refused), ERR_BUSY); /* bytes */
    assert_int_equal(try_send(&w, value, 4, &g), ERR_OK);
    assert_int_equal(try_send(&w, value, 4, &refused), ERR_BUSY); /* commands */
    assert_int_equal(redis_pending(w.r), 3);
    redis_close(&w.r, on_world_closed, &w);
    assert_int_equal(g.calls, 0);
    turn_until(&w, &w.closed);
    assert_int_equal(g.calls, 3);
    assert_int_equal(g.err, ERR_CANCELED);
    assert_int_equal(refused.calls, 0);
    peer_stop(&p);
    world_done(&w);
}

static const char *answer_with_length(struct peer_conn *c, const redisReply *command)
{
    static char line[32];
    const char *greeting = peer_greeting(command);

    (void)c;
    if (greeting != NULL)
        return greeting;
    (void)snprintf(line, sizeof line, ":%zu\r\n", command->element[1]->len);
    return line;
}

/* Far more than a socket takes at once, so writes end in the middle again and again. */
static void bursts_bigger_than_the_socket_arrive_whole_and_in_order(void **state)
{
    enum { N = 200, BIG = 200000 };
    static char value[BIG];
    static struct got g[N];
    struct world w;
    struct peer p = {0};

    (void)state;
    world_init(&w);
    peer_listen(&p, &w, answer_with_length, NULL);
    world_up(&w, (struct redis_options){0});
    memset(value, 'v', sizeof value);
    for (size_t i = 0; i < N; i++)
        assert_int_equal(try_send(&w, value, i % 7 == 0 ? BIG - i : i, &g[i]), ERR_OK);
    for (size_t i = 0; i < N; i++) {
        turn_until_count(&w, &g[i].calls, 1);
        assert_int_equal(g[i].err, ERR_OK);
        assert_int_equal(g[i].integer, i % 7 == 0 ? BIG - i : i);
    }
    peer_stop(&p);
    world_done(&w);
}

/* So that a great burst needs no memory for all of it, and Redis can begin. */
static void a_great_burst_begins_to_leave_before_the_turn_ends(void **state)
{
    static const char value[100000];
    struct world w;
    struct got g = {0};
    char byte;
    int fds[2];

    (void)state;
    world_init(&w);
    world_client(&w, (struct redis_options){0});
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    redis_adopt(w.r, fds[0], on_world_state, &w);
    assert_int_equal(write(fds[1], "+PONG\r\n", 7), 7);
    turn_until(&w, &w.up);
    while (recv(fds[1], &byte, 1, MSG_DONTWAIT) > 0) /* the greeting */
        continue;
    assert_int_equal(try_send(&w, value, sizeof value, &g), ERR_OK);
    assert_int_equal(recv(fds[1], &byte, 1, MSG_DONTWAIT), -1);
    for (int i = 0; i < 4; i++)
        assert_int_equal(try_send(&w, value, sizeof value, &g), ERR_OK);
    assert_int_equal(recv(fds[1], &byte, 1, MSG_DONTWAIT), 1);
    (void)close(fds[1]);
    turn_until_count(&w, &g.calls, 5);
    assert_int_equal(g.err, ERR_UNREACHABLE);
    world_done(&w);
}

static void a_burst_to_a_peer_that_is_gone_fails_from_the_loop(void **state)
{
    static char value[300000];
    struct world w;
    struct peer p = {0};
    struct got g = {0};

    (void)state;
    world_init(&w);
    peer_listen(&p, &w, answer_nothing, NULL);
    world_up(&w, (struct redis_options){0});
    peer_stop(&p);
    for (int i = 0; i < 5; i++)
        assert_int_equal(try_send(&w, value, sizeof value, &g), ERR_OK);
    assert_int_equal(g.calls, 0);
    turn_until_count(&w, &g.calls, 5);
    assert_int_equal(g.err, ERR_UNREACHABLE);
    assert_int_equal(
        redis_command(w.r, &(struct redis_command){1, &SLICE_LIT("PING"), 0}, on_got, &g),
        ERR_UNREACHABLE);
    world_done(&w);
    assert_int_equal(g.calls, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_of_bad_peer_ends_every_command_once_and_the_client_returns),
        cmocka_unit_test(replies_that_come_byte_by_byte_are_whole_replies),
        cmocka_unit_test(a_bulk_over_the_limit_ends_its_own_command_as_too_big),
        cmocka_unit_test(a_silent_peer_times_out_the_command_whose_deadline_passed),
        cmocka_unit_test(a_link_cut_at_any_byte_answers_what_came_and_fails_the_rest),
        cmocka_unit_test(a_full_line_refuses_at_once_and_what_is_refused_is_never_called_back),
        cmocka_unit_test(bursts_bigger_than_the_socket_arrive_whole_and_in_order),
        cmocka_unit_test(a_great_burst_begins_to_leave_before_the_turn_ends),
        cmocka_unit_test(a_burst_to_a_peer_that_is_gone_fails_from_the_loop),
    };

    (void)alarm(120);
    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
