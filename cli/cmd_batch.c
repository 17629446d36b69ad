/* millrace batch: how far a batch is. */
#include "cli/client.h"
#include "cli/command.h"
#include "queue/batch.h"

struct look {
    struct call *call;
    struct client *client;
    struct uuid id;
};

static const char *state_of(const struct batch_tally *t)
{
    if (t->left > 0)
        return "running";
    return t->succeeded == t->total ? "succeeded" : "failed";
}

static void tell_json(const struct look *l, const struct batch_tally *t)
{
    char id[UUID_TEXT_SIZE];

    buf_addf(&l->call->text,
             "{\"id\":\"%s\",\"state\":\"%s\",\"total\":%llu,\"left\":%llu,\"succeeded\":%llu,"
             "\"dead\":%llu,\"cancelled\":%llu,\"expired\":%llu,\"followed\":%s}\n",
             uuid_text(&l->id, id), state_of(t), (unsigned long long)t->total,
             (unsigned long long)t->left, (unsigned long long)t->succeeded,
             (unsigned long long)t->dead, (unsigned long long)t->cancelled,
             (unsigned long long)t->expired, t->closed ? "true" : "false");
}

static void add_count(struct table *t, uint64_t n)
{
    char text[24];

    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)n);
    table_add(t, slice_str(text));
}

static void tell_table(const struct look *l, const struct batch_tally *b)
{
    static const struct table_column columns[] = {
        {"STATE", false}, {"TOTAL", true},     {"LEFT", true},    {"SUCCEEDED", true},
        {"DEAD", true},   {"CANCELLED", true}, {"EXPIRED", true}, {"FOLLOWED", false}};
    const uint64_t counts[] = {b->total, b->left,      b->succeeded,
                               b->dead,  b->cancelled, b->expired};
    struct table t;

    table_init(&t, columns, COUNT_OF(columns));
    table_add(&t, slice_str(state_of(b)));
    for (size_t i = 0; i < COUNT_OF(counts); i++)
        add_count(&t, counts[i]);
    table_add(&t, slice_str(b->closed ? "yes" : "no"));
    call_print_table(l->call, &t);
    table_done(&t);
}

static void on_tally(void *arg, enum err e, const struct batch_tally *t)
{
    struct look *l = arg;

    if (e == ERR_OK && l->call->json)
        tell_json(l, t);
    else if (e == ERR_OK)
        tell_table(l, t);
    client_answered(l->client, e);
}

static enum cli_exit look(struct look *l)
{
    struct redis *redis = NULL;
    enum cli_exit code = client_redis(l->client, &redis);
    enum err e;

    if (code != CLI_DONE)
        return code;
    e = client_wait(l->client, batch_look(redis, &l->id, on_tally, l));
    if (e == ERR_NOT_FOUND)
        return call_fail(l->call, CLI_NOT_FOUND, "batch %s: not found, or it ended long ago",
                         l->call->words[0]);
    return e == ERR_OK ? CLI_DONE : client_redis_failed(l->client, e);
}

static enum cli_exit run(struct call *call)
{
    struct look l = {.call = call};
    enum cli_exit code;

    if (!uuid_parse(slice_str(call->words[0]), &l.id))
        return call_fail(call, CLI_NOT_FOUND, "batch %s: not found; an id is a UUID",
                         call->words[0]);
    code = client_new(call, &l.client);
    if (code == CLI_DONE)
        code = look(&l);
    client_close(&l.client);
    return code;
}

const struct command command_batch = {
    .name = "batch",
    .summary = "tells how far a batch of jobs is",
    .usage = "ID",
    .about = "A batch is made by POST /v1/jobs/batch with `then`. It is told for a week after "
             "its end.",
    .min_words = 1,
    .max_words = 1,
    .run = run,
};
