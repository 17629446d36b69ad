/* Peers that are no PostgreSQL, alone and as the first of several hosts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "tests/unit/pg_rig.h"
#include "tests/unit/servers.h"

#define URL_SIZE 512

static struct pgserver *server;

/* --- peers that are no PostgreSQL ------------------------------------------------------------- */

enum manner { HANG_UP, RESET, BABBLE, SAY_NOTHING };

struct peer {
    uv_tcp_t listener;
    enum manner manner;
    uint16_t port;
    unsigned calls;
};

static void free_guest(uv_handle_t *h)
{
    free(h);
}

static void on_call(uv_stream_t *listener, int status)
{
    static char babble[] = "220 mail.example.net ready\r\n";
    struct peer *p = listener->data;
    uv_buf_t said = uv_buf_init(babble, sizeof babble - 1);
    uv_tcp_t *guest;

    assert_int_equal(status, 0);
    p->calls++;
    if (p->manner == SAY_NOTHING)
        return; /* not accepted: the kernel has shaken hands already */
    guest = calloc(1, sizeof *guest);
    assert_non_null(guest);
    assert_int_equal(uv_tcp_init(listener->loop, guest), 0);
    assert_int_equal(uv_accept(listener, (uv_stream_t *)guest), 0);
    if (p->manner == BABBLE)
        (void)uv_try_write((uv_stream_t *)guest, &said, 1);
    if (p->manner == RESET)
        assert_int_equal(uv_tcp_close_reset(guest, free_guest), 0);
    else
        uv_close((uv_handle_t *)guest, free_guest);
}

static void peer_open(struct peer *p, struct rig *r, enum manner manner)
{
    struct sockaddr_in at;
    int len = sizeof at;

    memset(p, 0, sizeof *p);
    p->manner = manner;
    assert_int_equal(uv_ip4_addr("127.0.0.1", 0, &at), 0);
    assert_int_equal(uv_tcp_init(&r->loop, &p->listener), 0);
    assert_int_equal(uv_tcp_bind(&p->listener, (const struct sockaddr *)&at, 0), 0);
    p->listener.data = p;
    assert_int_equal(uv_listen((uv_stream_t *)&p->listener, 16, on_call), 0);
    assert_int_equal(uv_tcp_getsockname(&p->listener, (struct sockaddr *)&at, &len), 0);
    p->port = ntohs(at.sin_port);
}

static void peer_close(struct peer *p)
{
    uv_close((uv_handle_t *)&p->listener, NULL);
}

/* url ends with "port=": the peer's port, then the server's where there are two hosts. */
static void rig_new_with_peer(struct rig *r, struct peer *p, enum manner manner,
                              const char *url, struct pg_options opt)
{
    char whole[URL_SIZE];

    rig_new_loop(r);
    peer_open(p, r, manner);
    if (strchr(url, ',') == NULL)
        (void)snprintf(whole, sizeof whole, "%s%u", url, (unsigned)p->port);
    else
        (void)snprintf(whole, sizeof whole, "%s%u,%u", url, (unsigned)p->port,
                       (unsigned)pgserver_port(server));
    opt.url = whole;
    rig_new_pool(r, &opt);
}

static struct pg_options options(unsigned connections)
{
    return (struct pg_options){.url = pgserver_url(server), .connections = connections};
}

/* --- peers that break off --------------------------------------------------------------------- */

static void a_peer_that_breaks_off_the_connect_is_called_again(void **state)
{
    static const enum manner manners[] = {HANG_UP, RESET, BABBLE};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(manners); i++) {
        struct pg_options opt = options(1);
        struct peer p;
        struct rig r;

        rig_new_with_peer(&r, &p, manners[i], "host=127.0.0.1 sslmode=disable port=", opt);
        pg_start(r.pg, rig_on_state, &r);
        while (p.calls < 3)
            rig_turn(&r);
        assert_int_equal(r.ups, 0);
        assert_true(r.downs > 0);
        peer_close(&p);
        rig_close(&r);
    }
}

static void a_silent_peer_is_given_up(void **state)
{
    struct pg_options opt = options(1);
    struct peer p;
    struct rig r;

    (void)state;
    opt.connect_ms = 30;
    rig_new_with_peer(&r, &p, SAY_NOTHING, "host=127.0.0.1 port=", opt);
    pg_start(r.pg, rig_on_state, &r);
    rig_wait_down(&r);
    assert_string_equal(r.why, "not connected within 30 ms");
    peer_close(&p);
    rig_close(&r);
}

/* libpq closes the socket of the first host, and that of the second gets its number. */
static void a_second_host_is_reached_on_a_socket_of_the_same_number(void **state)
{
    struct pg_options opt = options(1);
    char url[URL_SIZE];
    struct rig r;

    (void)state;
    (void)snprintf(url, sizeof url, "host=localhost,127.0.0.1 user=postgres port=%u,%u",
                   (unsigned)servers_free_port(), (unsigned)pgserver_port(server));
    opt.url = url;
    rig_open(&r, &opt);
    assert_int_equal(r.downs, 0); /* in one connect */
    assert_string_equal(rig_ask(&r, NULL, "SELECT 'second'").cell, "second");
    rig_close(&r);
}

static void a_first_host_that_breaks_off_or_is_silent_is_passed_over(void **state)
{
    static const enum manner manners[] = {HANG_UP, RESET, BABBLE, SAY_NOTHING};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(manners); i++) {
        struct pg_options opt = options(1);
        struct peer p;
        struct rig r;

        opt.connect_ms = manners[i] == SAY_NOTHING ? 200 : 0;
        rig_new_with_peer(&r, &p, manners[i],
                          "host=localhost,127.0.0.1 user=postgres port=", opt);
        pg_start(r.pg, rig_on_state, &r);
        rig_wait_up(&r);
        assert_true(p.calls > 0);
        assert_string_equal(rig_ask(&r, NULL, "SELECT 'second'").cell, "second");
        peer_close(&p);
        rig_close(&r);
    }
}

static int set_up(void **state)
{
    (void)state;
    log_setup("test", LOG_OFF, LOG_FORMAT_JSON);
    server = pgserver_new();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    pgserver_free(&server);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_peer_that_breaks_off_the_connect_is_called_again),
        cmocka_unit_test(a_silent_peer_is_given_up),
        cmocka_unit_test(a_second_host_is_reached_on_a_socket_of_the_same_number),
        cmocka_unit_test(a_first_host_that_breaks_off_or_is_silent_is_passed_over),
    };

    if (!pgserver_installed()) {
        (void)puts("skipped: PostgreSQL is not installed");
        return 0;
    }
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
