#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "shared/json.h"
#include "tests/fuzz/json_oracle.h"

#define DEPTH 8

static void strict_json_becomes_msgpack_and_comes_back(void **state)
{
    static const struct {
        const char *json, *want; /* NULL: the same text */
    } table[] = {
        {"{}", NULL},
        {"[]", NULL},
        {"null", NULL},
        {" [ true , false ] ", "[true,false]"},
        {"\"\"", NULL},
        {"{\"z\":1,\"a\":2,\"m\":{\"y\":[],\"b\":null}}", NULL},
        {"[0,-0,1,-1,127,128,255,256,65535,65536,4294967295,4294967296]",
         "[0,0,1,-1,127,128,255,256,65535,65536,4294967295,4294967296]"},
        {"[-32,-33,-128,-129,-32768,-32769,-2147483648,-2147483649]", NULL},
        {"[9223372036854775807,-9223372036854775808]", NULL},
        {"[9007199254740993]", NULL}, /* a double would lose the last digit */
        {"[0.1,1.0,-2.5,1e300,0.30000000000000004,5e-324]",
         "[0.1,1.0,-2.5,1e+300,0.30000000000000004,4.94065645841247e-324]"},
        {"[1E2,1e0,-0.0]", "[100.0,1.0,-0.0]"},
        {"[\"\\u00e9\\u20ac\\ud83d\\ude00\"]", "[\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"]"},
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u001f\\u007f\"",
         "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u001f\\u007f\""},
        {"{\"\":{\"\":0}}", NULL},
        {"[[[[[[[[]]]]]]]]", NULL},
        {"\"[[[[[[[[[[{{{{{\"", NULL},
        {"\"\\\"[[[[[[[[[[\"", "\"\\\"[[[[[[[[[[\""},
        {"[[],[],[],[],[],[],[],[],[],{}]", NULL},
        {"\n\t\r [1]\n", "[1]"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct buf mp = {0}, json = {0};
        struct fault why = {0};

        if (json_to_msgpack(slice_str(table[i].json), DEPTH, &mp, &why) != ERR_OK)
            fail_msg("%s: %s", table[i].json, why.text);
        json_from_msgpack_bytes(buf_slice(&mp), &json);
        assert_string_equal(buf_cstr(&json),
                            table[i].want == NULL ? table[i].json : table[i].want);
        buf_done(&mp);
        buf_done(&json);
    }
}

#define IN(s)               \
    {                       \
        "" s, sizeof(s) - 1 \
    }

static const struct {
    struct slice json;
    const char *place, *rule;
} not_strict[] = {
    {IN(""), "line 1, column 0", "unexpected token near end of file"},
    {IN("  \n "), "line 2, column 1", "unexpected token near end of file"},
    {IN("{\"a\":1,\"a\":2}"), "line 1, column 10", "duplicate object key near '\"a\"'"},
    {IN("{\"a\":1,\n \"\\u0061\":2}"), "line 2, column 9", "duplicate"},
    {IN("[1] 2"), "column 5", "end of file expected"},
    {IN("[1]\0"), "column 4", "end of file expected"},
    {IN("[1\0]"), "column 3", "']' expected"},
    {IN("[null\0]"), "column 6", "']' expected"},
    {IN("{}{}"), "column 3", "end of file expected"},
    {IN("[1,]"), "column 4", "unexpected token"},
    {IN("{\"a\":1,}"), "column 8", "expected"},
    {IN("[1 2]"), "column 4", "']' expected"},
    {IN("{1:2}"), "column 2", "expected"},
    {IN("{'a':1}"), "column 2", "string or '}' expected"},
    {IN("[01]"), "column 2", "invalid token"},
    {IN("[+1]"), "column 2", "invalid token"},
    {IN("[.5]"), "column 2", "invalid token"},
    {IN("[1.]"), "column 3", "invalid token"},
    {IN("[0x10]"), "column 3", "expected"},
    {IN("[NaN]"), "column 4", "invalid token"},
    {IN("[Infinity]"), "column 9", "invalid token"},
    {IN("[1e999]"), "column 6", "real number overflow"},
    {IN("[9223372036854775808]"), "column 20", "too big integer"},
    {IN("[-9223372036854775809]"), "column 21", "too big negative integer"},
    {IN("[18446744073709551616]"), "column 21", "too big integer"},
    {IN("[nul]"), "column 4", "invalid token"},
    {IN("[TRUE]"), "column 5", "invalid token"},
    {IN("[\"\\u0000\"]"), "line 1", "\\u0000"},
    {IN("{\"\\u0000\":1}"), "line 1", "NUL byte in object key"},
    {IN("[\"a\0b\"]"), "column 3", "control character 0x0"},
    {IN("[\"a\nb\"]"), "line 1, column 3", "unexpected newline"},
    {IN("[\"\x01\"]"), "column 2", "control character"},
    {IN("[\"\xff\"]"), "column 2", "unable to decode byte 0xff"},
    {IN("[\"\xc0\x80\"]"), "column 2", "unable to decode"},
    {IN("[\"\xed\xa0\x80\"]"), "column 2", "unable to decode"},
    {IN("[\"\\ud800\"]"), "column 9", "invalid Unicode"},
    {IN("[\"\\udc00\"]"), "column 9", "invalid Unicode"},
    {IN("[\"\\x41\"]"), "column 4", "invalid escape"},
    {IN("\"abc"), "column 4", "premature end of input"},
    {IN("[1"), "column 2", "expected near end of file"},
    {IN("\xef\xbb\xbf{}"), "column 1", "invalid token"},
    {IN("/* */ 1"), "column 1", "invalid token"},
    {IN("[[[[[[[[[]]]]]]]]]"), "line 1, column 9", "nested more than 8 deep"},
    {IN("[[[[\n[[[{[]}]]]]]]]"), "line 2, column 5", "nested more than 8 deep"},
};

