/* millrace caps: how much may wait in a queue. */
#include "cli/client.h"
#include "cli/command.h"
#include "queue/caps.h"

struct change {
    struct client *client;
    struct caps_change caps;
};

static void on_changed(void *arg, enum err e)
{
    client_answered(((struct change *)arg)->client, e);
}

static enum cli_exit take_flags(const struct call *call, struct caps_change *ret)
{
    const struct flags *f = call->flags;
    const uint64_t values[CAPS_KINDS] = {f->cap_jobs, f->cap_bytes, f->cap_age_ms};
    bool any = f->no_caps;

    for (size_t i = 0; i < CAPS_KINDS; i++) {
        ret->set[i] = values[i] > 0 || f->no_caps;
        ret->value[i] = values[i];
        any |= ret->set[i];
    }
    return any ? CLI_DONE
               : call_fail(call, CLI_USAGE, "give --jobs, --bytes, --age, or --no-caps");
}

static enum cli_exit apply(struct call *call, struct change *c)
{
    struct redis *redis = NULL;
    enum cli_exit code = client_redis(c->client, &redis);
    enum err e;

    if (code != CLI_DONE)
        return code;
    e = client_wait(c->client, caps_change(redis, call->words[0], &c->caps, on_changed, c));
    if (e == ERR_MALFORMED)
        return call_fail(call, CLI_USAGE, "no queue can be named %s", call->words[0]);
    if (e != ERR_OK)
        return client_redis_failed(c->client, e);
    if (call->json)
        buf_addf(&call->text, "{\"name\":\"%s\"}\n", call->words[0]);
    else
        buf_addf(&call->text, "the caps of queue %s are set\n", call->words[0]);
    return CLI_DONE;
}

static enum cli_exit run(struct call *call)
{
    struct change c = {.client = NULL};
    enum cli_exit code = take_flags(call, &c.caps);

    if (code == CLI_DONE)
        code = client_new(call, &c.client);
    if (code == CLI_DONE)
        code = apply(call, &c);
    client_close(&c.client);
    return code;
}

/* clang-format off */
static const struct cfg_key keys[] = {
    {"JOBS",    CFG_COUNT, FLAG_AT(cap_jobs),   NULL, "1", "1000000000000000", 0, "jobs that may wait, ready and delayed"},
    {"BYTES",   CFG_BYTES, FLAG_AT(cap_bytes),  NULL, "1", "100000g", 0, "memory that they may take in Redis"},
    {"AGE",     CFG_MS,    FLAG_AT(cap_age_ms), NULL, "1ms", "3650d", 0, "for how long the oldest ready job may have been ready"},
    {"NO_CAPS", CFG_BOOL,  FLAG_AT(no_caps),    NULL, NULL, "true", FLAG_OPTIONAL, "take away the caps that are not given"},
};
/* clang-format on */

const struct command command_caps = {
    .name = "caps",
    .summary = "sets how much may wait in a queue before new jobs are refused",
    .usage = "QUEUE",
    .about =
        "Caps that are not given stay as they are. A job that passes one is refused where it "
        "comes in (HTTP 429); retries and jobs that come back from a worker never are. "
        "millrace queues --json shows the caps, and what there is.",
    .flags = {.keys = keys, .n_keys = COUNT_OF(keys)},
    .min_words = 1,
    .max_words = 1,
    .run = run,
};
