/* millrace schedules: the schedules of all queues, by name, a page at a time. */
#include <inttypes.h>

#include "cli/client.h"
#include "cli/command.h"
#include "cli/text.h"
#include "queue/schedule_json.h"
#include "shared/json.h"

struct listing {
    struct call *call;
    struct client *client;
    struct table table;
};

static const struct table_column columns[] = {
    {"SCHEDULE", false}, {"QUEUE", false},  {"TYPE", false},  {"WHEN", false},
    {"ZONE", false},     {"NEXT", false},   {"LAST", false},  {"FIRED", true},
    {"MISSED", true},    {"SKIPPED", true}, {"PAUSED", false}};

static void add_row(struct listing *l, const struct schedule_view *v)
{
    const struct schedule *s = v->s;
    AUTO(buf_done) struct buf when = {0};
    struct table *t = &l->table;

    if (s->cron[0] == '\0') {
        buf_add_str(&when, "every ");
        text_duration(s->every_ms, &when);
    } else {
        buf_add_str(&when, s->cron);
    }
    table_add(t, slice_str(s->name));
    table_add(t, slice_str(s->queue));
    table_add(t, slice_str(s->type));
    table_add(t, buf_slice(&when));
    table_add(t, slice_str(s->timezone));
    call_add_time(l->call, v->next_ms, t);
    call_add_time(l->call, v->past.made_ms, t);
    table_addf(t, "%" PRIu64, v->past.fired);
    table_addf(t, "%" PRIu64, v->past.missed);
    table_addf(t, "%" PRIu64, v->past.skipped);
    table_add(t, s->paused ? SLICE_LIT("yes") : SLICE_LIT("no"));
}

static void tell_json(struct buf *out, const struct schedule_view *views, size_t n, bool more)
{
    buf_add_str(out, "{\"schedules\":[");
    for (size_t i = 0; i < n; i++) {
        buf_add_str(out, i > 0 ? "," : "");
        schedule_json_brief(&views[i], out);
    }
    buf_add_str(out, "],\"next_cursor\":");
    if (more && n > 0)
        json_quote(slice_str(views[n - 1].s->name), out);
    else
        buf_add_str(out, "null");
    buf_add_str(out, "}\n");
}

static void on_list(void *arg, enum err e, const struct schedule_view *views, size_t n,
                    bool more)
{
    struct listing *l = arg;

    if (e == ERR_OK && l->call->json) {
        tell_json(&l->call->text, views, n, more);
    } else if (e == ERR_OK) {
        for (size_t i = 0; i < n; i++)
            add_row(l, &views[i]);
        call_print_table(l->call, &l->table);
        if (more && n > 0)
            call_note(l->call, "there are more: --cursor %s", views[n - 1].s->name);
    }
    client_answered(l->client, e);
}

static enum cli_exit check_names(const struct call *call)
{
    const struct flags *f = call->flags;

    if (f->queue != NULL && !job_name_is_valid(slice_str(f->queue)))
        return call_fail(call, CLI_NOT_FOUND, "there is no queue named %s", f->queue);
    if (f->cursor != NULL && !job_name_is_valid(slice_str(f->cursor)))
        return call_fail(call, CLI_USAGE,
                         "--cursor: must be what an earlier page of the same list gave");
    return CLI_DONE;
}

static enum cli_exit run(struct call *call)
{
    struct listing l = {.call = call};
    const struct schedules_filter filter = {
        .queue = call->flags->queue, .after = call->flags->cursor, .limit = call->flags->limit};
    struct redis *redis = NULL;
    enum cli_exit code = check_names(call);
    enum err e;

    if (code == CLI_DONE)
        code = client_new(call, &l.client);
    table_init(&l.table, columns, COUNT_OF(columns));
    if (code == CLI_DONE)
        code = client_redis(l.client, &redis);
    if (code == CLI_DONE) {
        e = client_wait(l.client, schedules_list(redis, &filter, on_list, &l));
        code = e == ERR_OK ? CLI_DONE : client_redis_failed(l.client, e);
    }
    client_close(&l.client);
    table_done(&l.table);
    return code;
}

/* clang-format off */
static const struct cfg_key keys[] = {
    {"QUEUE",  CFG_TEXT,  FLAG_AT(queue),  NULL, NULL, NULL, 0, "only schedules of this queue"},
    {"LIMIT",  CFG_COUNT, FLAG_AT(limit),  "50", "1", "200", 0, "schedules on a page"},
    {"CURSOR", CFG_TEXT,  FLAG_AT(cursor), NULL, NULL, NULL, 0, "go on behind an earlier page: what it gave"},
};
/* clang-format on */

const struct command command_schedules = {
    .name = "schedules",
    .summary = "lists the schedules: when each makes a job, and what it did",
    .usage = "",
    .about = "FIRED counts the jobs that a schedule made, MISSED the ticks at which no worker "
             "was there, SKIPPED those passed over because the last job still lived.",
    .flags = {.keys = keys, .n_keys = COUNT_OF(keys)},
    .run = run,
};
