#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/request.h"

static struct request request_with(const char *query)
{
    return (struct request){.query = slice_str(query)};
}

static void a_header_is_found_whatever_its_case_and_the_first_counts(void **state)
{
    struct request rq = {.headers = {{SLICE_LIT("Host"), SLICE_LIT("a")},
                                     {SLICE_LIT("X-One"), SLICE_LIT("1")},
                                     {SLICE_LIT("x-one"), SLICE_LIT("2")},
                                     {SLICE_LIT("X-Empty"), SLICE_LIT("")}},
                         .n_headers = 4};

    (void)state;
    assert_true(slice_is(request_header(&rq, "host"), "a"));
    assert_true(slice_is(request_header(&rq, "x-ONE"), "1"));
    assert_non_null(request_header(&rq, "x-empty").ptr);
    assert_null(request_header(&rq, "x-on").ptr);
    assert_null(request_header(&rq, "x-one-more").ptr);
}

static void a_media_type_is_compared_without_case_and_parameters(void **state)
{
    static const struct {
        const char *type;
        bool want;
    } table[] = {
        {"application/json", true},
        {"Application/JSON", true},
        {"application/json; charset=utf-8", true},
        {"application/json ;charset=utf-8", true},
        {"application/jsonx", false},
        {"application/json-seq", false},
        {"text/plain", false},
        {"text/plain; application/json", false},
        {"", false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct request rq = {.headers = {{SLICE_LIT("Content-Type"), slice_str(table[i].type)}},
                             .n_headers = 1};

        if (request_is_of_type(&rq, "application/json") != table[i].want)
            fail_msg("%s", table[i].type);
    }
    assert_false(request_is_of_type(&(struct request){.n_headers = 0}, "application/json"));
}

static void a_query_is_taken_apart_at_its_first_equals_signs(void **state)
{
    struct request rq = request_with("a=1&b=x=y&c&&=z&d=");

    (void)state;
    assert_true(slice_is(request_query(&rq, "a"), "1"));
    assert_true(slice_is(request_query(&rq, "b"), "x=y"));
    assert_true(slice_is(request_query(&rq, "c"), "") && request_query(&rq, "c").ptr != NULL);
    assert_true(slice_is(request_query(&rq, "d"), "") && request_query(&rq, "d").ptr != NULL);
    assert_null(request_query(&rq, "e").ptr);
    rq = request_with("");
    assert_null(request_query(&rq, "a").ptr);
}

static void a_parameter_that_is_unknown_or_given_twice_is_named(void **state)
{
    static const char *const known[] = {"a", "b", NULL};
    struct request rq = request_with("a=1&b=2");

    (void)state;
    assert_null(request_unknown_query(&rq, known).ptr);
    assert_null(request_repeated_query(&rq).ptr);
    rq = request_with("a=1&ab=2");
    assert_true(slice_is(request_unknown_query(&rq, known), "ab"));
    rq = request_with("a=1&%61=2"); /* names are not decoded */
    assert_true(slice_is(request_unknown_query(&rq, known), "%61"));
    rq = request_with("b&a=1&a=2");
    assert_true(slice_is(request_repeated_query(&rq), "a"));
}

static void escapes_are_decoded_and_bad_ones_refused(void **state)
{
    static const struct {
        const char *text, *want; /* NULL: refused */
    } table[] = {
        {"", ""},
        {"abc", "abc"},
        {"a+b", "a b"},
        {"a%20b", "a b"},
        {"%41%5a%5A", "AZZ"},
        {"%c3%a9", "\xc3\xa9"},
        {"1234567", "1234567"},
        {"%", NULL},
        {"%4", NULL},
        {"a%", NULL},
        {"%4g", NULL},
        {"%g4", NULL},
        {"%00", NULL},
        {"a%00b", NULL},
        {"12345678", NULL},
        {"%%41", NULL},
    };
    char out[8];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        enum err e = request_decode(slice_str(table[i].text), out, sizeof out);

        if (e != (table[i].want == NULL ? ERR_MALFORMED : ERR_OK) ||
            (e == ERR_OK && strcmp(out, table[i].want) != 0))
            fail_msg("%s", table[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_header_is_found_whatever_its_case_and_the_first_counts),
        cmocka_unit_test(a_media_type_is_compared_without_case_and_parameters),
        cmocka_unit_test(a_query_is_taken_apart_at_its_first_equals_signs),
        cmocka_unit_test(a_parameter_that_is_unknown_or_given_twice_is_named),
        cmocka_unit_test(escapes_are_decoded_and_bad_ones_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
