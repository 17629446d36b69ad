/* millrace explain: why a job waits, and when it may start. */
#include "queue/explain.h"

#include "cli/client.h"
#include "cli/command.h"
#include "cli/text.h"
#include "shared/clock.h"

struct look {
    struct call *call;
    struct client *client;
    struct uuid id;
};

static void add_when(struct buf *out, const char *what, uint64_t ms)
{
    char at[CLOCK_RFC3339_SIZE];

    if (ms > 0)
        buf_addf(out, "%s %s\n", what, clock_rfc3339(ms, at));
}

static void tell(struct call *call, const struct explanation *e)
{
    char id[UUID_TEXT_SIZE];

    if (call->json) {
        explain_json(e, &call->text);
        buf_add_str(&call->text, "\n");
        return;
    }
    buf_addf(&call->text, "job %s of queue %s is %s\n", uuid_text(&e->id, id), e->queue,
             job_state_name(e->state));
    for (size_t i = 0; i < e->n_reasons; i++) {
        buf_addf(&call->text, "  %-20s ", e->reasons[i].code);
        text_safe(slice_str(e->reasons[i].text), &call->text);
        buf_add_str(&call->text, "\n");
    }
    add_when(&call->text, "it may start at", e->may_start_ms);
    add_when(&call->text, "it is expected to start at", e->expected_ms);
}

static void on_explained(void *arg, enum err e, const struct explanation *what)
{
    struct look *l = arg;

    if (e == ERR_OK)
        tell(l->call, what);
    client_answered(l->client, e);
}

static void on_row(void *arg, enum err e, const struct ledger_row *row,
                   const struct ledger_parts *parts)
{
    struct look *l = arg;
    struct explanation what;

    (void)parts;
    if (e == ERR_OK && !job_state_is_terminal(row->state))
        e = ERR_NOT_FOUND;
    if (e == ERR_OK) {
        explain_recorded(row, &what);
        tell(l->call, &what);
    }
    client_answered(l->client, e);
}

static enum cli_exit ask(struct look *l, enum err *ret)
{
    struct redis *redis = NULL;
    struct pg *pg = NULL;
    enum cli_exit code = client_redis(l->client, &redis);

    if (code != CLI_DONE)
        return code;
    *ret = client_wait(l->client, explain_job(redis, &l->id, on_explained, l));
    if (*ret == ERR_OK)
        return CLI_DONE;
    if (*ret != ERR_NOT_FOUND)
        return client_redis_failed(l->client, *ret);
    code = client_postgres(l->client, &pg);
    if (code != CLI_DONE)
        return code;
    *ret = client_wait(l->client, ledger_job(pg, &l->id, on_row, l));
    if (*ret == ERR_OK || *ret == ERR_NOT_FOUND)
        return CLI_DONE;
    return client_postgres_failed(l->client, *ret);
}

static enum cli_exit run(struct call *call)
{
    struct look l = {.call = call};
    enum err e = ERR_OK;
    enum cli_exit code;

    if (!uuid_parse(slice_str(call->words[0]), &l.id))
        return call_fail(call, CLI_NOT_FOUND, "job %s: not found; an id is a UUID",
                         call->words[0]);
    code = client_new(call, &l.client);
    if (code == CLI_DONE)
        code = ask(&l, &e);
    client_close(&l.client);
    if (code == CLI_DONE && e == ERR_NOT_FOUND)
        return call_fail(call, CLI_NOT_FOUND, "job %s: not found", call->words[0]);
    return code;
}

const struct command command_explain = {
    .name = "explain",
    .summary = "tells why a job waits, and when it may start",
    .usage = "ID",
    .about = "The reasons stand in the order in which they hold the job up: when it is due, "
             "whether its queue is paused or served, limits, busy workers, jobs before it.",
    .min_words = 1,
    .max_words = 1,
    .run = run,
};
