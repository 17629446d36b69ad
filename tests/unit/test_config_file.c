#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shared/config_file.h"

struct parsed {
    char text[512];
};

static void on_set(void *arg, unsigned line, const char *key, const char *value)
{
    struct parsed *p = arg;
    size_t len = strlen(p->text);

    (void)snprintf(p->text + len, sizeof p->text - len, "%u:%s=[%s] ", line, key, value);
}

static void on_bad(void *arg, unsigned line, const char *why)
{
    struct parsed *p = arg;
    size_t len = strlen(p->text);

    (void)snprintf(p->text + len, sizeof p->text - len, "%u:%s ", line, why);
}

static void the_file_is_read_as_systemd_reads_an_environment_file(void **state)
{
    static const struct {
        struct slice text;
        const char *want;
    } rows[] = {
        {SLICE_LIT(""), ""},
        {SLICE_LIT("A=1"), "1:A=[1] "},
        {SLICE_LIT("A=1\nB=2\n"), "1:A=[1] 2:B=[2] "},
        {SLICE_LIT("\n\n  A = 1 2  \n"), "3:A=[1 2] "},
        {SLICE_LIT("# c\n;d=1\n  # A=1 \\\nB=2"), "4:B=[2] "},
        {SLICE_LIT("A=\nB="), "1:A=[] 2:B=[] "},
        {SLICE_LIT("A=1\r\nB=\"2\"\r\n"), "1:A=[1] 2:B=[2] "},
        {SLICE_LIT("A=a=b # no comment"), "1:A=[a=b # no comment] "},
        {SLICE_LIT("A=\" x \"  "), "1:A=[ x ] "},
        {SLICE_LIT("A=' \"x\" \\ '"), "1:A=[ \"x\" \\ ] "},
        {SLICE_LIT("A=\"q\\\"b\\\\d\\$t\\`n\\n\""), "1:A=[q\"b\\d$t`n\\n] "},
        {SLICE_LIT("A=\"two\nlines\"\nB=2"), "1:A=[two\nlines] 3:B=[2] "},
        {SLICE_LIT("A=\"join\\\ned\"\nB=2"), "1:A=[joined] 3:B=[2] "},
        {SLICE_LIT("A=join\\\ned\nB=2"), "1:A=[joined] 3:B=[2] "},
        {SLICE_LIT("A=a\\ \\\\b\\ "), "1:A=[a \\b ] "},
        {SLICE_LIT("A='a'\"b\" c\n"), "1:A=[abc] "},
        {SLICE_LIT("A=it's \"so\""), "1:A=[it's \"so\"] "},
        {SLICE_LIT("A=x\\"), "1:A=[x] "},
        {SLICE_LIT("A='x\nB=2"), "1:a quote that is never closed "},
        {SLICE_LIT("A=\"x\\"), "1:a quote that is never closed "},
        {SLICE_LIT("A\nB=2"), "1:no '=' in this line 2:B=[2] "},
        {SLICE_LIT("A"), "1:no '=' in this line "},
        {SLICE_LIT("A=\0x\nB=2"), "1:a NUL byte 2:B=[2] "},
        {SLICE_LIT("A\0=x\nB=2"), "1:a NUL byte 2:B=[2] "},
        {SLICE_LIT("=x"), "1:=[x] "},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct parsed p = {""};

        config_file_parse(rows[i].text, &(struct config_file_reader){&p, on_set, on_bad});
        assert_string_equal(p.text, rows[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_file_is_read_as_systemd_reads_an_environment_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
