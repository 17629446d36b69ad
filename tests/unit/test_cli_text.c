/* What people read: text from outside made safe, ages, durations, sizes; aligned tables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/table.h"
#include "cli/text.h"

/* --- text ------------------------------------------------------------------------------------ */

static void text_from_outside_cannot_drive_a_terminal(void **state)
{
    static const struct {
        struct slice in;
        const char *want, *want_lines;
    } table[] = {
        {SLICE_LIT(""), "", ""},
        {SLICE_LIT("plain, and a \\ too"), "plain, and a \\ too", "plain, and a \\ too"},
        {SLICE_LIT("Grüße 日本 😀"), "Grüße 日本 😀", "Grüße 日本 😀"},
        {SLICE_LIT("a\nb"), "a\\nb", "a\nb"},
        {SLICE_LIT("a\tb\rc"), "a\\tb\\rc", "a\\tb\\rc"},
        {SLICE_LIT("\033[31mred"), "\\x1b[31mred", "\\x1b[31mred"},
        {SLICE_LIT("\0\x7f"), "\\x00\\x7f", "\\x00\\x7f"},
        {SLICE_LIT("\xc2\x9b"
                   "2J"),
         "\\u009b2J", "\\u009b2J"},
        {SLICE_LIT("\xe2\x80\xae"
                   "exe"),
         "\\u202eexe", "\\u202eexe"},
        {SLICE_LIT("\xe2\x81\xa6\xd8\x9c"), "\\u2066\\u061c", "\\u2066\\u061c"},
        {SLICE_LIT("\xff\xc3"), "\\xff\\xc3", "\\xff\\xc3"},
        {SLICE_LIT("\xed\xa0\x80"), "\\xed\\xa0\\x80", "\\xed\\xa0\\x80"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct buf one = {0}, lines = {0};

        text_safe(table[i].in, &one);
        text_safe_lines(table[i].in, &lines);
        assert_string_equal(buf_cstr(&one), table[i].want);
        assert_string_equal(buf_cstr(&lines), table[i].want_lines);
        buf_done(&one);
        buf_done(&lines);
    }
}

static void a_width_counts_characters(void **state)
{
    (void)state;
    assert_int_equal(text_width(SLICE_LIT("")), 0);
    assert_int_equal(text_width(SLICE_LIT("abc")), 3);
    assert_int_equal(text_width(SLICE_LIT("Grüße")), 5);
    assert_int_equal(text_width(SLICE_LIT("😀")), 1);
}

#define NOW_MS UINT64_C(1800000000000)

static void ages_are_told_in_the_largest_unit_that_fits(void **state)
{
    static const struct {
        uint64_t then_ms;
        const char *want;
    } table[] = {
        {NOW_MS, "now"},
        {NOW_MS - 999, "now"},
        {NOW_MS + 999, "now"},
        {NOW_MS - 1000, "1 s ago"},
        {NOW_MS - 59999, "59 s ago"},
        {NOW_MS - 60000, "1 min ago"},
        {NOW_MS - 3600000, "1 h ago"},
        {NOW_MS - 86399999, "23 h ago"},
        {NOW_MS - UINT64_C(172800000), "2 d ago"},
        {NOW_MS + 5000, "in 5 s"},
        {NOW_MS + 90000, "in 1 min"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct buf out = {0};

        text_age(table[i].then_ms, NOW_MS, &out);
        assert_string_equal(buf_cstr(&out), table[i].want);
        buf_done(&out);
    }
}

static void durations_and_sizes_are_told_with_their_unit(void **state)
{
    static const struct {
        uint64_t n;
        const char *duration, *size;
    } table[] = {
        {0, "0 ms", "0 B"},
        {999, "999 ms", "999 B"},
        {1000, "1.00 s", "1.0 kB"},
        {59999, "59.99 s", "59.9 kB"},
        {61000, "1 min 1 s", "61.0 kB"},
        {5400000, "1 h 30 min", "5.4 MB"},
        {90000000, "1 d 1 h", "90.0 MB"},
        {UINT64_C(2500000000), "28 d 22 h", "2.5 GB"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct buf duration = {0}, size = {0};

        text_duration(table[i].n, &duration);
        text_bytes(table[i].n, &size);
        assert_string_equal(buf_cstr(&duration), table[i].duration);
        assert_string_equal(buf_cstr(&size), table[i].size);
        buf_done(&duration);
        buf_done(&size);
    }
}

/* --- tables ---------------------------------------------------------------------------------- */

static const struct table_column columns[] = {{"NAME", false}, {"N", true}, {"LAST", false}};

static void assert_prints(const struct table *t, bool bold, const char *want)
{
    struct buf out = {0};

    table_print(t, bold, &out);
    assert_string_equal(buf_cstr(&out), want);
    buf_done(&out);
}

static void cells_stand_below_each_other_without_trailing_blanks(void **state)
{
    struct table t;

    (void)state;
    table_init(&t, columns, COUNT_OF(columns));
    table_add(&t, SLICE_LIT("a"));
    table_addf(&t, "%d", 12345);
    table_add(&t, SLICE_LIT("x y"));
    table_add(&t, SLICE_LIT("longer"));
    table_addf(&t, "%d", 1);
    table_add(&t, SLICE_LIT("z"));
    assert_prints(&t, false,
                  "NAME        N  LAST\n"
                  "a       12345  x y\n"
                  "longer      1  z\n");
    table_done(&t);
}

static void an_empty_table_is_its_headings(void **state)
{
    struct table t;

    (void)state;
    table_init(&t, columns, COUNT_OF(columns));
    assert_prints(&t, false, "NAME  N  LAST\n");
    assert_prints(&t, true, "\033[1mNAME  N  LAST\033[0m\n");
    table_done(&t);
}

static void columns_align_by_characters_and_show_nothing_as_a_dash(void **state)
{
    struct table t;

    (void)state;
    table_init(&t, columns, COUNT_OF(columns));
    table_add(&t, SLICE_LIT("Grüße"));
    table_add(&t, SLICE_LIT(""));
    table_add(&t, SLICE_LIT("\033[2J"));
    assert_prints(&t, false,
                  "NAME   N  LAST\n"
                  "Grüße  -  \\x1b[2J\n");
    table_done(&t);
}

static void a_row_that_is_not_whole_is_left_out(void **state)
{
    struct table t;

    (void)state;
    table_init(&t, columns, COUNT_OF(columns));
    table_add(&t, SLICE_LIT("only"));
    assert_prints(&t, false, "NAME  N  LAST\n");
    table_done(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_from_outside_cannot_drive_a_terminal),
        cmocka_unit_test(a_width_counts_characters),
        cmocka_unit_test(ages_are_told_in_the_largest_unit_that_fits),
        cmocka_unit_test(durations_and_sizes_are_told_with_their_unit),
        cmocka_unit_test(cells_stand_below_each_other_without_trailing_blanks),
        cmocka_unit_test(an_empty_table_is_its_headings),
        cmocka_unit_test(columns_align_by_characters_and_show_nothing_as_a_dash),
        cmocka_unit_test(a_row_that_is_not_whole_is_left_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
