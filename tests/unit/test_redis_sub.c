/* The subscriber: against a peer that misbehaves, and against a real Redis that dies and hangs. */
#include "tests/unit/test_redis_server.h"

#include "shared/redis_sub.h"

struct ear {
    struct redis_sub_channel *channel;
    unsigned messages, fresh;
    bool remove; /* at the next message */
    char last[64];
};

static void on_message(void *arg, struct slice message)
{
    struct ear *e = arg;

    e->messages++;
    (void)slice_to_cstr(message, e->last, sizeof e->last);
    if (e->remove)
        redis_sub_remove(&e->channel);
}

static void on_fresh(void *arg)
{
    ((struct ear *)arg)->fresh++;
}

static void listen_to(struct redis_sub *s, struct ear *e, const char *channel)
{
    assert_int_equal(redis_sub_add(s,
                                   &(struct redis_sub_ear){.channel = slice_str(channel),
                                                           .on_message = on_message,
                                                           .on_fresh = on_fresh,
                                                           .arg = e},
                                   &e->channel),
                     ERR_OK);
}

static struct redis_sub *new_sub(struct world *w, struct redis_sub_options opt)
{
    struct redis_sub *s = NULL;
    struct fault f = {0};

    opt.url = w->url;
    if (redis_sub_new(&w->loop, &opt, &s, &f) != ERR_OK)
        fail_msg("%s", f.text);
    redis_sub_start(s);
    return s;
}

static void close_sub(struct world *w, struct redis_sub *s)
{
    bool closed = false;

    redis_sub_close(&s, on_world_closed, w);
    assert_null(s);
    turn_until(w, &w->closed);
    w->closed = closed;
}

/* --- a real Redis ---------------------------------------------------------------------------- */

static void messages_of_its_channels_come_and_no_others(void **state)
{
    struct world w;
    struct server srv;
    struct redis_sub *s;
    struct ear a = {0}, b = {0};
    struct got g;

    (void)state;
    begin(&w, &srv, NULL);
    world_up(&w, (struct redis_options){0});
    s = new_sub(&w, (struct redis_sub_options){.name = "ears"});
    listen_to(s, &a, "a"); /* before it is connected */
    assert_false(redis_sub_is_fresh(a.channel));
    turn_until_count(&w, &a.fresh, 1);
    assert_true(redis_sub_is_fresh(a.channel));
    assert_true(redis_sub_is_up(s));
    assert_string_equal(redis_sub_why(s), "");
    listen_to(s, &b, "b"); /* after */
    turn_until_count(&w, &b.fresh, 1);
    ASK(&w, &g, "PUBLISH", "a", "one");
    ASK(&w, &g, "PUBLISH", "c", "nobody hears this");
    assert_int_equal(g.integer, 0);
    ASK(&w, &g, "PUBLISH", "b", "two");
    turn_until_count(&w, &b.messages, 1);
    assert_int_equal(a.messages, 1);
    assert_string_equal(a.last, "one");
    assert_string_equal(b.last, "two");
    redis_sub_remove(&a.channel);
    redis_sub_remove(&a.channel); /* copes */
    do {                          /* until Redis has carried it out */
        ASK(&w, &g, "PUBLISH", "a", "three");
    } while (g.integer > 0);
    assert_int_equal(a.messages, 1);
    redis_sub_remove(&b.channel);
    close_sub(&w, s);
    end(&w, &srv);
}

static void a_channel_may_be_removed_by_its_message_and_come_back(void **state)
{
    struct world w;
    struct server srv;
    struct redis_sub *s;
    struct ear a = {.remove = true}, again = {0};
    struct got g;

    (void)state;
    begin(&w, &srv, NULL);
    world_up(&w, (struct redis_options){0});
    s = new_sub(&w, (struct redis_sub_options){0});
    listen_to(s, &a, "a");
    turn_until_count(&w, &a.fresh, 1);
    ASK(&w, &g, "PUBLISH", "a", "one");
    turn_until_count(&w, &a.messages, 1);
    assert_null(a.channel);
    listen_to(s, &again, "a");
    turn_until_count(&w, &again.fresh, 1);
    ASK(&w, &g, "PUBLISH", "a", "two");
    turn_until_count(&w, &again.messages, 1);
    assert_int_equal(a.messages, 1);
    redis_sub_remove(&again.channel);
    close_sub(&w, s);
    end(&w, &srv);
}

static void after_a_crash_it_listens_again_and_says_so(void **state)
{
    (void)state;
    for (int tcp = 0; tcp < 2; tcp++) {
        struct world w;
        struct server srv;
        struct redis_sub *s;
        struct ear a = {0};
        struct got g;

        begin(&w, &srv, NULL);
        set_url(&w, &srv, tcp, "", "");
        world_up(&w, (struct redis_options){0});
        s = new_sub(&w, (struct redis_sub_options){0});
        listen_to(s, &a, "a");
        turn_until_count(&w, &a.fresh, 1);
        server_kill(&srv);
        while (redis_sub_is_fresh(a.channel))
            assert_true(uv_run(&w.loop, UV_RUN_ONCE) != 0);
        assert_string_not_equal(redis_sub_why(s), "");
        server_start(&srv, &w);
        turn_until_count(&w, &a.fresh, 2);
        turn_until_state(&w, REDIS_UP);
        ASK(&w, &g, "PUBLISH", "a", "back");
        turn_until_count(&w, &a.messages, 1);
        redis_sub_remove(&a.channel);
        close_sub(&w, s);
        end(&w, &srv);
    }
}

