/* Prepared statements and binary arrays on a real PostgreSQL. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "tests/unit/pg_rig.h"
#include "tests/unit/servers.h"

static struct pgserver *server;

static struct pg_options options(unsigned connections)
{
    return (struct pg_options){.url = pgserver_url(server), .connections = connections};
}

static void open_pool(struct rig *r, unsigned connections)
{
    struct pg_options opt = options(connections);

    rig_open(r, &opt);
}

/* --- prepared statements --------------------------------------------------------------------- */

static const char count_prepared[] = "SELECT count(*) FROM pg_prepared_statements";

static void a_named_query_is_prepared_once_a_connection(void **state)
{
    struct answer a[40];
    struct rig r;

    (void)state;
    open_pool(&r, 1);
    for (unsigned i = 0; i < COUNT_OF(a); i++)
        rig_send(&r, i % 2 == 0 ? "even" : "odd", "SELECT 1", &a[i]);
    rig_wait_answers(&r, COUNT_OF(a));
    assert_string_equal(rig_ask(&r, NULL, count_prepared).cell, "2");
    rig_close(&r);
}

static void an_unprepared_pool_names_nothing(void **state)
{
    struct pg_options opt = options(1);
    struct rig r;

    (void)state;
    opt.unprepared = true;
    rig_open(&r, &opt);
    assert_string_equal(rig_ask(&r, "one", "SELECT 1").cell, "1");
    assert_string_equal(rig_ask(&r, "one", "SELECT 1").cell, "1");
    assert_string_equal(rig_ask(&r, NULL, count_prepared).cell, "0");
    rig_close(&r);
}

static void a_failed_prepare_is_forgotten(void **state)
{
    struct rig r;

    (void)state;
    open_pool(&r, 1);
    assert_begins(rig_ask(&r, "once", "SELECT count(*) FROM once").why, "42P01 ");
    pgserver_run(server, "CREATE TABLE once (n int)");
    assert_string_equal(rig_ask(&r, "once", "SELECT count(*) FROM once").cell, "0");
    assert_string_equal(rig_ask(&r, NULL, count_prepared).cell, "1");
    rig_close(&r);
}

static void those_behind_a_failed_prepare_get_errors_of_their_own(void **state)
{
    struct answer a[3];
    struct rig r;

    (void)state;
    open_pool(&r, 1);
    for (unsigned i = 0; i < COUNT_OF(a); i++)
        rig_send(&r, "soon", "SELECT count(*) FROM soon", &a[i]);
    rig_wait_answers(&r, COUNT_OF(a));
    for (unsigned i = 0; i < COUNT_OF(a); i++) {
        assert_int_equal(a[i].err, ERR_REJECTED);
        assert_begins(a[i].why, "42P01 ");
    }
    pgserver_run(server, "CREATE TABLE soon (n int)");
    assert_string_equal(rig_ask(&r, "soon", "SELECT count(*) FROM soon").cell, "0");
    assert_string_equal(rig_ask(&r, NULL, count_prepared).cell, "1");
    rig_close(&r);
}

static void a_statement_that_went_stale_is_prepared_anew_unseen(void **state)
{
    struct answer a[2];
    struct rig r;

    (void)state;
    pgserver_run(server, "CREATE TABLE shifting (v int); INSERT INTO shifting VALUES (7)");
    open_pool(&r, 1);
    assert_string_equal(rig_ask(&r, "all", "SELECT * FROM shifting").cell, "7");
    pgserver_run(server, "ALTER TABLE shifting ALTER v TYPE text USING 'seven'");
    r.answered = 0;
    rig_send(&r, "all", "SELECT * FROM shifting", &a[0]);
    rig_send(&r, "all", "SELECT * FROM shifting", &a[1]);
    rig_wait_answers(&r, 2);
    assert_string_equal(a[0].cell, "seven");
    assert_string_equal(a[1].cell, "seven");
    /* What is no fault of the statement is told. */
    assert_begins(rig_ask(&r, "feature", "SELECT DISTINCT 1 FROM shifting FOR UPDATE").why,
                  "0A000 ");
    rig_close(&r);
}

static void a_statement_lost_behind_our_back_is_prepared_anew_unseen(void **state)
{
    struct rig r;

    (void)state;
    open_pool(&r, 1);
    assert_string_equal(rig_ask(&r, "one", "SELECT 1").cell, "1");
    assert_int_equal(rig_ask(&r, NULL, "DEALLOCATE ALL").err, ERR_OK);
    assert_string_equal(rig_ask(&r, "one", "SELECT 1").cell, "1"); /* unnamed */
    assert_string_equal(rig_ask(&r, NULL, count_prepared).cell, "0");
    assert_string_equal(rig_ask(&r, "one", "SELECT 1").cell, "1");
    assert_string_equal(rig_ask(&r, NULL, count_prepared).cell, "1");
    rig_close(&r);
}

/* --- binary arrays --------------------------------------------------------------------------- */

enum { ROWS = 1000, COLUMNS = 8 };

static void fill_row(struct pg_array *a, unsigned i)
{
    char text[32];
    uint8_t uuid[16] = {0};

    (void)snprintf(text, sizeof text, "row %u \xc3\xa9", i);
    uuid[0] = (uint8_t)(i >> 8);
    uuid[15] = (uint8_t)i;
    pg_array_i64(&a[0], i);
    if (i % 3 == 0) {
        for (unsigned k = 1; k < COLUMNS; k++)
            pg_array_null(&a[k]);
        return;
    }
    pg_array_bytes(&a[1], text, strlen(text));
    pg_array_bytes(&a[2], "\0\xff\0", 3);
    pg_array_bytes(&a[3], uuid, sizeof uuid);
    (void)snprintf(text, sizeof text, "{\"n\": %u}", i);
    pg_array_jsonb(&a[4], text, strlen(text));
    pg_array_wall_ms(&a[5], i % 3 == 1 ? 0 : 1700000000000 + i);
    pg_array_i32(&a[6], -(int32_t)i);
    pg_array_i16(&a[7], (int16_t)i);
}

