/* Migrations and monthly partitions, also when two programs come at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/ledger_rig.h"

static struct pgserver *server;
static char url[256]; /* of a database of this test alone */

/* --- a database for each test ---------------------------------------------------------------------- */

static int make_database(void **state)
{
    (void)state;
    pgserver_run(server, "CREATE DATABASE mine");
    servers_format(url, sizeof url,
                   "postgresql://postgres@/mine?host=%s&port=%u"
                   "&options=-c%%20client_min_messages%%3Dwarning",
                   pgserver_dir(server), pgserver_port(server));
    return 0;
}

static int drop_database(void **state)
{
    (void)state;
    pgserver_run(server, "DROP DATABASE mine WITH (FORCE)");
    return 0;
}

/* The first column of the first row, to be freed. */
static char *ask(const char *sql)
{
    PGconn *conn = PQconnectdb(url);
    PGresult *res = PQexec(conn, sql);
    char *got;

    if (PQresultStatus(res) != PGRES_TUPLES_OK && PQresultStatus(res) != PGRES_COMMAND_OK)
        fail_msg("%s\n%s", sql, PQerrorMessage(conn));
    got = strdup(PQntuples(res) > 0 ? PQgetvalue(res, 0, 0) : "");
    assert_non_null(got);
    PQclear(res);
    PQfinish(conn);
    return got;
}

static void run(const char *sql)
{
    free(ask(sql));
}

static void assert_says(const char *sql, const char *want)
{
    char *got = ask(sql);

    if (strcmp(got, want) != 0)
        fail_msg("%s\n  gives: %s\n  want:  %s", sql, got, want);
    free(got);
}

struct said {
    unsigned lines;
    char last[96];
};

static void on_line(void *arg, const char *line)
{
    struct said *said = arg;

    said->lines++;
    servers_format(said->last, sizeof said->last, "%s", line);
}

static void migrate(unsigned want_lines)
{
    struct said said = {.lines = 0};
    struct fault why = {.text = ""};

    if (ledger_migrate(url, on_line, &said, &why) != ERR_OK)
        fail_msg("%s", why.text);
    assert_int_equal(said.lines, want_lines);
}

/* Runs fn in so many processes at once; each must give true. */
static void in_processes(unsigned n, bool (*fn)(void))
{
    pid_t pids[8];
    int status;

    assert_true(n <= COUNT_OF(pids));
    for (unsigned i = 0; i < n; i++) {
        pids[i] = fork();
        assert_int_not_equal(pids[i], -1);
        if (pids[i] == 0)
            _exit(fn() ? 0 : 1);
    }
    for (unsigned i = 0; i < n; i++) {
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_int_equal(status, 0);
    }
}

/* --- versions -------------------------------------------------------------------------------------- */

struct version_answer {
    unsigned calls, version;
    enum err err;
};

static void on_version(void *arg, enum err e, unsigned version)
{
    struct version_answer *a = arg;

    a->calls++;
    a->err = e;
    a->version = version;
}

static unsigned ask_version(void)
{
    struct version_answer a = {.calls = 0};
    struct rig rig;

    rig_open(&rig, &(struct pg_options){.url = url});
    assert_int_equal(ledger_version(rig.pg, on_version, &a), ERR_OK);
    while (a.calls == 0)
        rig_turn(&rig);
    rig_close(&rig);
    assert_int_equal(a.err, ERR_OK);
    return a.version;
}

static void migrating_twice_applies_each_file_once(void **state)
{
    (void)state;
    assert_int_equal(ask_version(), 0);
    migrate(ledger_version_wanted());
    assert_int_equal(ask_version(), ledger_version_wanted());
    migrate(0);
    assert_says("SELECT string_agg(version || ' ' || name, ', ' ORDER BY version) FROM"
                " millrace_migrations",
                "1 jobs, 2 partitions, 3 redrive, 4 image_results, 5 recipes, "
                "6 outputs_by_content");
}

static bool migrate_quietly(void)
{
    struct fault why;

    if (ledger_migrate(url, NULL, NULL, &why) == ERR_OK)
        return true;
    (void)fprintf(stderr, "%s\n", why.text);
    return false;
}

static void programs_that_migrate_at_once_apply_each_file_once(void **state)
{
    (void)state;
    in_processes(4, migrate_quietly);
    assert_says("SELECT count(*) FROM millrace_migrations", "6");
    assert_int_equal(ask_version(), ledger_version_wanted());
}

static void a_file_that_was_missed_is_applied_later(void **state)
{
    (void)state;
    migrate(ledger_version_wanted());
    run("DELETE FROM millrace_migrations WHERE version = 1");
    run("DROP TABLE jobs, attempts, outputs CASCADE");
    migrate(1);
    assert_says("SELECT count(*) FROM millrace_migrations", "6");
}

