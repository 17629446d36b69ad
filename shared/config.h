/* config: one table per program drives parsing, range checks, --help, the documentation and the
 * start-up line.
 *
 * A key FOO_BAR is set by, later ones winning: the default, a line FOO_BAR=value of the file
 * given with --config (systemd EnvironmentFile syntax: # comments, optional quotes), the
 * environment variable MILLRACE_FOO_BAR, the flag --foo-bar VALUE or --foo-bar=VALUE.
 * A CFG_SECRET key FOO is also read from the file that FOO_FILE names (trailing newline
 * dropped), which is how systemd's LoadCredential= reaches it; its value is never printed.
 * An unknown key in the file, an unknown flag, or a value out of range stops the start and
 * names key, value and range. Unknown MILLRACE_ variables are ignored (programs share them).
 * Every program also takes --config FILE, --check (parse and exit 0), --help, --version. */
#ifndef SHARED_CONFIG_H
#define SHARED_CONFIG_H

#include "shared/err.h"
#include "shared/log.h"

enum cfg_kind {
    CFG_TEXT,   /* char *      (heap, freed by cfg_done; NULL when unset) */
    CFG_COUNT,  /* uint64_t */
    CFG_BYTES,  /* uint64_t;   accepts k, m, g suffixes (1024) */
    CFG_MS,     /* uint64_t;   accepts ms, s, m, h, d suffixes; bare number is ms */
    CFG_BOOL,   /* bool;       true/false/1/0/yes/no/on/off */
    CFG_CHOICE, /* unsigned;   index into choices, "a|b|c" given in .min */
};

enum cfg_flag { CFG_REQUIRED = 1, CFG_SECRET = 2 };

struct cfg_key {
    const char *name; /* FOO_BAR */
    enum cfg_kind kind;
    size_t offset; /* of the field in the program's own struct */
    const char *def, *min, *max; /* as a user would type them; NULL: none */
    unsigned flags;
    const char *help; /* one line, a sentence without full stop; says the unit where it has one */
};

struct cfg_spec {
    const char *program, *summary; /* "millrace-api", "HTTP front of the job system" */
    const struct cfg_key *keys;
    size_t n_keys;
    const char *const *positional; /* NULL: positional arguments are errors */
};

enum cfg_verdict { CFG_GO, CFG_EXIT_OK, CFG_EXIT_BAD };

/* Fills *config (zeroed by the caller). CFG_EXIT_*: help, version, check or an error has been
 * printed (errors on stderr); the caller ends with 0 or 78 (EX_CONFIG). */
MUST_USE enum cfg_verdict cfg_load(const struct cfg_spec *spec, int argc, char **argv, void *config);
void cfg_done(const struct cfg_spec *spec, void *config);
/* One "start" event with every key that differs from its default; secrets as ***. */
void cfg_log(const struct cfg_spec *spec, const void *config, const struct log_ctx *ctx);
/* The table as Markdown, for docs/configuration.md. */
void cfg_print_markdown(const struct cfg_spec *spec, FILE *out);

#endif
