/* config_demo: a program's configuration for the tests of shared/config, and a run of it. */
#ifndef TESTS_UNIT_CONFIG_DEMO_H
#define TESTS_UNIT_CONFIG_DEMO_H

#include "shared/config.h"

struct demo {
    char *redis_url, *name, *api_key;
    uint64_t slots, body, drain, salt;
    bool tls;
    unsigned level;
};

#define AT(field) offsetof(struct demo, field)
extern const struct cfg_spec demo_spec;

/* One run of cfg_load() and what it printed. */
struct demo_run {
    struct demo config;
    char *out, *errors;
    enum cfg_verdict verdict;
};

/* argv ends with NULL. */
void demo_run_spec(struct demo_run *r, const struct cfg_spec *of, const char *const *argv);
void demo_run_done(struct demo_run *r);
/* Unsets every variable that the demo reads. */
void demo_clear_environment(void);

#define RUN(r, ...)                \
    demo_run_spec((r), &demo_spec, \
                  (const char *const[]){"demo", __VA_ARGS__ __VA_OPT__(, ) NULL})
#define URL "--redis-url=redis://h"

#endif
