/* millrace schedule: one schedule shown, put, paused, resumed, run or deleted. */
#include "cli/client.h"
#include "cli/command.h"
#include "cli/compose.h"
#include "cli/recipe_book.h"
#include "cli/schedule_view.h"
#include "queue/schedules.h"
#include "shared/json.h"

struct act {
    struct call *call;
    struct client *client;
    struct redis *redis;
    const char *name;
    struct schedule_body body; /* of put */
    struct fault why;
};

/* --- what is told ---------------------------------------------------------------------------- */

static void answered(struct act *a, enum err e, const struct fault *why)
{
    if (why != NULL)
        a->why = *why;
    client_answered(a->client, e);
}

static void on_view(void *arg, enum err e, const struct schedule_view *v,
                    const struct fault *why)
{
    struct act *a = arg;

    if (e == ERR_OK)
        schedule_view(a->call, v);
    answered(a, e, why);
}

static void on_deleted(void *arg, enum err e, const struct schedule_view *v,
                       const struct fault *why)
{
    struct act *a = arg;

    (void)v;
    if (e == ERR_OK && a->call->json)
        buf_addf(&a->call->text, "{\"name\":\"%s\",\"deleted\":true}\n", a->name);
    else if (e == ERR_OK)
        buf_addf(&a->call->text, "schedule %s is deleted\n", a->name);
    answered(a, e, why);
}

static void on_run(void *arg, enum err e, const struct schedule_view *v,
                   const struct fault *why)
{
    struct act *a = arg;
    char id[UUID_TEXT_SIZE];

    if (e == ERR_OK && a->call->json)
        buf_addf(&a->call->text, "{\"id\":\"%s\",\"queue\":\"%s\"}\n",
                 uuid_text(&v->past.job, id), v->s->queue);
    else if (e == ERR_OK)
        buf_addf(&a->call->text, "%s\n", uuid_text(&v->past.job, id));
    answered(a, e, why);
}

/* --- the actions ----------------------------------------------------------------------------- */

static enum err show(struct act *a)
{
    return schedules_get(a->redis, a->name, on_view, a);
}

static enum err put(struct act *a)
{
    return schedules_put(a->redis, a->name, &a->body, a->call->options->schedules_max, on_view,
                         a);
}

static enum err pause_it(struct act *a)
{
    return schedules_pause(a->redis, a->name, true, on_view, a);
}

static enum err resume(struct act *a)
{
    return schedules_pause(a->redis, a->name, false, on_view, a);
}

static enum err run_it(struct act *a)
{
    return schedules_run(a->redis, a->name, on_run, a);
}

static enum err delete_it(struct act *a)
{
    return schedules_remove(a->redis, a->name, on_deleted, a);
}

static const struct action {
    const char *name;
    enum err (*ask)(struct act *a);
} actions[] = {{"show", show},     {"put", put},    {"pause", pause_it},
               {"resume", resume}, {"run", run_it}, {"delete", delete_it}};

static const struct action *find_action(const struct call *call)
{
    for (size_t i = 0; i < COUNT_OF(actions); i++) {
        if (call->n_words < 2 || strcmp(call->words[1], actions[i].name) == 0)
            return &actions[i];
    }
    return NULL;
}

/* --- put: the body out of the flags ---------------------------------------------------------- */

static void add_text(struct buf *out, const char *key, const char *value)
{
    if (value == NULL)
        return;
    buf_addf(out, ",\"%s\":", key);
    json_quote(slice_str(value), out);
}

static void write_body(const struct flags *f, const char *job, struct buf *out)
{
    buf_addf(out, "{\"job\":%s", job);
    add_text(out, "cron", f->cron);
    add_text(out, "timezone", f->timezone);
    if (f->every_ms > 0)
        buf_addf(out, ",\"every_ms\":%llu", (unsigned long long)f->every_ms);
    add_text(out, "missed", schedule_missed_name((enum schedule_missed)f->missed));
    add_text(out, "overlap", f->overlap == 0 ? "allow" : "skip");
    buf_addf(out, ",\"paused\":%s", f->paused == 0 ? "false" : "true");
    add_text(out, "start_at", f->start_at);
    add_text(out, "end_at", f->end_at);
    buf_add_char(out, '}');
}

struct draft {
    struct buf json;
    struct schedule_body *ret;
    struct spec_fault why;
};

static enum err parse_draft(void *arg, struct recipe_book *book)
{
    struct draft *d = arg;

    return schedule_body_parse(buf_slice(&d->json), JOB_DEPTH_MAX, book, d->ret, &d->why);
}

static enum cli_exit check_body(struct act *a, struct draft *d)
{
    enum err e = ERR_OK;
    enum cli_exit code = cli_recipes_once(a->call, parse_draft, d, &e);

    if (e == ERR_OK || code != CLI_DONE)
        return code;
    return call_fail(a->call, CLI_FAILED, "the schedule is refused: %s%s%s", d->why.pointer,
                     d->why.pointer[0] == '\0' ? "" : " ", d->why.text);
}

/* The words behind "NAME put" are those of enqueue. */
static enum cli_exit make_body(struct act *a)
{
    struct draft d = {.ret = &a->body};
    struct call job_call = *a->call;
    char *job = NULL;
    enum cli_exit code;

