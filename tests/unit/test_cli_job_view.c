/* One job told whole, for people and as JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>

#include "cli/job_view.h"
#include "queue/submission.h"

#define CREATED_MS UINT64_C(1767225600000) /* 2026-01-01T00:00:00Z */

static const struct uuid some_id = {{0x01, 0x9b, 0x77, 0x00, 0x00, 0x00, 0x70, 0x00, 0x80, 0x00,
                                     0x00, 0x00, 0x00, 0x00, 0x00, 0x01}};
static const struct ledger_parts no_parts = {.n_outputs = 0};

static struct call a_call(bool terminal, bool json)
{
    struct call call = {.json = json, .terminal = terminal, .now_ms = CREATED_MS + 90000};

    return call;
}

static struct ledger_row a_row(void)
{
    return (struct ledger_row){.id = some_id,
                               .queue = SLICE_LIT("image"),
                               .type = SLICE_LIT("image"),
                               .worker = SLICE_LIT("host:1:abc"),
                               .error = SLICE_LIT("TIMEOUT"),
                               .error_text = SLICE_LIT("late\n\033[31m"),
                               .state = JOB_DEAD,
                               .priority = JOB_PRIORITY_LOW,
                               .attempt = 3,
                               .max_attempts = 5,
                               .enqueued_ms = CREATED_MS,
                               .started_ms = CREATED_MS + 1000,
                               .finished_ms = CREATED_MS + 3500};
}

static void assert_told(struct call *call, const char *const *wants)
{
    for (; *wants != NULL; wants++) {
        if (strstr(buf_cstr(&call->text), *wants) == NULL)
            fail_msg("%s\nwant: %s", buf_cstr(&call->text), *wants);
    }
    call_done(call);
}

static void a_recorded_job_is_told_line_by_line_and_safe(void **state)
{
    static const char *const wants[] = {
        "id            019b7700-0000-7000-8000-000000000001\nstate         dead\n",
        "error         TIMEOUT\nwhy           late\\n\\x1b[31m\n",
        "priority      low\nattempt       3 of 5\n",
        "created       2026-01-01T00:00:00.000Z\n",
        "finished      2026-01-01T00:00:03.500Z\n",
        NULL};
    struct call call = a_call(false, false);
    struct ledger_row row = a_row();

    (void)state;
    job_view_recorded(&call, &row, &no_parts);
    assert_told(&call, wants);
}

static void a_terminal_also_shows_how_long_ago(void **state)
{
    static const char *const wants[] = {"2026-01-01T00:00:00.000Z (1 min ago)\n",
                                        "2026-01-01T00:00:03.500Z (1 min ago)\n", NULL};
    struct call call = a_call(true, false);
    struct ledger_row row = a_row();

    (void)state;
    job_view_recorded(&call, &row, &no_parts);
    assert_told(&call, wants);
}

static const struct ledger_output_row outputs[] = {{.name = SLICE_LIT("thumb"),
                                                    .file = SLICE_LIT("ab/abc.webp"),
                                                    .format = SLICE_LIT("webp"),
                                                    .width = 160,
                                                    .height = 120,
                                                    .bytes = 4200}};
static const struct ledger_attempt_row attempts[] = {
    {.attempt = 1,
     .outcome = SLICE_LIT("retrying"),
     .worker = SLICE_LIT("w"),
     .error = SLICE_LIT("IO"),
     .error_text = SLICE_LIT("disk"),
     .started_ms = CREATED_MS,
     .finished_ms = CREATED_MS + 20},
    {.attempt = 2, .outcome = SLICE_LIT("succeeded"), .worker = SLICE_LIT("w")}};
static const struct ledger_parts all_parts = {outputs, COUNT_OF(outputs), attempts,
                                              COUNT_OF(attempts)};

