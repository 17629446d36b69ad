/* A round over the blob directory, with a real PostgreSQL that knows some of the files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "queue/blob_sweep.h"
#include "queue/ledger_files.h"
#include "tests/unit/blob_rig.h"
#include "tests/unit/ledger_rig.h"

#define OLD (GRACE_S + 10)

static struct pgserver *server;
static blob_dir dir;
static struct rig rig;

struct told {
    unsigned calls;
    enum err err;
    struct blob_sweep_counts n;
    struct fault why;
};

static void on_swept(void *arg, enum err e, const struct blob_sweep_counts *n,
                     const struct fault *why)
{
    struct told *t = arg;

    t->calls++;
    t->err = e;
    t->n = *n;
    assert_int_equal(why == NULL, e == ERR_OK);
    if (why != NULL)
        t->why = *why;
}

static struct blob_sweep *start(struct told *t, bool dry_run)
{
    const struct blob_sweep_options opt = {
        .pg = &rig.pg, .dir = dir, .grace_ms = (uint64_t)GRACE_S * 1000, .dry_run = dry_run};
    struct blob_sweep *s;

    *t = (struct told){.calls = 0};
    assert_int_equal(blob_sweep_start(&rig.loop, &opt, on_swept, t, &s), ERR_OK);
    assert_int_equal(t->calls, 0);
    return s;
}

static struct told wait_for(struct told *t)
{
    while (t->calls == 0)
        rig_turn(&rig);
    assert_int_equal(t->calls, 1);
    return *t;
}

static struct told sweep(bool dry_run)
{
    struct told t;

    (void)start(&t, dry_run);
    return wait_for(&t);
}

/* Rows name the files of these numbers. */
static void give_rows(unsigned first, unsigned last)
{
    char sql[512];

    servers_format(
        sql, sizeof sql,
        "INSERT INTO outputs SELECT gen_random_uuid(), 1, 1, 1, 4, 'card', 'webp', 'f',"
        " decode(lpad(to_hex(n %% 256), 2, '0') || lpad(to_hex(n), 62, '0'), 'hex')"
        " FROM generate_series(%u, %u) n",
        first, last);
    pgserver_run(server, sql);
}

static bool number_is_there(unsigned n)
{
    char name[80];

    return blob_is_there(dir, blob_name(n, name));
}

static unsigned count_there(unsigned n)
{
    unsigned there = 0;

    for (unsigned i = 0; i < n; i++)
        there += number_is_there(i);
    return there;
}

static void put(unsigned first, unsigned last, time_t age_s)
{
    for (unsigned i = first; i <= last; i++)
        blob_put_number(dir, i, age_s);
}

static void only_what_is_old_and_has_no_row_is_removed(void **state)
{
    struct told t;

    (void)state;
    put(0, 9, OLD);
    put(10, 19, 0);
    give_rows(5, 14);
    t = sweep(false);
    assert_int_equal(t.err, ERR_OK);
    assert_int_equal(t.n.removed, 5);
    assert_int_equal(t.n.bytes, 20);
    assert_int_equal(t.n.put_back, 0);
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(number_is_there(i), i >= 5);
}

static void a_dry_run_only_counts(void **state)
{
    struct told t;

    (void)state;
    put(0, 9, OLD);
    give_rows(0, 2);
    t = sweep(true);
    assert_int_equal(t.err, ERR_OK);
    assert_int_equal(t.n.removed, 7);
    assert_int_equal(t.n.bytes, 28);
    assert_int_equal(count_there(10), 10);
}

static void many_files_go_page_by_page(void **state)
{
    struct told t;

    (void)state;
    put(0, 1999, OLD);
    give_rows(1000, 1999);
    t = sweep(false);
    assert_int_equal(t.err, ERR_OK);
    assert_int_equal(t.n.removed, 1000);
    assert_int_equal(count_there(2000), 1000);
    assert_true(number_is_there(1000) && number_is_there(1999));
    assert_int_equal(sweep(false).n.removed, 0);
}

static void what_a_dead_sweep_left_aside_is_seen_to(void **state)
{
    char name[80], aside[100];
    struct told t;

    (void)state;
    give_rows(0, 0);
    for (unsigned i = 0; i < 2; i++) {
        (void)snprintf(aside, sizeof aside, "%s.swept", blob_name(i, name));
        blob_put(dir, aside, OLD);
    }
    t = sweep(false);
    assert_int_equal(t.n.removed, 1);
    assert_int_equal(t.n.put_back, 1);
    assert_true(number_is_there(0) && !number_is_there(1));
    assert_false(blob_is_there(dir, aside));
}

static void nothing_is_removed_while_postgres_is_away(void **state)
{
    struct told t;

    (void)state;
    put(0, 9, OLD);
    pgserver_stop(server);
    rig_wait_down(&rig);
    t = sweep(false);
    assert_int_equal(t.err, ERR_UNREACHABLE);
    assert_non_null(strstr(t.why.text, "PostgreSQL"));
    pgserver_start(server);
    assert_int_equal(count_there(10), 10);
    rig_wait_up(&rig);
    assert_int_equal(sweep(false).n.removed, 10);
}

