/* Writing many: batches, their limits, and PostgreSQL when it is not well. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/ledger_rig.h"

static struct pgserver *server;

#define EVERYTHING                                                    \
    "SELECT (SELECT json_agg(j ORDER BY id) FROM jobs j),"            \
    " (SELECT json_agg(a ORDER BY job_id, attempt) FROM attempts a)," \
    " (SELECT json_agg(o ORDER BY job_id, name) FROM outputs o)"

static void clear(void)
{
    pgserver_run(server, "TRUNCATE jobs, attempts, outputs");
}

static void open_rig(struct ledger_rig *lr, const struct ledger_options *opt)
{
    clear();
    ledger_rig_open(lr, pgserver_url(server), opt);
}

/* --- batches --------------------------------------------------------------------------------------- */

static void outcomes_of_one_job_are_written_in_their_order(void **state)
{
    struct ledger_rig lr;
    struct record r[4];
    struct ledger_outcome o;

    (void)state;
    open_rig(&lr, NULL);
    for (uint32_t i = 0; i < COUNT_OF(r); i++) {
        o = outcome_of(1, i == 3 ? JOB_SUCCEEDED : JOB_RETRYING, i == 0 ? 1 : i);
        record_start(&lr, &o, &r[i]); /* attempts 1, 1, 2, 3 */
    }
    assert_int_equal(ledger_held(lr.ledger), COUNT_OF(r));
    for (uint32_t i = 0; i < COUNT_OF(r); i++) {
        ledger_rig_wait(&lr, &r[i]);
        assert_int_equal(r[i].err, ERR_OK);
        assert_true(r[i].applied);
        if (i + 1 < COUNT_OF(r))
            assert_int_equal(r[i + 1].calls, 0);
    }
    assert_answer(server, "SELECT state, attempt FROM jobs", "5|3");
    assert_answer(server,
                  "SELECT string_agg(attempt::text || outcome::text, ' ' ORDER BY attempt)"
                  " FROM attempts",
                  "14 24 35");
    ledger_rig_close(&lr);
}

#define MANY 300

static void record_many(struct ledger_rig *lr, const char *const *result_json, struct record *r)
{
    struct ledger_outcome o;

    for (uint32_t i = 0; i < MANY; i++) {
        o = outcome_of(i * 7919 % MANY, i % 3 == 0 ? JOB_RETRYING : JOB_SUCCEEDED, 1);
        if (result_json != NULL)
            o.result_json = slice_str(result_json[i]);
        record_start(lr, &o, &r[i]);
    }
    for (uint32_t i = 0; i < MANY; i++)
        ledger_rig_wait(lr, &r[i]);
}

static void writing_the_same_batch_again_changes_nothing(void **state)
{
    struct ledger_rig lr;
    struct record r[MANY];
    char *before;

    (void)state;
    open_rig(&lr, NULL);
    record_many(&lr, NULL, r);
    before = pgserver_ask(server, EVERYTHING);
    record_many(&lr, NULL, r);
    for (size_t i = 0; i < MANY; i++) {
        assert_int_equal(r[i].err, ERR_OK);
        assert_true(r[i].applied);
    }
    assert_answer(server, EVERYTHING, before);
    free(before);
    ledger_rig_close(&lr);
}

static void a_bad_row_is_refused_alone(void **state)
{
    static const char *const bad[] = {"{\"a\":", "nope", "\"\\u0000\"", "{} {}"};
    const char *json[MANY];
    struct ledger_rig lr;
    struct record r[MANY];
    size_t refused = 0;

    (void)state;
    for (size_t i = 0; i < MANY; i++)
        json[i] = i % 70 == 50 ? bad[i / 70 % COUNT_OF(bad)] : "{\"ok\": true}";
    open_rig(&lr, NULL);
    record_many(&lr, json, r);
    for (size_t i = 0; i < MANY; i++) {
        refused += r[i].err == ERR_REJECTED;
        assert_int_equal(r[i].err, i % 70 == 50 ? ERR_REJECTED : ERR_OK);
        assert_int_equal(r[i].applied, i % 70 != 50);
    }
    assert_int_equal(refused, 4);
    assert_answer(server, "SELECT count(*) FROM jobs WHERE result = '{\"ok\": true}'", "296");
    assert_int_equal(ledger_held(lr.ledger), 0);
    ledger_rig_close(&lr);
}