static void outputs_and_attempts_are_tables(void **state)
{
    static const char *const plain[] = {
        "OUTPUT  FORMAT  WIDTH  HEIGHT  SIZE  FILE\n"
        "thumb   webp      160     120  4200  ab/abc.webp\n",
        "ATTEMPT  LED TO     STARTED                     RAN  WORKER  ERROR  WHY\n"
        "      1  retrying   2026-01-01T00:00:00.000Z  20 ms  w       IO     disk\n"
        "      2  succeeded  -                             -  w       -      -\n",
        NULL};
    static const char *const terminal[] = {"4.2 kB", "1 min ago", NULL};
    struct call call = a_call(false, false);
    struct ledger_row row = a_row();

    (void)state;
    job_view_recorded(&call, &row, &all_parts);
    assert_told(&call, plain);
    call = a_call(true, false);
    job_view_recorded(&call, &row, &all_parts);
    assert_told(&call, terminal);
}

static void json_is_one_document_of_the_same_facts(void **state)
{
    struct call call = a_call(true, true);
    struct ledger_row row = a_row();
    json_t *root;

    (void)state;
    job_view_recorded(&call, &row, &all_parts);
    root = json_loads(buf_cstr(&call.text), JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(root);
    assert_string_equal(json_string_value(json_object_get(root, "error_text")),
                        "late\n\033[31m");
    assert_int_equal(json_array_size(json_object_get(root, "outputs")), 1);
    assert_int_equal(json_array_size(json_object_get(root, "attempts")), 2);
    json_decref(root);
    call_done(&call);
}

/* --- live ------------------------------------------------------------------------------------ */

static void a_running_job_shows_progress_worker_and_what_was_asked(void **state)
{
    static const char *const wants[] = {
        "state         running\nprogress      40 %\nnote          half\n",
        "attempt       2 of 3, 1 of them excused\n",
        "worker        host:1:abc\n",
        "timeout       30.00 s\n",
        "args          {\"work_ms\":5}\n",
        "then          [{\"type\":\"noop\",\"args\":{}}]\n",
        NULL};
    static const char text[] =
        "{\"type\":\"noop\",\"args\":{\"work_ms\":5},\"timeout_ms\":30000,"
        "\"then\":[{\"type\":\"noop\",\"args\":{}}]}";
    struct submission s;
    struct live_job job = {.id = some_id,
                           .queue = "default",
                           .type = "noop",
                           .state = JOB_RUNNING,
                           .priority = JOB_PRIORITY_NORMAL,
                           .attempt = 2,
                           .excused = 1,
                           .since_ms = CREATED_MS,
                           .progress = 40,
                           .note = SLICE_LIT("half"),
                           .consumer = SLICE_LIT("host:1:abc")};
    struct call call = a_call(false, false);

    (void)state;
    assert_int_equal(submission_parse(slice_str(text), 16, &s, NULL), ERR_OK);
    job.item = buf_slice(&s.item);
    job_view_live(&call, &job);
    submission_done(&s);
    assert_told(&call, wants);
}

static void a_job_that_waits_for_its_next_attempt_shows_why_and_when(void **state)
{
    static const char *const wants[] = {"state         retrying\nlast error    refused\n",
                                        "next attempt  2026-01-01T00:02:00.000Z (in 30 s)\n",
                                        NULL};
    struct live_job job = {.id = some_id,
                           .queue = "notify",
                           .type = "webhook",
                           .state = JOB_RETRYING,
                           .priority = JOB_PRIORITY_NORMAL,
                           .attempt = 1,
                           .due_ms = CREATED_MS + 120000,
                           .note = SLICE_LIT("refused")};
    struct call call = a_call(true, false);

    (void)state;
    job_view_live(&call, &job);
    assert_told(&call, wants);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_recorded_job_is_told_line_by_line_and_safe),
        cmocka_unit_test(a_terminal_also_shows_how_long_ago),
        cmocka_unit_test(outputs_and_attempts_are_tables),
        cmocka_unit_test(json_is_one_document_of_the_same_facts),
        cmocka_unit_test(a_running_job_shows_progress_worker_and_what_was_asked),
        cmocka_unit_test(a_job_that_waits_for_its_next_attempt_shows_why_and_when),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
