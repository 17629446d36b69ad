#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "queue/limits.h"

static void limits_come_through_redis_and_json_unchanged(void **state)
{
    static const struct queue_limits table[] = {
        {{0, {0, 0, 0}}, {0, {0, 0, 0}}},
        {{1, {0, 0, 0}}, {0, {0, 0, 0}}},
        {{0, {0, 0, 0}}, {0, {7, 1000, 3}}},
        {{5, {10, 60000, 20}}, {2, {1, 1, 1}}},
        {{LIMITS_COUNT_MAX, {LIMITS_COUNT_MAX, LIMITS_PER_MAX, LIMITS_COUNT_MAX}},
         {LIMITS_COUNT_MAX, {LIMITS_COUNT_MAX, LIMITS_PER_MAX, LIMITS_COUNT_MAX}}},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        AUTO(buf_done) struct buf json = {0};
        char text[LIMITS_TEXT_SIZE];
        struct queue_limits got;
        struct spec_fault why;

        limits_decode(limits_encode(&table[i], text), &got);
        assert_memory_equal(&got, &table[i], sizeof got);
        assert_int_equal(limits_are_set(&got), i > 0);
        limits_json(&table[i], &json);
        assert_int_equal(limits_parse(buf_slice(&json), &got, &why), ERR_OK);
        assert_memory_equal(&got, &table[i], sizeof got);
    }
}

static void what_redis_has_spoilt_counts_as_none(void **state)
{
    static const char *const table[] = {
        "",  "1",  "1 2 3 4 5 6 7",   "1 2 3 4 5 6 7 8 9", "1 2 3 4 5 6 7 x",
        " ", "-1", "a 0 0 0 0 0 0 0", "1  0 0 0 0 0 0 0",  "1 0 0 0 0 0 0 0 ",
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct queue_limits got = {.whole = {.running = 7}};

        limits_decode(slice_str(table[i]), &got);
        if (limits_are_set(&got))
            fail_msg("\"%s\" is taken for limits", table[i]);
    }
}

static void rates_are_read_and_told_in_short(void **state)
{
    static const struct {
        const char *text;
        struct rate_limit want;
        const char *told;
    } table[] = {
        {"10/s", {10, 1000, 10}, "10/s"},
        {"10/1s", {10, 1000, 10}, "10/s"},
        {"10/1000ms", {10, 1000, 10}, "10/s"},
        {"100/60s,20", {100, 60000, 20}, "100/m,20"},
        {"1/1500ms,1", {1, 1500, 1}, "1/1500ms"},
        {"3/2h", {3, 7200000, 3}, "3/2h"},
        {"1000000/d,1000000", {1000000, 86400000, 1000000}, "1000000/d"},
        {"1/ms", {1, 1, 1}, "1/ms"},
    };
    struct rate_limit got;
    char told[LIMITS_RATE_SIZE];
    struct fault why;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        assert_int_equal(limits_parse_rate(table[i].text, &got, &why), ERR_OK);
        assert_memory_equal(&got, &table[i].want, sizeof got);
        assert_string_equal(limits_rate_text(&got, told), table[i].told);
    }
    assert_string_equal(limits_rate_text(&(struct rate_limit){0, 0, 0}, told), "");
}

static void what_is_no_rate_is_told(void **state)
{
    static const char *const table[] = {
        "",
        "10",
        "/s",
        "0/s",
        "10/",
        "10/w",
        "10/0s",
        "1/2d",
        "1000001/s",
        "10/s,",
        "10/s,0",
        "10/s,1x",
        "10/s 1",
        "x/s",
        "-1/s",
        "1/-1s",
        "1/86400001ms",
        "1/s,1000001",
        "99999999999999999999/s",
    };
    struct rate_limit got = {7, 7, 7};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct fault why = {.text = ""};

        if (limits_parse_rate(table[i], &got, &why) != ERR_MALFORMED || got.count != 7 ||
            strstr(why.text, "is no rate") == NULL)
            fail_msg("\"%s\": %s", table[i], why.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limits_come_through_redis_and_json_unchanged),
        cmocka_unit_test(what_redis_has_spoilt_counts_as_none),
        cmocka_unit_test(rates_are_read_and_told_in_short),
        cmocka_unit_test(what_is_no_rate_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
