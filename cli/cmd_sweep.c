/* millrace sweep: removes finished files that no row names, as the workers do by themselves. */
#include <inttypes.h>

#include "cli/client.h"
#include "cli/command.h"
#include "cli/text.h"
#include "queue/blob_sweep.h"

#define PAUSE_MS 1000

struct sweep {
    struct call *call;
    struct client *client;
    struct blob_sweep *round; /* NULL: it has ended */
    enum err err;
    struct fault why;
    struct blob_sweep_counts counts;
};

static void on_swept(void *arg, enum err e, const struct blob_sweep_counts *counts,
                     const struct fault *why)
{
    struct sweep *s = arg;

    s->round = NULL;
    s->err = e;
    s->counts = *counts;
    if (why != NULL)
        s->why = *why;
    client_answered(s->client, ERR_OK);
}

static void tell(struct sweep *s)
{
    const struct blob_sweep_counts *n = &s->counts;
    bool dry = s->call->flags->dry_run;
    struct buf *out = &s->call->text;

    if (s->call->json) {
        buf_addf(out,
                 "{\"looked\":%" PRIu64 ",\"%s\":%" PRIu64 ",\"bytes\":%" PRIu64
                 ",\"put_back\":%" PRIu64 "}\n",
                 n->looked, dry ? "matched" : "removed", n->removed, n->bytes, n->put_back);
        return;
    }
    buf_addf(out, "%" PRIu64 " file%s without a row %s (", n->removed,
             n->removed == 1 ? "" : "s", dry ? "would be removed" : "removed");
    text_bytes(n->bytes, out);
    buf_addf(out, "), of %" PRIu64 " that were looked at\n", n->looked);
}

/* A round may take longer than TIMEOUT, which bounds each of its questions instead. A signal closes the connections, and
 * then it ends, too. */
static enum cli_exit wait(struct sweep *s)
{
    enum err e = ERR_OK;

    while (s->round != NULL)
        e = client_pause(s->client, PAUSE_MS);
    if (client_gave_up(s->client))
        return client_postgres_failed(s->client, e);
    if (s->err == ERR_OK)
        return CLI_DONE;
    return call_fail(s->call, s->err == ERR_UNREACHABLE ? CLI_UNREACHABLE : CLI_FAILED, "%s",
                     s->why.text);
}

static enum cli_exit sweep(struct sweep *s)
{
    const struct options *opt = s->call->options;
    struct pg *pg;
    enum cli_exit code = client_postgres(s->client, &pg);
    enum err e;

    if (code != CLI_DONE)
        return code;
    e = blob_sweep_start(client_loop(s->client),
                         &(struct blob_sweep_options){.pg = client_pg(s->client),
                                                      .dir = opt->blob_dir,
                                                      .grace_ms = opt->blob_grace_ms,
                                                      .dry_run = s->call->flags->dry_run},
                         on_swept, s, &s->round);
    if (e != ERR_OK)
        return call_fail(s->call, CLI_FAILED, "%s", err_text(e));
    code = wait(s);
    tell(s);
    return code;
}

static enum cli_exit run(struct call *call)
{
    struct sweep s = {.call = call};
    enum cli_exit code;

    if (call->options->blob_dir == NULL)
        return call_fail(call, CLI_CONFIG,
                         "BLOB_DIR is not set: give --blob-dir, or MILLRACE_BLOB_DIR in the "
                         "environment, or BLOB_DIR in the --config file");
    code = client_new(call, &s.client);
    if (code == CLI_DONE)
        code = sweep(&s);
    client_close(&s.client);
    return code;
}

/* clang-format off */
static const struct cfg_key keys[] = {
    {"DRY_RUN", CFG_BOOL, FLAG_AT(dry_run), "false", NULL, "true", FLAG_OPTIONAL, "only count them"},
};
/* clang-format on */

const struct command command_sweep = {
    .name = "sweep",
    .summary = "removes finished files that no row names any more",
    .usage = "",
    .about = "The workers do so by themselves every SWEEP_EVERY. A file goes when it was last "
             "made or used longer than BLOB_GRACE ago and no job's record names it: its job "
             "died or was cancelled before its end, or its month was dropped.",
    .flags = {.keys = keys, .n_keys = COUNT_OF(keys)},
    .run = run,
};
