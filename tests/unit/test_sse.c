/* What a stream of events says, and where it goes on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/sse.h"

#define LIVE(...) ((struct live_job){.since_ms = 1000, __VA_ARGS__})

static void assert_place(struct sse_place got, uint32_t attempt, uint32_t rank)
{
    assert_int_equal(got.attempt, attempt);
    assert_int_equal(got.rank, rank);
}

static void a_place_is_two_numbers(void **state)
{
    static const char *const wrong[] = {
        "",    ".",    "1",    "1.",   ".1",   "1.2.3",        "a.1",
        "1.a", " 1.1", "1.1 ", "-1.1", "+1.1", "4294967296.1", "1.99999999999999999999"};
    struct sse_place p = {7, 7};

    (void)state;
    assert_true(sse_place_parse(slice_str("3.42"), &p));
    assert_place(p, 3, 42);
    assert_true(sse_place_parse(slice_str("4294967295.0"), &p));
    assert_place(p, UINT32_MAX, 0);
    assert_false(sse_place_parse(slice_of(NULL, 0), &p));
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        if (sse_place_parse(slice_str(wrong[i]), &p))
            fail_msg("%s", wrong[i]);
    }
    assert_place(p, UINT32_MAX, 0);
}

/* In the order in which a job can come to them. */
static void places_grow_on_every_way_of_a_job(void **state)
{
    const struct live_job way[] = {
        LIVE(.state = JOB_SCHEDULED),
        LIVE(.state = JOB_QUEUED),
        LIVE(.state = JOB_RUNNING, .attempt = 1),
        LIVE(.state = JOB_RUNNING, .attempt = 1, .note = SLICE_LIT("begun")),
        LIVE(.state = JOB_RUNNING, .attempt = 1, .progress = 1),
        LIVE(.state = JOB_RUNNING, .attempt = 1, .progress = 100),
        LIVE(.state = JOB_RETRYING, .attempt = 1),
        LIVE(.state = JOB_QUEUED, .attempt = 1),
        LIVE(.state = JOB_RUNNING, .attempt = 2),
        LIVE(.state = JOB_CANCELLED, .attempt = 2),
        LIVE(.state = JOB_RUNNING, .attempt = 3),
    };
    struct sse_place last = {0, 0};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(way); i++) {
        struct sse_place here = sse_place_of(&way[i]);

        if (!sse_is_behind(here, last))
            fail_msg("step %zu", i);
        assert_false(sse_is_behind(last, here));
        assert_false(sse_is_behind(here, here));
        last = here;
    }
}

static void who_only_records_a_cancelled_job_makes_no_news(void **state)
{
    const struct live_job waits = LIVE(.state = JOB_CANCELLED, .attempt = 2);
    const struct live_job claimed =
        LIVE(.state = JOB_CANCELLED, .attempt = 3, .consumer = SLICE_LIT("w"));

    (void)state;
    assert_false(sse_is_behind(sse_place_of(&claimed), sse_place_of(&waits)));
}

