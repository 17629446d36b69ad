#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "queue/schedule.h"

#define MINUTE UINT64_C(60000)
#define HOUR   (60 * MINUTE)
#define START  UINT64_C(1795593600000) /* 2026-11-25T08:00:00Z */
#define GRACE  UINT64_C(10000)

static struct schedule every(uint64_t every_ms)
{
    return (struct schedule){.every_ms = every_ms,
                             .anchor_ms = START,
                             .missed = SCHEDULE_MISSED_ONE,
                             .overlap = true};
}

static struct schedule cron(const char *text, const char *zone)
{
    struct schedule s = {.missed = SCHEDULE_MISSED_ONE, .overlap = true};

    (void)snprintf(s.cron, sizeof s.cron, "%s", text);
    (void)snprintf(s.timezone, sizeof s.timezone, "%s", zone);
    return s;
}

static uint64_t next(const struct schedule *s, uint64_t after_ms)
{
    struct schedule_clock c;
    uint64_t at_ms;

    assert_int_equal(schedule_clock_init(&c, s, NULL), ERR_OK);
    at_ms = schedule_next(&c, after_ms);
    schedule_clock_done(&c);
    return at_ms;
}

static struct schedule_plan plan(const struct schedule *s, uint64_t due_ms, uint64_t now_ms)
{
    static struct schedule_plan p;
    struct schedule_clock c;

    memset(&p, 0xaa, sizeof p);
    assert_int_equal(schedule_clock_init(&c, s, NULL), ERR_OK);
    schedule_plan(&c, due_ms, now_ms, GRACE, &p);
    schedule_clock_done(&c);
    return p;
}

/* --- records --------------------------------------------------------------------------------- */

static void fill(struct schedule *s)
{
    *s = cron("*/5 1-3 * * MON", "Europe/Berlin");
    (void)snprintf(s->name, sizeof s->name, "the-name");
    (void)snprintf(s->queue, sizeof s->queue, "q");
    (void)snprintf(s->type, sizeof s->type, "noop");
    s->missed = SCHEDULE_MISSED_ALL;
    s->paused = true;
    s->start_ms = 1;
    s->end_ms = UINT64_MAX;
    s->created_ms = 300;
    s->updated_ms = 70000;
    s->anchor_ms = START;
    s->rev = uuid_v7();
}

static void a_record_comes_back_as_it_went(void **state)
{
    struct schedule in, out = {.name = "the-name"};
    struct buf record = {0};

    (void)state;
    fill(&in);
    schedule_encode(&in, &record);
    assert_memory_equal(record.data + SCHEDULE_REV_OFFSET, in.rev.bytes, UUID_LEN);
    assert_int_equal(schedule_decode(buf_slice(&record), &out, NULL), ERR_OK);
    assert_string_equal(out.name, in.name);
    assert_string_equal(out.cron, in.cron);
    assert_string_equal(out.timezone, in.timezone);
    assert_string_equal(out.queue, "q");
    assert_string_equal(out.type, "noop");
    assert_true(schedule_ticks_alike(&in, &out) && uuid_eq(&in.rev, &out.rev));
    assert_true(out.missed == in.missed && out.overlap && out.paused);
    assert_true(out.anchor_ms == START && out.created_ms == 300 && out.updated_ms == 70000);
    buf_done(&record);
}

/* docs/protocol.md; to change it, a new version is needed. */
static void a_record_has_the_bytes_of_the_protocol(void **state)
{
    static const char want[] =
        "\x8f\xa1v\x01\xa3rev\xc4\x10\1\2\3\4\5\6\7\10\11\12\13\14\15\16\17\20"
        "\xa4type\xa4noop\xa5queue\xa1q\xa4"
        "cron\xa0\xa8timezone\xa0"
        "\xa8"
        "every_ms\xcd\x03\xe8\xa9"
        "anchor_ms\xcf\x00\x00\x01\xa2\x11\xb7\xfc\x00\xa8start_ms\x00\xa6"
        "end_ms\x00\xaa"
        "created_ms\x05\xaaupdated_ms\x06\xa6missed\x01\xa7overlap\xc3\xa6paused\xc2";
    struct schedule s = every(1000);
    struct buf record = {0};

    (void)state;
    s.created_ms = 5;
    s.updated_ms = 6;
    (void)snprintf(s.queue, sizeof s.queue, "q");
    (void)snprintf(s.type, sizeof s.type, "noop");
    for (uint8_t i = 0; i < UUID_LEN; i++)
        s.rev.bytes[i] = (uint8_t)(i + 1);
    schedule_encode(&s, &record);
    assert_int_equal(record.len, sizeof want - 1);
    assert_memory_equal(record.data, want, record.len);
    buf_done(&record);
}