/* It is stopped with a lock on the table that the question waits for. */
static void nothing_is_removed_when_postgres_goes_in_the_middle(void **state)
{
    PGconn *conn = PQconnectdb(pgserver_url(server));
    struct told t;

    (void)state;
    put(0, 9, OLD);
    PQclear(PQexec(conn, "BEGIN"));
    PQclear(PQexec(conn, "LOCK TABLE outputs IN ACCESS EXCLUSIVE MODE"));
    (void)start(&t, false);
    while (pg_pending(rig.pg) == 0)
        rig_turn(&rig);
    pgserver_kill(server);
    PQfinish(conn);
    assert_int_not_equal(wait_for(&t).err, ERR_OK);
    assert_int_equal(count_there(10), 10);
    pgserver_start(server);
    rig_wait_up(&rig);
}

static void a_sweep_that_is_cancelled_leaves_nothing_aside(void **state)
{
    struct told t;
    struct blob_sweep *s;

    (void)state;
    put(0, 999, OLD);
    s = start(&t, false);
    while (pg_pending(rig.pg) == 0)
        rig_turn(&rig);
    blob_sweep_cancel(s);
    assert_int_equal(wait_for(&t).err, ERR_CANCELED);
    assert_int_equal(count_there(1000), 1000);
}

static void a_sweep_whose_pool_is_closed_ends(void **state)
{
    struct told t;
    struct blob_sweep *s;

    (void)state;
    put(0, 9, OLD);
    s = start(&t, false);
    while (pg_pending(rig.pg) == 0)
        rig_turn(&rig);
    blob_sweep_cancel(s);
    pg_close(&rig.pg, rig_on_closed, &rig);
    assert_int_equal(wait_for(&t).err, ERR_CANCELED);
    assert_int_equal(count_there(10), 10);
}

/* --- the question ------------------------------------------------------------------------------- */

static bool plan_walks_indexes(PGconn *conn)
{
    PGresult *res = PQexec(conn, "EXPLAIN EXECUTE p ('{\"\\\\x00\",\"\\\\x01\"}')");
    bool good = PQresultStatus(res) == PGRES_TUPLES_OK;

    for (int i = 0; i < PQntuples(res); i++)
        good = good && strstr(PQgetvalue(res, i, 0), "Seq Scan") == NULL;
    PQclear(res);
    return good;
}

static void the_question_walks_an_index(void **state)
{
    static const char *const modes[] = {"SET plan_cache_mode = force_generic_plan",
                                        "SET plan_cache_mode = force_custom_plan"};
    PGconn *conn = PQconnectdb(pgserver_url(server));
    char sql[1024];

    (void)state;
    give_rows(0, 5000);
    pgserver_run(
        server, /* all months there are: of an empty one the planner reads what little there is */
        "INSERT INTO outputs SELECT overlay(millrace_first_id(m + n * interval '1 minute')"
        "::text placing lpad(to_hex(n), 12, '0') from 25)::uuid, 1, 1, 1, 4, 'card', 'webp', "
        "'f',"
        " sha256((m::text || n)::bytea) FROM generate_series(1, 5000) n, generate_series("
        "date_trunc('month', now()) - interval '1 month', now() + interval '2 months', '1 "
        "month') m");
    pgserver_run(server, "ANALYZE outputs");
    servers_format(sql, sizeof sql, "PREPARE p AS %s", ledger_files_sql);
    PQclear(PQexec(conn, sql));
    for (size_t i = 0; i < COUNT_OF(modes); i++) {
        PQclear(PQexec(conn, modes[i]));
        assert_true(plan_walks_indexes(conn));
    }
    PQclear(PQexec(conn, "DROP INDEX outputs_sha256"));
    assert_false(plan_walks_indexes(conn)); /* without it, that shows */
    PQclear(PQexec(conn, "CREATE INDEX outputs_sha256 ON outputs (sha256)"));
    PQfinish(conn);
}

/* --- the group ---------------------------------------------------------------------------------- */

static int set_up(void **state)
{
    (void)state;
    servers_dir_make(dir);
    pgserver_run(server, "TRUNCATE outputs");
    rig_open(&rig, &(struct pg_options){.url = pgserver_url(server), .application = "test"});
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    rig_close(&rig);
    servers_dir_remove(dir);
    return 0;
}

static int start_server(void **state)
{
    (void)state;
    if (pgserver_installed())
        server = ledger_server_new();
    return server == NULL;
}

static int stop_server(void **state)
{
    (void)state;
    pgserver_free(&server);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(only_what_is_old_and_has_no_row_is_removed),
        TEST(a_dry_run_only_counts),
        TEST(many_files_go_page_by_page),
        TEST(what_a_dead_sweep_left_aside_is_seen_to),
        TEST(nothing_is_removed_while_postgres_is_away),
        TEST(nothing_is_removed_when_postgres_goes_in_the_middle),
        TEST(a_sweep_that_is_cancelled_leaves_nothing_aside),
        TEST(a_sweep_whose_pool_is_closed_ends),
        TEST(the_question_walks_an_index),
    };

    return cmocka_run_group_tests(tests, start_server, stop_server);
}
