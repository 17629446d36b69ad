/* options: the settings of the command line, one table (shared/config.h), and how it ends. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include "shared/config.h"

struct options {
    char *redis_url, *pg_url, *blob_dir;
    uint64_t timeout_ms, schedules_max, blob_grace_ms;
    unsigned log_level;
};

extern const struct cfg_spec options_spec;

enum cli_exit {
    CLI_DONE = 0,
    CLI_FAILED = 1,      /* the job ended otherwise, or was refused; a file; an interrupt */
    CLI_USAGE = 2,       /* wrong words or flags */
    CLI_UNREACHABLE = 3, /* Redis or PostgreSQL: not there, silent, or not able to serve now */
    CLI_NOT_FOUND = 4,   /* no such job, queue or schedule */
    CLI_CONFIG = 78      /* EX_CONFIG: a setting is wrong or missing */
};

#endif
