/* arguments: the command line, taken apart.
 *
 *     millrace [SETTINGS] COMMAND [WORDS, FLAGS and SETTINGS in any order]
 *
 * Settings (--redis-url ...) are only collected, for cfg_load(); the command's own flags are
 * parsed here. "--" ends the flags. */
#ifndef CLI_ARGUMENTS_H
#define CLI_ARGUMENTS_H

#include "cli/command.h"

struct arguments {
    const struct command *command; /* NULL: none was named */
    struct flags flags;
    bool json, help, version;
    bool check;      /* --check or --config-markdown, which cfg_load() answers */
    char **settings; /* as an argv for cfg_load() */
    int n_settings;
    char **words; /* part of argv, as the settings are */
    size_t n_words;
};

/* CLI_DONE, or CLI_USAGE and what is wrong on err. arguments_done() either way. */
MUST_USE enum cli_exit arguments_read(int argc, char **argv, FILE *err, struct arguments *ret);
void arguments_done(struct arguments *a);

#endif