static void a_server_that_hangs_is_given_up_and_found_again(void **state)
{
    struct world w;
    struct server srv;
    struct redis_sub *s;
    struct ear a = {0};

    (void)state;
    begin(&w, &srv, NULL);
    s = new_sub(&w, (struct redis_sub_options){.ping_ms = 20, .connect_ms = 50});
    listen_to(s, &a, "a");
    turn_until_count(&w, &a.fresh, 1);
    assert_int_equal(kill(srv.pid, SIGSTOP), 0);
    while (redis_sub_is_up(s))
        assert_true(uv_run(&w.loop, UV_RUN_ONCE) != 0);
    assert_int_equal(kill(srv.pid, SIGCONT), 0);
    turn_until_count(&w, &a.fresh, 2);
    redis_sub_remove(&a.channel);
    close_sub(&w, s);
    end(&w, &srv);
}

static void a_password_is_given_and_a_wrong_one_is_not_shown(void **state)
{
    static const char *const more[] = {"--requirepass", "secret", NULL};
    struct world w;
    struct server srv;
    struct redis_sub *s;
    struct ear a = {0};

    (void)state;
    begin(&w, &srv, more);
    set_url(&w, &srv, true, ":secret@", "/3");
    s = new_sub(&w, (struct redis_sub_options){.name = "ears"});
    listen_to(s, &a, "a");
    turn_until_count(&w, &a.fresh, 1);
    redis_sub_remove(&a.channel);
    close_sub(&w, s);
    set_url(&w, &srv, true, ":wrong@", "");
    s = new_sub(&w, (struct redis_sub_options){0});
    while (strstr(redis_sub_why(s), "refused") == NULL)
        assert_true(uv_run(&w.loop, UV_RUN_ONCE) != 0);
    assert_null(strstr(redis_sub_why(s), "wrong@"));
    close_sub(&w, s);
    end(&w, &srv);
}

/* --- a peer that misbehaves ------------------------------------------------------------------ */

#define SUBSCRIBED "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n"

/* What SUBSCRIBE is answered on the first connection; later ones are fine. */
static const char *answer_first(struct peer_conn *c, const redisReply *command)
{
    if (peer_is_greeting(command->element[0]->str))
        return peer_greeting(command);
    return c->number == 1 ? c->peer->arg : SUBSCRIBED;
}

static void whatever_a_peer_says_it_ends_up_listening(void **state)
{
    static const char *const says[] = {
        PEER_CLOSE,
        PEER_SILENT,
        "-NOPERM this user has no permissions\r\n",
        "*3\r\n$9\r\nsub",
        "nonsense\r\n",
        "$99999999\r\n",
        "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n:1\r\n" PEER_CLOSE,
        "*3\r\n:1\r\n:2\r\n:3\r\n*-1\r\n*0\r\n+OK\r\n:7\r\n$-1\r\n",
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(says); i++) {
        for (int drip = 0; drip < 2; drip++) {
            struct world w;
            struct peer p = {.drip = drip};
            struct redis_sub *s;
            struct ear a = {0};

            world_init(&w);
            peer_listen(&p, &w, answer_first, (void *)(uintptr_t)says[i]);
            s = new_sub(&w, (struct redis_sub_options){.ping_ms = 20, .message_max = 4096});
            listen_to(s, &a, "a");
            if (says[i] == PEER_SILENT || i == COUNT_OF(says) - 1) {
                /* its pings are answered: only that nobody hears is wrong; cut it by hand */
                while (p.conns == NULL || p.conns->commands == 0)
                    assert_true(uv_run(&w.loop, UV_RUN_ONCE) != 0);
                peer_drop(p.conns, false);
            }
            turn_until_count(&w, &a.fresh, 1);
            assert_int_equal(a.messages, 0);
            redis_sub_remove(&a.channel);
            peer_stop(&p);
            close_sub(&w, s);
            world_done(&w);
        }
    }
}

static void options_that_cannot_work_are_refused(void **state)
{
    struct world w;
    struct redis_sub *s = NULL;
    struct fault f;

    (void)state;
    world_init(&w);
    assert_int_equal(
        redis_sub_new(&w.loop, &(struct redis_sub_options){.url = "http://x"}, &s, &f),
        ERR_MALFORMED);
    assert_int_equal(redis_sub_new(&w.loop,
                                   &(struct redis_sub_options){.url = w.url, .name = "a b"}, &s,
                                   &f),
                     ERR_MALFORMED);
    assert_null(s);
    world_done(&w);
}

static int set_alarm(void **state)
{
    (void)state;
    (void)signal(SIGPIPE, SIG_IGN);
    (void)alarm(120);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_of_its_channels_come_and_no_others),
        cmocka_unit_test(a_channel_may_be_removed_by_its_message_and_come_back),
        cmocka_unit_test(after_a_crash_it_listens_again_and_says_so),
        cmocka_unit_test(a_server_that_hangs_is_given_up_and_found_again),
        cmocka_unit_test(a_password_is_given_and_a_wrong_one_is_not_shown),
        cmocka_unit_test(whatever_a_peer_says_it_ends_up_listening),
        cmocka_unit_test(options_that_cannot_work_are_refused),
    };

    return cmocka_run_group_tests(tests, set_alarm, NULL);
}
