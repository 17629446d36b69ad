/* millrace watch: follows a job until it has ended. */
#include "cli/command.h"
#include "cli/find_job.h"
#include "cli/follow.h"

static enum cli_exit follow(struct call *call, struct client *client, const struct uuid *id)
{
    struct follow_job job = {.client = client, .id = *id, .wait_s = call->flags->wait_s};
    enum cli_exit code = client_redis(client, &job.redis);

    if (code == CLI_DONE)
        code = client_postgres(client, &job.pg);
    return code == CLI_DONE ? follow_job(call, &job) : code;
}

static enum cli_exit run(struct call *call)
{
    struct client *client = NULL;
    struct uuid id;
    enum cli_exit code;

    if (!uuid_parse(slice_str(call->words[0]), &id))
        return call_fail(call, CLI_NOT_FOUND, "job %s: not found; an id is a UUID",
                         call->words[0]);
    code = client_new(call, &client);
    if (code == CLI_DONE)
        code = follow(call, client, &id);
    client_close(&client);
    return code;
}

/* clang-format off */
static const struct cfg_key keys[] = {
    {"WAIT", CFG_COUNT, FLAG_AT(wait_s), "31536000", "1", "31536000", 0, "at most so many seconds"},
};
/* clang-format on */

const struct command command_watch = {
    .name = "watch",
    .summary = "follows a job until it has ended",
    .usage = "ID",
    .about = "State and progress go to standard error as they change, the record to standard "
             "output; the exit status is 0 only if the job succeeded.",
    .flags = {.keys = keys, .n_keys = COUNT_OF(keys)},
    .min_words = 1,
    .max_words = 1,
    .run = run,
};
