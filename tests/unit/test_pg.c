/* Queries on a real PostgreSQL that stays up. */
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

/* --- many at once ---------------------------------------------------------------------------- */

static void each_of_many_queries_gets_its_own_answer(void **state)
{
    enum { MANY = 500 };
    static struct answer answers[MANY];
    struct rig r;

    (void)state;
    open_pool(&r, 3);
    for (unsigned i = 0; i < MANY; i++) {
        char number[16];
        const char *const values[] = {number};
        const struct pg_query q = {.name = i % 2 == 0 ? "twice" : NULL,
                                   .sql = "SELECT 2 * $1::int8",
                                   .n = 1,
                                   .values = values};

        (void)snprintf(number, sizeof number, "%u", i);
        assert_int_equal(rig_query(&r, &q, &answers[i]), ERR_OK);
        assert_int_equal(pg_pending(r.pg), i + 1);
    }
    rig_wait_answers(&r, MANY);
    assert_int_equal(pg_pending(r.pg), 0);
    for (unsigned i = 0; i < MANY; i++) {
        assert_int_equal(answers[i].calls, 1);
        assert_int_equal(answers[i].err, ERR_OK);
        assert_int_equal(strtoul(answers[i].cell, NULL, 10), 2 * i);
    }
    rig_close(&r);
}

static void a_query_never_calls_back_from_inside_its_start(void **state)
{
    struct answer a;
    struct rig r;

    (void)state;
    open_pool(&r, 1);
    rig_send(&r, NULL, "SELECT 1", &a);
    assert_int_equal(a.calls, 0);
    rig_wait_answers(&r, 1);
    rig_close(&r);
}

static void the_queries_of_a_burst_are_shared_out(void **state)
{
    struct answer a[8];
    struct rig r;

    (void)state;
    open_pool(&r, 2);
    /* Wait for the second connection too. */
    while (strcmp(rig_ask(&r, NULL,
                          "SELECT count(*) FROM pg_stat_activity WHERE backend_type = "
                          "'client backend'")
                      .cell,
                  "2") != 0)
        rig_turn(&r);
    r.answered = 0;
    for (unsigned i = 0; i < COUNT_OF(a); i++)
        rig_send(&r, NULL, "SELECT pg_backend_pid()", &a[i]);
    rig_wait_answers(&r, COUNT_OF(a));
    for (unsigned i = 2; i < COUNT_OF(a); i++)
        assert_string_equal(a[i].cell, a[i % 2].cell);
    assert_string_not_equal(a[0].cell, a[1].cell);
    rig_close(&r);
}

static void a_full_line_refuses(void **state)
{
    struct pg_options opt = options(1);
    const struct pg_query q = {.sql = "SELECT 1"};
    struct answer a[9];
    struct rig r;

    (void)state;
    opt.max_waiting = 2;
    opt.pipeline = 3;
    rig_new(&r, &opt);
    assert_int_equal(rig_query(&r, &q, &a[0]), ERR_OK);
    assert_int_equal(rig_query(&r, &q, &a[1]), ERR_OK);
    assert_int_equal(rig_query(&r, &q, &a[2]), ERR_BUSY);
    pg_start(r.pg, rig_on_state, &r);
    rig_wait_answers(&r, 2);
    /* Up and idle: the connection's room counts too. */
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(rig_query(&r, &q, &a[3 + i]), ERR_OK);
    assert_int_equal(rig_query(&r, &q, &a[8]), ERR_BUSY);
    rig_wait_answers(&r, 7);
    assert_int_equal(a[2].calls + a[8].calls, 0);
    rig_close(&r);
}

static void values_too_big_are_refused_at_the_start(void **state)
{
    const char *const values[] = {"x"};
    const int lengths[] = {(int)PG_QUERY_MAX + 1};
    const int formats[] = {1};
    const struct pg_query q = {
        .sql = "SELECT $1", .n = 1, .values = values, .lengths = lengths, .formats = formats};
    struct answer a;
    struct rig r;

    (void)state;
    open_pool(&r, 1);
    assert_int_equal(rig_query(&r, &q, &a), ERR_TOO_BIG);
    assert_int_equal(pg_pending(r.pg), 0);
    rig_close(&r);
}

