/* Commands against a PostgreSQL of their own: the schema, recorded jobs, pages. */
#include "tests/unit/test_cli_help.h"

#include "tests/unit/servers.h"

#define NO_REDIS "--redis-url=unix:///nonexistent/redis.sock"
#define DEAD     "019b7700-0000-7000-8000-000000000003"
#define RETRYING "019b7700-0000-7000-8000-000000000007"

static struct pgserver *server;

static int begin_group(void **state)
{
    (void)forget_environment(state);
    if (!pgserver_installed())
        return 0;
    server = pgserver_new();
    return setenv("MILLRACE_PG_URL", pgserver_url(server), 1);
}

static int end_group(void **state)
{
    if (server != NULL)
        pgserver_free(&server);
    return forget_environment(state);
}

/* Seven jobs; the third is dead, the last waits for its next attempt. */
static void put_jobs(void)
{
    pgserver_run(server,
                 "INSERT INTO jobs (id, state, priority, attempt, max_attempts, enqueued_at,"
                 " queue, type, worker, error, item)"
                 " SELECT ('019b7700-0000-7000-8000-00000000000' || n)::uuid,"
                 " CASE n WHEN 3 THEN 6 WHEN 7 THEN 4 ELSE 5 END, 2, 1, 3, now(),"
                 " 'q' || n % 2, 'noop', 'w',"
                 " CASE n WHEN 3 THEN 'REJECTED' WHEN 7 THEN 'IO' END, ''"
                 " FROM generate_series(1, 7) n");
}

/* --- the schema, in this order --------------------------------------------------------------- */

static void without_a_schema_the_way_out_is_named(void **state)
{
    (void)state;
    if (server == NULL)
        skip();
    assert_said(CLI("jobs"), CLI_FAILED, "", "millrace migrate");
}

static void migrating_tells_each_file_and_then_that_nothing_is_missing(void **state)
{
    json_t *told;

    (void)state;
    if (server == NULL)
        skip();
    assert_said(CLI("migrate"), CLI_DONE, "applied 0001_jobs\napplied 0002_partitions\n", "");
    assert_said(CLI("migrate"), CLI_DONE, "the schema is up to date", "");
    told = json_of(CLI("migrate", "--json"));
    assert_int_equal(json_array_size(json_object_get(told, "applied")), 0);
    assert_true(json_integer_value(json_object_get(told, "version")) >= 2);
    json_decref(told);
    assert_said(CLI("jobs"), CLI_DONE, "ID", "none has ended an attempt");
    put_jobs();
}

/* --- recorded jobs --------------------------------------------------------------------------- */

static void recorded_jobs_come_newest_first_page_by_page(void **state)
{
    static const size_t sizes[] = {3, 3, 1};
    char cursor[64] = RETRYING, wanted = '7';
    size_t k;
    json_t *page, *job;

    (void)state;
    if (server == NULL)
        skip();
    cursor[sizeof RETRYING - 2] = '9';
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        page = json_of(CLI("jobs", "--limit=3", "--json", "--cursor", cursor));
        assert_int_equal(json_array_size(json_object_get(page, "jobs")), sizes[i]);
        json_array_foreach(json_object_get(page, "jobs"), k, job)
        {
            assert_int_equal(text_of(job, "id")[sizeof DEAD - 2], wanted--);
        }
        if (i + 1 < COUNT_OF(sizes))
            (void)snprintf(cursor, sizeof cursor, "%s", text_of(page, "next_cursor"));
        else
            assert_true(json_is_null(json_object_get(page, "next_cursor")));
        json_decref(page);
    }
    assert_said(CLI("jobs", "--limit=6"), CLI_DONE, RETRYING, "there are more: --cursor");
}

static void each_filter_leaves_what_fits_it(void **state)
{
    static const struct {
        const char *words[6];
        size_t want;
    } table[] = {
        {{"jobs", "--json"}, 7},
        {{"jobs", "--json", "--state=succeeded"}, 5},
        {{"jobs", "--json", "--state=dead"}, 1},
        {{"jobs", "--json", "--state=retrying"}, 1},
        {{"jobs", "--json", "--queue=q1"}, 4},
        {{"jobs", "--json", "--queue=q1", "--state=dead"}, 1},
        {{"jobs", "--json", "--type=noop"}, 7},
        {{"jobs", "--json", "--type=image"}, 0},
        {{"jobs", "--json", "--error=IO"}, 1},
    };

    (void)state;
    if (server == NULL)
        skip();
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        json_t *page = json_of(cli_say(table[i].words));

        assert_int_equal(json_array_size(json_object_get(page, "jobs")), table[i].want);
        json_decref(page);
    }
}

static void while_redis_is_away_only_what_cannot_change_is_told(void **state)
{
    (void)state;
    if (server == NULL)
        skip();
    assert_said(CLI("job", DEAD, NO_REDIS), CLI_DONE, "error         REJECTED",
                "Redis at unix:///nonexistent/redis.sock?db=0 cannot be reached");
    assert_said(CLI("job", RETRYING, NO_REDIS), CLI_UNREACHABLE, "", "cannot be reached");
}

/* --- faults ---------------------------------------------------------------------------------- */

static void a_postgres_that_does_not_answer_is_given_up_after_the_timeout(void **state)
{
    (void)state;
    if (server == NULL)
        skip();
    pgserver_pause(server);
    assert_said(CLI("jobs", "--timeout=50ms"), CLI_UNREACHABLE, "", "PostgreSQL ");
    pgserver_resume(server);
    assert_said(CLI("jobs"), CLI_DONE, DEAD, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_schema_the_way_out_is_named),
        cmocka_unit_test(migrating_tells_each_file_and_then_that_nothing_is_missing),
        cmocka_unit_test(recorded_jobs_come_newest_first_page_by_page),
        cmocka_unit_test(each_filter_leaves_what_fits_it),
        cmocka_unit_test(while_redis_is_away_only_what_cannot_change_is_told),
        cmocka_unit_test(a_postgres_that_does_not_answer_is_given_up_after_the_timeout),
    };

    return cmocka_run_group_tests(tests, begin_group, end_group);
}
