#include "cli/command.h"

#include <ctype.h>

#include "shared/config_name.h"

/* clang-format off */
const struct command *const command_table[] = {
    &command_enqueue,
    &command_jobs,
    &command_job,
    &command_batch,
    &command_retry,
    &command_queues,
    &command_caps,
    &command_workers,
    &command_pause,
    &command_resume,
    &command_recipes,
    &command_schedules,
    &command_schedule,
    &command_limits,
    &command_explain,
    &command_watch,
    &command_cancel,
    &command_sweep,
    &command_migrate,
    &command_version,
    &command_help,
    NULL,
};
/* clang-format on */

#define N_COMMANDS (COUNT_OF(command_table) - 1)
#define NAME_SIZE  16

const struct command *command_find(const char *name)
{
    for (size_t i = 0; i < N_COMMANDS; i++) {
        if (strcmp(command_table[i]->name, name) == 0)
            return command_table[i];
    }
    return NULL;
}

static void to_upper(const char *name, char dst[NAME_SIZE])
{
    size_t i;

    must(strlen(name) < NAME_SIZE);
    for (i = 0; name[i] != '\0'; i++)
        dst[i] = (char)toupper((unsigned char)name[i]);
    dst[i] = '\0';
}

/* The configuration knows how to find the nearest name; its names are upper case. */
const struct command *command_nearest(const char *name)
{
    char names[N_COMMANDS][NAME_SIZE];
    struct cfg_key keys[N_COMMANDS] = {{.name = NULL}};
    const struct cfg_spec spec = {.keys = keys, .n_keys = N_COMMANDS};
    const struct cfg_key *nearest;

    for (size_t i = 0; i < N_COMMANDS; i++) {
        to_upper(command_table[i]->name, names[i]);
        keys[i].name = names[i];
    }
    nearest = config_name_nearest(&spec, name);
    return nearest == NULL ? NULL : command_table[nearest - keys];
}
