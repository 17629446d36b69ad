/* help: what --help prints, for the program and for each command. */
#ifndef CLI_HELP_H
#define CLI_HELP_H

#include "cli/command.h"

/* command NULL: the program's. */
void help_print(const struct command *command, bool bold, struct buf *out);
/* {"commands":[{"name","usage","summary"}...]}; command NULL: all of them. */
void help_json(const struct command *command, struct buf *out);

#endif