static void what_is_no_record_is_refused_and_changes_nothing(void **state)
{
    struct schedule in, out = {.name = "n", .every_ms = 5};
    struct buf record = {0};
    struct fault f;

    (void)state;
    fill(&in);
    schedule_encode(&in, &record);
    for (size_t n = 0; n < record.len; n++)
        assert_int_equal(schedule_decode(slice_of(record.data, n), &out, &f), ERR_MALFORMED);
    record.data[3] = 2; /* another version */
    assert_int_equal(schedule_decode(buf_slice(&record), &out, &f), ERR_MALFORMED);
    assert_int_equal(out.every_ms, 5);
    buf_clear(&record);
    in.cron[0] = '\0';
    in.every_ms = SCHEDULE_EVERY_MIN_MS - 1; /* would be divided by */
    schedule_encode(&in, &record);
    assert_int_equal(schedule_decode(buf_slice(&record), &out, &f), ERR_MALFORMED);
    buf_done(&record);
}

static void what_it_did_is_read_or_is_nothing(void **state)
{
    char bytes[64] = "\x96\xc4\x10";
    struct schedule_past p;

    (void)state;
    memset(bytes + 3, 7, UUID_LEN);
    for (int i = 0; i < 5; i++) {
        bytes[19 + 9 * i] = '\xcf';
        bytes[27 + 9 * i] = (char)(i + 1);
    }
    p = schedule_past_of(slice_of(bytes, sizeof bytes));
    assert_true(p.made_ms == 1 && p.tick_ms == 2 && p.fired == 3 && p.missed == 4 &&
                p.skipped == 5);
    assert_int_equal(p.job.bytes[15], 7);
    p = schedule_past_of(slice_of(bytes, 63));
    assert_true(uuid_is_nil(&p.job) && p.fired == 0);
}

/* --- ticks ----------------------------------------------------------------------------------- */

static void every_counts_from_its_anchor(void **state)
{
    struct schedule s = every(90 * MINUTE);

    (void)state;
    assert_int_equal(next(&s, START), START + 90 * MINUTE);
    assert_int_equal(next(&s, START + 1), START + 90 * MINUTE);
    assert_int_equal(next(&s, START + 90 * MINUTE - 1), START + 90 * MINUTE);
    assert_int_equal(next(&s, START + 90 * MINUTE), START + 180 * MINUTE);
    assert_int_equal(next(&s, 5), START);
    s.start_ms = START;
    assert_int_equal(next(&s, 5), START);
}

static void bounds_hold_for_both_kinds(void **state)
{
    struct schedule s = every(HOUR), c = cron("0 * * * *", "UTC");

    (void)state;
    s.end_ms = START + 2 * HOUR;
    assert_int_equal(next(&s, START + HOUR), START + 2 * HOUR);
    assert_int_equal(next(&s, START + 2 * HOUR), 0);
    c.start_ms = START + 2 * HOUR;
    c.end_ms = START + 3 * HOUR - 1;
    assert_int_equal(next(&c, 0), START + 2 * HOUR);
    assert_int_equal(next(&c, START + 2 * HOUR), 0);
    c.start_ms = START + 2 * HOUR + 1;
    assert_int_equal(next(&c, 0), 0);
    c.end_ms = 0;
    assert_int_equal(next(&c, START), START + 3 * HOUR);
    assert_int_equal(next(&c, UINT64_MAX), 0);
}

/* --- plans ----------------------------------------------------------------------------------- */