    if (a->call->n_words < 3)
        return call_fail(a->call, CLI_USAGE, "put: the job's TYPE is missing");
    job_call.words += 2;
    job_call.n_words -= 2;
    code = compose_text(&job_call, NULL, &job);
    if (code != CLI_DONE)
        return code;
    write_body(a->call->flags, job, &d.json);
    free(job);
    code = check_body(a, &d);
    buf_done(&d.json);
    return code;
}

/* --- the whole ------------------------------------------------------------------------------- */

static enum cli_exit failed(struct act *a, enum err e)
{
    if (e == ERR_NOT_FOUND)
        return call_fail(a->call, CLI_NOT_FOUND, "there is no schedule named %s", a->name);
    if (e == ERR_REJECTED || e == ERR_FORBIDDEN || e == ERR_MALFORMED)
        return call_fail(a->call, CLI_FAILED, "schedule %s: %s", a->name, a->why.text);
    return client_redis_failed(a->client, e);
}

static enum cli_exit go(struct act *a, const struct action *action)
{
    enum cli_exit code = client_new(a->call, &a->client);
    enum err e;

    if (code == CLI_DONE)
        code = client_redis(a->client, &a->redis);
    if (code == CLI_DONE) {
        e = client_wait(a->client, action->ask(a));
        code = e == ERR_OK ? CLI_DONE : failed(a, e);
    }
    client_close(&a->client);
    return code;
}

static enum cli_exit run(struct call *call)
{
    struct act a = {.call = call, .name = call->words[0]};
    const struct action *action = find_action(call);
    enum cli_exit code = CLI_DONE;

    if (action == NULL)
        return call_fail(call, CLI_USAGE,
                         "unknown action %s; there are show, put, pause, resume, run, delete",
                         call->words[1]);
    if (!job_name_is_valid(slice_str(a.name)))
        return call_fail(
            call, action->ask == put ? CLI_USAGE : CLI_NOT_FOUND,
            "no schedule can be named %s: 1 to %d of a-z 0-9 . _ -, first a letter", a.name,
            JOB_NAME_MAX);
    if (action->ask != put && call->n_words > 2)
        return call_fail(call, CLI_USAGE, "too many words; usage: millrace schedule NAME %s",
                         action->name);
    if (action->ask == put)
        code = make_body(&a);
    if (code == CLI_DONE)
        code = go(&a, action);
    schedule_body_done(&a.body);
    return code;
}

/* clang-format off */
static const struct cfg_key keys[] = {
    {"CRON",         CFG_TEXT,   FLAG_AT(cron),         NULL,     NULL, NULL, 0, "when: minute hour day month weekday, seconds before them if there are six; or @daily"},
    {"TIMEZONE",     CFG_TEXT,   FLAG_AT(timezone),     NULL,     NULL, NULL, 0, "of --cron, like Europe/Berlin; UTC when not given"},
    {"EVERY_MS",     CFG_COUNT,  FLAG_AT(every_ms),     NULL,     "1000", "31536000000", 0, "in place of --cron: so many milliseconds apart"},
    {"MISSED",       CFG_CHOICE, FLAG_AT(missed),       "one",    "skip|one|all", NULL, 0, "jobs for ticks at which no worker was there"},
    {"OVERLAP",      CFG_CHOICE, FLAG_AT(overlap),      "allow",  "allow|skip", NULL, 0, "a job while the last one still lives"},
    {"PAUSED",       CFG_CHOICE, FLAG_AT(paused),       "no",     "no|yes", NULL, 0, "put, but not ticking"},
    {"START_AT",     CFG_TEXT,   FLAG_AT(start_at),     NULL,     NULL, NULL, 0, "no tick before this time, like 2026-11-25T08:30:00Z"},
    {"END_AT",       CFG_TEXT,   FLAG_AT(end_at),       NULL,     NULL, NULL, 0, "no tick after this time"},
    {"QUEUE",        CFG_TEXT,   FLAG_AT(queue),        NULL,     NULL, NULL, 0, "instead of the type's own queue"},
    {"PRIORITY",     CFG_CHOICE, FLAG_AT(priority),     "normal", "critical|high|normal|low", NULL, 0, "what is claimed first"},
    {"MAX_ATTEMPTS", CFG_COUNT,  FLAG_AT(max_attempts), NULL,     "1", "100", 0, "instead of the type's own"},
    {"TIMEOUT_MS",   CFG_COUNT,  FLAG_AT(timeout_ms),   NULL,     "1", "86400000", 0, "for one attempt, instead of the type's own"},
    {"THEN",         CFG_TEXT,   FLAG_AT(then),         NULL,     NULL, NULL, 0, "follow-up jobs, as for enqueue"},
};
/* clang-format on */

const struct command command_schedule = {
    .name = "schedule",
    .summary = "shows, puts, pauses, resumes, runs or deletes a schedule",
    .usage = "NAME [show|put TYPE [ARGS]|pause|resume|run|delete]",
    .about =
        "put creates or replaces it: TYPE, ARGS and the flags say the job, as for enqueue, "
        "and when it is made. run makes its job once, now, and prints the id. The flags "
        "count for put alone. docs/schedules.md tells more.",
    .flags = {.keys = keys, .n_keys = COUNT_OF(keys)},
    .min_words = 1,
    .max_words = 4,
    .run = run,
};
