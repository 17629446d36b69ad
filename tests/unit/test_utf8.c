#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shared/utf8.h"

/* The plain way to write a code point, right or wrong. */
static size_t encode(uint32_t code, char dst[4])
{
    static const uint8_t lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    size_t n = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;

    for (size_t i = n - 1; i > 0; i--, code >>= 6)
        dst[i] = (char)(0x80 | (code & 0x3f));
    dst[0] = (char)(lead[n] | code);
    return n;
}

static void every_code_point_is_a_character_except_surrogates(void **state)
{
    char bytes[4];

    (void)state;
    for (uint32_t code = 0; code < 0x120000; code++) {
        size_t n = encode(code, bytes);
        bool good = code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);

        assert_int_equal(utf8_step(bytes, n), good ? n : 0);
        if (n > 1)
            assert_int_equal(utf8_step(bytes, n - 1), 0);
        assert_int_equal(utf8_is_text(slice_of(bytes, n)), good && code != 0);
    }
}

/* So no sequence of two bytes is taken but those of the 1920 code points that have two. */
static void nothing_else_is_a_character(void **state)
{
    size_t one = 0, two = 0;

    (void)state;
    for (unsigned i = 0; i < 0x10000; i++) {
        const char bytes[] = {(char)(i >> 8), (char)i};
        size_t n = utf8_step(bytes, 2);

        one += n == 1;
        two += n == 2;
    }
    assert_int_equal(one, 128 * 256);
    assert_int_equal(two, 1920);
}

static void text_is_characters_to_the_end(void **state)
{
    static const struct {
        struct slice s;
        bool want;
    } table[] = {
        {{NULL, 0}, true},
        {{"plain", 5}, true},
        {{"na\xc3\xafve \xe2\x82\xac \xf0\x9f\x98\x80", 15}, true},
        {{"a\0b", 3}, false},
        {{"\x80", 1}, false},
        {{"\xc0\x80", 2}, false},
        {{"\xc1\xbf", 2}, false},
        {{"\xe0\x9f\xbf", 3}, false},
        {{"\xed\xa0\x80", 3}, false},
        {{"\xf0\x8f\xbf\xbf", 4}, false},
        {{"\xf4\x90\x80\x80", 4}, false},
        {{"\xf5\x80\x80\x80", 4}, false},
        {{"\xfe\xff", 2}, false},
        {{"ok\xe2\x82", 4}, false},
        {{"\xe2\x28\xa1", 3}, false},
        {{"\xe2\x82\x28", 3}, false},
        {{"\xc3", 1}, false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++)
        assert_int_equal(utf8_is_text(table[i].s), table[i].want);
}

static void one_byte_is_judged_alike_wherever_it_stands(void **state)
{
    char text[40];

    (void)state;
    for (size_t len = 1; len <= sizeof text; len++) {
        for (size_t at = 0; at < len; at++) {
            for (unsigned byte = 0; byte < 256; byte++) {
                memset(text, '\x01', sizeof text); /* the smallest: a borrow goes furthest */
                text[at] = (char)byte;
                assert_int_equal(utf8_is_text(slice_of(text, len)), byte > 0 && byte < 0x80);
            }
        }
    }
    for (size_t at = 0; at + 2 <= sizeof text; at++) {
        memset(text, '\x7f', sizeof text);
        memcpy(text + at, "\xc3\xa9", 2);
        assert_true(utf8_is_text(slice_of(text, sizeof text)));
        text[at + 1] = 'x';
        assert_false(utf8_is_text(slice_of(text, sizeof text)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_point_is_a_character_except_surrogates),
        cmocka_unit_test(nothing_else_is_a_character),
        cmocka_unit_test(text_is_characters_to_the_end),
        cmocka_unit_test(one_byte_is_judged_alike_wherever_it_stands),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
