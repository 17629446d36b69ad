/* The Redis client and host names: the resolver is the test's own and answers when it is told. */
#include "tests/unit/test_redis_help.h"

#include <arpa/inet.h>
#include <netdb.h>

static struct {
    uv_getaddrinfo_t *req; /* NULL: nobody waits */
    uv_getaddrinfo_cb cb;
    unsigned asked;
} resolver;

/* Takes the place of libuv's. */
int uv_getaddrinfo(uv_loop_t *loop, uv_getaddrinfo_t *req, uv_getaddrinfo_cb cb,
                   const char *node, const char *service, const struct addrinfo *hints)
{
    (void)loop;
    (void)node;
    (void)service;
    (void)hints;
    assert_null(resolver.req); /* one question at a time */
    resolver.req = req;
    resolver.cb = cb;
    resolver.asked++;
    return 0;
}

/* A list as getaddrinfo() makes it: 127.0.0.1 with these ports. */
static struct addrinfo *addresses(const uint16_t *ports, size_t n)
{
    struct addrinfo *list = NULL;

    while (n-- > 0) {
        struct addrinfo *one = NULL;

        assert_int_equal(getaddrinfo("127.0.0.1", NULL,
                                     &(struct addrinfo){.ai_flags = AI_NUMERICHOST,
                                                        .ai_socktype = SOCK_STREAM},
                                     &one),
                         0);
        ((struct sockaddr_in *)(void *)one->ai_addr)->sin_port = htons(ports[n]);
        one->ai_next = list;
        list = one;
    }
    return list;
}

static void answer(int status, struct addrinfo *found)
{
    uv_getaddrinfo_t *req = resolver.req;

    assert_non_null(req);
    resolver.req = NULL;
    resolver.cb(req, status, found);
}

static const char *greet(struct peer_conn *c, const redisReply *command)
{
    (void)c;
    return peer_greeting(command);
}

/* The loop must not wait here: it knows nothing of this resolver. */
static void spin_until_state(struct world *w, enum redis_state want)
{
    while (redis_state(w->r) != want)
        (void)uv_run(&w->loop, UV_RUN_NOWAIT);
}

static void begin(struct world *w, struct peer *p, uint32_t connect_ms)
{
    resolver.asked = 0;
    world_init(w);
    peer_listen_tcp(p, w, greet, NULL);
    world_client(
        w, (struct redis_options){.url = "redis://redis.example", .connect_ms = connect_ms});
    redis_start(w->r, on_world_state, w);
    spin_until_state(w, REDIS_CONNECTING);
}

static void end(struct world *w, struct peer *p)
{
    peer_stop(p);
    world_done(w);
}

static void an_address_that_refuses_is_followed_by_the_next(void **state)
{
    struct world w;
    struct peer p = {0};

    (void)state;
    begin(&w, &p, 0);
    answer(0, addresses((uint16_t[]){1, 1, 1, p.port}, 4));
    turn_until(&w, &w.up);
    assert_int_equal(w.downs, 0);
    end(&w, &p);
}

/* The first alone would use up the whole deadline. */
static void a_silent_address_leaves_time_for_the_next(void **state)
{
    struct world w;
    struct peer p = {0};
    struct full f;

    (void)state;
    full_open(&f);
    begin(&w, &p, 200);
    answer(0, addresses((uint16_t[]){f.port, p.port}, 2));
    turn_until(&w, &w.up);
    assert_int_equal(w.downs, 0);
    end(&w, &p);
    full_close(&f);
}

static void when_all_addresses_refuse_the_name_is_asked_again(void **state)
{
    struct world w;
    struct peer p = {0};

    (void)state;
    begin(&w, &p, 0);
    answer(0, addresses((uint16_t[]){1, 1}, 2));
    turn_until_count(&w, &w.downs, 1);
    assert_string_equal(w.why, "connect: connection refused");
    spin_until_state(&w, REDIS_CONNECTING);
    assert_int_equal(resolver.asked, 2);
    answer(0, addresses(&p.port, 1));
    turn_until(&w, &w.up);
    end(&w, &p);
}

static void more_addresses_than_are_kept_do_no_harm(void **state)
{
    struct world w;
    struct peer p = {0};
    uint16_t ports[40];

    (void)state;
    begin(&w, &p, 0);
    for (size_t i = 0; i < COUNT_OF(ports); i++)
        ports[i] = i == 7 ? p.port : 1;
    answer(0, addresses(ports, COUNT_OF(ports)));
    turn_until(&w, &w.up);
    end(&w, &p);
}

static void a_name_that_has_no_address_is_told(void **state)
{
    static const struct {
        int status;
        const char *why;
    } table[] = {{UV_EAI_AGAIN, "resolve: temporary failure"},
                 {UV_EAI_NONAME, "resolve: unknown node or service"},
                 {0, "resolve: unknown node or service"}};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct world w;
        struct peer p = {0};

        begin(&w, &p, 0);
        answer(table[i].status, NULL);
        assert_int_equal(w.downs, 1);
        assert_string_equal(w.why, table[i].why);
        end(&w, &p);
    }
}

/* Each question holds a thread of the pool, so a slow resolver must not be asked again and again. */
static void an_answer_that_comes_late_serves_the_next_try(void **state)
{
    struct world w;
    struct peer p = {0};

    (void)state;
    begin(&w, &p, 20);
    turn_until_count(&w, &w.downs, 1);
    assert_string_equal(w.why, "no connection in 20 ms");
    spin_until_state(&w, REDIS_CONNECTING);
    assert_int_equal(resolver.asked, 1);
    answer(0, addresses(&p.port, 1));
    turn_until(&w, &w.up);
    end(&w, &p);
}

static void an_answer_that_comes_between_two_tries_is_dropped(void **state)
{
    struct world w;
    struct peer p = {0};

    (void)state;
    begin(&w, &p, 20);
    spin_until_state(&w, REDIS_DOWN);
    answer(0, addresses(&p.port, 1));
    assert_int_equal(redis_state(w.r), REDIS_DOWN);
    spin_until_state(&w, REDIS_CONNECTING);
    assert_int_equal(resolver.asked, 2);
    answer(0, addresses(&p.port, 1));
    turn_until(&w, &w.up);
    end(&w, &p);
}

static void a_close_waits_for_the_answer_that_is_still_to_come(void **state)
{
    struct world w;
    struct peer p = {0};

    (void)state;
    begin(&w, &p, 0);
    redis_close(&w.r, on_world_closed, &w);
    peer_stop(&p);
    assert_int_equal(uv_run(&w.loop, UV_RUN_DEFAULT), 0); /* all handles are gone */
    assert_false(w.closed);
    answer(UV_ECANCELED, NULL);
    assert_true(w.closed);
    world_done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_that_refuses_is_followed_by_the_next),
        cmocka_unit_test(a_silent_address_leaves_time_for_the_next),
        cmocka_unit_test(when_all_addresses_refuse_the_name_is_asked_again),
        cmocka_unit_test(more_addresses_than_are_kept_do_no_harm),
        cmocka_unit_test(a_name_that_has_no_address_is_told),
        cmocka_unit_test(an_answer_that_comes_late_serves_the_next_try),
        cmocka_unit_test(an_answer_that_comes_between_two_tries_is_dropped),
        cmocka_unit_test(a_close_waits_for_the_answer_that_is_still_to_come),
    };

    (void)alarm(120);
    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