static void a_full_batch_goes_out_before_its_time(void **state)
{
    const struct ledger_options opt = {.batch_ms = 3600000, .batch_rows = 4};
    struct ledger_rig lr;
    struct record r[5];
    struct ledger_outcome o;

    (void)state;
    open_rig(&lr, &opt);
    for (uint32_t i = 0; i < COUNT_OF(r); i++) {
        o = outcome_of(i, JOB_SUCCEEDED, 1);
        record_start(&lr, &o, &r[i]);
    }
    for (uint32_t i = 0; i < 4; i++)
        ledger_rig_wait(&lr, &r[i]);
    assert_int_equal(ledger_held(lr.ledger), 1);
    assert_int_equal(r[4].calls, 0);
    ledger_rig_close(&lr);
    assert_int_equal(r[4].calls, 1);
    assert_int_equal(r[4].err, ERR_CANCELED);
    assert_answer(server, "SELECT count(*) FROM jobs", "4");
}

static void large_items_are_spread_over_batches(void **state)
{
    struct ledger_rig lr;
    struct record r[60];
    struct ledger_outcome o;
    char *item = calloc(1, JOB_ITEM_MAX);

    (void)state;
    assert_non_null(item);
    open_rig(&lr, NULL);
    for (uint32_t i = 0; i < COUNT_OF(r); i++) {
        o = outcome_of(i, JOB_SUCCEEDED, 1);
        o.item = slice_of(item, JOB_ITEM_MAX);
        record_start(&lr, &o, &r[i]);
    }
    for (uint32_t i = 0; i < COUNT_OF(r); i++)
        ledger_rig_wait(&lr, &r[i]);
    assert_answer(
        server, "SELECT count(*), count(DISTINCT xmin::text) > 3, sum(length(item)) FROM jobs",
        "60|t|15728640");
    ledger_rig_close(&lr);
    free(item);
}

/* Both lock their rows in the order of the ids. */
static void two_ledgers_with_the_same_jobs_do_not_deadlock(void **state)
{
    struct ledger_rig a;
    struct ledger_rig b;
    struct ledger_outcome o;
    struct record r[2][MANY];

    (void)state;
    open_rig(&a, NULL);
    ledger_rig_open(&b, pgserver_url(server), NULL);
    for (uint32_t attempt = 1; attempt <= 5; attempt++) {
        for (uint32_t i = 0; i < MANY; i++) {
            o = outcome_of(i, JOB_RETRYING, attempt);
            record_start(&a, &o, &r[0][i]);
            o = outcome_of(MANY - 1 - i, JOB_RETRYING, attempt);
            record_start(&b, &o, &r[1][i]);
        }
        while (ledger_held(a.ledger) > 0 || ledger_held(b.ledger) > 0) {
            (void)uv_run(&a.rig.loop, UV_RUN_NOWAIT);
            (void)uv_run(&b.rig.loop, UV_RUN_NOWAIT);
        }
        for (uint32_t i = 0; i < MANY; i++)
            assert_true(r[0][i].applied && r[1][i].applied);
    }
    assert_answer(server, "SELECT count(*) FROM attempts", "1500");
    assert_answer(server, "SELECT sum(deadlocks) FROM pg_stat_database", "0");
    ledger_rig_close(&a);
    ledger_rig_close(&b);
}

/* --- limits and the end ------------------------------------------------------------------------------ */

static void no_more_is_held_than_the_limit(void **state)
{
    const struct ledger_options opt = {.batch_ms = 50, .max_held = 10};
    struct ledger_rig lr;
    struct record r[10];
    struct ledger_outcome o;

    (void)state;
    open_rig(&lr, &opt);
    assert_true(ledger_has_room(lr.ledger, 10));
    assert_false(ledger_has_room(lr.ledger, 11));
    for (uint32_t i = 0; i < COUNT_OF(r); i++) {
        o = outcome_of(i / 2, JOB_RETRYING,
                       1); /* those that wait behind another count as well */
        record_start(&lr, &o, &r[i]);
    }
    assert_int_equal(ledger_record(lr.ledger, &o, record_on_answer, NULL), ERR_BUSY);
    assert_false(ledger_has_room(lr.ledger, 1));
    for (uint32_t i = 0; i < COUNT_OF(r); i++)
        ledger_rig_wait(&lr, &r[i]);
    assert_true(ledger_has_room(lr.ledger, 10));
    assert_int_equal(ledger_held(lr.ledger), 0);
    ledger_rig_close(&lr);
}

