/* State values: the layout byte by byte, and that nothing else is taken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "queue/state_codec.h"
#include "shared/mp.h"

#define HEAD(state) "\x97" state "\xcf\0\0\x01\x8f\0\0\0\x01"
#define COUNTS      "\xce\0\0\x01\x02\xcd\x00\x03"

static const struct {
    struct state_value value;
    struct slice bytes;
} vectors[] = {
    {{.state = JOB_QUEUED,
      .since_ms = 0x18f00000001,
      .attempt = 0x102,
      .excused = 3,
      .priority = JOB_PRIORITY_CRITICAL,
      .type = SLICE_LIT("noop")},
     SLICE_LIT(HEAD("\x01") COUNTS "\x00\xd9\x04noop\xc0")},
    {{.state = JOB_SCHEDULED,
      .since_ms = 0x18f00000001,
      .attempt = 0x102,
      .excused = 3,
      .priority = JOB_PRIORITY_LOW,
      .type = SLICE_LIT(""),
      .due_ms = 0x1ffffffffff,
      .text = SLICE_LIT("")},
     SLICE_LIT(HEAD("\x02") COUNTS "\x03\xd9\x00\x92\xcf\0\0\x01\xff\xff\xff\xff\xff\xd9\x00")},
    {{.state = JOB_RUNNING,
      .since_ms = 0x18f00000001,
      .attempt = 0x102,
      .excused = 3,
      .priority = JOB_PRIORITY_NORMAL,
      .type = SLICE_LIT("image"),
      .consumer = SLICE_LIT("h:1:a"),
      .progress = 100,
      .text = SLICE_LIT("half")},
     SLICE_LIT(HEAD("\x03") COUNTS "\x02\xd9\x05image\x93\xd9\x05h:1:a\x64\xd9\x04half")},
    {{.state = JOB_RETRYING,
      .since_ms = 0x18f00000001,
      .attempt = 0x102,
      .excused = 3,
      .priority = JOB_PRIORITY_HIGH,
      .type = SLICE_LIT("a"),
      .due_ms = 1,
      .text = SLICE_LIT("no")},
     SLICE_LIT(HEAD("\x04") COUNTS "\x01\xd9\x01"
                                   "a\x92\xcf\0\0\0\0\0\0\0\x01\xd9\x02no")},
    {{.state = JOB_CANCELLED,
      .since_ms = 0x18f00000001,
      .attempt = 0x102,
      .excused = 3,
      .priority = JOB_PRIORITY_HIGH,
      .type = SLICE_LIT("a")},
     SLICE_LIT(HEAD("\x07") COUNTS "\x01\xd9\x01"
                                   "a\xc0")},
    {{.state = JOB_CANCELLED,
      .since_ms = 0x18f00000001,
      .attempt = 0x102,
      .excused = 3,
      .priority = JOB_PRIORITY_HIGH,
      .type = SLICE_LIT("a"),
      .consumer = SLICE_LIT("h:1:a"),
      .text = SLICE_LIT("")},
     SLICE_LIT(HEAD("\x07") COUNTS "\x01\xd9\x01"
                                   "a\x93\xd9\x05h:1:a\x00\xd9\x00")},
};

static void each_state_has_the_bytes_of_the_protocol(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(vectors); i++) {
        struct buf out = {0};
        struct state_value got;

        state_encode(&vectors[i].value, &out);
        if (!slice_eq(buf_slice(&out), vectors[i].bytes))
            fail_msg("vector %zu", i);
        assert_int_equal(state_decode(vectors[i].bytes, &got), ERR_OK);
        assert_int_equal(got.state, vectors[i].value.state);
        assert_int_equal(got.since_ms, vectors[i].value.since_ms);
        assert_int_equal(got.attempt, vectors[i].value.attempt);
        assert_int_equal(got.excused, vectors[i].value.excused);
        assert_int_equal(got.priority, vectors[i].value.priority);
        assert_int_equal(got.due_ms, vectors[i].value.due_ms);
        assert_int_equal(got.progress, vectors[i].value.progress);
        assert_true(slice_eq(got.type, vectors[i].value.type));
        assert_true(slice_eq(got.consumer, vectors[i].value.consumer));
        assert_true(slice_eq(got.text, vectors[i].value.text));
        buf_done(&out);
    }
}

static void every_value_is_valid_msgpack(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(vectors); i++) {
        struct fault f = {0};

        if (mp_check(vectors[i].bytes, &MP_LIMITS_DEFAULT, &f) != ERR_OK)
            fail_msg("vector %zu: %s", i, f.text);
    }
}

static void the_tail_is_the_value_from_the_attempt_on(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(vectors); i++) {
        struct buf out = {0};

        state_encode_tail(&vectors[i].value, &out);
        assert_true(slice_eq(buf_slice(&out),
                             slice_of(vectors[i].bytes.ptr + 11, vectors[i].bytes.len - 11)));
        buf_done(&out);
    }
}

/* A wrong byte may make another valid value (another number), but never one that reads past the
 * end: the sanitizer watches. */
