#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/config_demo.h"

static const struct cfg_key keys[] = {
    {"REDIS_URL", CFG_TEXT, AT(redis_url), NULL, NULL, NULL, CFG_REQUIRED,
     "where the queue lives"},
    {"NAME", CFG_TEXT, AT(name), "demo", "2", "8", 0, "what this process calls itself"},
    {"API_KEY", CFG_TEXT, AT(api_key), NULL, NULL, "16", CFG_SECRET, "who may enqueue"},
    {"SLOTS", CFG_COUNT, AT(slots), "4", "1", "256", 0, "jobs in flight at once"},
    {"BODY_MAX", CFG_BYTES, AT(body), "64k", "1k", "1g", 0, "longest body"},
    {"DRAIN", CFG_MS, AT(drain), "30s", NULL, "1h", 0, "how long a stop may take"},
    {"SALT", CFG_COUNT, AT(salt), NULL, "1000", NULL, CFG_SECRET,
     "number that nobody may know"},
    {"TLS", CFG_BOOL, AT(tls), "false", NULL, NULL, 0, "speak TLS"},
    {"LOG_LEVEL", CFG_CHOICE, AT(level), "info", "debug|info|warn|error|off", NULL, 0,
     "what is logged"},
};

const struct cfg_spec demo_spec = {.program = "demo",
                                   .summary = "A program for tests",
                                   .keys = keys,
                                   .n_keys = COUNT_OF(keys)};

void demo_run_spec(struct demo_run *r, const struct cfg_spec *of, const char *const *argv)
{
    size_t out_len, errors_len;
    FILE *out = open_memstream(&r->out, &out_len);
    FILE *errors = open_memstream(&r->errors, &errors_len);
    char *copy[16] = {NULL};
    int argc = 0;

    assert_true(out != NULL && errors != NULL);
    for (; argv[argc] != NULL; argc++) {
        assert_true(argc + 1 < (int)COUNT_OF(copy));
        copy[argc] = strdup(argv[argc]);
        assert_non_null(copy[argc]);
    }
    r->config = (struct demo){0};
    r->verdict = cfg_load_to(out, errors, of, argc, copy, &r->config);
    (void)fclose(out);
    (void)fclose(errors);
    for (int i = 0; i < argc; i++)
        free(copy[i]);
}

void demo_run_done(struct demo_run *r)
{
    cfg_done(&demo_spec, &r->config);
    free(r->out);
    free(r->errors);
}

void demo_clear_environment(void)
{
    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        char name[96];

        (void)snprintf(name, sizeof name, "MILLRACE_%s", keys[i].name);
        (void)unsetenv(name);
        (void)snprintf(name, sizeof name, "MILLRACE_%s_FILE", keys[i].name);
        (void)unsetenv(name);
    }
}
