/* What becomes of connections: servers that die, stand still, refuse, or are none. */
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

/* --- the arrows of the picture in pg.h -------------------------------------------------------- */

static struct arrow {
    const char *from, *to;
    unsigned walked;
} arrows[] = {
    {"down", "resolving", 0}, {"resolving", "connecting", 0}, {"connecting", "up", 0},
    {"resolving", "down", 0}, {"connecting", "down", 0},      {"up", "down", 0},
    {"down", "closed", 0},    {"resolving", "closed", 0},     {"connecting", "closed", 0},
    {"up", "closed", 0},
};

static void note_arrow(void *arg, const char *line, size_t len)
{
    (void)arg;
    for (size_t i = 0; i < COUNT_OF(arrows); i++) {
        char text[64];

        (void)snprintf(text, sizeof text, "\"from\":\"%s\",\"to\":\"%s\"", arrows[i].from,
                       arrows[i].to);
        if (memmem(line, len, text, strlen(text)) != NULL)
            arrows[i].walked++;
    }
}

static unsigned walked(const char *from, const char *to)
{
    for (size_t i = 0; i < COUNT_OF(arrows); i++) {
        if (strcmp(arrows[i].from, from) == 0 && strcmp(arrows[i].to, to) == 0)
            return arrows[i].walked;
    }
    fail_msg("no arrow from %s to %s", from, to);
    return 0;
}

/* The last test. */
static void every_arrow_of_the_picture_was_walked(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(arrows); i++) {
        if (arrows[i].walked == 0)
            fail_msg("%s -> %s was not walked", arrows[i].from, arrows[i].to);
    }
}

/* --- coming up -------------------------------------------------------------------------------- */

static struct pg_options options(unsigned connections)
{
    return (struct pg_options){.url = pgserver_url(server), .connections = connections};
}

static void queries_from_before_the_connection_are_kept(void **state)
{
    struct pg_options opt = options(2);
    struct answer a;
    struct rig r;

    (void)state;
    rig_new(&r, &opt);
    assert_false(pg_is_up(r.pg));
    rig_send(&r, NULL, "SELECT 'early'", &a);
    pg_start(r.pg, rig_on_state, &r);
    assert_int_equal(r.ups, 0); /* not from inside the start */
    rig_wait_answers(&r, 1);
    assert_string_equal(a.cell, "early");
    assert_true(pg_is_up(r.pg));
    rig_close(&r);
    assert_int_equal(r.ups, 1); /* told once for both connections */
    assert_int_equal(r.downs, 0);
}

static void hosts_are_found_by_name_number_and_socket(void **state)
{
    static const char *const urls[] = {
        "host=localhost user=postgres dbname=postgres port=",
        "postgresql://postgres@localhost/postgres?port=",
        "postgresql://postgres@127.0.0.1/postgres?port=",
        "host=no-such-host.invalid hostaddr=127.0.0.1 user=postgres port=",
        "host=no-such-host.invalid,localhost user=postgres port=",
        "host=/nowhere,localhost,@none user=postgres port=",
        /* each is asked what it is, hung up on, and called again */
        "host=localhost,127.0.0.1 user=postgres target_session_attrs=prefer-standby port=",
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(urls); i++) {
        struct pg_options opt = options(1);
        char url[URL_SIZE];
        struct rig r;

        (void)snprintf(url, sizeof url, "%s%u", urls[i], (unsigned)pgserver_port(server));
        opt.url = url;
        rig_open(&r, &opt);
        assert_string_equal(rig_ask(&r, NULL, "SELECT 'hello'").cell, "hello");
        rig_close(&r);
    }
}

static void a_name_without_address_is_told(void **state)
{
    struct pg_options opt = {.url = "host=no-such-host.invalid user=postgres"};
    unsigned before = walked("resolving", "down");
    struct rig r;

    (void)state;
    rig_new(&r, &opt);
    pg_start(r.pg, rig_on_state, &r);
    rig_wait_down(&r);
    assert_holds(r.why, "no-such-host.invalid");
    rig_close(&r);
    assert_true(walked("resolving", "down") > before);
}

static void a_wrong_password_is_told_and_the_right_one_taken(void **state)
{
    struct pg_options opt = options(1);
    char url[URL_SIZE];
    struct rig r;

    (void)state;
    (void)snprintf(url, sizeof url, "postgresql://locked:s3cret@127.0.0.1:%u/postgres",
                   (unsigned)pgserver_port(server));
    opt.url = url;
    rig_new(&r, &opt);
    pg_start(r.pg, rig_on_state, &r);
    rig_wait_down(&r);
    assert_holds(r.why, "password authentication failed");
    assert_null(strstr(r.why, "s3cret"));
    rig_close(&r);
    (void)snprintf(url, sizeof url, "postgresql://locked:sesame@127.0.0.1:%u/postgres",
                   (unsigned)pgserver_port(server));
    rig_open(&r, &opt);
    assert_string_equal(rig_ask(&r, NULL, "SELECT current_user").cell, "locked");
    rig_close(&r);
}