static void megabytes_go_both_ways(void **state)
{
    enum { SIZE = 24 << 20 };
    char *big = malloc(SIZE + 1);
    const char *const values[] = {big};
    const struct pg_query q = {
        .sql = "SELECT length($1::text), repeat('y', 8000000)", .n = 1, .values = values};
    struct answer a, behind;
    struct rig r;

    (void)state;
    assert_non_null(big);
    memset(big, 'x', SIZE);
    big[SIZE] = '\0';
    open_pool(&r, 1);
    assert_int_equal(rig_query(&r, &q, &a), ERR_OK);
    rig_send(&r, NULL, "SELECT 'behind'", &behind);
    memset(big, 'z', SIZE); /* it was copied */
    free(big);
    rig_wait_answers(&r, 2);
    assert_string_equal(a.cell, "25165824");
    assert_string_equal(behind.cell, "behind");
    rig_close(&r);
}

/* --- errors ---------------------------------------------------------------------------------- */

static void an_error_leaves_its_neighbours_alone(void **state)
{
    struct answer a[5];
    struct rig r;

    (void)state;
    open_pool(&r, 1);
    rig_send(&r, "one", "SELECT 1", &a[0]);
    rig_send(&r, "bad", "SELECT 1 / 0", &a[1]);
    rig_send(&r, "one", "SELECT 1", &a[2]);
    rig_send(&r, NULL, "SELEKT", &a[3]);
    rig_send(&r, NULL, "SELECT 5", &a[4]);
    rig_wait_answers(&r, 5);
    assert_string_equal(a[0].cell, "1");
    assert_int_equal(a[1].err, ERR_REJECTED);
    assert_string_equal(a[1].why, "22012 division by zero");
    assert_string_equal(a[2].cell, "1");
    assert_int_equal(a[3].err, ERR_REJECTED);
    assert_begins(a[3].why, "42601 ");
    assert_string_equal(a[4].cell, "5");
    assert_int_equal(r.downs, 0);
    rig_close(&r);
}

static void the_sqlstate_says_whether_to_come_again(void **state)
{
    static const struct {
        const char *sqlstate;
        enum err want;
    } cases[] = {
        {"22001", ERR_REJECTED}, {"23505", ERR_REJECTED}, {"42P01", ERR_REJECTED},
        {"25001", ERR_REJECTED}, {"P0001", ERR_REJECTED}, {"XX000", ERR_REJECTED},
        {"55000", ERR_REJECTED}, {"08006", ERR_BUSY},     {"40001", ERR_BUSY},
        {"40P01", ERR_BUSY},     {"53100", ERR_BUSY},     {"53300", ERR_BUSY},
        {"57014", ERR_BUSY},     {"57P01", ERR_BUSY},     {"58030", ERR_BUSY},
        {"25006", ERR_BUSY},     {"55006", ERR_BUSY},     {"55P03", ERR_BUSY},
    };
    struct rig r;

    (void)state;
    open_pool(&r, 1);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char sql[128];
        struct answer a;

        (void)snprintf(sql, sizeof sql,
                       "DO $$ BEGIN RAISE EXCEPTION 'so be it' USING ERRCODE = '%s'; END $$",
                       cases[i].sqlstate);
        a = rig_ask(&r, NULL, sql);
        assert_int_equal(a.err, cases[i].want);
        assert_begins(a.why, cases[i].sqlstate);
        assert_string_equal(a.why + 5, " so be it");
    }
    rig_close(&r);
}

static void a_query_that_fails_at_its_commit_has_failed(void **state)
{
    struct answer a, b;
    struct rig r;

    (void)state;
    pgserver_run(server, "CREATE TABLE late (n int UNIQUE DEFERRABLE INITIALLY DEFERRED);"
                         "INSERT INTO late VALUES (1)");
    open_pool(&r, 1);
    rig_send(&r, "late", "INSERT INTO late VALUES (1)", &a);
    rig_send(&r, NULL, "SELECT count(*) FROM late", &b);
    rig_wait_answers(&r, 2);
    assert_int_equal(a.err, ERR_REJECTED);
    assert_begins(a.why, "23505 ");
    assert_string_equal(b.cell, "1");
    rig_close(&r);
}

