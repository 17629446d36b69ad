/* millrace migrate: brings the schema in PostgreSQL to what this program needs. */
#include <libpq-fe.h>

#include "cli/command.h"
#include "queue/ledger.h"
#include "shared/json.h"

struct migration {
    struct call *call;
    unsigned n_applied;
    struct buf names; /* JSON strings, comma-separated */
};

static void on_applied(void *arg, const char *line)
{
    static const char verb[] = "applied ";
    struct migration *m = arg;
    bool has_verb = strncmp(line, verb, sizeof verb - 1) == 0;

    buf_add_str(&m->names, m->n_applied++ > 0 ? "," : "");
    json_quote(slice_str(has_verb ? line + sizeof verb - 1 : line), &m->names);
    if (!m->call->json)
        buf_addf(&m->call->text, "%s\n", line);
}

static bool is_conninfo(const char *url)
{
    PQconninfoOption *parsed = PQconninfoParse(url, NULL);
    bool good = parsed != NULL;

    PQconninfoFree(parsed);
    return good;
}

static void tell(struct migration *m)
{
    struct buf *out = &m->call->text;

    if (m->call->json)
        buf_addf(out, "{\"version\":%u,\"applied\":[%s]}\n", ledger_version_wanted(),
                 buf_cstr(&m->names));
    else if (m->n_applied == 0)
        buf_addf(out, "the schema is up to date (version %u)\n", ledger_version_wanted());
}

static enum cli_exit run(struct call *call)
{
    struct migration m = {.call = call};
    const char *url = call->options->pg_url;
    struct fault why;
    enum err e;

    if (url == NULL)
        return call_fail(call, CLI_CONFIG,
                         "PG_URL is not set: give --pg-url, or MILLRACE_PG_URL in the "
                         "environment, or PG_URL in the --config file");
    if (!is_conninfo(url))
        return call_fail(call, CLI_CONFIG, "PG_URL: not a libpq connection string or URL");
    e = ledger_migrate(url, on_applied, &m, &why);
    if (e == ERR_OK)
        tell(&m);
    buf_done(&m.names);
    if (e == ERR_OK)
        return CLI_DONE;
    return call_fail(call, e == ERR_UNREACHABLE ? CLI_UNREACHABLE : CLI_FAILED, "%s", why.text);
}

const struct command command_migrate = {
    .name = "migrate",
    .summary = "brings the schema in PostgreSQL up to date",
    .usage = "",
    .about = "Applies the files that are missing, each in a transaction of its own. May be run "
             "at any time and by several at once; run it after each update, before the "
             "daemons are started.",
    .run = run,
};