static void a_refused_connect_is_tried_until_a_server_is_there(void **state)
{
    struct pg_options opt = options(2);
    struct answer late, kept;
    const struct pg_query brief = {.sql = "SELECT 1", .deadline_ms = 1};
    struct rig r;

    (void)state;
    pgserver_stop(server);
    rig_new(&r, &opt);
    pg_start(r.pg, rig_on_state, &r);
    rig_wait_down(&r);
    assert_holds(r.why, "connection to server");
    assert_int_equal(rig_query(&r, &brief, &late), ERR_OK);
    rig_send(&r, NULL, "SELECT 'kept'", &kept);
    rig_wait_answers(&r, 1);
    assert_int_equal(late.err, ERR_TIMEOUT);
    assert_holds(late.why, "connection to server"); /* why there was no answer */
    pgserver_start(server);
    rig_wait_answers(&r, 2);
    assert_string_equal(kept.cell, "kept");
    assert_int_equal(r.ups, 1);
    rig_close(&r);
}

static void a_refused_tcp_connect_is_told(void **state)
{
    struct pg_options opt = options(1);
    char url[URL_SIZE];
    struct rig r;

    (void)state;
    (void)snprintf(url, sizeof url, "postgresql://localhost:%u/x",
                   (unsigned)servers_free_port());
    opt.url = url;
    rig_new(&r, &opt);
    pg_start(r.pg, rig_on_state, &r);
    rig_wait_down(&r);
    assert_holds(r.why, "refused");
    rig_close(&r);
}

/* --- servers that end ------------------------------------------------------------------------- */

static void a_killed_server_ends_each_query_once_and_is_found_again(void **state)
{
    enum { MANY = 100 };
    static struct answer a[MANY];
    struct pg_options opt = options(2);
    struct rig r;

    (void)state;
    rig_open(&r, &opt);
    for (unsigned i = 0; i < MANY; i++)
        rig_send(&r, "sleep", "SELECT pg_sleep(60)", &a[i]);
    for (unsigned turns = 0; turns < 5; turns++)
        rig_turn(&r);
    assert_int_equal(r.answered, 0);
    pgserver_kill(server);
    rig_wait_down(&r);
    assert_true(r.answered >= 16); /* before on_state */
    for (unsigned i = 0; i < r.answered; i++) {
        assert_int_equal(a[i].calls, 1);
        assert_int_equal(a[i].err, ERR_UNREACHABLE);
    }
    assert_int_equal(pg_pending(r.pg), MANY - r.answered); /* those in line wait on */
    pgserver_start(server);
    rig_wait_up(&r);
    rig_close(&r);
    for (unsigned i = 0; i < MANY; i++)
        assert_int_equal(a[i].calls, 1);
    rig_open(&r, &opt);
    assert_string_equal(rig_ask(&r, "sleep", "SELECT 'works'").cell, "works");
    rig_close(&r);
}

static void an_idle_connection_notices_that_its_server_stopped(void **state)
{
    struct pg_options opt = options(2);
    unsigned before = walked("up", "down");
    struct rig r;

    (void)state;
    rig_open(&r, &opt);
    assert_string_equal(rig_ask(&r, "one", "SELECT 1").cell, "1");
    pgserver_stop(server);
    rig_wait_down(&r);
    assert_false(pg_is_up(r.pg));
    assert_true(walked("up", "down") > before);
    pgserver_start(server);
    rig_wait_up(&r);
    assert_int_equal(r.ups, 2);
    assert_string_equal(rig_ask(&r, "one", "SELECT 1").cell, "1");
    rig_close(&r);
}

static void a_server_that_stands_still_costs_the_deadline_only(void **state)
{
    const struct pg_query q = {.sql = "SELECT 1", .deadline_ms = 50};
    struct pg_options opt = options(1);
    struct answer a, b;
    struct rig r;

    (void)state;
    opt.connect_ms = 50;
    rig_open(&r, &opt);
    pgserver_pause(server);
    assert_int_equal(rig_query(&r, &q, &a), ERR_OK);
    rig_wait_down(&r);
    assert_int_equal(a.err, ERR_TIMEOUT);
    /* Nobody answers the new connect either. */
    assert_int_equal(rig_query(&r, &q, &b), ERR_OK);
    rig_wait_answers(&r, 2);
    assert_int_equal(b.err, ERR_TIMEOUT);
    assert_int_equal(r.ups, 1);
    pgserver_resume(server);
    rig_wait_up(&r);
    assert_string_equal(rig_ask(&r, NULL, "SELECT 'awake'").cell, "awake");
    rig_close(&r);
}

