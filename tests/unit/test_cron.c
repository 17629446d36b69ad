#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shared/clock.h"
#include "shared/cron.h"

static int64_t unix_of(const char *text)
{
    uint64_t ms;

    if (!clock_parse_rfc3339(slice_str(text), &ms))
        fail_msg("not a time: %s", text);
    return (int64_t)(ms / 1000);
}

static const struct {
    const char *text, *zone, *after, *want;
} ticks[] = {
    /* plain */
    {"*/5 * * * *", "UTC", "2026-11-25T10:00:00Z", "2026-11-25T10:05:00Z"},
    {"*/5 * * * *", "UTC", "2026-11-25T10:04:59Z", "2026-11-25T10:05:00Z"},
    {"5/20 * * * *", "UTC", "2026-11-25T10:26:00Z", "2026-11-25T10:45:00Z"},
    {"  0\t12  * * *  ", "UTC", "2026-11-25T12:00:00Z", "2026-11-26T12:00:00Z"},
    {"*/10 * * * * *", "UTC", "2026-11-25T10:00:05Z", "2026-11-25T10:00:10Z"},
    {"59 59 23 31 12 *", "UTC", "2026-11-25T00:00:00Z", "2026-12-31T23:59:59Z"},
    {"@hourly", "UTC", "2026-11-25T10:00:00Z", "2026-11-25T11:00:00Z"},
    {"@Daily", "UTC", "2026-11-25T10:00:00Z", "2026-11-26T00:00:00Z"},
    {"@midnight", "Europe/Berlin", "2026-11-25T10:00:00Z", "2026-11-25T23:00:00Z"},
    {"@weekly", "UTC", "2026-11-25T10:00:00Z", "2026-11-29T00:00:00Z"},
    {"@monthly", "UTC", "2026-11-25T10:00:00Z", "2026-12-01T00:00:00Z"},
    {"@yearly", "UTC", "2026-11-25T10:00:00Z", "2027-01-01T00:00:00Z"},
    {"@annually", "Asia/Kolkata", "2026-11-25T10:00:00Z", "2026-12-31T18:30:00Z"},
    {"0 9 * * MON-FRI", "UTC", "2026-11-27T09:00:00Z", "2026-11-30T09:00:00Z"},
    {"0 9 * * 5-7", "UTC", "2026-11-29T08:00:00Z", "2026-11-29T09:00:00Z"},
    {"0 9 * * 0", "UTC", "2026-11-25T09:00:00Z", "2026-11-29T09:00:00Z"},
    {"0 9 * * 7", "UTC", "2026-11-25T09:00:00Z", "2026-11-29T09:00:00Z"},
    /* either day or both */
    {"0 0 13 * FRI", "UTC", "2026-11-25T00:00:00Z", "2026-11-27T00:00:00Z"},
    {"0 0 13 * *", "UTC", "2026-11-25T00:00:00Z", "2026-12-13T00:00:00Z"},
    {"0 0 */1 * FRI", "UTC", "2026-11-25T00:00:00Z", "2026-11-27T00:00:00Z"},
    {"0 0 13 * */7", "UTC", "2026-11-25T00:00:00Z", "2026-12-13T00:00:00Z"},
    /* leap days */
    {"0 0 29 2 *", "UTC", "2026-11-25T00:00:00Z", "2028-02-29T00:00:00Z"},
    {"0 0 29 2 *", "UTC", "2096-02-29T00:00:00Z", "2104-02-29T00:00:00Z"},
    {"0 0 L 2 ?", "UTC", "2027-03-01T00:00:00Z", "2028-02-29T00:00:00Z"},
    {"0 0 ? 2 TUE#5", "UTC", "2028-03-01T00:00:00Z", "2056-02-29T00:00:00Z"},
    /* the clock changes: Europe/Berlin at 01:00 UTC, 2026-03-29 and 2026-10-25 */
    {"30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T01:00:00Z"},
    {"30 2 * * *", "Europe/Berlin", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"},
    {"0,30 2 * * *", "Europe/Berlin", "2026-03-29T01:00:00Z", "2026-03-30T00:00:00Z"},
    {"*/20 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-30T00:00:00Z"},
    {"*/20 * * * *", "Europe/Berlin", "2026-03-29T00:40:00Z", "2026-03-29T01:00:00Z"},
    {"30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", "2026-10-25T00:30:00Z"},
    {"30 2 * * *", "Europe/Berlin", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"},
    {"0 3 * * *", "Europe/Berlin", "2026-10-25T00:30:00Z", "2026-10-25T02:00:00Z"},
    {"30 * * * *", "Europe/Berlin", "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"},
    {"*/30 2 * * *", "Europe/Berlin", "2026-10-25T00:30:00Z", "2026-10-25T01:00:00Z"},
    /* Lord Howe moves by half an hour, at 02:00 local */
    {"15 2 * * *", "Australia/Lord_Howe", "2026-10-02T20:00:00Z", "2026-10-03T15:30:00Z"},
    {"45 1 * * *", "Australia/Lord_Howe", "2026-04-04T14:45:00Z", "2026-04-05T15:15:00Z"},
    /* far beyond the file's table */
    {"30 2 * * *", "America/New_York", "2150-03-07T12:00:00Z", "2150-03-08T07:00:00Z"},
};

static void the_next_tick_is_found(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(ticks); i++) {
        struct fault f = {.text = ""};
        struct cron c;
        struct tz *tz;
        int64_t got = 0;

        assert_int_equal(tz_load(slice_str(ticks[i].zone), &tz, &f), ERR_OK);
        if (cron_parse(slice_str(ticks[i].text), &c, &f) != ERR_OK)
            fail_msg("%s: %s", ticks[i].text, f.text);
        if (cron_next(&c, tz, unix_of(ticks[i].after), &got) != ERR_OK ||
            got != unix_of(ticks[i].want))
            fail_msg("%s in %s after %s: %lld, not %s", ticks[i].text, ticks[i].zone,
                     ticks[i].after, (long long)got, ticks[i].want);
        tz_free(&tz);
    }
}

static void wrong_expressions_are_refused_by_field_and_rule(void **state)
{
    static const struct {
        const char *text, *want;
    } table[] = {
        {"", "five fields"},
        {"* * * *", "five fields"},
        {"* * * * * * *", "five fields"},
        {"60 * * * *", "minute"},
        {"* 24 * * *", "hour"},
        {"* * 0 * *", "day of month"},
        {"* * 32 * *", "day of month"},
        {"* * * 13 *", "month"},
        {"* * * 0 *", "month"},
        {"* * * * 8", "day of week"},
        {"60 * * * * *", "second"},
        {"-1 * * * *", "minute"},
        {"1-a * * * *", "minute"},
        {"30-10 * * * *", "backwards"},
        {"*/0 * * * *", "step"},
        {"*/60 * * * *", "step"},
        {"*/x * * * *", "step"},
        {"*5 * * * *", "nothing may follow"},
        {"1,,2 * * * *", "minute"},
        {"1, * * * *", "minute"},
        {", * * * *", "minute"},
        {"? * * * *", "? has its place"},
        {"* * * JANU *", "nothing may follow"},
        {"* * MON * *", "day of month"},
        {"* * L-31 * *", "L-n"},
        {"* * L/2 * *", "nothing may follow"},
        {"* * 32W * *", "day of month"},
        {"* * 1-5W * *", "nothing may follow"},
        {"* * * * L", "day of week"},
        {"* * * * MON#6", "behind #"},
        {"* * * * MON#0", "behind #"},
        {"* L * * *", "hour"},
        {"0 0 30 2 *", "never"},
        {"0 0 30 2 ?", "never"},
        {"0 0 31 2,4,6,9,11 *", "never"},
        {"0 0 31W 4 *", "never"},
        {"@reboot", "@hourly"},
        {"@every 5m", "@hourly"},
        {"99999999999 * * * *", "minute"},
    };
    char longer[CRON_TEXT_MAX + 2];
    struct cron c;
    struct fault f;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        f.text[0] = '\0';
        if (cron_parse(slice_str(table[i].text), &c, &f) != ERR_MALFORMED ||
            strstr(f.text, table[i].want) == NULL)
            fail_msg("\"%s\": \"%s\" does not say \"%s\"", table[i].text, f.text,
                     table[i].want);
    }
    memset(longer, ' ', sizeof longer - 1);
    memcpy(longer, "* * * * *", 9);
    assert_int_equal(cron_parse(slice_of(longer, CRON_TEXT_MAX), &c, &f), ERR_OK);
    assert_int_equal(cron_parse(slice_of(longer, CRON_TEXT_MAX + 1), &c, &f), ERR_MALFORMED);
    assert_int_equal(cron_parse(SLICE_LIT("* * * * *\0"), &c, &f), ERR_MALFORMED);
}

static void time_ends_with_the_year_9999(void **state)
{
    struct cron c;
    struct tz *tz;
    int64_t at;

    (void)state;
    assert_int_equal(tz_load(SLICE_LIT("UTC"), &tz, NULL), ERR_OK);
    assert_int_equal(cron_parse(SLICE_LIT("0 0 29 2 *"), &c, NULL), ERR_OK);
    assert_int_equal(cron_next(&c, tz, unix_of("9996-02-29T00:00:00Z"), &at), ERR_NOT_FOUND);
    assert_int_equal(cron_next(&c, tz, -1, &at), ERR_NOT_FOUND);
    assert_int_equal(cron_next(&c, tz, INT64_MAX, &at), ERR_NOT_FOUND);
    tz_free(&tz);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_next_tick_is_found),
        cmocka_unit_test(wrong_expressions_are_refused_by_field_and_rule),
        cmocka_unit_test(time_ends_with_the_year_9999),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
