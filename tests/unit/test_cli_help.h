/* Runs the command line in this process and keeps what it said. */
#ifndef TESTS_UNIT_TEST_CLI_HELP_H
#define TESTS_UNIT_TEST_CLI_HELP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>

#include "cli/run.h"

#define CLI_WORDS_MAX 16

struct said {
    enum cli_exit code;
    char *out, *err;
};

/* The settings of whoever runs the tests are not theirs. */
static inline int forget_environment(void **state)
{
    static const char *const names[] = {"MILLRACE_REDIS_URL", "MILLRACE_REDIS_URL_FILE",
                                        "MILLRACE_PG_URL",    "MILLRACE_PG_URL_FILE",
                                        "MILLRACE_BLOB_DIR",  "MILLRACE_TIMEOUT",
                                        "MILLRACE_LOG_LEVEL"};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(names); i++)
        assert_int_equal(unsetenv(names[i]), 0);
    return 0;
}

/* words: after the program's name, ended by NULL. */
static inline struct said cli_say(const char *const *words)
{
    char *argv[CLI_WORDS_MAX + 2] = {strdup("millrace")};
    struct said s = {.out = NULL};
    size_t n_out, n_err;
    FILE *out = open_memstream(&s.out, &n_out), *err = open_memstream(&s.err, &n_err);
    int argc = 1;

    assert_true(out != NULL && err != NULL);
    for (; *words != NULL; words++) {
        assert_true(argc <= CLI_WORDS_MAX);
        argv[argc++] = strdup(*words);
    }
    s.code = cli_run(argc, argv, out, err);
    (void)fclose(out);
    (void)fclose(err);
    for (int i = 0; i < argc; i++)
        free(argv[i]);
    return s;
}
#define CLI(...) cli_say((const char *const[]){__VA_ARGS__, NULL})

static inline void said_done(struct said *s)
{
    free(s->out);
    free(s->err);
}

/* in_err: what err holds; "" where it must be empty. */
static inline void assert_said(struct said s, enum cli_exit code, const char *in_out,
                               const char *in_err)
{
    if (s.code != code || (in_out[0] == '\0' ? s.out[0] != '\0' : !strstr(s.out, in_out)) ||
        (in_err[0] == '\0' ? s.err[0] != '\0' : !strstr(s.err, in_err)))
        fail_msg("exit %d, want %d\nout: %s\nwant: %s\nerr: %s\nwant: %s", (int)s.code,
                 (int)code, s.out, in_out, s.err, in_err);
    said_done(&s);
}

/* Gives the document that such a run printed; it ended well and said nothing else. */
static inline json_t *json_of(struct said s)
{
    json_error_t why;
    json_t *root = json_loads(s.out, JSON_REJECT_DUPLICATES, &why);

    if (s.code != CLI_DONE || s.err[0] != '\0' || root == NULL)
        fail_msg("exit %d\nout: %s\nerr: %s", (int)s.code, s.out, s.err);
    said_done(&s);
    return root;
}

static inline const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    if (text == NULL)
        fail_msg("no text in %s", key);
    return text;
}

#endif