static void one_lost_connection_of_two_is_not_the_end(void **state)
{
    struct pg_options opt = options(2);
    unsigned before = walked("connecting", "up");
    struct answer a, other;
    struct rig r;

    (void)state;
    rig_open(&r, &opt);
    while (walked("connecting", "up") < before + 2)
        rig_turn(&r);
    rig_send(&r, NULL, "SELECT pg_terminate_backend(pg_backend_pid())", &a);
    rig_send(&r, NULL, "SELECT 'other'", &other);
    rig_wait_answers(&r, 2);
    assert_int_equal(a.err, ERR_BUSY);
    assert_begins(a.why, "57P01 "); /* the server's word, not merely a lost connection */
    assert_string_equal(other.cell, "other");
    while (walked("connecting", "up") < before + 3)
        rig_turn(&r);
    assert_int_equal(r.downs, 0);
    rig_close(&r);
}

/* --- close, whatever the state ---------------------------------------------------------------- */

static void a_pool_that_was_never_started_closes(void **state)
{
    struct pg_options opt = options(3);
    struct answer a;
    struct rig r;

    (void)state;
    rig_new(&r, &opt);
    rig_send(&r, NULL, "SELECT 1", &a);
    rig_close(&r);
    assert_int_equal(a.err, ERR_CANCELED);
}

static void close_of_nothing_does_nothing(void **state)
{
    struct pg *none = NULL;

    (void)state;
    pg_close(&none, NULL, NULL);
    assert_null(none);
}

static void it_closes_while_a_name_is_being_resolved(void **state)
{
    struct pg_options opt = {.url = "host=localhost,no-such-host.invalid port=1"};
    unsigned resolving = walked("down", "resolving");
    unsigned closed = walked("resolving", "closed");
    struct rig r;

    (void)state;
    rig_new(&r, &opt);
    pg_start(r.pg, rig_on_state, &r);
    (void)uv_run(&r.loop, UV_RUN_NOWAIT);
    assert_int_equal(walked("down", "resolving"), resolving + 2);
    rig_close(&r);
    /* Whatever the resolver was quick enough for, it was closed. */
    assert_true(walked("resolving", "closed") >= closed);
}

static void it_closes_while_connecting(void **state)
{
    struct pg_options opt = options(2);
    unsigned connecting = walked("resolving", "connecting");
    unsigned closed = walked("connecting", "closed");
    struct rig r;

    (void)state;
    pgserver_pause(server);
    rig_new(&r, &opt);
    pg_start(r.pg, rig_on_state, &r);
    while (walked("resolving", "connecting") < connecting + 2)
        rig_turn(&r);
    pg_close(&r.pg, rig_on_closed, &r);
    assert_int_equal(walked("connecting", "closed"), closed + 2);
    rig_close(&r);
    pgserver_resume(server);
}

static void on_state_may_close_the_pool(void **state)
{
    static const char *const urls[] = {NULL, "host=127.0.0.1 port=1 user=x",
                                       "host=no-such-host.invalid"};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(urls); i++) {
        struct pg_options opt = options(2);
        struct answer a;
        struct rig r;

        opt.url = urls[i] == NULL ? opt.url : urls[i];
        rig_new(&r, &opt);
        r.close_when_told = true;
        rig_send(&r, NULL, "SELECT 1", &a);
        pg_start(r.pg, rig_on_state, &r);
        while (r.pg != NULL)
            rig_turn(&r);
        rig_close(&r);
        assert_int_equal(a.calls, 1);
        assert_int_equal(a.err, ERR_CANCELED);
        assert_int_equal(r.ups + r.downs, 1);
    }
}

static int set_up(void **state)
{
    (void)state;
    log_setup("test", LOG_DEBUG, LOG_FORMAT_JSON);
    log_capture(note_arrow, NULL);
    server = pgserver_new();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    pgserver_free(&server);
    log_capture(NULL, NULL);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(queries_from_before_the_connection_are_kept),
        cmocka_unit_test(hosts_are_found_by_name_number_and_socket),
        cmocka_unit_test(a_name_without_address_is_told),
        cmocka_unit_test(a_wrong_password_is_told_and_the_right_one_taken),
        cmocka_unit_test(a_refused_connect_is_tried_until_a_server_is_there),
        cmocka_unit_test(a_refused_tcp_connect_is_told),
        cmocka_unit_test(a_killed_server_ends_each_query_once_and_is_found_again),
        cmocka_unit_test(an_idle_connection_notices_that_its_server_stopped),
        cmocka_unit_test(a_server_that_stands_still_costs_the_deadline_only),
        cmocka_unit_test(one_lost_connection_of_two_is_not_the_end),
        cmocka_unit_test(a_pool_that_was_never_started_closes),
        cmocka_unit_test(close_of_nothing_does_nothing),
        cmocka_unit_test(it_closes_while_a_name_is_being_resolved),
        cmocka_unit_test(it_closes_while_connecting),
        cmocka_unit_test(on_state_may_close_the_pool),
        cmocka_unit_test(every_arrow_of_the_picture_was_walked),
    };

    if (!pgserver_installed()) {
        (void)puts("skipped: PostgreSQL is not installed");
        return 0;
    }
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
