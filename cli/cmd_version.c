/* millrace version, millrace help. */
#include <hiredis/hiredis.h>
#include <jansson.h>
#include <libpq-fe.h>
#include <msgpack.h>
#include <uv.h>

#include "cli/command.h"
#include "cli/help.h"
#include "queue/ledger.h"

/* 150006 is 15.6. */
static void add_libpq(struct buf *out)
{
    int v = PQlibVersion();

    buf_addf(out, "\"libpq\":\"%d.%d\"", v / 10000, v % 10000);
}

static enum cli_exit run_version(struct call *call)
{
    struct buf *out = &call->text;

    if (!call->json) {
        buf_addf(out, "millrace %s\n", MILLRACE_VERSION);
        return CLI_DONE;
    }
    buf_addf(out, "{\"version\":\"%s\",\"envelope\":%d,\"schema\":%u,\"libraries\":{",
             MILLRACE_VERSION, JOB_VERSION, ledger_version_wanted());
    buf_addf(out, "\"libuv\":\"%s\",\"hiredis\":\"%d.%d.%d\",", uv_version_string(),
             HIREDIS_MAJOR, HIREDIS_MINOR, HIREDIS_PATCH);
    add_libpq(out);
    buf_addf(out, ",\"jansson\":\"%s\",\"msgpack\":\"%s\"}}\n", jansson_version_str(),
             msgpack_version());
    return CLI_DONE;
}

static enum cli_exit run_help(struct call *call)
{
    const char *name = call->n_words > 0 ? call->words[0] : NULL;
    const struct command *about = name == NULL ? NULL : command_find(name);
    const struct command *nearest = name == NULL ? NULL : command_nearest(name);

    if (name != NULL && about == NULL)
        return call_fail(call, CLI_USAGE, "unknown command %s%s%s%s", name,
                         nearest == NULL ? "" : ", did you mean ",
                         nearest == NULL ? "" : nearest->name, nearest == NULL ? "" : "?");
    if (call->json)
        help_json(about, &call->text);
    else
        help_print(about, call->bold, &call->text);
    return CLI_DONE;
}

const struct command command_version = {
    .name = "version",
    .summary = "prints the version; with --json also those of libraries, envelope and schema",
    .usage = "",
    .bare = true,
    .run = run_version,
};
const struct command command_help = {
    .name = "help",
    .summary = "prints what the program or one of its commands does",
    .usage = "[COMMAND]",
    .max_words = 1,
    .bare = true,
    .run = run_help,
};
