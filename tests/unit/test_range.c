#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/range.h"

static const struct {
    const char *value;
    uint64_t bytes;
    enum range_verdict want;
    uint64_t first, last;
} ranges[] = {
    {NULL, 100, RANGE_WHOLE, 0, 0},
    {"bytes=0-0", 100, RANGE_PART, 0, 0},
    {"bytes=0-9", 100, RANGE_PART, 0, 9},
    {"BYTES=10-19", 100, RANGE_PART, 10, 19},
    {"bytes=99-99", 100, RANGE_PART, 99, 99},
    {"bytes=90-", 100, RANGE_PART, 90, 99},
    {"bytes=90-1000", 100, RANGE_PART, 90, 99},
    {"bytes=0-9999999999999999999", 100, RANGE_PART, 0, 99},
    {"bytes=0-18446744073709551616", 100, RANGE_PART, 0, 99},
    {"bytes=0-99999999999999999999999999", 100, RANGE_PART, 0, 99},
    {"bytes=-1", 100, RANGE_PART, 99, 99},
    {"bytes=-100", 100, RANGE_PART, 0, 99},
    {"bytes=-101", 100, RANGE_PART, 0, 99},
    {"bytes=100-", 100, RANGE_OUTSIDE, 0, 0},
    {"bytes=100-200", 100, RANGE_OUTSIDE, 0, 0},
    {"bytes=99999999999999999999999999-", 100, RANGE_OUTSIDE, 0, 0},
    {"bytes=-0", 100, RANGE_OUTSIDE, 0, 0},
    {"bytes=0-0", 0, RANGE_OUTSIDE, 0, 0},
    {"bytes=-5", 0, RANGE_OUTSIDE, 0, 0},
    /* What cannot be read, and what a server need not do, is as if it was not asked. */
    {"", 100, RANGE_WHOLE, 0, 0},
    {"bytes=", 100, RANGE_WHOLE, 0, 0},
    {"bytes=-", 100, RANGE_WHOLE, 0, 0},
    {"bytes=5", 100, RANGE_WHOLE, 0, 0},
    {"bytes=9-5", 100, RANGE_WHOLE, 0, 0},
    {"bytes=a-b", 100, RANGE_WHOLE, 0, 0},
    {"bytes=0-9,20-29", 100, RANGE_WHOLE, 0, 0},
    {"bytes=0-9x", 100, RANGE_WHOLE, 0, 0},
    {"bytes= 0-9", 100, RANGE_WHOLE, 0, 0},
    {"bytes=0x1-9", 100, RANGE_WHOLE, 0, 0},
    {"bytes=+1-9", 100, RANGE_WHOLE, 0, 0},
    {"items=0-9", 100, RANGE_WHOLE, 0, 0},
};

static void a_range_is_cut_to_the_file_or_refused_or_ignored(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(ranges); i++) {
        struct range r = {0, 0};
        enum range_verdict v = range_parse(slice_str(ranges[i].value), ranges[i].bytes, &r);

        if (v != ranges[i].want || r.first != ranges[i].first || r.last != ranges[i].last)
            fail_msg("\"%s\" of %llu: verdict %d, %llu-%llu", ranges[i].value,
                     (unsigned long long)ranges[i].bytes, (int)v, (unsigned long long)r.first,
                     (unsigned long long)r.last);
    }
}

static void a_tag_matches_itself_in_a_list_and_weakly(void **state)
{
    static const struct {
        const char *list;
        bool want;
    } table[] = {
        {NULL, false},
        {"\"abc\"", true},
        {"W/\"abc\"", true},
        {"*", true},
        {" * ", true},
        {"\"x\", \"abc\"", true},
        {"\"x\",W/\"abc\" ", true},
        {"\"x\", \"y\"", false},
        {"abc", false},
        {"\"abc", false},
        {"\"ABC\"", false},
        {"", false},
        {",", false},
        {"\"x\", *", false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        if (range_etag_matches(slice_str(table[i].list), "\"abc\"") != table[i].want)
            fail_msg("%s", table[i].list);
    }
}

static void a_range_applies_only_to_the_very_same_file(void **state)
{
    (void)state;
    assert_true(range_applies(slice_str(NULL), "\"abc\""));
    assert_true(range_applies(SLICE_LIT("\"abc\""), "\"abc\""));
    assert_false(range_applies(SLICE_LIT("W/\"abc\""), "\"abc\""));
    assert_false(range_applies(SLICE_LIT("\"x\""), "\"abc\""));
    assert_false(range_applies(SLICE_LIT(""), "\"abc\""));
    assert_false(range_applies(SLICE_LIT("Wed, 05 Nov 2025 00:00:00 GMT"), "\"abc\""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_range_is_cut_to_the_file_or_refused_or_ignored),
        cmocka_unit_test(a_tag_matches_itself_in_a_list_and_weakly),
        cmocka_unit_test(a_range_applies_only_to_the_very_same_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
