/* run: the program from its arguments to its exit status. */
#ifndef CLI_RUN_H
#define CLI_RUN_H

#include "cli/options.h"

/* out: what is asked for; err: what went wrong. */
enum cli_exit cli_run(int argc, char **argv, FILE *out, FILE *err);

#endif