static void what_cannot_be_pipelined_is_refused(void **state)
{
    struct answer a;
    struct rig r;

    (void)state;
    open_pool(&r, 1);
    a = rig_ask(&r, "empty", "");
    assert_int_equal(a.err, ERR_REJECTED);
    assert_string_equal(a.why, "42601 the query is empty");
    a = rig_ask(&r, NULL, "COPY (SELECT 1) TO STDOUT");
    assert_int_equal(a.err, ERR_REJECTED);
    assert_begins(a.why, "0A000 ");
    a = rig_ask(&r, NULL, "SELECT 'goes on'");
    assert_string_equal(a.cell, "goes on");
    rig_close(&r);
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
    struct answer a[3];
    struct rig r;

    (void)state;
    open_pool(&r, 1);
    for (unsigned i = 0; i < COUNT_OF(a); i++)
        rig_send(&r, "soon", "SELECT count(*) FROM soon", &a[i]);
    rig_wait_answers(&r, COUNT_OF(a));
    for (unsigned i = 0; i < COUNT_OF(a); i++) {
        /* Those behind the first relied on its Prepare, and yet get an error of their own. */
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

static void a_thousand_rows_go_in_as_binary_arrays(void **state)
{
    static const Oid elements[COLUMNS] = {PG_OID_INT8, PG_OID_TEXT,  PG_OID_BYTEA,
                                          PG_OID_UUID, PG_OID_JSONB, PG_OID_TIMESTAMPTZ,
                                          PG_OID_INT4, PG_OID_INT2};
    static const Oid types[COLUMNS] = {
        PG_OID_INT8_ARRAY,  PG_OID_TEXT_ARRAY,        PG_OID_BYTEA_ARRAY, PG_OID_UUID_ARRAY,
        PG_OID_JSONB_ARRAY, PG_OID_TIMESTAMPTZ_ARRAY, PG_OID_INT4_ARRAY,  PG_OID_INT2_ARRAY};
    static const char insert[] =
        "INSERT INTO wide SELECT * FROM unnest($1::int8[], $2::text[], $3::bytea[], "
        "$4::uuid[], $5::jsonb[], $6::timestamptz[], $7::int4[], $8::int2[])";
    static const char check[] =
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
                                                        .sql = insert,
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
    said = pgserver_ask(server, check);
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

/* --- settings and logs ----------------------------------------------------------------------- */

static void the_application_is_named_unless_the_url_does(void **state)
{
    static const char ask[] = "SELECT current_setting('application_name') || ' ' || "
                              "current_setting('client_encoding')";
    struct pg_options opt = options(1);
    char url[512];
    struct rig r;

    (void)state;
    opt.application = "millrace-test";
    rig_open(&r, &opt);
    assert_string_equal(rig_ask(&r, NULL, ask).cell, "millrace-test UTF8");
    rig_close(&r);
    (void)snprintf(url, sizeof url, "%s&application_name=mine&client_encoding=LATIN1",
                   pgserver_url(server));
    opt.url = url;
    rig_open(&r, &opt);
    assert_string_equal(rig_ask(&r, NULL, ask).cell, "mine UTF8");
    rig_close(&r);
}

static void a_bad_url_is_refused_without_being_quoted(void **state)
{
    static const struct {
        const char *url, *want;
    } cases[] = {
        {"host=x passphrase", "***"},
        {"postgresql://u:s3cret@[::1/db", "***"},
        {"postgresql://u:s3cret%zz@h/db", "***"},
        {"postgresql://u:s3cret@h/db?nonsense=s3cret", "***"},
        {"host='s3cret", "unterminated"},
        {"host=a,b port=1,2,3 password=s3cret", "3 ports for 2 hosts"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct pg_options opt = {.url = cases[i].url};
        struct fault why;
        struct pg *p = NULL;
        uv_loop_t loop;

        assert_int_equal(uv_loop_init(&loop), 0);
        assert_int_equal(pg_new(&loop, &opt, &p, &why), ERR_MALFORMED);
        assert_null(p);
        assert_int_equal(why.err, ERR_MALFORMED);
        assert_holds(why.text, cases[i].want);
        assert_null(strstr(why.text, "s3cret"));
        assert_null(strstr(why.text, "passphrase"));
        assert_int_equal(uv_loop_close(&loop), 0);
    }
}

struct heard {
    unsigned notices;
    char text[512];
};

static void hear(void *arg, const char *line, size_t len)
{
    struct heard *h = arg;

    if (memmem(line, len, "pg.notice", 9) == NULL)
        return;
    h->notices++;
    (void)snprintf(h->text, sizeof h->text, "%.*s", (int)len, line);
}

static void notices_go_to_the_log(void **state)
{
    struct heard heard = {0};
    struct rig r;

    (void)state;
    log_setup("test", LOG_DEBUG, LOG_FORMAT_JSON);
    log_capture(hear, &heard);
    open_pool(&r, 1);
    assert_int_equal(rig_ask(&r, NULL, "DO $$ BEGIN RAISE NOTICE E'hear\\nye'; END $$").err,
                     ERR_OK);
    rig_close(&r);
    log_capture(NULL, NULL);
    log_setup("test", LOG_OFF, LOG_FORMAT_JSON);
    assert_int_equal(heard.notices, 1);
    assert_holds(heard.text, "hear ye");
}

/* --- callbacks and close --------------------------------------------------------------------- */

struct chain {
    struct rig *rig;
    unsigned left, canceled;
};

static void ask_next(void *arg, enum err e, const PGresult *res, const struct fault *why)
{
    static const struct pg_query q = {.name = "chain", .sql = "SELECT 1"};
    struct chain *c = arg;

    (void)res;
    (void)why;
    assert_int_equal(e, ERR_OK);
    if (c->left-- > 0)
        assert_int_equal(pg_query(c->rig->pg, &q, ask_next, c), ERR_OK);
}

static void a_callback_may_ask_again(void **state)
{
    struct chain chain = {.left = 100};
    struct rig r;

    (void)state;
    open_pool(&r, 1);
    chain.rig = &r;
    ask_next(&chain, ERR_OK, NULL, NULL);
    while (pg_pending(r.pg) > 0)
        rig_turn(&r);
    rig_close(&r);
}

static void close_pool(void *arg, enum err e, const PGresult *res, const struct fault *why)
{
    struct chain *c = arg;

    (void)why;
    assert_int_equal(e, ERR_OK);
    pg_close(&c->rig->pg, rig_on_closed, c->rig);
    assert_string_equal(PQgetvalue(res, 0, 0), "1"); /* still there */
}

static void expect_canceled(void *arg, enum err e, const PGresult *res, const struct fault *why)
{
    struct chain *c = arg;

    assert_int_equal(e, ERR_CANCELED);
    assert_null(res);
    assert_int_equal(why->err, ERR_CANCELED);
    assert_int_equal(c->rig->closed, 0);
    c->canceled++;
}

static void a_callback_may_close_the_pool(void **state)
{
    static const struct pg_query q = {.sql = "SELECT 1"};
    struct chain chain = {0};
    struct rig r;

    (void)state;
    open_pool(&r, 1);
    chain.rig = &r;
    assert_int_equal(pg_query(r.pg, &q, close_pool, &chain), ERR_OK);
    for (unsigned i = 0; i < 30; i++) /* in flight and in line */
        assert_int_equal(pg_query(r.pg, &q, expect_canceled, &chain), ERR_OK);
    while (r.pg != NULL)
        rig_turn(&r);
    rig_close(&r);
    assert_int_equal(chain.canceled, 30);
}

static void close_cancels_what_is_pending_from_the_loop(void **state)
{
    static const struct pg_query q = {.sql = "SELECT pg_sleep(60)"};
    struct chain chain = {0};
    struct rig r;

    (void)state;
    open_pool(&r, 2);
    chain.rig = &r;
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(pg_query(r.pg, &q, expect_canceled, &chain), ERR_OK);
    rig_turn(&r);
    pg_close(&r.pg, rig_on_closed, &r);
    assert_int_equal(chain.canceled, 0);
    rig_close(&r);
    assert_int_equal(chain.canceled, 100);
}

/* --- deadlines ------------------------------------------------------------------------------- */

static void a_late_query_costs_its_connection_and_no_more(void **state)
{
    static const struct pg_query late = {.sql = "SELECT pg_sleep(60)", .deadline_ms = 30};
    struct answer a, beside, waiting, next;
    struct pg_options opt = options(1);
    struct rig r;

    (void)state;
    opt.pipeline = 2;
    rig_open(&r, &opt);
    assert_int_equal(rig_query(&r, &late, &a), ERR_OK);
    rig_send(&r, NULL, "SELECT 'beside'", &beside);
    rig_send(&r, NULL, "SELECT 'waiting'", &waiting);
    rig_wait_answers(&r, 3);
    assert_int_equal(a.err, ERR_TIMEOUT);
    assert_int_equal(beside.err, ERR_UNREACHABLE);
    assert_string_equal(waiting.cell, "waiting"); /* on the next connection */
    assert_int_equal(r.downs, 1);
    assert_int_equal(r.ups, 2);
    next = rig_ask(&r, NULL, "SELECT 'next'");
    assert_string_equal(next.cell, "next");
    rig_close(&r);
}

static void a_query_in_line_ends_at_its_deadline(void **state)
{
    static const struct pg_query slow = {.sql = "SELECT pg_sleep(60)"};
    static const struct pg_query brief = {.sql = "SELECT 1", .deadline_ms = 30};
    struct answer a, b;
    struct pg_options opt = options(1);
    struct rig r;

    (void)state;
    opt.pipeline = 1;
    rig_open(&r, &opt);
    assert_int_equal(rig_query(&r, &slow, &a), ERR_OK);
    assert_int_equal(rig_query(&r, &brief, &b), ERR_OK);
    rig_wait_answers(&r, 1);
    assert_int_equal(a.calls, 0);
    assert_int_equal(b.err, ERR_TIMEOUT);
    assert_holds(b.why, "had room");
    assert_int_equal(r.downs, 0);
    rig_close(&r);
    assert_int_equal(a.err, ERR_CANCELED);
}

static void an_answer_that_lies_in_the_socket_is_not_late(void **state)
{
    static const struct pg_query q = {.sql = "SELECT 'in time'", .deadline_ms = 20};
    struct answer a;
    struct rig r;
    uint64_t due_ns;

    (void)state;
    open_pool(&r, 1);
    assert_int_equal(rig_query(&r, &q, &a), ERR_OK);
    (void)uv_run(&r.loop, UV_RUN_NOWAIT);
    /* This process stands still until the deadline is over, and the server has answered others. */
    due_ns = uv_hrtime() + 40 * 1000000ULL;
    do
        pgserver_run(server, "SELECT 1");
    while (uv_hrtime() < due_ns);
    rig_wait_answers(&r, 1);
    assert_string_equal(a.cell, "in time");
    assert_int_equal(r.downs, 0);
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
        cmocka_unit_test(each_of_many_queries_gets_its_own_answer),
        cmocka_unit_test(a_query_never_calls_back_from_inside_its_start),
        cmocka_unit_test(the_queries_of_a_burst_are_shared_out),
        cmocka_unit_test(a_full_line_refuses),
        cmocka_unit_test(values_too_big_are_refused_at_the_start),
        cmocka_unit_test(megabytes_go_both_ways),
        cmocka_unit_test(an_error_leaves_its_neighbours_alone),
        cmocka_unit_test(the_sqlstate_says_whether_to_come_again),
        cmocka_unit_test(a_query_that_fails_at_its_commit_has_failed),
        cmocka_unit_test(what_cannot_be_pipelined_is_refused),
        cmocka_unit_test(a_named_query_is_prepared_once_a_connection),
        cmocka_unit_test(an_unprepared_pool_names_nothing),
        cmocka_unit_test(a_failed_prepare_is_forgotten),
        cmocka_unit_test(a_statement_that_went_stale_is_prepared_anew_unseen),
        cmocka_unit_test(a_statement_lost_behind_our_back_is_prepared_anew_unseen),
        cmocka_unit_test(a_thousand_rows_go_in_as_binary_arrays),
        cmocka_unit_test(an_array_that_failed_is_refused_by_the_server),
        cmocka_unit_test(the_application_is_named_unless_the_url_does),
        cmocka_unit_test(a_bad_url_is_refused_without_being_quoted),
        cmocka_unit_test(notices_go_to_the_log),
        cmocka_unit_test(a_callback_may_ask_again),
        cmocka_unit_test(a_callback_may_close_the_pool),
        cmocka_unit_test(close_cancels_what_is_pending_from_the_loop),
        cmocka_unit_test(a_late_query_costs_its_connection_and_no_more),
        cmocka_unit_test(a_query_in_line_ends_at_its_deadline),
        cmocka_unit_test(an_answer_that_lies_in_the_socket_is_not_late),
    };

    if (!pgserver_installed()) {
        (void)puts("skipped: PostgreSQL is not installed");
        return 0;
    }
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