static void what_is_not_strict_json_is_refused_with_place_and_rule(void **state)
{
    size_t bad = 0;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(not_strict); i++) {
        struct fault why = {0};
        struct buf out = {0};

        buf_add_str(&out, "kept");
        assert_int_equal(json_to_msgpack(not_strict[i].json, DEPTH, &out, &why), ERR_MALFORMED);
        assert_int_equal(json_to_msgpack(not_strict[i].json, DEPTH, &out, NULL), ERR_MALFORMED);
        if (strstr(why.text, not_strict[i].place) == NULL ||
            strstr(why.text, not_strict[i].rule) == NULL) {
            bad++;
            print_error("row %zu: \"%s\" does not say \"%s\" and \"%s\"\n", i, why.text,
                        not_strict[i].place, not_strict[i].rule);
        }
        assert_string_equal(buf_cstr(&out), "kept");
        buf_done(&out);
    }
    assert_int_equal(bad, 0);
}

static void a_hundred_thousand_brackets_are_refused_without_recursion(void **state)
{
    struct buf in = {0}, out = {0};

    (void)state;
    for (int i = 0; i < 100000; i++)
        buf_add_char(&in, '[');
    assert_int_equal(json_to_msgpack(buf_slice(&in), 32, &out, NULL), ERR_MALFORMED);
    buf_done(&in);
    buf_done(&out);
}

static void check_against_jansson(struct slice json)
{
    struct fault why = {0};
    struct buf mp = {0};
    enum err e = json_to_msgpack(json, 32, &mp, &why);

    oracle_compare(json, e, buf_slice(&mp), &why);
    buf_done(&mp);
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Pieces of which JSON, and what is nearly JSON, is made. */
static const char *const pieces[] = {
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\"a\"",
    "\"b\":",
    "\\",
    "\\u0041",
    "\\ud83d",
    "\\ude00",
    "\\u0000",
    "\\n",
    "\\x",
    "\xc3\xa9",
    "\xf0\x9f\x98\x80",
    "\xff",
    "\xed\xa0\x80",
    "0",
    "-",
    "12",
    ".5",
    "e9",
    "E+",
    "1e400",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "true",
    "nul",
    "null",
    "false",
    " ",
    "\n",
    "\t",
    "\x01",
    "\x7f",
    "/",
};

static void random_texts_are_taken_and_refused_as_jansson_does(void **state)
{
    uint64_t seed = 88172645463325252u;
    struct buf text = {0};

    (void)state;
    for (int i = 0; i < 200000; i++) {
        size_t n = next_random(&seed) % 12;

        buf_clear(&text);
        for (size_t k = 0; k < n; k++)
            buf_add_str(&text, pieces[next_random(&seed) % COUNT_OF(pieces)]);
        check_against_jansson(buf_slice(&text));
    }
    buf_done(&text);
}

static void one_wrong_byte_in_a_job_is_found_where_jansson_finds_it(void **state)
{
    static const char job[] = "{\"type\":\"image\", \"args\" : "
                              "{\"source\":{\"path\":\"/a/\\u00e9\\ud83d\\ude00 b\\\"\"},\n"
                              "  "
                              "\"outputs\":[{\"name\":\"\xc3\xa9t\xc3\xa9\",\"quality\":80,"
                              "\"x\":-0.5e-3},{},[],null,true]},"
                              "\"delay_ms\":9007199254740993}";
    static const char wrong[] = "\"\\{}[]:,0-.eE+ \n\x01\x80\xc3u\0";
    char text[sizeof job];

    (void)state;
    for (size_t i = 0; i + 1 < sizeof job; i++) {
        check_against_jansson(slice_of(job, i)); /* cut short */
        for (size_t k = 0; k + 1 < sizeof wrong; k++) {
            memcpy(text, job, sizeof job);
            text[i] = wrong[k];
            check_against_jansson(slice_of(text, sizeof job - 1));
        }
    }
}

static void lengths_are_encoded_as_short_as_they_can_be(void **state)
{
    static const size_t lengths[] = {0,  1,  7,   8,   9,     15,    16,   17,
                                     31, 32, 255, 256, 65535, 65536, 70000};
    struct buf text = {0};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(lengths); i++) {
        buf_clear(&text);
        buf_add_char(&text, '"');
        for (size_t k = 0; k < lengths[i]; k++)
            buf_add_char(&text, 'x');
        buf_add_str(&text, "\"");
        check_against_jansson(buf_slice(&text));
        buf_truncate(&text, text.len - 1);
        buf_add_str(&text, "\\u00e9\""); /* the same with an escape */
        check_against_jansson(buf_slice(&text));
        buf_clear(&text);
        buf_add_str(&text, "[[");
        for (size_t k = 0; k < lengths[i]; k++)
            buf_add_str(&text, k == 0 ? "1" : ",1");
        buf_add_str(&text, "]]");
        check_against_jansson(buf_slice(&text));
    }
    buf_done(&text);
}

