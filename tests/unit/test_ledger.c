/* Writing: which outcome may replace which row, and that each is written once whatever happens. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "queue/ledger_internal.h"
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

/* --- one row ------------------------------------------------------------------------------------- */

static void an_outcome_is_written_with_its_attempt_and_outputs(void **state)
{
    struct ledger_rig lr;
    const struct ledger_output outputs[] = {
        {"card", "ab/cd.webp", "webp", 640, 480, 12345678901, {0xab, 0xcd}},
        {"thumb", "ab/ef.jpg", "jpeg", 160, 120, 99, {1}},
    };
    struct ledger_outcome o = outcome_of(7, JOB_DEAD, 3);

    (void)state;
    o.priority = JOB_PRIORITY_HIGH;
    o.queue = "image";
    o.type = "image";
    o.error = "TIMEOUT";
    o.error_text = SLICE_LIT("it took too long");
    o.item = SLICE_LIT("\x00\xff item");
    o.result_json = SLICE_LIT("{\"ok\": [1, null]}");
    o.has_parent = true;
    o.parent = numbered_id(1);
    o.next_attempt_ms = 1795474805123;
    o.outputs = outputs;
    o.n_outputs = COUNT_OF(outputs);
    open_rig(&lr, NULL);
    record_applied(&lr, &o);
    ledger_rig_close(&lr);

    assert_answer(
        server,
        "SELECT id, parent, state, priority, attempt, max_attempts, queue, type, worker,"
        " error, error_text, item, result FROM jobs",
        "01a20b5c-7d3e-7000-8000-000000000007|01a20b5c-7d3e-7000-8000-000000000001"
        "|6|1|3|5|image|image|host:1:a|TIMEOUT|it took too long|\\x00ff206974656d"
        "|{\"ok\": [1, null]}");
    assert_answer(server,
                  "SET timezone = 'UTC';"
                  "SELECT enqueued_at, started_at, finished_at, next_attempt_at FROM jobs",
                  "2026-11-23 23:00:00+00|2026-11-23 23:00:03+00|2026-11-23 23:00:03.5+00"
                  "|2026-11-23 23:00:05.123+00");
    assert_answer(server,
                  "SELECT right(job_id::text, 2), attempt, outcome, worker, error, error_text,"
                  " finished_at - started_at FROM attempts",
                  "07|3|6|host:1:a|TIMEOUT|it took too long|00:00:00.5");
    assert_answer(server,
                  "SELECT attempt, name, file, format, width, height, bytes,"
                  " left(encode(sha256, 'hex'), 4), length(sha256) FROM outputs ORDER BY name",
                  "3|card|ab/cd.webp|webp|640|480|12345678901|abcd|32\n"
                  "3|thumb|ab/ef.jpg|jpeg|160|120|99|0100|32");
    assert_answer(server, "SELECT state, priority, queue FROM job_list", "dead|high|image");
}

static void what_is_not_known_is_null(void **state)
{
    struct ledger_rig lr;
    struct ledger_outcome o = {.id = numbered_id(1), .state = JOB_CANCELLED};

    (void)state;
    open_rig(&lr, NULL);
    record_applied(&lr, &o);
    ledger_rig_close(&lr);
    assert_answer(server,
                  "SELECT num_nulls(parent, enqueued_at, started_at, finished_at,"
                  " next_attempt_at, error, error_text, result), queue, worker FROM jobs",
                  "8||");
    assert_answer(server, "SELECT count(*) FROM attempts", "0"); /* it was never claimed */
}

static void text_that_postgresql_would_refuse_is_mended(void **state)
{
    struct ledger_rig lr;
    struct ledger_outcome o = outcome_of(1, JOB_DEAD, 1);
    char text[LEDGER_ERROR_TEXT_MAX + 100];

    (void)state;
    open_rig(&lr, NULL);
    o.worker = "h\xc3st";
    o.error_text = SLICE_LIT("a\0b\xff\xed\xa0\x80 \xc3\xa9");
    record_applied(&lr, &o);
    assert_answer(server,
                  "SELECT worker = U&'h\\FFFDst',"
                  " error_text = U&'a\\FFFDb\\FFFD\\FFFD\\FFFD\\FFFD \\00e9' FROM jobs",
                  "t|t");
    memset(text, 'x', sizeof text);
    memcpy(text + LEDGER_ERROR_TEXT_MAX - 1, "\xc3\xa9", 2); /* the limit cuts into it */
    o = outcome_of(2, JOB_DEAD, 1);
    o.error_text = slice_of(text, sizeof text);
    record_applied(&lr, &o);
    assert_answer(server, "SELECT max(octet_length(error_text)) FROM jobs", "1999");
    ledger_rig_close(&lr);
}

/* --- which outcome replaces which row -------------------------------------------------------------- */

static const enum job_state states[] = {JOB_RETRYING, JOB_SUCCEEDED, JOB_DEAD, JOB_CANCELLED,
                                        JOB_EXPIRED};

#define ROW_ATTEMPT 3

static void put_first_row(struct ledger_rig *lr, enum job_state row)
{
    const struct ledger_output made = {"a", "first", "png", 1, 1, 1, {0}};
    struct ledger_outcome first = outcome_of(1, row, ROW_ATTEMPT);

    clear();
    first.worker = "first";
    first.outputs = &made;
    first.n_outputs = 1;
    record_applied(lr, &first);
}

