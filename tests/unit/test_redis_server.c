/* The Redis client against a real server: login, commands, scripts. */
#include "tests/unit/test_redis_server.h"

/* --- login ---------------------------------------------------------------------------------- */

static const char *const open_args[] = {NULL};
static const char *const pass_args[] = {"--requirepass", "p@ss/word", NULL};
static const char *const user_args[] = {"--requirepass", "x",  "--user", "me", "on",
                                        ">s3cret",       "~*", "+@all",  NULL};

static void each_form_of_url_logs_in_and_selects(void **state)
{
    static const struct {
        const char *const *args;
        bool tcp;
        const char *login, *db, *want_user, *want_db;
    } table[] = {
        {open_args, false, "", "", "user=default", "db=0"},
        {open_args, false, "", "?db=3", "user=default", "db=3"},
        {open_args, true, "", "", "user=default", "db=0"},
        {open_args, true, "", "/15", "user=default", "db=15"},
        {pass_args, false, ":p%40ss%2Fword@", "", "user=default", "db=0"},
        {pass_args, true, "default:p%40ss%2Fword@", "/2", "user=default", "db=2"},
        {user_args, false, "me:s3cret@", "?db=1", "user=me", "db=1"},
        {user_args, true, "me:s3cret@", "", "user=me", "db=0"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct world w;
        struct server s;
        struct got g;

        begin(&w, &s, table[i].args);
        set_url(&w, &s, table[i].tcp, table[i].login, table[i].db);
        world_up(&w, (struct redis_options){.name = "unit"});
        ASK(&w, &g, "CLIENT", "INFO");
        if (strstr(g.text, table[i].want_user) == NULL ||
            strstr(g.text, table[i].want_db) == NULL || strstr(g.text, "name=unit") == NULL)
            fail_msg("%s: %s", w.url, g.text);
        assert_null(strstr(redis_where(w.r), table[i].login[0] == '\0' ? "@" : table[i].login));
        end(&w, &s);
    }
}

static void a_wrong_password_is_told_and_the_right_one_lets_the_client_in(void **state)
{
    struct world wrong, right;
    struct server s;
    struct got g;

    (void)state;
    begin(&right, &s, pass_args);
    set_url(&right, &s, true, ":p%40ss%2Fword@", "");
    world_up(&right, (struct redis_options){0});
    world_init(&wrong);
    set_url(&wrong, &s, true, ":guess@", "");
    world_client(&wrong, (struct redis_options){0});
    redis_start(wrong.r, on_world_state, &wrong);
    turn_until_count(&wrong, &wrong.downs, 1);
    assert_non_null(strstr(wrong.why, "AUTH refused: WRONGPASS"));
    ASK(&right, &g, "CONFIG", "SET", "requirepass", "guess");
    assert_int_equal(g.err, ERR_OK);
    turn_until(&wrong, &wrong.up);
    assert_int_equal(wrong.downs, 1);
    world_done(&wrong);
    end(&right, &s);
}

static void a_server_that_wants_a_password_and_got_none_is_not_up(void **state)
{
    struct world w;
    struct server s;

    (void)state;
    begin(&w, &s, pass_args);
    world_client(&w, (struct redis_options){0});
    redis_start(w.r, on_world_state, &w);
    while (strstr(w.why, "PING refused: NOAUTH") ==
           NULL) /* the socket may not be there at first */
        assert_true(uv_run(&w.loop, UV_RUN_ONCE) != 0);
    assert_int_equal(w.ups, 0);
    end(&w, &s);
}

/* --- commands ------------------------------------------------------------------------------- */

struct count {
    long long last;
    unsigned calls, wrong;
};

static void on_count(void *arg, enum err e, const redisReply *reply)
{
    struct count *c = arg;

    c->calls++;
    if (e != ERR_OK || reply->integer != c->last + 1)
        c->wrong++;
    else
        c->last = reply->integer;
}

static void ten_thousand_commands_in_one_turn_are_answered_in_order(void **state)
{
    const struct slice argv[] = {SLICE_LIT("INCR"), SLICE_LIT("n")};
    const struct redis_command incr = {.argc = 2, .argv = argv};

    (void)state;
    for (int tcp = 0; tcp < 2; tcp++) {
        struct count c = {0};
        struct world w;
        struct server s;

        begin(&w, &s, NULL);
        set_url(&w, &s, tcp, "", "");
        world_up(&w, (struct redis_options){0});
        for (int i = 0; i < 10000; i++)
            assert_int_equal(redis_command(w.r, &incr, on_count, &c), ERR_OK);
        assert_int_equal(redis_command(w.r, &incr, on_count, &c), ERR_BUSY); /* max_pending */
        assert_int_equal(redis_pending(w.r), 10000);
        turn_until_count(&w, &c.calls, 10000);
        assert_int_equal(c.wrong, 0);
        assert_int_equal(redis_pending(w.r), 0);
        end(&w, &s);
    }
}

struct whole {
    const char *bytes;
    size_t len;
    bool done, same;
};

static void on_whole(void *arg, enum err e, const redisReply *reply)
{
    struct whole *v = arg;

    v->done = true;
    v->same = e == ERR_OK && reply->len == v->len && memcmp(reply->str, v->bytes, v->len) == 0;
}

static void sixteen_megabytes_make_the_round_trip(void **state)
{
    const size_t len = (size_t)16 << 20;
    char *bytes = malloc(len);
    struct world w;
    struct server s;
    struct whole v = {.bytes = bytes, .len = len};
    struct got g = {0};

    (void)state;
    assert_non_null(bytes);
    for (size_t i = 0; i < len; i++)
        bytes[i] = (char)(i * 31 + (i >> 12));
    begin(&w, &s, NULL);
    set_url(&w, &s, true, "", "");
    world_up(&w, (struct redis_options){.command_ms = 60000});
    assert_int_equal(redis_commandf(w.r, on_got, &g, "SET %s %b", "k 1", bytes, len), ERR_OK);
    done(&w, &g);
    assert_string_equal(g.text, "OK");
    assert_int_equal(redis_commandf(w.r, on_whole, &v, "GET %s", "k 1"), ERR_OK);
    turn_until(&w, &v.done);
    assert_true(v.same);
    assert_int_equal(redis_commandf(w.r, on_got, &g, "GET %y", 1), ERR_MALFORMED);
    end(&w, &s);
    free(bytes);
}

static void errors_of_the_server_come_with_their_text(void **state)
{
    struct world w;
    struct server s;
    struct got g;

    (void)state;
    begin(&w, &s, NULL);
    world_up(&w, (struct redis_options){0});
    ASK(&w, &g, "NOSUCH", "x");
    assert_int_equal(g.err, ERR_REJECTED);
    assert_non_null(strstr(g.text, "ERR unknown command"));
    ASK(&w, &g, "GET", "nothing");
    assert_int_equal(g.err, ERR_OK);
    assert_int_equal(g.type, REDIS_REPLY_NIL);
    ASK(&w, &g, "CONFIG", "SET", "maxmemory", "1");
    ASK(&w, &g, "SET", "k", "v");
    assert_int_equal(g.err, ERR_BUSY);
    assert_non_null(strstr(g.text, "OOM "));
    assert_int_equal(w.ups, 1); /* none of this cost the connection */
    end(&w, &s);
}

static void a_server_that_became_a_replica_is_left_and_asked_again(void **state)
{
    struct world w;
    struct server s;
    struct got g;
    unsigned ups;

    (void)state;
    begin(&w, &s, NULL);
    world_up(&w, (struct redis_options){0});
    ups = w.ups;
    ASK(&w, &g, "REPLICAOF", "127.0.0.1", "1");
    ASK(&w, &g, "SET", "k", "v");
    assert_int_equal(g.err, ERR_BUSY);
    assert_non_null(strstr(g.text, "READONLY"));
    turn_until_count(&w, &w.ups, ups + 1);
    assert_non_null(strstr(w.why, "READONLY"));
    ASK(&w, &g, "REPLICAOF", "NO", "ONE");
    ASK(&w, &g, "SET", "k", "v");
    assert_int_equal(g.err, ERR_OK);
    end(&w, &s);
}

/* --- scripts -------------------------------------------------------------------------------- */

static enum err call(struct world *w, const struct redis_script *script, struct got *g)
{
    const struct slice keys[] = {SLICE_LIT("k")}, args[] = {SLICE_LIT("a\0b"), SLICE_LIT("")};

    return redis_call(
        w->r,
        &(struct redis_call){
            .script = script, .n_keys = 1, .keys = keys, .n_args = 2, .args = args},
        on_got, g);
}

static void a_script_survives_script_flush_and_a_restart(void **state)
{
    static const char source[] =
        "return {KEYS[1], #ARGV[1], #ARGV, redis.call('INCR', 'calls')}";
    struct redis_script script = {.name = "t", .source = source, .len = sizeof source - 1};
    struct world w;
    struct server s;
    struct got g[3] = {{0}}, flushed = {0}, n;
    unsigned downs;

    (void)state;
    redis_script_init(&script);
    begin(&w, &s, NULL);
    world_up(&w, (struct redis_options){0});
    downs = w.downs;
    assert_int_equal(call(&w, &script, &g[0]), ERR_OK);
    done(&w, &g[0]);
    SEND(&w, 0, &flushed, "SCRIPT", "FLUSH");
    assert_int_equal(call(&w, &script, &g[1]), ERR_OK);
    assert_int_equal(call(&w, &script, &g[2]), ERR_OK);
    done(&w, &g[1]);
    done(&w, &g[2]);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(g[i].err, ERR_OK);
        assert_int_equal(g[i].type, REDIS_REPLY_ARRAY);
    }
    ASK(&w, &n, "GET", "calls"); /* each ran once */
    assert_string_equal(n.text, "3");
    server_kill(&s);
    turn_until_count(&w, &w.downs, downs + 1);
    server_start(&s, &w);
    turn_until(&w, &w.up);
    g[0] = (struct got){0};
    assert_int_equal(call(&w, &script, &g[0]), ERR_OK);
    done(&w, &g[0]);
    assert_int_equal(g[0].err, ERR_OK);
    end(&w, &s);
}

