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
