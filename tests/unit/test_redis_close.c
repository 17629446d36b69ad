/* The Redis client is closed and used from wherever a caller may stand: any state, any callback. */
#include "tests/unit/test_redis_help.h"

/* --- close, from every state and every callback --------------------------------------------- */

static void a_client_closes_from_every_state_with_nothing_left_open(void **state)
{
    struct full f;

    (void)state;
    full_open(&f);
    for (enum redis_state s = REDIS_DOWN; s <= REDIS_UP; s++) {
        struct hello hello = {"PING", PEER_SILENT, s == REDIS_GREETING};
        struct world w;
        struct peer p = {0};

        world_init(&w);
        peer_listen(&p, &w, answer_hello, &hello);
        if (s == REDIS_CONNECTING)
            (void)snprintf(w.url, sizeof w.url, "redis://127.0.0.1:%u", f.port);
        world_client(&w, (struct redis_options){0});
        redis_start(w.r, on_world_state, &w);
        turn_until_state(&w, s);
        redis_close(&w.r, on_world_closed, &w);
        assert_false(w.closed);
        turn_until(&w, &w.closed);
        peer_stop(&p);
        world_done(&w);
    }
    full_close(&f);
}

static void a_client_that_never_started_closes(void **state)
{
    struct world w;

    (void)state;
    world_init(&w);
    world_client(&w, (struct redis_options){0});
    world_done(&w);
}

static void a_client_closes_while_a_name_is_looked_up(void **state)
{
    struct world w;

    (void)state;
    world_init(&w);
    world_client(&w, (struct redis_options){.url = "redis://localhost:1"});
    redis_start(w.r, on_world_state, &w);
    turn_until_state(&w, REDIS_CONNECTING);
    world_done(&w);
}

struct closer {
    struct world *w;
    struct got *got;
    bool on_up; /* close when up; else when down */
};

static void close_on_reply(void *arg, enum err e, const redisReply *reply)
{
    struct closer *c = arg;

    on_got(c->got, e, reply);
    redis_close(&c->w->r, on_world_closed, c->w);
}

static const char *answer_all_at_the_third(struct peer_conn *c, const redisReply *command)
{
    if (peer_greeting(command) != NULL)
        return peer_greeting(command);
    return c->commands < 3 ? PEER_SILENT : c->peer->arg;
}

/* says: to three commands, the first of which closes the client. */
static void close_in_first_callback(char *says, enum err first)
{
    struct world w;
    struct peer p = {0};
    struct got g[3] = {{0}};
    struct closer c = {.w = &w, .got = &g[0]};

    world_init(&w);
    peer_listen(&p, &w, answer_all_at_the_third, says);
    world_up(&w, (struct redis_options){0});
    assert_int_equal(redis_command(w.r, &(struct redis_command){1, &SLICE_LIT("GET"), 0},
                                   close_on_reply, &c),
                     ERR_OK);
    SEND(&w, 0, &g[1], "GET");
    SEND(&w, 0, &g[2], "GET");
    turn_until(&w, &w.closed);
    assert_int_equal(g[0].err, first);
    assert_int_equal(g[0].calls + g[1].calls + g[2].calls, 3);
    assert_int_equal(g[1].err, ERR_CANCELED);
    assert_int_equal(g[2].err, ERR_CANCELED);
    peer_stop(&p);
    world_done(&w);
}

static void a_reply_callback_may_close_the_client(void **state)
{
    char fine[] = "+OK\r\n+OK\r\n+OK\r\n", gone[] = PEER_CLOSE, replica[] = "-READONLY x\r\n";

    (void)state;
    close_in_first_callback(fine, ERR_OK);
    close_in_first_callback(gone, ERR_UNREACHABLE);
    close_in_first_callback(replica, ERR_BUSY);
}

static void close_on_state(void *arg, bool up, const char *why)
{
    struct closer *c = arg;

    (void)why;
    if (up == c->on_up)
        redis_close(&c->w->r, on_world_closed, c->w);
}

static void a_state_callback_may_close_the_client(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct hello hello = {"PING", "-LOADING x\r\n", i == 0};
        struct world w;
        struct peer p = {0};
        struct closer c = {.w = &w, .on_up = i == 1};

        world_init(&w);
        peer_listen(&p, &w, answer_hello, &hello);
        world_client(&w, (struct redis_options){0});
        redis_start(w.r, close_on_state, &c);
        turn_until(&w, &w.closed);
        peer_stop(&p);
        world_done(&w);
    }
}

