/* config: one table per program drives parsing, range checks, --help, the documentation and the
 * start-up line.
 *
 * A key FOO_BAR is set by, later ones winning: the default, a line FOO_BAR=value of the file
 * given with --config (systemd EnvironmentFile syntax: # comments, optional quotes), the
 * environment variable MILLRACE_FOO_BAR, the flag --foo-bar VALUE or --foo-bar=VALUE. A CFG_BOOL
 * flag without a value means true. An empty value takes a CFG_TEXT key back to unset.
 * A CFG_SECRET key FOO is also read from the file that FOO_FILE names (in any of the three
 * places; trailing newline dropped), which is how systemd's LoadCredential= reaches it; its value
 * is never printed, not even in an error. FOO and FOO_FILE in the same place are an error.
 * An unknown key in the file, an unknown flag, or a value out of range stops the start and
 * names key, value and range; all that is wrong is listed, wherever a later place would have won.
 * Unknown MILLRACE_ variables are ignored (programs share them).
 * Every program also takes --config FILE, --check (parse and exit 0), --help, --version, and
 * --config-markdown, which prints the table for docs/configuration.md. */
#ifndef SHARED_CONFIG_H
#define SHARED_CONFIG_H

#include "shared/err.h"
#include "shared/log.h"

enum cfg_kind {
    CFG_TEXT, /* char *      (heap, freed by cfg_done; NULL when unset); min, max: its length */
    CFG_COUNT,  /* uint64_t */
    CFG_BYTES,  /* uint64_t;   accepts k, m, g suffixes (1024) */
    CFG_MS,     /* uint64_t;   accepts ms, s, m, h, d suffixes; bare number is ms */
    CFG_BOOL,   /* bool;       true/false/1/0/yes/no/on/off */
    CFG_CHOICE, /* unsigned;   index into choices, "a|b|c" given in .min */
};

enum cfg_flag { CFG_REQUIRED = 1, CFG_SECRET = 2 };

struct cfg_key {
    const char *name; /* FOO_BAR; at most CFG_NAME_MAX bytes */
    enum cfg_kind kind;
    size_t offset;               /* of the field in the program's own struct */
    const char *def, *min, *max; /* as a user would type them; NULL: none */
    unsigned flags;
    const char *help; /* one line without full stop; says the unit where it has one */
};

#define CFG_NAME_MAX 40

struct cfg_spec {
    const char *program, *summary; /* "millrace-api", "HTTP front of the job system" */
    const struct cfg_key *keys;
    size_t n_keys;
    /* Words for the usage line, ended by NULL: {"COMMAND", "[ARGUMENT...]", NULL}. Flags are read
     * up to the first argument that is none ("--" ends them too). NULL: such arguments are errors. */
    const char *const *positional;
    /* Where in argv that first argument is; argc if there is none. May be NULL. */
    int *ret_first_positional;
};

enum cfg_verdict { CFG_GO, CFG_EXIT_OK, CFG_EXIT_BAD };

/* Fills *config (zeroed by the caller). CFG_EXIT_*: help, version, check or an error has been
 * printed (errors on stderr), and nothing in *config needs cfg_done(); the caller ends with 0 or
 * 78 (EX_CONFIG). */
MUST_USE enum cfg_verdict cfg_load(const struct cfg_spec *spec, int argc, char **argv,
                                   void *config);
/* The same, with other streams for what is printed. */
MUST_USE enum cfg_verdict cfg_load_to(FILE *out, FILE *errors, const struct cfg_spec *spec,
                                      int argc, char **argv, void *config);
void cfg_done(const struct cfg_spec *spec, void *config);
/* One "start" event with every key that differs from its default; secrets as ***. */
void cfg_log(const struct cfg_spec *spec, const void *config, const struct log_ctx *ctx);
void cfg_print_help(const struct cfg_spec *spec, FILE *out);
/* The table as Markdown, for docs/configuration.md. */
void cfg_print_markdown(const struct cfg_spec *spec, FILE *out);

#endif