static const Oid elements[COLUMNS] = {PG_OID_INT8, PG_OID_TEXT,  PG_OID_BYTEA,
                                      PG_OID_UUID, PG_OID_JSONB, PG_OID_TIMESTAMPTZ,
                                      PG_OID_INT4, PG_OID_INT2};
static const Oid types[COLUMNS] = {
    PG_OID_INT8_ARRAY,  PG_OID_TEXT_ARRAY,        PG_OID_BYTEA_ARRAY, PG_OID_UUID_ARRAY,
    PG_OID_JSONB_ARRAY, PG_OID_TIMESTAMPTZ_ARRAY, PG_OID_INT4_ARRAY,  PG_OID_INT2_ARRAY};
static const char insert_wide[] =
    "INSERT INTO wide SELECT * FROM unnest($1::int8[], $2::text[], $3::bytea[], "
    "$4::uuid[], $5::jsonb[], $6::timestamptz[], $7::int4[], $8::int2[])";
static const char check_wide[] =
    "SELECT count(*), count(t), count(at), "
    "bool_and(CASE WHEN n % 3 = 0 THEN "
    "  t IS NULL AND b IS NULL AND u IS NULL AND j IS NULL AND at IS NULL AND i IS NULL "
    "  AND s IS NULL "
    "ELSE t = 'row ' || n || ' é' AND b = '\\x00ff00' "
    "  AND u = (lpad(to_hex(n / 256), 2, '0') || repeat('0', 28) "
    "           || lpad(to_hex(n % 256), 2, '0'))::uuid "
    "  AND j = jsonb_build_object('n', n) AND i = -n AND s = n "
    "  AND (at = to_timestamp((1700000000000 + n) / 1000.0)) IS DISTINCT FROM false "
    "END) FROM wide";

static void a_thousand_rows_go_in_as_binary_arrays(void **state)
{
    const char *values[COLUMNS];
    int lengths[COLUMNS], formats[COLUMNS];
    struct pg_array a[COLUMNS];
    struct answer got;
    struct rig r;
    char *said;

    (void)state;
    pgserver_run(server, "CREATE TABLE wide (n int8, t text, b bytea, u uuid, j jsonb, "
                         "at timestamptz, i int4, s int2)");
    for (unsigned k = 0; k < COLUMNS; k++)
        pg_array_init(&a[k], elements[k]);
    for (unsigned i = 0; i < ROWS; i++)
        fill_row(a, i);
    for (unsigned k = 0; k < COLUMNS; k++) {
        struct slice s = pg_array_end(&a[k]);

        values[k] = s.ptr;
        lengths[k] = (int)s.len;
        formats[k] = 1;
    }
    open_pool(&r, 1);
    assert_int_equal(rig_query(&r,
                               &(const struct pg_query){.name = "wide",
                                                        .sql = insert_wide,
                                                        .n = COLUMNS,
                                                        .types = types,
                                                        .values = values,
                                                        .lengths = lengths,
                                                        .formats = formats},
                               &got),
                     ERR_OK);
    for (unsigned k = 0; k < COLUMNS; k++)
        pg_array_done(&a[k]);
    rig_wait_answers(&r, 1);
    assert_string_equal(got.why, "");
    rig_close(&r);
    said = pgserver_ask(server, check_wide);
    assert_string_equal(said, "1000|666|333|t");
    free(said);
}

static void an_array_that_failed_is_refused_by_the_server(void **state)
{
    struct pg_array a;
    struct slice s;
    struct answer got;
    struct rig r;

    (void)state;
    pg_array_init(&a, PG_OID_INT8);
    pg_array_bytes(&a, "x", (size_t)PG_QUERY_MAX + 1);
    s = pg_array_end(&a);
    open_pool(&r, 1);
    assert_int_equal(rig_query(&r,
                               &(const struct pg_query){.sql = "SELECT unnest($1::int8[])",
                                                        .n = 1,
                                                        .values = &s.ptr,
                                                        .lengths = (const int[]){(int)s.len},
                                                        .formats = (const int[]){1}},
                               &got),
                     ERR_OK);
    rig_wait_answers(&r, 1);
    assert_int_equal(got.err, ERR_BUSY);
    pg_array_done(&a);
    rig_close(&r);
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
        cmocka_unit_test(a_named_query_is_prepared_once_a_connection),
        cmocka_unit_test(an_unprepared_pool_names_nothing),
        cmocka_unit_test(a_failed_prepare_is_forgotten),
        cmocka_unit_test(those_behind_a_failed_prepare_get_errors_of_their_own),
        cmocka_unit_test(a_statement_that_went_stale_is_prepared_anew_unseen),
        cmocka_unit_test(a_statement_lost_behind_our_back_is_prepared_anew_unseen),
        cmocka_unit_test(a_thousand_rows_go_in_as_binary_arrays),
        cmocka_unit_test(an_array_that_failed_is_refused_by_the_server),
    };

    if (!pgserver_installed()) {
        (void)puts("skipped: PostgreSQL is not installed");
        return 0;
    }
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
