#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shared/mp.h"

#define IN(s)               \
    {                       \
        "" s, sizeof(s) - 1 \
    }

static const struct {
    struct slice in;
    enum err want;
    const char *rule; /* part of the fault's text */
} from_outside[] = {
    {IN("\xc0"), ERR_OK, ""},
    {IN("\x7f"), ERR_OK, ""},
    {IN("\xe0"), ERR_OK, ""},
    {IN("\xff"), ERR_OK, ""},
    {IN("\xc2"), ERR_OK, ""},
    {IN("\xcc\xff"), ERR_OK, ""},
    {IN("\xcd\xff\xff"), ERR_OK, ""},
    {IN("\xce\xff\xff\xff\xff"), ERR_OK, ""},
    {IN("\xcf\xff\xff\xff\xff\xff\xff\xff\xff"), ERR_OK, ""},
    {IN("\xd0\x80"), ERR_OK, ""},
    {IN("\xd1\x80\x00"), ERR_OK, ""},
    {IN("\xd2\x80\x00\x00\x00"), ERR_OK, ""},
    {IN("\xd3\x80\x00\x00\x00\x00\x00\x00\x00"), ERR_OK, ""},
    {IN("\xca\x7f\xc0\x00\x00"), ERR_OK, ""},
    {IN("\xcb\x7f\xf0\x00\x00\x00\x00\x00\x00"), ERR_OK, ""},
    {IN("\xa0"), ERR_OK, ""},
    {IN("\xa2\xc3\xbc"), ERR_OK, ""},
    {IN("\xd9\x01x"), ERR_OK, ""},
    {IN("\xda\x00\x01x"), ERR_OK, ""},
    {IN("\xdb\x00\x00\x00\x01x"), ERR_OK, ""},
    {IN("\xc4\x02\x00\xff"), ERR_OK, ""},
    {IN("\xc5\x00\x01\xff"), ERR_OK, ""},
    {IN("\xc6\x00\x00\x00\x00"), ERR_OK, ""},
    {IN("\x90"), ERR_OK, ""},
    {IN("\x80"), ERR_OK, ""},
    {IN("\x93\x01\xa1x\x90"), ERR_OK, ""},
    {IN("\xdc\x00\x01\xc0"), ERR_OK, ""},
    {IN("\xdd\x00\x00\x00\x01\xc0"), ERR_OK, ""},
    {IN("\x82\xa1"
        "a\x01\xa1"
        "b\x81\xa1"
        "a\x02"),
     ERR_OK, ""},
    {IN("\xde\x00\x01\xa1k\xc0"), ERR_OK, ""},
    {IN("\xdf\x00\x00\x00\x01\xa1k\xc0"), ERR_OK, ""},

    {IN(""), ERR_MALFORMED, "ends in the middle"},
    {IN("\xcc"), ERR_MALFORMED, "ends in the middle"},
    {IN("\xcf\x01\x02\x03\x04\x05\x06\x07"), ERR_MALFORMED, "ends in the middle"},
    {IN("\xd9"), ERR_MALFORMED, "ends in the middle"},
    {IN("\xdd\x00\x00\x00"), ERR_MALFORMED, "ends in the middle"},
    {IN("\x81\xa1k"), ERR_MALFORMED, "ends in the middle"},
    {IN("\x92\x90"), ERR_MALFORMED, "claims more"},
    {IN("\x01\x02"), ERR_MALFORMED, "behind"},
    {IN("\x90\xc0"), ERR_MALFORMED, "behind"},
    {IN("\xa2x"), ERR_MALFORMED, "longer than"},
    {IN("\xc4\x05xxxx"), ERR_MALFORMED, "longer than"},
    {IN("\xdb\xff\xff\xff\xffx"), ERR_MALFORMED, "longer than"},
    {IN("\xc6\xff\xff\xff\xffx"), ERR_MALFORMED, "longer than"},
    {IN("\x91\xa1"), ERR_MALFORMED, "longer than"},
    {IN("\xdf\x0f\xff\xff\xff"), ERR_MALFORMED, "claims more"},
    {IN("\xdf\xff\xff\xff\xff"), ERR_MALFORMED, "claims more"},
    {IN("\xdd\xff\xff\xff\xff\xc0"), ERR_MALFORMED, "claims more"},
    {IN("\xde\x00\x02\xa1k\xc0"), ERR_MALFORMED, "claims more"},
    {IN("\x9f\x01"), ERR_MALFORMED, "claims more"},
    {IN("\xc1"), ERR_MALFORMED, "not taken"},
    {IN("\xd4\x01\x02"), ERR_MALFORMED, "not taken"},
    {IN("\xc7\x01\x01\x02"), ERR_MALFORMED, "not taken"},
    {IN("\xd6\xff\x00\x00\x00\x00"), ERR_MALFORMED, "not taken"},
    {IN("\xa1\xff"), ERR_MALFORMED, "UTF-8"},
    {IN("\xa1\x00"), ERR_MALFORMED, "NUL"},
    {IN("\xa2\xc0\x80"), ERR_MALFORMED, "UTF-8"},
    {IN("\xa3\xed\xa0\x80"), ERR_MALFORMED, "UTF-8"},
    {IN("\xa4\xf4\x90\x80\x80"), ERR_MALFORMED, "UTF-8"},
    {IN("\x91\xa2\xe2\x82\x82"), ERR_MALFORMED, "UTF-8"},
    {IN("\x81\x01\x02"), ERR_MALFORMED, "not a string"},
    {IN("\x81\xc0\xc0"), ERR_MALFORMED, "not a string"},
    {IN("\x81\xc4\x01k\x01"), ERR_MALFORMED, "not a string"},
    {IN("\x81\x90\x01"), ERR_MALFORMED, "not a string"},
    {IN("\x81\x80\x01"), ERR_MALFORMED, "not a string"},
    {IN("\x81\xcb\x00\x00\x00\x00\x00\x00\x00\x00\x01"), ERR_MALFORMED, "not a string"},
    {IN("\x82\xa1k\x01\xa1k\x02"), ERR_MALFORMED, "twice"},
    {IN("\x82\xa1k\x01\xd9\x01k\x02"), ERR_MALFORMED, "twice"},
    {IN("\x82\xa0\x01\xa0\x02"), ERR_MALFORMED, "twice"},
    {IN("\x82\xa1k\x81\xa1x\xc0\xa1k\x02"), ERR_MALFORMED, "twice"},
};