/* What the table in queue/ledger_batch.c says. */
static void check_pair(struct ledger_rig *lr, enum job_state row, enum job_state state,
                       uint32_t attempt)
{
    const struct ledger_output made = {"a", "second", "png", 1, 1, 1, {0}};
    struct ledger_outcome second = outcome_of(1, state, attempt);
    bool repeat = state == row && attempt == ROW_ATTEMPT;
    bool replaces = row == JOB_RETRYING && attempt >= ROW_ATTEMPT;
    struct record r;
    char want[64];

    put_first_row(lr, row);
    second.worker = "second";
    second.enqueued_ms += 5000;
    second.outputs = &made;
    second.n_outputs = 1;
    r = record_and_wait(lr, &second);
    assert_int_equal(r.err, ERR_OK);
    if (r.applied != (repeat || replaces))
        fail_msg("%s at attempt %d, then %s at %u: applied is %d", job_state_name(row),
                 ROW_ATTEMPT, job_state_name(state), attempt, r.applied);
    (void)snprintf(want, sizeof want, "%d|%u|%s", replaces ? (int)state : (int)row,
                   replaces ? attempt : ROW_ATTEMPT, replaces ? "second" : "first");
    assert_answer(server, "SELECT state, attempt, worker FROM jobs", want);
    assert_answer(
        server,
        "SELECT worker, outcome = ANY(ARRAY[4,5,6,7,8]) FROM attempts WHERE attempt = 3",
        "first|t");
    assert_answer(server, "SELECT count(*) FROM attempts",
                  replaces && attempt > ROW_ATTEMPT ? "2" : "1");
    assert_answer(server, "SELECT file FROM outputs",
                  replaces && attempt > ROW_ATTEMPT ? "second" : "first");
    assert_answer(server, "SELECT extract(epoch FROM enqueued_at)::int8 FROM jobs",
                  "1795474800");
}

static void every_pair_of_row_and_outcome_ends_as_the_table_says(void **state)
{
    struct ledger_rig lr;

    (void)state;
    open_rig(&lr, &(struct ledger_options){.batch_ms = 1});
    for (size_t row = 0; row < COUNT_OF(states); row++) {
        for (size_t next = 0; next < COUNT_OF(states); next++) {
            for (uint32_t attempt = ROW_ATTEMPT - 1; attempt <= ROW_ATTEMPT + 1; attempt++)
                check_pair(&lr, states[row], states[next], attempt);
        }
    }
    ledger_rig_close(&lr);
}

/* A first try may commit on a connection that was given up, after its repeat has begun. */
static void a_repeat_that_waits_for_its_first_try_counts_as_applied(void **state)
{
    struct ledger_rig lr;
    struct ledger_outcome o = outcome_of(1, JOB_SUCCEEDED, 1);
    struct record r;
    PGconn *other = PQconnectdb(pgserver_url(server));
    unsigned tries = 0;
    char *blocked = NULL;

    (void)state;
    open_rig(&lr, NULL);
    PQclear(PQexec(other, "BEGIN"));
    PQclear(PQexec(other,
                   "INSERT INTO jobs (id, state, priority, attempt, max_attempts, queue, type,"
                   " worker, item) VALUES ('01a20b5c-7d3e-7000-8000-000000000001', 5, 2, 1, 5,"
                   " 'default', 'noop', 'first', '')"));
    record_start(&lr, &o, &r);
    do {
        free(blocked);
        (void)uv_run(&lr.rig.loop, UV_RUN_NOWAIT);
        servers_breathe(&tries, "the repeat to be blocked");
        blocked =
            pgserver_ask(server, "SELECT count(*) FROM pg_stat_activity WHERE"
                                 " wait_event_type = 'Lock' AND application_name = 'test'");
    } while (strcmp(blocked, "1") != 0);
    free(blocked);
    PQclear(PQexec(other, "COMMIT"));
    PQfinish(other);
    ledger_rig_wait(&lr, &r);
    assert_int_equal(r.err, ERR_OK);
    assert_true(r.applied);
    assert_answer(server, "SELECT worker FROM jobs", "first");
    ledger_rig_close(&lr);
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
        cmocka_unit_test(an_outcome_is_written_with_its_attempt_and_outputs),
        cmocka_unit_test(what_is_not_known_is_null),
        cmocka_unit_test(text_that_postgresql_would_refuse_is_mended),
        cmocka_unit_test(every_pair_of_row_and_outcome_ends_as_the_table_says),
        cmocka_unit_test(a_repeat_that_waits_for_its_first_try_counts_as_applied),
        cmocka_unit_test(outcomes_of_one_job_are_written_in_their_order),
        cmocka_unit_test(writing_the_same_batch_again_changes_nothing),
        cmocka_unit_test(a_bad_row_is_refused_alone),
        cmocka_unit_test(a_full_batch_goes_out_before_its_time),
        cmocka_unit_test(large_items_are_spread_over_batches),
        cmocka_unit_test(two_ledgers_with_the_same_jobs_do_not_deadlock),
        cmocka_unit_test(no_more_is_held_than_the_limit),
        cmocka_unit_test(closing_cancels_what_is_held_and_waits_for_what_is_under_way),
        cmocka_unit_test(killing_postgresql_loses_and_doubles_nothing),
        cmocka_unit_test(without_a_schema_outcomes_are_held_until_there_is_one),
    };

    return cmocka_run_group_tests(tests, start_server, stop_server);
}