static void a_changed_file_is_an_error(void **state)
{
    struct fault why = {.text = ""};

    (void)state;
    migrate(ledger_version_wanted());
    run("UPDATE millrace_migrations SET checksum = repeat('0', 64) WHERE version = 1");
    assert_int_equal(ledger_migrate(url, NULL, NULL, &why), ERR_REJECTED);
    assert_begins(why.text, "schema version 1 (jobs) was applied from a file that differs");
}

static void a_newer_database_is_an_error(void **state)
{
    struct fault why = {.text = ""};

    (void)state;
    migrate(ledger_version_wanted());
    run("INSERT INTO millrace_migrations (version, name, checksum) VALUES (99, 'later', '')");
    assert_int_equal(ledger_migrate(url, NULL, NULL, &why), ERR_UNSUPPORTED);
    assert_string_equal(why.text,
                        "the database is at schema version 99, this program knows up to "
                        "6: use the newer program");
    assert_int_equal(ask_version(), 99);
}

static void a_file_that_fails_leaves_nothing_behind(void **state)
{
    struct fault why = {.text = ""};

    (void)state;
    run("CREATE TABLE attempts (x int)"); /* in the way, after jobs was made */
    assert_int_equal(ledger_migrate(url, NULL, NULL, &why), ERR_REJECTED);
    assert_begins(why.text, "applying 0001_jobs: ERROR:  relation \"attempts\" already exists");
    assert_says("SELECT to_regclass('jobs') IS NULL", "t");
    run("DROP TABLE attempts");
    migrate(ledger_version_wanted());
}

static void a_server_that_is_not_there_is_told(void **state)
{
    struct fault why = {.text = ""};

    (void)state;
    assert_int_equal(
        ledger_migrate("postgresql://postgres@/mine?host=/nonexistent", NULL, NULL, &why),
        ERR_UNREACHABLE);
    assert_begins(why.text, "PostgreSQL: ");
}

/* --- partitions ------------------------------------------------------------------------------------ */

#define INSERT_JOB                                                                             \
    "INSERT INTO jobs (id, state, priority, attempt, max_attempts, queue, type, worker, item)" \
    " SELECT id, 5, 2, 1, 1, 'q', 't', 'w', '' FROM "

/* An id of the first moment of a month so many months from now, and the last of the one before. */
#define MONTH(n)    "date_trunc('month', now() AT TIME ZONE 'UTC') + interval '" #n " months'"
#define FIRST_ID(n) "millrace_first_id((" MONTH(n) ") AT TIME ZONE 'UTC')"
#define LAST_ID(n)                                                                         \
    "overlay(millrace_first_id((" MONTH(n) ") AT TIME ZONE 'UTC' - interval '1 ms')::text" \
                                           " placing '7fff-bfff-ffffffffffff' from 15)::uuid"

static void months_are_cut_by_the_time_in_the_id(void **state)
{
    (void)state;
    migrate(ledger_version_wanted());
    assert_says("SELECT millrace_first_id('2026-11-01 00:00:00+00')",
                "01a19467-e800-0000-0000-000000000000");
    run(INSERT_JOB "(VALUES (" FIRST_ID(0) "), (" LAST_ID(0) "), (" FIRST_ID(
        1) "),"
           " ('00000000-0000-0000-0000-000000000000'), "
           "('ffffffff-ffff-4fff-bfff-ffffffffffff'),"
           " (" FIRST_ID(-8) ")) v (id)");
    assert_says("SELECT string_agg(n::text, ' ') FROM (SELECT count(*) AS n FROM jobs"
                " GROUP BY tableoid::regclass::text ORDER BY tableoid::regclass::text) t",
                "1 1 1 3");
    assert_says("SELECT bool_and(tableoid::regclass::text = to_char(" MONTH(
                    0) ","
                       " '\"jobs\"_YYYY_MM')) FROM jobs WHERE id = " FIRST_ID(0),
                "t");
    assert_says("SELECT bool_and(tableoid::regclass::text = to_char(" MONTH(
                    -1) ","
                        " '\"jobs\"_YYYY_MM')) FROM jobs WHERE id = " LAST_ID(0),
                "t");
}

static void a_month_that_the_default_partition_holds_is_left_there(void **state)
{
    (void)state;
    migrate(ledger_version_wanted()); /* makes last month to two months ahead */
    run(INSERT_JOB "(VALUES (" FIRST_ID(3) "), (" LAST_ID(4) ")) v (id)");
    assert_says("SELECT millrace_ensure_partitions(4)", "5"); /* jobs of month 3 stay */
    assert_says("SELECT count(*) FROM jobs_default", "2");
    assert_says("SELECT millrace_ensure_partitions(4)", "0");
    run("TRUNCATE jobs_default");
    assert_says("SELECT millrace_ensure_partitions(4)", "1");
}