static void bytes_from_outside_pass_or_are_refused_with_a_reason(void **state)
{
    struct mp_limits limits = MP_LIMITS_DEFAULT;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(from_outside); i++) {
        struct fault why = {0};
        enum err e = mp_check(from_outside[i].in, &limits, &why);

        if (e != from_outside[i].want)
            fail_msg("row %zu: %s %s", i, err_name(e), why.text);
        assert_int_equal(mp_check(from_outside[i].in, &limits, NULL), e);
        if (strstr(why.text, from_outside[i].rule) == NULL)
            fail_msg("row %zu: \"%s\" does not say \"%s\"", i, why.text, from_outside[i].rule);
    }
}

static void every_first_half_of_a_good_value_is_refused(void **state)
{
    struct mp_limits limits = MP_LIMITS_DEFAULT;
    struct buf b = {0};
    msgpack_packer pk;

    (void)state;
    mp_packer(&pk, &b);
    msgpack_pack_map(&pk, 3);
    mp_str(&pk, "ints");
    msgpack_pack_array(&pk, 3);
    msgpack_pack_int64(&pk, INT64_MIN);
    msgpack_pack_uint64(&pk, UINT64_MAX);
    msgpack_pack_double(&pk, 0.1);
    mp_str(&pk, "text");
    mp_str(&pk, "a text that is long enough to have a head of two bytes");
    mp_str(&pk, "bin");
    mp_bin(&pk, SLICE_LIT("\0\1\2\3"));
    assert_false(buf_failed(&b));
    assert_int_equal(mp_check(buf_slice(&b), &limits, NULL), ERR_OK);
    for (size_t n = 0; n < b.len; n++) {
        char *exact = malloc(n + 1); /* so that reading past the end shows */

        assert_non_null(exact);
        memcpy(exact, b.data, n);
        exact = realloc(exact, n == 0 ? 1 : n);
        assert_non_null(exact);
        assert_int_equal(mp_check(slice_of(exact, n), &limits, NULL), ERR_MALFORMED);
        free(exact);
    }
    buf_done(&b);
}

