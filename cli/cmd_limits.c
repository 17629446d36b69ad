/* millrace limits: how many jobs of a queue may run at once, and begin in a time. */
#include <inttypes.h>

#include "cli/client.h"
#include "cli/command.h"
#include "queue/inspect.h"

struct look {
    struct call *call;
    struct client *client;
    struct queue_limits limits; /* to be set, or as they are */
    bool change;
};

static void add_limit(struct table *t, const char *of, const struct limit *l)
{
    char rate[LIMITS_RATE_SIZE];

    table_add(t, slice_str(of));
    if (l->running > 0)
        table_addf(t, "%" PRIu32, l->running);
    else
        table_add(t, slice_str("-"));
    table_add(t, slice_str(l->rate.count > 0 ? limits_rate_text(&l->rate, rate) : "-"));
}

static void print_table(struct call *call, const struct queue_limits *l)
{
    static const struct table_column columns[] = {
        {"LIMITS OF", false}, {"RUNNING", true}, {"RATE", false}};
    AUTO(table_done) struct table t;

    table_init(&t, columns, COUNT_OF(columns));
    add_limit(&t, "queue", &l->whole);
    add_limit(&t, "each key", &l->per_key);
    call_print_table(call, &t);
}

static void print_limits(struct call *call, const struct queue_limits *l)
{
    if (!call->json) {
        print_table(call, l);
        return;
    }
    limits_json(l, &call->text);
    buf_add_str(&call->text, "\n");
}

static void on_queue(void *arg, enum err e, const struct queue_info *queue, size_t n)
{
    struct look *l = arg;

    (void)n;
    if (e == ERR_OK)
        l->limits = queue->limits;
    client_answered(l->client, e);
}

static void on_set(void *arg, enum err e)
{
    struct look *l = arg;

    client_answered(l->client, e);
}

static enum cli_exit take_rate(const struct call *call, const char *text,
                               struct rate_limit *ret)
{
    struct fault why;

    if (text == NULL || limits_parse_rate(text, ret, &why) == ERR_OK)
        return CLI_DONE;
    return call_fail(call, CLI_USAGE, "%s", why.text);
}

static enum cli_exit take_flags(struct look *l)
{
    const struct flags *f = l->call->flags;
    enum cli_exit code = take_rate(l->call, f->rate, &l->limits.whole.rate);

    if (code == CLI_DONE)
        code = take_rate(l->call, f->key_rate, &l->limits.per_key.rate);
    l->limits.whole.running = (uint32_t)f->running;
    l->limits.per_key.running = (uint32_t)f->key_running;
    l->change = f->none || limits_are_set(&l->limits);
    if (code == CLI_DONE && f->none && limits_are_set(&l->limits))
        return call_fail(l->call, CLI_USAGE, "--none and limits do not go together");
    return code;
}

static enum cli_exit ask(struct look *l)
{
    const char *queue = l->call->words[0];
    struct redis *redis = NULL;
    enum cli_exit code = client_redis(l->client, &redis);
    enum err e;

    if (code != CLI_DONE)
        return code;
    e = client_wait(l->client, l->change
                                   ? inspect_set_limits(redis, queue, &l->limits, on_set, l)
                                   : inspect_queue(redis, queue, on_queue, l));
    if (e == ERR_NOT_FOUND || e == ERR_MALFORMED)
        return call_fail(l->call, CLI_NOT_FOUND, "there is no queue named %s", queue);
    if (e != ERR_OK)
        return client_redis_failed(l->client, e);
    print_limits(l->call, &l->limits);
    return CLI_DONE;
}

static enum cli_exit run(struct call *call)
{
    struct look l = {.call = call};
    enum cli_exit code = take_flags(&l);

    if (code == CLI_DONE)
        code = client_new(call, &l.client);
    if (code == CLI_DONE)
        code = ask(&l);
    client_close(&l.client);
    return code;
}

/* clang-format off */
static const struct cfg_key keys[] = {
    {"RUNNING",     CFG_COUNT, FLAG_AT(running),     NULL, "1", "1000000", 0, "jobs of the queue that may run at once, over all workers"},
    {"RATE",        CFG_TEXT,  FLAG_AT(rate),        NULL, NULL, NULL, 0, "how many may begin in a time: COUNT/TIME or COUNT/TIME,BURST, as 10/s, 100/60s,20"},
    {"KEY_RUNNING", CFG_COUNT, FLAG_AT(key_running), NULL, "1", "1000000", 0, "jobs of one key that may run at once"},
    {"KEY_RATE",    CFG_TEXT,  FLAG_AT(key_rate),    NULL, NULL, NULL, 0, "how many of one key may begin in a time"},
    {"NONE",        CFG_BOOL,  FLAG_AT(none),        "false", NULL, "true", FLAG_OPTIONAL, "take all limits away"},
};
/* clang-format on */

const struct command command_limits = {
    .name = "limits",
    .summary = "shows or sets how many jobs of a queue may run at once, and begin in a time",
    .usage = "QUEUE",
    .about = "Without flags it shows the limits. With flags, what they say takes the place of "
             "the limits that are there. They hold over all workers. A job's key is the "
             "field \"key\" that it was enqueued with: a tenant, a host. Jobs whose key is at "
             "its limit hold up no others.",
    .flags = {.keys = keys, .n_keys = COUNT_OF(keys)},
    .min_words = 1,
    .max_words = 1,
    .run = run,
};