static void a_script_that_does_not_compile_fails_with_the_reason(void **state)
{
    struct redis_script script = {.name = "bad", .source = "return (", .len = 8};
    struct world w;
    struct server s;
    struct got g = {0};

    (void)state;
    redis_script_init(&script);
    begin(&w, &s, NULL);
    world_up(&w, (struct redis_options){0});
    assert_int_equal(call(&w, &script, &g), ERR_OK);
    done(&w, &g);
    assert_int_equal(g.err, ERR_REJECTED);
    assert_non_null(strstr(g.text, "Error compiling script"));
    ASK(&w, &g, "PING");
    assert_int_equal(g.err, ERR_OK);
    end(&w, &s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_form_of_url_logs_in_and_selects),
        cmocka_unit_test(a_wrong_password_is_told_and_the_right_one_lets_the_client_in),
        cmocka_unit_test(a_server_that_wants_a_password_and_got_none_is_not_up),
        cmocka_unit_test(ten_thousand_commands_in_one_turn_are_answered_in_order),
        cmocka_unit_test(sixteen_megabytes_make_the_round_trip),
        cmocka_unit_test(errors_of_the_server_come_with_their_text),
        cmocka_unit_test(a_server_that_became_a_replica_is_left_and_asked_again),
        cmocka_unit_test(a_script_survives_script_flush_and_a_restart),
        cmocka_unit_test(a_script_that_does_not_compile_fails_with_the_reason),
    };

    (void)alarm(180);
    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
