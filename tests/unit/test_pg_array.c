#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "shared/pg.h"

static void assert_bytes(struct pg_array *a, const void *want, size_t len)
{
    struct slice got = pg_array_end(a);

    assert_int_equal(got.len, len);
    assert_memory_equal(got.ptr, want, len);
    pg_array_done(a);
}

static void an_array_without_elements_has_its_header_only(void **state)
{
    struct pg_array a;

    (void)state;
    pg_array_init(&a, PG_OID_INT8);
    assert_bytes(&a, "\0\0\0\1\0\0\0\0\0\0\0\24\0\0\0\0\0\0\0\1", 20);
}

static void numbers_are_big_endian(void **state)
{
    struct pg_array a;

    (void)state;
    pg_array_init(&a, PG_OID_INT2);
    pg_array_i16(&a, -2);
    pg_array_i16(&a, 0x0102);
    assert_bytes(&a,
                 "\0\0\0\1\0\0\0\0\0\0\0\25\0\0\0\2\0\0\0\1"
                 "\0\0\0\2\xff\xfe\0\0\0\2\1\2",
                 32);
    pg_array_init(&a, PG_OID_INT4);
    pg_array_i32(&a, INT32_MIN);
    assert_bytes(&a, "\0\0\0\1\0\0\0\0\0\0\0\27\0\0\0\1\0\0\0\1\0\0\0\4\x80\0\0\0", 28);
    pg_array_init(&a, PG_OID_INT8);
    pg_array_i64(&a, 0x0102030405060708);
    assert_bytes(&a, "\0\0\0\1\0\0\0\0\0\0\0\24\0\0\0\1\0\0\0\1\0\0\0\10\1\2\3\4\5\6\7\10", 32);
}

static void a_null_is_counted_and_flagged(void **state)
{
    struct pg_array a;

    (void)state;
    pg_array_init(&a, PG_OID_TEXT);
    pg_array_bytes(&a, "a", 1);
    pg_array_null(&a);
    pg_array_bytes(&a, "", 0);
    assert_int_equal(a.n, 3);
    assert_bytes(&a,
                 "\0\0\0\1\0\0\0\1\0\0\0\31\0\0\0\3\0\0\0\1"
                 "\0\0\0\1a\xff\xff\xff\xff\0\0\0\0",
                 33);
}

static void jsonb_carries_its_version(void **state)
{
    struct pg_array a;

    (void)state;
    pg_array_init(&a, PG_OID_JSONB);
    pg_array_jsonb(&a, "{}", 2);
    assert_bytes(&a, "\0\0\0\1\0\0\0\0\0\0\x0e\xda\0\0\0\1\0\0\0\1\0\0\0\3\1{}", 27);
}

static void times_count_from_the_year_2000(void **state)
{
    static const struct {
        uint64_t unix_ms;
        int64_t want_us;
    } cases[] = {
        {946684800000, 0},
        {946684800001, 1000},
        {1, -946684799999000},
        {1795473781123, 848788981123000},
        {UINT64_MAX, 252455615999999000}, /* the end of the year 9999 */
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct pg_array a, b;
        struct slice want;

        pg_array_init(&a, PG_OID_TIMESTAMPTZ);
        pg_array_init(&b, PG_OID_TIMESTAMPTZ);
        pg_array_wall_ms(&a, cases[i].unix_ms);
        pg_array_i64(&b, cases[i].want_us);
        want = pg_array_end(&b);
        assert_bytes(&a, want.ptr, want.len);
        pg_array_done(&b);
    }
}

static void time_zero_is_null(void **state)
{
    struct pg_array a;

    (void)state;
    pg_array_init(&a, PG_OID_TIMESTAMPTZ);
    pg_array_wall_ms(&a, 0);
    assert_bytes(&a, "\0\0\0\1\0\0\0\1\0\0\4\xa0\0\0\0\1\0\0\0\1\xff\xff\xff\xff", 24);
}

static void a_failed_array_is_empty_and_stays_so(void **state)
{
    struct pg_array a;

    (void)state;
    pg_array_init(&a, PG_OID_BYTEA);
    pg_array_bytes(&a, "x", (size_t)PG_QUERY_MAX + 1); /* refused before a byte is read */
    assert_true(buf_failed(&a.bytes));
    pg_array_null(&a);
    pg_array_i64(&a, 1);
    assert_int_equal(pg_array_end(&a).len, 0);
    pg_array_done(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_array_without_elements_has_its_header_only),
        cmocka_unit_test(numbers_are_big_endian),
        cmocka_unit_test(a_null_is_counted_and_flagged),
        cmocka_unit_test(jsonb_carries_its_version),
        cmocka_unit_test(times_count_from_the_year_2000),
        cmocka_unit_test(time_zero_is_null),
        cmocka_unit_test(a_failed_array_is_empty_and_stays_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