static void nest(struct buf *b, unsigned depth, bool maps)
{
    for (unsigned i = 0; i < depth; i++)
        buf_add_slice(b, maps && i % 2 == 0 ? SLICE_LIT("\x81\xa1k") : SLICE_LIT("\x91"));
    buf_add_char(b, '\xc0');
}

static void depth_is_bounded_by_the_limit_and_by_what_msgpack_c_bears(void **state)
{
    static const struct {
        unsigned max_depth, depth;
        enum err want;
    } table[] = {
        {0, 0, ERR_OK},
        {0, 1, ERR_MALFORMED},
        {1, 1, ERR_OK},
        {4, 4, ERR_OK},
        {4, 5, ERR_MALFORMED},
        {16, 16, ERR_OK},
        {32, 32, ERR_OK},
        {32, 33, ERR_MALFORMED},
        {UINT32_MAX, 32, ERR_OK},
        {9, 33, ERR_MALFORMED},
        {UINT32_MAX, 33, ERR_MALFORMED},
        {UINT32_MAX, 100000, ERR_MALFORMED},
    };

    (void)state;
    for (size_t i = 0; i < 2 * COUNT_OF(table); i++) {
        const unsigned depth = table[i / 2].depth;
        struct mp_limits limits = {table[i / 2].max_depth, 1000000, 1000000};
        struct buf b = {0};
        msgpack_object root;
        msgpack_zone zone;

        nest(&b, depth, i % 2 == 1);
        assert_true(msgpack_zone_init(&zone, 256));
        assert_int_equal(mp_parse(buf_slice(&b), &limits, &zone, &root, NULL),
                         table[i / 2].want);
        msgpack_zone_destroy(&zone);
        buf_done(&b);
    }
}

static void bytes_and_values_over_the_limit_are_too_big(void **state)
{
    struct mp_limits limits = {4, 4, 5};
    struct fault why;

    (void)state;
    assert_int_equal(mp_check(SLICE_LIT("\x93\x01\x02\x03"), &limits, NULL), ERR_OK);
    assert_int_equal(mp_check(SLICE_LIT("\x94\x01\x02\x03\x04"), &limits, &why), ERR_TOO_BIG);
    assert_non_null(strstr(why.text, "4 values"));
    assert_int_equal(mp_check(SLICE_LIT("\xa4xxxx"), &limits, NULL), ERR_OK);
    assert_int_equal(mp_check(SLICE_LIT("\xa5xxxxx"), &limits, &why), ERR_TOO_BIG);
    assert_non_null(strstr(why.text, "at most 5"));
}

/* A map of n keys k0, k1, ..., whose values are maps of the same kind down to depth. */
static void wide(struct buf *b, unsigned n, unsigned depth)
{
    msgpack_packer pk;

    mp_packer(&pk, b);
    msgpack_pack_map(&pk, n);
    for (unsigned i = 0; i < n; i++) {
        char key[16];

        (void)snprintf(key, sizeof key, "k%u", i);
        mp_str(&pk, key);
        if (depth > 1 && i == n - 1)
            wide(b, n, depth - 1);
        else
            msgpack_pack_nil(&pk);
    }
}

static void maps_of_up_to_64_pairs_are_taken_at_every_depth(void **state)
{
    struct mp_limits limits = {32, 100000, 1 << 20};

    (void)state;
    for (unsigned n = 63; n <= 65; n++) {
        struct buf b = {0};
        struct fault why = {0};

        wide(&b, n, 32);
        assert_false(buf_failed(&b));
        assert_int_equal(mp_check(buf_slice(&b), &limits, &why),
                         n <= 64 ? ERR_OK : ERR_MALFORMED);
        if (n > 64)
            assert_non_null(strstr(why.text, "more than 64"));
        buf_done(&b);
    }
}

