#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "queue/ledger_results.h"
#include "tests/unit/ledger_rig.h"

static struct pgserver *server;

struct told {
    unsigned calls;
    enum err err;
    char result[64];
};

static void on_found(void *arg, enum err e, struct slice result)
{
    struct told *t = arg;

    t->calls++;
    t->err = e;
    (void)slice_to_cstr(result, t->result, sizeof t->result);
}

static void on_kept(void *arg, enum err e)
{
    struct told *t = arg;

    t->calls++;
    t->err = e;
}

static struct told find(struct ledger_rig *lr, const uint8_t *key, uint64_t age_ms)
{
    struct told t = {0};

    assert_int_equal(ledger_result_find(lr->rig.pg, key, age_ms, on_found, &t), ERR_OK);
    assert_int_equal(t.calls, 0);
    while (t.calls == 0)
        rig_turn(&lr->rig);
    return t;
}

static void keep(struct ledger_rig *lr, const uint8_t *key, const char *result, uint64_t age_ms)
{
    struct told t = {0};

    assert_int_equal(
        ledger_result_keep(lr->rig.pg, key, slice_str(result), age_ms, on_kept, &t), ERR_OK);
    while (t.calls == 0)
        rig_turn(&lr->rig);
    assert_int_equal(t.err, ERR_OK);
}

#define HOUR 3600000u

static void a_result_is_found_by_its_key_while_it_is_young(void **state)
{
    const uint8_t a[LEDGER_RESULT_KEY] = {0, 1}, b[LEDGER_RESULT_KEY] = {0, 2};
    struct ledger_rig lr;

    (void)state;
    pgserver_run(server, "TRUNCATE image_results");
    ledger_rig_open(&lr, pgserver_url(server), NULL);
    assert_int_equal(find(&lr, a, HOUR).err, ERR_NOT_FOUND);
    keep(&lr, a, "one", HOUR);
    assert_string_equal(find(&lr, a, HOUR).result, "one");
    assert_int_equal(find(&lr, b, HOUR).err, ERR_NOT_FOUND);
    pgserver_run(server, "UPDATE image_results SET made_at = now() - interval '30 minutes'");
    assert_int_equal(find(&lr, a, HOUR / 4).err, ERR_NOT_FOUND);
    assert_string_equal(find(&lr, a, HOUR).result, "one");
    keep(&lr, a, "two", HOUR); /* in its place, and young again */
    assert_string_equal(find(&lr, a, HOUR / 4).result, "two");
    ledger_rig_close(&lr);
}

static void old_results_go_when_others_come(void **state)
{
    uint8_t key[LEDGER_RESULT_KEY] = {0};
    struct ledger_rig lr;

    (void)state;
    pgserver_run(server, "TRUNCATE image_results");
    ledger_rig_open(&lr, pgserver_url(server), NULL);
    for (key[0] = 0; key[0] < 20; key[0]++)
        keep(&lr, key, "old", HOUR);
    pgserver_run(server, "UPDATE image_results SET made_at = now() - interval '2 hours'");
    for (key[0] = 100; key[0] < 103; key[0]++)
        keep(&lr, key, "new", HOUR);
    key[0] = 3;
    keep(&lr, key, "again", HOUR); /* an old one itself */
    assert_string_equal(find(&lr, key, HOUR).result, "again");
    for (key[0] = 100; key[0] < 103; key[0]++)
        assert_string_equal(find(&lr, key, HOUR).result, "new");
    for (key[0] = 4; key[0] < 20; key[0]++)
        assert_int_equal(find(&lr, key, UINT32_MAX).err, ERR_NOT_FOUND);
    ledger_rig_close(&lr);
}

static void look_at_plan(PGconn *conn, const char *sql, const char *values)
{
    char text[2048];
    PGresult *res;

    servers_format(text, sizeof text, "PREPARE p AS %s", sql);
    PQclear(PQexec(conn, text));
    servers_format(text, sizeof text, "EXPLAIN EXECUTE p %s", values);
    res = PQexec(conn, text);
    assert_int_equal(PQresultStatus(res), PGRES_TUPLES_OK);
    for (int i = 0; i < PQntuples(res); i++) {
        const char *line = PQgetvalue(res, i, 0);

        if (strstr(line, "Seq Scan") != NULL || strstr(line, "Sort  (") != NULL)
            fail_msg("%s\n%s", sql, line);
    }
    PQclear(res);
    PQclear(PQexec(conn, "DEALLOCATE p"));
}

static void every_query_walks_an_index(void **state)
{
    PGconn *conn = PQconnectdb(pgserver_url(server));

    (void)state;
    pgserver_run(server, "TRUNCATE image_results");
    pgserver_run(server, "INSERT INTO image_results SELECT sha256(n::text::bytea), now() - n * "
                         "interval '1 s', 'x'"
                         " FROM generate_series(1, 50000) AS n");
    pgserver_run(server, "ANALYZE image_results");
    look_at_plan(conn, ledger_result_find_sql, "('\\x00', 1000)");
    look_at_plan(conn, ledger_result_keep_sql, "('\\x00', 1000, 'x')");
    PQfinish(conn);
}

static int start_server(void **state)
{
    (void)state;
    server = ledger_server_new();
    return 0;
}

static int stop_server(void **state)
{
    (void)state;
    pgserver_free(&server);
    return 0;
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_result_is_found_by_its_key_while_it_is_young),
        cmocka_unit_test(old_results_go_when_others_come),
        cmocka_unit_test(every_query_walks_an_index),
    };

    return cmocka_run_group_tests(tests, start_server, stop_server);
}