/* It rather gives up than waits for long behind the others, and says: call again. */
static bool ensure_many(void)
{
    PGconn *conn = PQconnectdb(url);
    bool done = false, waits = true;

    while (!done && waits) {
        PGresult *res = PQexec(conn, "SELECT millrace_ensure_partitions(24)");
        const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);

        done = PQresultStatus(res) == PGRES_TUPLES_OK;
        waits = state != NULL && strcmp(state, "55P03") == 0; /* lock_not_available */
        if (!done && !waits)
            print_error("%s\n", PQerrorMessage(conn));
        PQclear(res);
    }
    PQfinish(conn);
    return done;
}

static void programs_that_make_partitions_at_once_make_each_once(void **state)
{
    (void)state;
    migrate(ledger_version_wanted());
    in_processes(4, ensure_many);
    assert_says("SELECT count(*) FROM pg_inherits WHERE inhparent = 'jobs'::regclass", "27");
}

struct partitions_answer {
    unsigned calls, made;
    enum err err;
};

static void on_partitions(void *arg, enum err e, unsigned made)
{
    struct partitions_answer *a = arg;

    a->calls++;
    a->err = e;
    a->made = made;
}

static void partitions_are_made_over_the_pool_too(void **state)
{
    struct partitions_answer a = {.calls = 0};
    struct rig rig;

    (void)state;
    migrate(ledger_version_wanted());
    rig_open(&rig, &(struct pg_options){.url = url});
    assert_int_equal(ledger_partitions(rig.pg, 3, on_partitions, &a), ERR_OK);
    while (a.calls == 0)
        rig_turn(&rig);
    assert_int_equal(a.err, ERR_OK);
    assert_int_equal(a.made, 3);
    rig_close(&rig);
}

#define COUNT_MONTHS "SELECT count(*) FROM pg_inherits WHERE inhparent = 'attempts'::regclass"

static void a_ledger_makes_missing_partitions_by_itself(void **state)
{
    struct ledger_rig lr;
    unsigned tries = 0;
    char *months;

    (void)state;
    migrate(ledger_version_wanted());
    run("DO $$ DECLARE p regclass; BEGIN FOR p IN SELECT inhrelid::regclass FROM pg_inherits"
        " WHERE inhparent = 'attempts'::regclass AND inhrelid <> 'attempts_default'::regclass"
        " LOOP EXECUTE format('DROP TABLE %s', p); END LOOP; END $$");
    ledger_rig_open(&lr, url, NULL);
    months = ask(COUNT_MONTHS);
    while (strcmp(months, "5") != 0) {
        (void)uv_run(&lr.rig.loop, UV_RUN_NOWAIT);
        servers_breathe(&tries, "the partitions");
        free(months);
        months = ask(COUNT_MONTHS);
    }
    free(months);
    ledger_rig_close(&lr);
}

static void old_months_are_dropped_whole(void **state)
{
    (void)state;
    migrate(ledger_version_wanted());
    run(INSERT_JOB "(VALUES (" FIRST_ID(-1) "), (" FIRST_ID(
        0) "),"
           " ('00000000-0000-0000-0000-000000000000')) v (id)");
    assert_says("SELECT count(*) FROM millrace_drop_months(1)", "0");
    assert_says("SELECT count(*) FROM millrace_drop_months(0)",
                "3"); /* of each table last month's */
    assert_says("SELECT count(*) FROM jobs", "2");
    assert_says("SELECT millrace_ensure_partitions(2)", "3");
}

static int start_server(void **state)
{
    (void)state;
    server = pgserver_new();
    return 0;
}

static int stop_server(void **state)
{
    (void)state;
    pgserver_free(&server);
    return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_database, drop_database)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(migrating_twice_applies_each_file_once),
        TEST(programs_that_migrate_at_once_apply_each_file_once),
        TEST(a_file_that_was_missed_is_applied_later),
        TEST(a_changed_file_is_an_error),
        TEST(a_newer_database_is_an_error),
        TEST(a_file_that_fails_leaves_nothing_behind),
        TEST(a_server_that_is_not_there_is_told),
        TEST(months_are_cut_by_the_time_in_the_id),
        TEST(a_month_that_the_default_partition_holds_is_left_there),
        TEST(programs_that_make_partitions_at_once_make_each_once),
        TEST(partitions_are_made_over_the_pool_too),
        TEST(a_ledger_makes_missing_partitions_by_itself),
        TEST(old_months_are_dropped_whole),
    };

    return cmocka_run_group_tests(tests, start_server, stop_server);
}
