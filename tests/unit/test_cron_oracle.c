/* Ticks against Python's zoneinfo, with the time zones of this machine: cron_oracle.py looks at every minute or
 * second around changes of the clock; what it finds, and nothing else, must come out here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <inttypes.h>

#include "shared/cron.h"

/* Cuts the text up to the separator off *rest. */
static char *cut(char **rest, const char *separator)
{
    char *word = strsep(rest, separator);

    assert_non_null(word);
    return word;
}

static void check_line(char *line)
{
    const char *zone = cut(&line, "|"), *text = cut(&line, "|");
    int64_t at = strtoll(cut(&line, "|"), NULL, 10), got = 0;
    struct cron c;
    struct tz *tz;
    struct fault f = {.text = ""};

    if (tz_load(slice_str(zone), &tz, &f) != ERR_OK ||
        cron_parse(slice_str(text), &c, &f) != ERR_OK)
        fail_msg("%s, %s: %s", zone, text, f.text);
    for (;;) {
        const char *word = cut(&line, " \n");
        enum err e = cron_next(&c, tz, at, &got);
        int64_t want = strtoll(word + (word[0] == '<'), NULL, 10);

        if (word[0] == '<') {
            if (e == ERR_OK && got < want)
                fail_msg("%s, %s: %" PRId64 " after %" PRId64 ", and there is none", zone, text,
                         got, at);
            break;
        }
        if (e != ERR_OK || got != want)
            fail_msg("%s, %s: %" PRId64 " after %" PRId64 ", not %" PRId64, zone, text, got, at,
                     want);
        at = got;
    }
    tz_free(&tz);
}

static void ticks_are_those_that_zoneinfo_knows(void **state)
{
    FILE *oracle = popen("/usr/bin/python3 tests/unit/cron_oracle.py", "re");
    char *line = NULL;
    size_t cap = 0, n = 0;

    (void)state;
    assert_non_null(oracle);
    while (getline(&line, &cap, oracle) > 0) {
        check_line(line);
        n++;
    }
    free(line);
    assert_int_equal(pclose(oracle), 0);
    assert_true(n > 300);
    print_message("%zu rows\n", n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(ticks_are_those_that_zoneinfo_knows)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