static void closing_cancels_what_is_held_and_waits_for_what_is_under_way(void **state)
{
    struct ledger_rig lr;
    struct record r[MANY];
    struct ledger_outcome o;
    size_t applied = 0;
    char want[16];

    (void)state;
    open_rig(&lr, &(struct ledger_options){.batch_rows = 10, .batch_ms = 3600000});
    for (uint32_t i = 0; i < MANY; i++) {
        o = outcome_of(i / 2, JOB_RETRYING, 1);
        record_start(&lr, &o, &r[i]);
    }
    while (r[0].calls == 0)
        rig_turn(&lr.rig);
    ledger_rig_close(&lr);
    for (uint32_t i = 0; i < MANY; i += 2) {
        assert_int_equal(r[i].calls, 1);
        assert_int_equal(r[i + 1].calls, 1);
        assert_true(r[i].err == (r[i].applied ? ERR_OK : ERR_CANCELED));
        applied += r[i].applied;
    }
    assert_in_range(applied, 10, MANY / 2);
    (void)snprintf(want, sizeof want, "%zu", applied);
    assert_answer(server, "SELECT count(*) FROM jobs", want);
}

/* --- what may not be written (any more) ---------------------------------------------------------------- */

struct asked {
    struct record r;
    enum ledger_leave leave;
    unsigned times;
};

static enum ledger_leave on_asked(const void *arg)
{
    struct asked *a = (struct asked *)(uintptr_t)arg;

    a->times++;
    return a->leave;
}

static void record_asking(struct ledger_rig *lr, uint32_t n, enum ledger_leave leave,
                          struct asked *a)
{
    struct ledger_outcome o = outcome_of(n, JOB_SUCCEEDED, 1);

    *a = (struct asked){.leave = leave};
    o.leave = on_asked;
    assert_int_equal(ledger_record(lr->ledger, &o, record_on_answer, a), ERR_OK);
}

static void an_outcome_is_asked_before_it_goes_out(void **state)
{
    struct ledger_rig lr;
    struct asked dropped, doubtful, sure;

    (void)state;
    open_rig(&lr, NULL);
    record_asking(&lr, 1, LEDGER_DROP, &dropped);
    record_asking(&lr, 2, LEDGER_WAIT, &doubtful);
    record_asking(&lr, 3, LEDGER_WRITE, &sure);
    ledger_rig_wait(&lr, &dropped.r);
    assert_int_equal(dropped.r.err, ERR_CANCELED);
    while (doubtful.times < 3)
        rig_turn(&lr.rig);
    assert_int_equal(doubtful.r.calls, 0);
    assert_int_equal(ledger_held(lr.ledger), 2);
    assert_answer(server, "SELECT count(*) FROM jobs", "0");
    doubtful.leave = LEDGER_WRITE;
    ledger_rig_wait(&lr, &doubtful.r);
    ledger_rig_wait(&lr, &sure.r);
    assert_true(doubtful.r.applied && sure.r.applied);
    assert_answer(server, "SELECT count(*) FROM jobs", "2");
    ledger_rig_close(&lr);
}

static void what_was_held_while_postgres_was_away_is_asked_when_it_is_back(void **state)
{
    struct ledger_rig lr;
    struct record first;
    struct ledger_outcome o = outcome_of(9, JOB_SUCCEEDED, 1);
    struct asked held;

    (void)state;
    open_rig(&lr, NULL);
    first = record_and_wait(&lr, &o);
    assert_int_equal(first.err, ERR_OK);
    pgserver_kill(server);
    while (pg_is_up(lr.rig.pg))
        rig_turn(&lr.rig);
    record_asking(&lr, 1, LEDGER_WRITE, &held);
    for (struct fault trouble = {.err = ERR_OK}; trouble.err == ERR_OK;) {
        rig_turn(&lr.rig);
        ledger_trouble(lr.ledger, &trouble);
    }
    assert_int_equal(held.times, 0);
    held.leave = LEDGER_DROP;
    pgserver_start(server);
    ledger_rig_wait(&lr, &held.r);
    assert_int_equal(held.r.err, ERR_CANCELED);
    assert_answer(server, "SELECT count(*) FROM jobs WHERE id::text LIKE '%00000001'", "0");
    ledger_rig_close(&lr);
}