static void objects_may_have_64_members_and_no_more(void **state)
{
    struct buf text = {0}, mp = {0};
    struct fault why;

    (void)state;
    buf_add_str(&text, "{\"k0\":{");
    for (int i = 1; i <= JSON_MEMBERS_MAX; i++)
        buf_addf(&text, "%s\"k%d\":%d", i == 1 ? "" : ",", i, i);
    buf_add_str(&text, "},\"again\":{\"k1\":1}}");
    check_against_jansson(buf_slice(&text));
    assert_int_equal(json_to_msgpack(buf_slice(&text), 2, &mp, &why), ERR_OK);
    buf_clear(&text);
    buf_clear(&mp);
    for (int i = 0; i <= JSON_MEMBERS_MAX; i++)
        buf_addf(&text, "%c\"k%d\":%d", i == 0 ? '{' : ',', i, i);
    buf_add_char(&text, '}');
    assert_int_equal(json_to_msgpack(buf_slice(&text), 2, &mp, &why), ERR_MALFORMED);
    assert_non_null(strstr(why.text, "more than 64 members"));
    assert_int_equal(mp.len, 0);
    buf_done(&text);
    buf_done(&mp);
}

static void a_real_may_have_any_number_of_digits(void **state)
{
    struct buf text = {0};

    (void)state;
    for (int digits = 50; digits < 80; digits++) {
        buf_clear(&text);
        buf_add_str(&text, "[0.");
        for (int i = 0; i < digits; i++)
            buf_add_char(&text, (char)('1' + i % 9));
        buf_add_str(&text, "]");
        check_against_jansson(buf_slice(&text));
    }
    buf_done(&text);
}

static void a_buffer_without_room_fails_and_keeps_what_it_held(void **state)
{
    struct buf out;

    (void)state;
    buf_init(&out, 8);
    buf_add_str(&out, "kept");
    assert_int_equal(json_to_msgpack(SLICE_LIT("[1,2,3]"), DEPTH, &out, NULL), ERR_OK);
    buf_truncate(&out, 4);
    assert_int_equal(json_to_msgpack(SLICE_LIT("[1,2,3,4]"), DEPTH, &out, NULL), ERR_NOMEM);
    assert_true(buf_failed(&out));
    assert_string_equal(buf_cstr(&out), "kept");
    buf_done(&out);
}