/* --- commands from wherever ----------------------------------------------------------------- */

struct chain {
    struct world *w;
    unsigned left;
    enum err refused;
    bool done;
};

static void send_next(void *arg, enum err e, const redisReply *reply)
{
    struct chain *c = arg;

    (void)reply;
    if (e == ERR_OK && c->left-- > 0)
        e = redis_command(c->w->r, &(struct redis_command){1, &SLICE_LIT("GET"), 0}, send_next,
                          c);
    else
        c->done = true;
    if (e != ERR_OK && !c->done) {
        c->refused = e;
        c->done = true;
    }
}

static void a_reply_callback_may_send_the_next_command(void **state)
{
    struct hello hello = {"", NULL, 0};
    struct world w;
    struct peer p = {0};
    struct chain c = {.w = &w, .left = 20};

    (void)state;
    world_init(&w);
    peer_listen(&p, &w, answer_hello, &hello);
    world_up(&w, (struct redis_options){0});
    send_next(&c, ERR_OK, NULL);
    turn_until(&w, &c.done);
    assert_int_equal(c.refused, ERR_OK);
    assert_int_equal(w.downs, 0);
    peer_stop(&p);
    world_done(&w);
}

static void resend_on_loss(void *arg, enum err e, const redisReply *reply)
{
    struct chain *c = arg;

    (void)reply;
    assert_int_equal(e, ERR_UNREACHABLE);
    c->refused =
        redis_command(c->w->r, &(struct redis_command){1, &SLICE_LIT("GET"), 0}, send_next, c);
    c->done = true;
}

static void a_command_from_the_callback_of_a_lost_one_is_refused_at_once(void **state)
{
    struct hello hello = {"GET", PEER_CLOSE, 1};
    struct world w;
    struct peer p = {0};
    struct chain c = {.w = &w};

    (void)state;
    world_init(&w);
    peer_listen(&p, &w, answer_hello, &hello);
    world_up(&w, (struct redis_options){0});
    assert_int_equal(redis_command(w.r, &(struct redis_command){1, &SLICE_LIT("GET"), 0},
                                   resend_on_loss, &c),
                     ERR_OK);
    turn_until(&w, &c.done);
    assert_int_equal(c.refused, ERR_UNREACHABLE);
    turn_until_count(&w, &w.ups, 2);
    peer_stop(&p);
    world_done(&w);
}

struct late_hook {
    uv_prepare_t h;
    struct world *w;
    struct got got;
    unsigned turns; /* of the loop since the command */
};

static void send_from_prepare(uv_prepare_t *h)
{
    struct late_hook *l = h->data;

    if (l->turns++ == 0)
        SEND(l->w, 0, &l->got, "GET");
}

/* Hooks run latest first, so this one's command comes when the client's hook has had its turn. */
static void a_command_from_a_prepare_hook_does_not_wait_for_other_events(void **state)
{
    struct hello hello = {"", NULL, 0};
    struct world w;
    struct peer p = {0};
    struct late_hook l = {.w = &w};

    (void)state;
    world_init(&w);
    peer_listen(&p, &w, answer_hello, &hello);
    world_up(&w, (struct redis_options){.command_ms = 3600000});
    assert_int_equal(uv_prepare_init(&w.loop, &l.h), 0);
    l.h.data = &l;
    assert_int_equal(uv_prepare_start(&l.h, send_from_prepare), 0);
    turn_until_count(&w, &l.got.calls, 1);
    assert_int_equal(l.got.err, ERR_OK);
    uv_close((uv_handle_t *)&l.h, NULL);
    peer_stop(&p);
    world_done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_closes_from_every_state_with_nothing_left_open),
        cmocka_unit_test(a_client_that_never_started_closes),
        cmocka_unit_test(a_client_closes_while_a_name_is_looked_up),
        cmocka_unit_test(a_reply_callback_may_close_the_client),
        cmocka_unit_test(a_state_callback_may_close_the_client),
        cmocka_unit_test(a_reply_callback_may_send_the_next_command),
        cmocka_unit_test(a_command_from_the_callback_of_a_lost_one_is_refused_at_once),
        cmocka_unit_test(a_command_from_a_prepare_hook_does_not_wait_for_other_events),
    };

    (void)alarm(120);
    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
