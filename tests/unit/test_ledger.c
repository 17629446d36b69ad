/* Writing one: what a row holds, and which outcome may replace which. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "queue/ledger_internal.h"
#include "tests/unit/ledger_rig.h"

static struct pgserver *server;

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
    text[LEDGER_ERROR_TEXT_MAX - 1] = '\xc3'; /* the limit cuts into an é */
    text[LEDGER_ERROR_TEXT_MAX] = '\xa9';
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

static void put_first_row(struct ledger_rig *lr, uint32_t job, enum job_state row)
{
    const struct ledger_output made = {"a", "first", "png", 1, 1, 1, {0}};
    struct ledger_outcome first = outcome_of(job, row, ROW_ATTEMPT);

    first.worker = "first";
    first.outputs = &made;
    first.n_outputs = 1;
    record_applied(lr, &first);
}

/* Of one job: its row, all its attempts, its output. */
#define WHAT_IS_THERE                                                            \
    "SELECT state, attempt, worker, extract(epoch FROM enqueued_at)::int8,"      \
    " (SELECT string_agg(a.attempt || ' ' || a.outcome || ' ' || a.worker, ', '" \
    " ORDER BY a.attempt) FROM attempts a WHERE job_id = id),"                   \
    " (SELECT file FROM outputs WHERE job_id = id)"                              \
    " FROM jobs WHERE id = '01a20b5c-7d3e-7000-8000-%012x'"

/* What the table in queue/ledger_batch.c says. */
static void check_pair(struct ledger_rig *lr, uint32_t job, enum job_state row,
                       const struct ledger_outcome *second)
{
    bool repeat = second->state == row && second->attempt == ROW_ATTEMPT;
    bool replaces = row == JOB_RETRYING && second->attempt >= ROW_ATTEMPT;
    bool later = replaces && second->attempt > ROW_ATTEMPT;
    struct record r;
    char sql[512];
    char want[128];
    char more[32] = "";

    put_first_row(lr, job, row);
    r = record_and_wait(lr, second);
    assert_int_equal(r.err, ERR_OK);
    if (r.applied != (repeat || replaces))
        fail_msg("%s at attempt %d, then %s at %u: applied is %d", job_state_name(row),
                 ROW_ATTEMPT, job_state_name(second->state), second->attempt, r.applied);
    if (later)
        servers_format(more, sizeof more, ", %u %d second", second->attempt, second->state);
    servers_format(want, sizeof want, "%d|%u|%s|1795474800|%d %d first%s|%s",
                   replaces ? second->state : row, replaces ? second->attempt : ROW_ATTEMPT,
                   replaces ? "second" : "first", ROW_ATTEMPT, row, more,
                   later ? "second" : "first");
    servers_format(sql, sizeof sql, WHAT_IS_THERE, job);
    assert_answer(server, sql, want);
}

static void every_pair_of_row_and_outcome_ends_as_the_table_says(void **state)
{
    const struct ledger_output made = {"a", "second", "png", 1, 1, 1, {0}};
    struct ledger_rig lr;
    uint32_t job = 0;

    (void)state;
    open_rig(&lr, &(struct ledger_options){.batch_ms = 1});
    for (size_t row = 0; row < COUNT_OF(states); row++) {
        for (size_t next = 0; next < COUNT_OF(states) * 3; next++) {
            struct ledger_outcome second =
                outcome_of(++job, states[next / 3], ROW_ATTEMPT - 1 + (uint32_t)(next % 3));

            second.worker = "second";
            second.enqueued_ms += 5000;
            second.outputs = &made;
            second.n_outputs = 1;
            check_pair(&lr, job, states[row], &second);
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
    };

    return cmocka_run_group_tests(tests, start_server, stop_server);
}
