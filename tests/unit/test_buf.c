#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shared/buf.h"

static void a_zeroed_buffer_is_empty_and_reads_as_a_string(void **state)
{
    struct buf b = {0};

    (void)state;
    assert_int_equal(buf_slice(&b).len, 0);
    assert_string_equal(buf_cstr(&b), "");
    assert_null(buf_detach(&b, NULL));
    buf_consume(&b, 0);
    buf_truncate(&b, 0);
    buf_add(&b, NULL, 0);
    assert_false(buf_failed(&b));
    buf_done(&b);
}

static void whatever_is_added_stands_in_order_and_ends_with_nul(void **state)
{
    struct buf b = {0};

    (void)state;
    buf_add_str(&b, "one ");
    buf_add_slice(&b, SLICE_LIT("two "));
    buf_add_char(&b, '3');
    buf_add(&b, "\0x", 2);
    buf_addf(&b, " %d %s", 42, "and a text that needs more room than the first allocation has");
    assert_false(buf_failed(&b));
    assert_true(slice_eq(buf_slice(&b),
                         SLICE_LIT("one two 3\0x 42 and a text that needs more room than "
                                   "the first allocation has")));
    assert_int_equal(b.data[b.len], '\0');
    buf_done(&b);
    assert_null(b.data);
}

static void formatting_fits_at_every_length_around_the_capacity(void **state)
{
    (void)state;
    for (int n = 0; n < 300; n++) {
        struct buf b = {0};

        buf_add_str(&b, "<");
        buf_addf(&b, "%*d", n, 7);
        assert_false(buf_failed(&b));
        assert_int_equal(b.len, 1 + (n == 0 ? 1 : n));
        assert_int_equal(b.data[b.len - 1], '7');
        assert_int_equal(b.data[b.len], '\0');
        buf_done(&b);
    }
}

static void many_small_appends_are_all_there(void **state)
{
    struct buf b = {0};

    (void)state;
    for (unsigned i = 0; i < 100000; i++)
        buf_add_char(&b, (char)('a' + i % 26));
    assert_int_equal(b.len, 100000);
    for (unsigned i = 0; i < 100000; i++)
        assert_int_equal(b.data[i], 'a' + i % 26);
    buf_done(&b);
}

static void passing_the_limit_fails_and_stays_failed(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 5);
    buf_add_str(&b, "12345");
    assert_false(buf_failed(&b));
    buf_add_char(&b, '6');
    assert_true(buf_failed(&b));
    buf_clear(&b);
    assert_false(buf_failed(&b));
    buf_addf(&b, "%s", "123456");
    assert_true(buf_failed(&b));
    buf_addf(&b, "%s", "1");
    buf_add_str(&b, "1");
    assert_null(buf_reserve(&b, 1));
    assert_int_equal(b.len, 0);
    assert_string_equal(buf_cstr(&b), "");
    buf_done(&b);
    assert_int_equal(b.limit, 5);
    assert_false(buf_failed(&b));
}

static void a_size_that_no_memory_has_fails_without_asking_for_it(void **state)
{
    static const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 1, SIZE_MAX / 2, PTRDIFF_MAX,
                                   (size_t)PTRDIFF_MAX / 2 + 1};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        struct buf b = {.limit = i % 2 == 0 ? 0 : SIZE_MAX};

        buf_add_str(&b, "kept");
        assert_null(buf_reserve(&b, sizes[i]));
        assert_true(buf_failed(&b));
        assert_string_equal(buf_cstr(&b), "kept");
        buf_done(&b);
    }
}

static void reserved_room_is_filled_and_committed(void **state)
{
    struct buf b = {0};
    char *to = buf_reserve(&b, 200);

    (void)state;
    assert_non_null(to);
    memset(to, 'x', 200);
    buf_commit(&b, 3);
    assert_string_equal(buf_cstr(&b), "xxx");
    assert_non_null(buf_reserve(&b, 0));
    buf_commit(&b, 0);
    buf_done(&b);
}

static void the_front_and_the_end_can_be_dropped(void **state)
{
    struct buf b = {0};

    (void)state;
    buf_add_str(&b, "abcdef");
    buf_consume(&b, 2);
    assert_string_equal(buf_cstr(&b), "cdef");
    buf_truncate(&b, 9);
    assert_string_equal(buf_cstr(&b), "cdef");
    buf_truncate(&b, 3);
    assert_string_equal(buf_cstr(&b), "cde");
    buf_consume(&b, 3);
    assert_string_equal(buf_cstr(&b), "");
    buf_add_str(&b, "again");
    assert_string_equal(buf_cstr(&b), "again");
    buf_done(&b);
}

static void detached_memory_belongs_to_the_caller(void **state)
{
    struct buf b;
    size_t len = 0;
    char *mine;

    (void)state;
    buf_init(&b, 9);
    buf_add_str(&b, "mine");
    mine = buf_detach(&b, &len);
    assert_int_equal(len, 4);
    assert_string_equal(mine, "mine");
    assert_int_equal(b.len, 0);
    assert_int_equal(b.limit, 9);
    buf_done(&b);
    free(mine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_zeroed_buffer_is_empty_and_reads_as_a_string),
        cmocka_unit_test(whatever_is_added_stands_in_order_and_ends_with_nul),
        cmocka_unit_test(formatting_fits_at_every_length_around_the_capacity),
        cmocka_unit_test(many_small_appends_are_all_there),
        cmocka_unit_test(passing_the_limit_fails_and_stays_failed),
        cmocka_unit_test(a_size_that_no_memory_has_fails_without_asking_for_it),
        cmocka_unit_test(reserved_room_is_filled_and_committed),
        cmocka_unit_test(the_front_and_the_end_can_be_dropped),
        cmocka_unit_test(detached_memory_belongs_to_the_caller),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
