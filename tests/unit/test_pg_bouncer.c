/* Through pgbouncer in transaction mode, where one connection is many backends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/pg_rig.h"
#include "tests/unit/servers.h"

#define BACKENDS "2"

static struct pgserver *server;
static char dir[SERVERS_DIR_SIZE], config[256], url[256];
static const char *binary;
static pid_t bouncer;

static void start_bouncer(void)
{
    const char *const argv[] = {binary, "-q", config, NULL};

    bouncer = servers_spawn(dir, argv);
}

static void kill_bouncer(void)
{
    (void)kill(bouncer, SIGKILL);
    (void)servers_reap(bouncer);
}

static void write_config(uint16_t port)
{
    FILE *f = fopen(config, "we");

    assert_non_null(f);
    (void)fprintf(f,
                  "[databases]\npostgres = host=%s port=%u user=postgres\n"
                  "[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = %u\n"
                  "unix_socket_dir =\nauth_type = any\npool_mode = transaction\n"
                  "default_pool_size = " BACKENDS "\nserver_login_retry = 1\n",
                  pgserver_dir(server), (unsigned)pgserver_port(server), (unsigned)port);
    assert_int_equal(fclose(f), 0);
}

enum { MANY = 200 };

static void ask_many(struct rig *r, struct answer a[MANY])
{
    unsigned before = r->answered;

    for (unsigned i = 0; i < MANY; i++)
        rig_send(r, i % 2 == 0 ? "even" : "odd",
                 i % 2 == 0 ? "SELECT 'even', pg_backend_pid()" : "SELECT 'odd'", &a[i]);
    rig_wait_answers(r, before + MANY);
    for (unsigned i = 0; i < MANY; i++) {
        assert_string_equal(a[i].why, "");
        assert_string_equal(a[i].cell, i % 2 == 0 ? "even" : "odd");
    }
}

static void unprepared_queries_may_meet_any_backend(void **state)
{
    static struct answer a[MANY];
    struct pg_options opt = {
        .url = url, .application = "behind", .connections = 8, .unprepared = true};
    struct rig r;

    (void)state;
    rig_open(&r, &opt);
    ask_many(&r, a);
    assert_begins(rig_ask(&r, NULL, "SELECT 1 / 0").why, "22012 ");
    assert_string_equal(rig_ask(&r, NULL,
                                "SELECT count(*) <= " BACKENDS
                                " FROM pg_stat_activity WHERE application_name = 'behind'")
                            .cell,
                        "t");
    assert_string_equal(rig_ask(&r, NULL, "SELECT count(*) FROM pg_prepared_statements").cell,
                        "0");
    rig_close(&r);
}

/* Not how it should be run, but no result may be lost by it. */
static void even_prepared_queries_come_through(void **state)
{
    static struct answer a[MANY];
    struct pg_options opt = {.url = url, .connections = 8};
    struct rig r;

    (void)state;
    rig_open(&r, &opt);
    ask_many(&r, a);
    rig_close(&r);
}

static void a_bouncer_without_its_server_says_come_again(void **state)
{
    /* pgbouncer lets a query wait for its server: here our own deadline ends that. */
    struct pg_options opt = {.url = url, .connections = 2, .unprepared = true, .query_ms = 300};
    struct answer a;
    struct rig r;

    (void)state;
    rig_open(&r, &opt);
    assert_string_equal(rig_ask(&r, NULL, "SELECT 'before'").cell, "before");
    pgserver_kill(server);
    a = rig_ask(&r, NULL, "SELECT 1");
    assert_int_equal(err_class(a.err), ERR_CLASS_RETRY);
    pgserver_start(server);
    do
        a = rig_ask(&r, NULL, "SELECT 'after'");
    while (err_class(a.err) == ERR_CLASS_RETRY);
    assert_string_equal(a.cell, "after");
    rig_close(&r);
}

static void a_bouncer_that_was_killed_is_found_again(void **state)
{
    struct pg_options opt = {.url = url, .connections = 2, .unprepared = true};
    struct rig r;

    (void)state;
    rig_open(&r, &opt);
    kill_bouncer();
    rig_wait_down(&r);
    start_bouncer();
    rig_wait_up(&r);
    assert_string_equal(rig_ask(&r, NULL, "SELECT 'again'").cell, "again");
    rig_close(&r);
}

static int set_up(void **state)
{
    uint16_t port = servers_free_port();

    (void)state;
    log_setup("test", LOG_OFF, LOG_FORMAT_JSON);
    server = pgserver_new();
    servers_dir_make(dir);
    (void)snprintf(config, sizeof config, "%s/pgbouncer.ini", dir);
    (void)snprintf(url, sizeof url, "postgresql://postgres@127.0.0.1:%u/postgres",
                   (unsigned)port);
    write_config(port);
    start_bouncer();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    kill_bouncer();
    servers_dir_remove(dir);
    pgserver_free(&server);
    return 0;
}

static const char *find_binary(void)
{
    static const char *const places[] = {"/usr/sbin/pgbouncer", "/usr/bin/pgbouncer",
                                         "/usr/local/bin/pgbouncer"};

    for (size_t i = 0; i < COUNT_OF(places); i++) {
        if (access(places[i], X_OK) == 0)
            return places[i];
    }
    return NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unprepared_queries_may_meet_any_backend),
        cmocka_unit_test(even_prepared_queries_come_through),
        cmocka_unit_test(a_bouncer_without_its_server_says_come_again),
        cmocka_unit_test(a_bouncer_that_was_killed_is_found_again),
    };

    binary = find_binary();
    if (binary == NULL || !pgserver_installed()) {
        (void)puts("skipped: pgbouncer and PostgreSQL are not both installed");
        return 0;
    }
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