static void a_gap_is_noticed(void **state)
{
    static const struct {
        struct sse_place last;
        uint32_t attempt;
        bool want;
    } table[] = {
        {{0, 0}, 0, false},  {{0, 111}, 1, false}, {{0, 111}, 2, true},  {{1, 1}, 1, false},
        {{1, 1}, 2, true},   {{1, 50}, 2, true},   {{1, 110}, 2, false}, {{1, 111}, 2, false},
        {{1, 111}, 3, true}, {{5, 1}, 3, false},   {{5, 120}, 6, false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        const struct live_job job = LIVE(.state = JOB_RUNNING, .attempt = table[i].attempt);
        struct sse_place last = table[i].last;

        if (sse_has_gap(last, &job) != table[i].want)
            fail_msg("row %zu", i);
        sse_skip_to(job.attempt, &last);
        assert_false(sse_has_gap(last, &job)); /* asked once */
    }
}

static void live_events_have_their_bytes(void **state)
{
    const struct live_job running =
        LIVE(.state = JOB_RUNNING, .attempt = 1, .consumer = SLICE_LIT("h:1:b"), .progress = 42,
             .note = SLICE_LIT("a\"b\n"));
    const struct live_job waits =
        LIVE(.state = JOB_RETRYING, .attempt = 1, .due_ms = 2000, .note = SLICE_LIT("oops"));
    struct sse_place last = {1, 0};
    struct buf out = {0};

    (void)state;
    sse_add_live(&running, &last, &out);
    assert_string_equal(buf_cstr(&out),
                        "id: 1.1\nevent: state\ndata: {\"state\":\"running\",\"attempt\":1,"
                        "\"since\":\"1970-01-01T00:00:01.000Z\",\"worker\":\"h:1:b\"}\n\n"
                        "id: 1.44\nevent: progress\ndata: {\"attempt\":1,\"progress\":42,"
                        "\"note\":\"a\\\"b\\n\"}\n\n");
    buf_clear(&out);
    sse_add_live(&running, &last, &out); /* nothing twice */
    assert_int_equal(out.len, 0);
    sse_add_live(&waits, &last, &out);
    assert_string_equal(buf_cstr(&out),
                        "id: 1.110\nevent: state\ndata: {\"state\":\"retrying\",\"attempt\":1,"
                        "\"since\":\"1970-01-01T00:00:01.000Z\",\"next_attempt_at\":"
                        "\"1970-01-01T00:00:02.000Z\",\"error_text\":\"oops\"}\n\n");
    assert_place(last, 1, 110);
    buf_done(&out);
}

static void ended_attempts_are_told_once_and_cancelled_ones_never_ran(void **state)
{
    const struct ledger_attempt_row rows[] = {
        {1, SLICE_LIT("retrying"), SLICE_LIT("w"), SLICE_LIT("BUSY"), SLICE_LIT("b"), 1, 2},
        {2, SLICE_LIT("cancelled"), SLICE_LIT("w"), SLICE_LIT("CANCELED"), SLICE_LIT("c"), 3,
         4},
    };
    const struct ledger_parts parts = {.attempts = rows, .n_attempts = COUNT_OF(rows)};
    const struct ledger_row row = {.state = JOB_CANCELLED,
                                   .attempt = 2,
                                   .max_attempts = 3,
                                   .type = SLICE_LIT("noop"),
                                   .queue = SLICE_LIT("q")};
    struct sse_place last = {0, 111};
    struct buf out = {0};

    (void)state;
    sse_add_end(&row, &parts, &last, &out);
    assert_non_null(
        strstr(buf_cstr(&out), "id: 1.1\nevent: state\ndata: {\"state\":\"running\""));
    assert_non_null(
        strstr(buf_cstr(&out), "id: 1.110\nevent: state\ndata: {\"state\":\"retrying\""));
    assert_null(strstr(buf_cstr(&out), "id: 2.1\n"));
    assert_non_null(strstr(buf_cstr(&out), "id: 2.120\nevent: end\ndata: {\"id\""));
    assert_string_equal(buf_cstr(&out) + out.len - 3, "}\n\n");
    assert_place(last, 2, 120);
    buf_clear(&out);
    sse_add_end(&row, &parts, &last, &out);
    assert_int_equal(out.len, 0);
    last = (struct sse_place){0, 111};
    sse_add_attempts(&parts, 1, &last, &out); /* only those before the first */
    assert_int_equal(out.len, 0);
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_place_is_two_numbers),
        cmocka_unit_test(places_grow_on_every_way_of_a_job),
        cmocka_unit_test(who_only_records_a_cancelled_job_makes_no_news),
        cmocka_unit_test(a_gap_is_noticed),
        cmocka_unit_test(live_events_have_their_bytes),
        cmocka_unit_test(ended_attempts_are_told_once_and_cancelled_ones_never_ran),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