static void msgpack_that_json_cannot_say_is_written_as_near_as_it_can(void **state)
{
    static const struct {
        struct slice mp;
        const char *want;
    } table[] = {
        {IN("\xcf\xff\xff\xff\xff\xff\xff\xff\xff"), "18446744073709551615"},
        {IN("\xcb\x7f\xf0\x00\x00\x00\x00\x00\x00"), "null"},
        {IN("\xcb\xff\xf0\x00\x00\x00\x00\x00\x00"), "null"},
        {IN("\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00"), "null"},
        {IN("\xca\x7f\xc0\x00\x00"), "null"},
        {IN("\xca\x3f\x80\x00\x00"), "1.0"},
        {IN("\xca\x3d\xcc\xcc\xcd"), "0.10000000149011612"},
        {IN("\xc4\x03\xfb\xff\xfe"), "\"+//+\""},
        {IN("\xc4\x00"), "\"\""},
        {IN("\x81\xa1k\xc4\x01\x00"), "{\"k\":\"AA==\"}"},
        {IN("\x93\x01"), "null"}, /* does not parse */
        {IN("\xd4\x01\x02"), "null"},
        {IN(""), "null"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct buf out = {0};

        json_from_msgpack_bytes(table[i].mp, &out);
        assert_string_equal(buf_cstr(&out), table[i].want);
        buf_done(&out);
    }
}

static void every_double_reads_back_equal(void **state)
{
    static const double more[] = {0.0,
                                  -0.0,
                                  1.0 / 3,
                                  123456789012345678.0,
                                  1e15,
                                  1e16,
                                  1e17,
                                  1e21,
                                  1e22,
                                  1e23,
                                  5e-324,
                                  2.2250738585072014e-308,
                                  1.7976931348623157e308};
    uint64_t bits = 88172645463325252u;

    (void)state;
    for (size_t i = 0; i < 20000 + COUNT_OF(more); i++) {
        struct buf mp = {0}, json = {0}, again = {0};
        msgpack_packer pk;
        double d;

        bits ^= bits << 13;
        bits ^= bits >> 7;
        bits ^= bits << 17;
        memcpy(&d, &bits, sizeof d);
        if (i < COUNT_OF(more))
            d = more[i];
        if (!isfinite(d))
            continue;
        mp_packer(&pk, &mp);
        msgpack_pack_double(&pk, d);
        json_from_msgpack_bytes(buf_slice(&mp), &json);
        assert_int_equal(json_to_msgpack(buf_slice(&json), DEPTH, &again, NULL), ERR_OK);
        assert_true(slice_eq(buf_slice(&mp), buf_slice(&again)));
        buf_done(&mp);
        buf_done(&json);
        buf_done(&again);
    }
}

static void objects_built_by_hand_are_written_whatever_they_hold(void **state)
{
    msgpack_object_kv pair = {.key = {.type = MSGPACK_OBJECT_POSITIVE_INTEGER, .via.u64 = 7},
                              .val = {.type = MSGPACK_OBJECT_EXT}};
    msgpack_object map = {.type = MSGPACK_OBJECT_MAP, .via.map = {1, &pair}};
    msgpack_object deep[40];
    struct buf out = {0};

    (void)state;
    json_from_msgpack(&map, &out);
    assert_string_equal(buf_cstr(&out), "{\"?\":null}");
    buf_clear(&out);
    for (size_t i = 0; i < COUNT_OF(deep); i++)
        deep[i] = (msgpack_object){.type = MSGPACK_OBJECT_ARRAY,
                                   .via.array = {i + 1 < COUNT_OF(deep), &deep[i + 1]}};
    json_from_msgpack(&deep[0], &out);
    assert_non_null(strstr(buf_cstr(&out), "[null]"));
    buf_done(&out);
}

static void quoting_escapes_and_repairs(void **state)
{
    static const struct {
        struct slice in;
        const char *want;
    } table[] = {
        {{NULL, 0}, "\"\""},
        {IN("plain"), "\"plain\""},
        {IN("\0"), "\"\\u0000\""},
        {IN("a\"b\\c/d"), "\"a\\\"b\\\\c/d\""},
        {IN("\x1b[31m\x7f"), "\"\\u001b[31m\\u007f\""},
        {IN("\xc3\xa9\xf0\x9f\x98\x80"), "\"\xc3\xa9\xf0\x9f\x98\x80\""},
        {IN("a\xff"
            "b"),
         "\"a\xef\xbf\xbd"
         "b\""},
        {IN("\xe2\x82"), "\"\xef\xbf\xbd\xef\xbf\xbd\""},
        {IN("\xed\xa0\x80"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct buf out = {0};

        json_quote(table[i].in, &out);
        assert_string_equal(buf_cstr(&out), table[i].want);
        buf_done(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strict_json_becomes_msgpack_and_comes_back),
        cmocka_unit_test(what_is_not_strict_json_is_refused_with_place_and_rule),
        cmocka_unit_test(a_hundred_thousand_brackets_are_refused_without_recursion),
        cmocka_unit_test(random_texts_are_taken_and_refused_as_jansson_does),
        cmocka_unit_test(one_wrong_byte_in_a_job_is_found_where_jansson_finds_it),
        cmocka_unit_test(lengths_are_encoded_as_short_as_they_can_be),
        cmocka_unit_test(objects_may_have_64_members_and_no_more),
        cmocka_unit_test(a_real_may_have_any_number_of_digits),
        cmocka_unit_test(a_buffer_without_room_fails_and_keeps_what_it_held),
        cmocka_unit_test(msgpack_that_json_cannot_say_is_written_as_near_as_it_can),
        cmocka_unit_test(every_double_reads_back_equal),
        cmocka_unit_test(objects_built_by_hand_are_written_whatever_they_hold),
        cmocka_unit_test(quoting_escapes_and_repairs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