static const struct {
    enum schedule_missed policy;
    bool overlap;
    uint64_t late_ms, ticks; /* beside the one that was due first, so many more are due */
    size_t want_n;
    uint64_t want_missed;
} plans[] = {
    /* in time, one at a time: all the same */
    {SCHEDULE_MISSED_SKIP, true, 5, 0, 1, 0},
    {SCHEDULE_MISSED_ONE, true, 5, 0, 1, 0},
    {SCHEDULE_MISSED_ALL, true, 5, 0, 1, 0},
    {SCHEDULE_MISSED_SKIP, true, GRACE, 0, 1, 0},
    /* too late */
    {SCHEDULE_MISSED_SKIP, true, GRACE + 1, 0, 0, 1},
    {SCHEDULE_MISSED_ONE, true, GRACE + 1, 0, 1, 0},
    {SCHEDULE_MISSED_ALL, true, GRACE + 1, 0, 1, 0},
    /* several */
    {SCHEDULE_MISSED_SKIP, true, 5, 7, 1, 7},
    {SCHEDULE_MISSED_SKIP, true, GRACE + 1, 7, 0, 8},
    {SCHEDULE_MISSED_ONE, true, GRACE + 1, 7, 1, 7},
    {SCHEDULE_MISSED_ALL, true, GRACE + 1, 7, 8, 0},
    {SCHEDULE_MISSED_ALL, false, GRACE + 1, 7, 1, 7},
    /* more than are made up for, more than are counted */
    {SCHEDULE_MISSED_ALL, true, 5, 99, 100, 0},
    {SCHEDULE_MISSED_ALL, true, 5, 100, 100, 1},
    {SCHEDULE_MISSED_ALL, true, 5, 999, 100, 900},
    {SCHEDULE_MISSED_ALL, true, 5, 500000, 100, 900},
    {SCHEDULE_MISSED_ONE, true, 5, 500000, 1, 999},
    {SCHEDULE_MISSED_SKIP, true, GRACE + 1, 500000, 0, 1000},
};

static void check_plan(size_t i, struct schedule *s, uint64_t due_ms, uint64_t step_ms)
{
    uint64_t last_ms = due_ms + plans[i].ticks * step_ms;
    struct schedule_plan p;

    s->missed = plans[i].policy;
    s->overlap = plans[i].overlap;
    p = plan(s, due_ms, last_ms + plans[i].late_ms);
    if (p.n != plans[i].want_n || p.missed != plans[i].want_missed)
        fail_msg("row %zu: %zu jobs, %llu missed", i, p.n, (unsigned long long)p.missed);
    assert_int_equal(p.next_ms, last_ms + step_ms);
    for (size_t k = 0; k < p.n; k++)
        assert_int_equal(p.ticks[k], last_ms - (p.n - 1 - k) * step_ms);
}

static void due_ticks_go_by_the_policy(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(plans); i++) {
        struct schedule e = every(MINUTE), c = cron("* * * * *", "Asia/Kolkata");

        check_plan(i, &e, START + MINUTE, MINUTE);
        check_plan(i, &c, START + MINUTE, MINUTE);
    }
}

static void the_last_tick_leaves_none_behind(void **state)
{
    struct schedule s = every(MINUTE);
    struct schedule_plan p;

    (void)state;
    s.end_ms = START + 3 * MINUTE;
    s.missed = SCHEDULE_MISSED_ALL;
    p = plan(&s, START + 2 * MINUTE, START + HOUR);
    assert_true(p.n == 2 && p.next_ms == 0 && p.missed == 0);
    assert_int_equal(p.ticks[1], START + 3 * MINUTE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_comes_back_as_it_went),
        cmocka_unit_test(a_record_has_the_bytes_of_the_protocol),
        cmocka_unit_test(what_is_no_record_is_refused_and_changes_nothing),
        cmocka_unit_test(what_it_did_is_read_or_is_nothing),
        cmocka_unit_test(every_counts_from_its_anchor),
        cmocka_unit_test(bounds_hold_for_both_kinds),
        cmocka_unit_test(due_ticks_go_by_the_policy),
        cmocka_unit_test(the_last_tick_leaves_none_behind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