/* --- when PostgreSQL is not well ----------------------------------------------------------------------- */

#define STREAM 20000
#define WINDOW 3000

struct stream {
    struct ledger_rig lr;
    uint32_t sent, ended, refused;
    uint8_t calls[STREAM];
};

static void on_streamed(void *arg, enum err e, bool applied);

static void stream_more(struct stream *s)
{
    while (s->sent < STREAM && s->sent - s->ended < WINDOW) {
        struct ledger_outcome o = outcome_of(s->sent, JOB_SUCCEEDED, 1);

        assert_int_equal(ledger_record(s->lr.ledger, &o, on_streamed, s), ERR_OK);
        s->sent++;
    }
}

static void on_streamed(void *arg, enum err e, bool applied)
{
    struct stream *s = arg;

    s->ended++;
    s->refused += e != ERR_OK || !applied;
    stream_more(s);
}

static void killing_postgresql_loses_and_doubles_nothing(void **state)
{
    struct stream *s = calloc(1, sizeof *s);
    uint32_t kill_at = 3000;
    char url[256];

    (void)state;
    assert_non_null(s);
    clear();
    servers_format(url, sizeof url, "%s&options=-c%%20synchronous_commit%%3Don",
                   pgserver_url(server)); /* the tests' server is lax */
    ledger_rig_open(&s->lr, url, NULL);
    stream_more(s);
    while (s->ended < STREAM) {
        rig_turn(&s->lr.rig);
        if (s->ended < kill_at || kill_at > STREAM - 4000)
            continue;
        pgserver_kill(server); /* statements are under way, and answers unread */
        pgserver_start(server);
        kill_at += 5000;
    }
    assert_int_equal(s->refused, 0);
    assert_int_equal(s->ended, STREAM);
    ledger_rig_close(&s->lr);
    assert_answer(server, "SELECT count(*), count(DISTINCT id) FROM jobs WHERE state = 5",
                  "20000|20000");
    assert_answer(server, "SELECT count(*) FROM attempts", "20000");
    free(s);
}

static void without_a_schema_outcomes_are_held_until_there_is_one(void **state)
{
    struct ledger_rig lr;
    struct ledger_outcome o = outcome_of(1, JOB_SUCCEEDED, 1);
    struct fault trouble = {.err = ERR_OK};
    struct record r;
    char url[256];

    (void)state;
    pgserver_run(server, "CREATE DATABASE empty");
    servers_format(url, sizeof url, "postgresql://postgres@/empty?host=%s&port=%u",
                   pgserver_dir(server), pgserver_port(server));
    ledger_rig_open(&lr, url, NULL);
    record_start(&lr, &o, &r);
    while (trouble.err == ERR_OK) {
        rig_turn(&lr.rig);
        ledger_trouble(lr.ledger, &trouble);
    }
    assert_int_equal(r.calls, 0);
    assert_begins(trouble.text, "42P01");
    assert_int_equal(ledger_migrate(url, NULL, NULL, NULL), ERR_OK);
    ledger_rig_wait(&lr, &r);
    assert_true(r.applied);
    ledger_trouble(lr.ledger, &trouble);
    assert_int_equal(trouble.err, ERR_OK);
    ledger_rig_close(&lr);
    pgserver_run(server, "DROP DATABASE empty");
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
        cmocka_unit_test(outcomes_of_one_job_are_written_in_their_order),
        cmocka_unit_test(writing_the_same_batch_again_changes_nothing),
        cmocka_unit_test(a_bad_row_is_refused_alone),
        cmocka_unit_test(a_full_batch_goes_out_before_its_time),
        cmocka_unit_test(large_items_are_spread_over_batches),
        cmocka_unit_test(two_ledgers_with_the_same_jobs_do_not_deadlock),
        cmocka_unit_test(no_more_is_held_than_the_limit),
        cmocka_unit_test(closing_cancels_what_is_held_and_waits_for_what_is_under_way),
        cmocka_unit_test(an_outcome_is_asked_before_it_goes_out),
        cmocka_unit_test(what_was_held_while_postgres_was_away_is_asked_when_it_is_back),
        cmocka_unit_test(killing_postgresql_loses_and_doubles_nothing),
        cmocka_unit_test(without_a_schema_outcomes_are_held_until_there_is_one),
    };

    return cmocka_run_group_tests(tests, start_server, stop_server);
}
