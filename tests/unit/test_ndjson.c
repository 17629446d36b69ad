#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shared/ndjson.h"

/* What the lines of text are, "number:line|" one behind the other, fed so many bytes at a time. */
static void gather(const char *text, size_t step, size_t max, struct buf *out)
{
    struct ndjson n = {.max = max};
    size_t len = strlen(text);
    struct slice line;
    enum ndjson_next got;

    for (size_t at = 0; at <= len; at += step) {
        if (at + step > len) {
            assert_true(ndjson_feed(&n, slice_of(text + at, len - at)));
            ndjson_end(&n);
        } else {
            assert_true(ndjson_feed(&n, slice_of(text + at, step)));
        }
        while ((got = ndjson_next(&n, &line)) != NDJSON_MORE)
            buf_addf(out, "%u:" SLICE_FMT "|", (unsigned)n.line,
                     SLICE_ARG(got == NDJSON_LINE ? line : slice_str("!")));
        assert_true(n.in.len - n.at <= max + 1 + step);
    }
    ndjson_done(&n);
}

static const struct {
    const char *text, *want;
} rows[] = {
    {"", ""},
    {"\n", ""},
    {"a", "1:a|"},
    {"a\n", "1:a|"},
    {"a\r\nb\r\n", "1:a|2:b|"},
    {"a\nb", "1:a|2:b|"},
    {"\n\n  \t\r\na\n", "4:a|"},
    {"12345\nb", "1:12345|2:b|"},
    {"12345\r\nb", "1:12345|2:b|"},
    {"123456\nb", "1:!|2:b|"},
    {"123456\r\nb", "1:!|2:b|"},
    {"1234567890123456789\nb\n", "1:!|2:b|"},
    {"a\n1234567890123456789", "1:a|2:!|"},
    {"1234567890\n1234567890\nx", "1:!|2:!|3:x|"},
    {"12345\r", "1:12345|"},
    {"a\rb\n", "1:a\rb|"},
};

static void lines_are_the_same_however_they_are_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        for (size_t step = 1; step < 24; step++) {
            struct buf out = {0};

            gather(rows[i].text, step, 5, &out);
            if (strcmp(buf_cstr(&out), rows[i].want) != 0)
                fail_msg("row %zu by %zu: %s", i, step, buf_cstr(&out));
            buf_done(&out);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_the_same_however_they_are_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