static void no_cut_and_no_extra_byte_is_taken(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(vectors); i++) {
        size_t len = vectors[i].bytes.len;
        char *copy = malloc(len + 1);
        struct state_value got;

        assert_non_null(copy);
        for (size_t n = 0; n < len; n++) {
            char *exact = malloc(n + 1);

            assert_non_null(exact);
            memcpy(exact, vectors[i].bytes.ptr, n);
            assert_int_equal(state_decode(slice_of(exact, n), &got), ERR_MALFORMED);
            free(exact);
        }
        memcpy(copy, vectors[i].bytes.ptr, len);
        copy[len] = '\xc0';
        assert_int_equal(state_decode(slice_of(copy, len + 1), &got), ERR_MALFORMED);
        for (size_t n = 0; n < len; n++) {
            for (unsigned byte = 0; byte < 256; byte++) {
                copy[n] = (char)byte;
                if (state_decode(slice_of(copy, len), &got) == ERR_OK)
                    assert_true(got.progress <= 100);
            }
            copy[n] = vectors[i].bytes.ptr[n];
        }
        free(copy);
    }
}

static void what_is_out_of_range_is_refused(void **state)
{
    static const struct slice table[] = {
        SLICE_LIT(HEAD("\x00") COUNTS "\x00\xd9\x00\xc0"),
        SLICE_LIT(HEAD("\x05") COUNTS "\x00\xd9\x00\xc0"),
        SLICE_LIT(HEAD("\x01") COUNTS "\x04\xd9\x00\xc0"),
        SLICE_LIT(HEAD("\x01") COUNTS "\x00\xa0\xc0"),
        SLICE_LIT(HEAD("\x01") COUNTS "\x00\xd9\x00\x90"),
        SLICE_LIT(HEAD("\x03") COUNTS "\x00\xd9\x00\x93\xd9\x00\x65\xd9\x00"),
        SLICE_LIT(HEAD("\x03") COUNTS "\x00\xd9\x00\x92\xd9\x00\x64"),
        SLICE_LIT(HEAD("\x04") COUNTS "\x00\xd9\x00\xc0"),
        SLICE_LIT("\x96\x01"),
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct state_value got;

        if (state_decode(table[i], &got) != ERR_MALFORMED)
            fail_msg("row %zu", i);
    }
}

static void a_long_text_is_cut_at_the_end_of_a_character(void **state)
{
    static const struct {
        const char *text;
        size_t max, want;
    } table[] = {
        {"abc", 5, 3},
        {"abc", 3, 3},
        {"abc", 2, 2},
        {"a\xc3\xa9", 2, 1},
        {"a\xc3\xa9", 3, 3},
        {"\xe2\x82\xac", 2, 0},
        {"\xe2\x82\xac", 3, 3},
        {"", 0, 0},
        {"\xf0\x9f\x98\x80x", 4, 4},
        {"\xf0\x9f\x98\x80x", 3, 0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        if (state_cut(slice_str(table[i].text), table[i].max) != table[i].want)
            fail_msg("row %zu", i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_state_has_the_bytes_of_the_protocol),
        cmocka_unit_test(every_value_is_valid_msgpack),
        cmocka_unit_test(the_tail_is_the_value_from_the_attempt_on),
        cmocka_unit_test(no_cut_and_no_extra_byte_is_taken),
        cmocka_unit_test(what_is_out_of_range_is_refused),
        cmocka_unit_test(a_long_text_is_cut_at_the_end_of_a_character),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
