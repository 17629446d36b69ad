/* command: the table of commands. */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include "cli/call.h"

typedef enum cli_exit command_fn(struct call *call);

struct command {
    const char *name, *summary; /* one line without full stop */
    const char *usage;          /* words behind the name: "TYPE [ARGS]" */
    const char *about;          /* for --help: what one has to know; may be NULL */
    struct cfg_spec flags;      /* keys into struct flags; no other field is used */
    size_t min_words, max_words;
    bool bare; /* looks at no setting, so that a wrong one does not stop it */
    command_fn *run;
};

/* clang-format off */
extern const struct command
    command_enqueue,
    command_jobs,
    command_job,
    command_batch,
    command_retry,
    command_queues,
    command_caps,
    command_workers,
    command_pause,
    command_resume,
    command_schedules,
    command_schedule,
    command_limits,
    command_explain,
    command_watch,
    command_cancel,
    command_recipes,
    command_sweep,
    command_migrate,
    command_version,
    command_help;
/* clang-format on */

/* All of them, in the order of --help; ended by NULL. */
extern const struct command *const command_table[];
const struct command *command_find(const char *name); /* NULL: none */
/* The one that was probably meant. NULL: none is near. */
const struct command *command_nearest(const char *name);

#endif