static void the_keys_of_a_closed_map_are_forgotten(void **state)
{
    struct mp_limits limits = {32, 100000, 1 << 20};
    struct buf b = {0};
    msgpack_packer pk;

    (void)state;
    mp_packer(&pk, &b);
    msgpack_pack_array(&pk, 100);
    for (int i = 0; i < 100; i++)
        wide(&b, 64, 1);
    assert_false(buf_failed(&b));
    assert_int_equal(mp_check(buf_slice(&b), &limits, NULL), ERR_OK);
    buf_done(&b);
}

static void a_parsed_value_points_into_its_bytes(void **state)
{
    struct slice bytes = SLICE_LIT("\x83\xa4name\xa3one\xa3"
                                   "bin\xc4\x02\x00\x01\xa1n\x2a");
    struct mp_limits limits = MP_LIMITS_DEFAULT;
    const msgpack_object *o;
    msgpack_object root;
    msgpack_zone zone;

    (void)state;
    assert_true(msgpack_zone_init(&zone, 256));
    assert_int_equal(mp_parse(bytes, &limits, &zone, &root, NULL), ERR_OK);
    o = mp_get(&root, "name");
    assert_non_null(o);
    assert_true(mp_is(o, "one"));
    assert_false(mp_is(o, "on"));
    assert_false(mp_is(o, "ones"));
    assert_ptr_equal(mp_as_slice(o).ptr, bytes.ptr + 7);
    o = mp_get(&root, "bin");
    assert_non_null(o);
    assert_true(slice_eq(mp_as_slice(o), SLICE_LIT("\0\1")));
    assert_false(mp_is(o, "\0\1"));
    o = mp_get(&root, "n");
    assert_non_null(o);
    assert_int_equal(o->via.u64, 42);
    assert_null(mp_get(&root, "nam"));
    assert_null(mp_get(o, "n"));
    msgpack_zone_destroy(&zone);
}

static void packing_into_a_full_buffer_fails_it(void **state)
{
    msgpack_packer pk;
    struct buf b;

    (void)state;
    buf_init(&b, 6);
    mp_packer(&pk, &b);
    msgpack_pack_array(&pk, 2);
    mp_str(&pk, "four");
    assert_false(buf_failed(&b));
    mp_raw(&pk, SLICE_LIT("\x01"));
    assert_true(buf_failed(&b));
    buf_done(&b);
}

static void encoded_bytes_are_put_in_as_they_are(void **state)
{
    msgpack_packer pk;
    struct buf b = {0};

    (void)state;
    mp_packer(&pk, &b);
    msgpack_pack_array(&pk, 3);
    mp_raw(&pk, SLICE_LIT("\x81\xa1k\xc3"));
    mp_slice(&pk, slice_of(NULL, 0));
    mp_bin(&pk, slice_of(NULL, 0));
    assert_true(slice_eq(buf_slice(&b), SLICE_LIT("\x93\x81\xa1k\xc3\xa0\xc4\x00")));
    buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_from_outside_pass_or_are_refused_with_a_reason),
        cmocka_unit_test(every_first_half_of_a_good_value_is_refused),
        cmocka_unit_test(depth_is_bounded_by_the_limit_and_by_what_msgpack_c_bears),
        cmocka_unit_test(bytes_and_values_over_the_limit_are_too_big),
        cmocka_unit_test(maps_of_up_to_64_pairs_are_taken_at_every_depth),
        cmocka_unit_test(the_keys_of_a_closed_map_are_forgotten),
        cmocka_unit_test(a_parsed_value_points_into_its_bytes),
        cmocka_unit_test(packing_into_a_full_buffer_fails_it),
        cmocka_unit_test(encoded_bytes_are_put_in_as_they_are),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
