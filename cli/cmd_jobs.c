/* millrace jobs: jobs by state, queue, type and error, a page at a time; as GET /v1/jobs tells them.
 *
 * Ended attempts (and all, where no state is named) come from PostgreSQL, newest first: the cursor
 * is the last id. Queued, scheduled and running jobs come from Redis, one queue after the other:
 * their cursor is queue:offset, and since they move, a page may repeat or skip some. */
#include <inttypes.h>

#include "cli/client.h"
#include "cli/command.h"
#include "queue/job_json.h"
#include "shared/json.h"

#define CURSOR_SIZE (JOB_NAME_MAX + 24)
#define LIMIT_MAX   "200"

struct listing {
    struct call *call;
    struct client *client;
    struct table table;
    size_t count;
    char next[CURSOR_SIZE]; /* "": this was the last page */
    /* live */
    struct redis *redis;
    char (*queues)[JOB_NAME_MAX + 1];
    size_t n_queues, at, offset;
    bool more;
};

static const char *or_null(const char *s)
{
    return s == NULL || s[0] == '\0' ? NULL : s;
}

static struct buf *next_json(struct listing *l)
{
    buf_add_str(&l->call->text, l->count > 0 ? "," : "");
    return &l->call->text;
}

static void add_id(struct listing *l, const struct uuid *id)
{
    char text[UUID_TEXT_SIZE];

    table_add(&l->table, slice_str(uuid_text(id, text)));
}

/* --- recorded -------------------------------------------------------------------------------- */

static const struct table_column recorded_columns[] = {
    {"ID", false},     {"STATE", false},   {"TYPE", false},     {"QUEUE", false},
    {"ATTEMPT", true}, {"CREATED", false}, {"FINISHED", false}, {"ERROR", false}};

static void add_recorded(struct listing *l, const struct ledger_row *row)
{
    struct table *t = &l->table;

    if (l->call->json) {
        job_json_recorded(row, NULL, next_json(l));
        return;
    }
    add_id(l, &row->id);
    table_add(t, slice_str(job_state_name(row->state)));
    table_add(t, row->type);
    table_add(t, row->queue);
    table_addf(t, "%" PRIu32 "/%" PRIu32, row->attempt, row->max_attempts);
    call_add_time(l->call, row->enqueued_ms, t);
    call_add_time(l->call, row->finished_ms, t);
    table_add(t, row->error);
}

static void on_rows(void *arg, enum err e, const struct ledger_row *rows, size_t n, bool more)
{
    struct listing *l = arg;

    for (size_t i = 0; e == ERR_OK && i < n; i++) {
        add_recorded(l, &rows[i]);
        l->count++;
    }
    if (e == ERR_OK && more)
        (void)uuid_text(&rows[n - 1].id, l->next);
    client_answered(l->client, e);
}

static enum cli_exit list_recorded(struct listing *l)
{
    const struct flags *f = l->call->flags;
    struct ledger_filter filter = {.queue = or_null(f->queue),
                                   .type = or_null(f->type),
                                   .error = or_null(f->error),
                                   .limit = (unsigned)f->limit};
    struct pg *pg = NULL;
    enum cli_exit code;
    enum err e;

    if (f->state != 0)
        filter.state = job_state_name((enum job_state)f->state);
    filter.has_before = f->cursor != NULL;
    if (f->cursor != NULL && !uuid_parse(slice_str(f->cursor), &filter.before))
        return call_fail(l->call, CLI_USAGE,
                         "--cursor: must be what an earlier page of the same list gave");
    code = client_postgres(l->client, &pg);
    if (code != CLI_DONE)
        return code;
    e = client_wait(l->client, ledger_list(pg, &filter, on_rows, l));
    return e == ERR_OK ? CLI_DONE : client_postgres_failed(l->client, e);
}

/* --- live ------------------------------------------------------------------------------------ */

static const struct table_column live_columns[] = {
    {"ID", false},       {"STATE", false},   {"TYPE", false},    {"QUEUE", false},
    {"PRIORITY", false}, {"ATTEMPT", true},  {"CREATED", false}, {"SINCE", false},
    {"DUE", false},      {"PROGRESS", true}, {"WORKER", false}};

static void add_live(struct listing *l, const struct live_job *job)
{
    struct table *t = &l->table;

    if (l->call->json) {
        job_json_live(job, next_json(l));
        return;
    }
    add_id(l, &job->id);
    table_add(t, slice_str(job_state_name(job->state)));
    table_add(t, slice_str(job->type));
    table_add(t, slice_str(job->queue));
    table_add(t, slice_str(job_priority_name(job->priority)));
    table_addf(t, "%" PRIu32, job->attempt);
    call_add_time(l->call, uuid_time_ms(&job->id), t);
    call_add_time(l->call, job->since_ms, t);
    call_add_time(l->call, job->due_ms, t);
    if (job->state == JOB_RUNNING)
        table_addf(t, "%u %%", job->progress);
    else
        table_add(t, SLICE_LIT(""));
    table_add(t, job->consumer);
}

static void on_listed(void *arg, enum err e, const struct live_job *jobs, size_t n, bool more)
{
    struct listing *l = arg;
    const char *type = or_null(l->call->flags->type);

    for (size_t i = 0; e == ERR_OK && i < n; i++) {
        if (type != NULL && strcmp(type, jobs[i].type) != 0)
            continue;
        add_live(l, &jobs[i]);
        l->count++;
    }
    l->offset += n;
    l->more = more;
    client_answered(l->client, e);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void on_queues(void *arg, enum err e, const struct queue_info *queues, size_t n)
{
    struct listing *l = arg;
    const char *only = or_null(l->call->flags->queue);

    l->queues = e == ERR_OK ? calloc(n + 1, sizeof *l->queues) : NULL;
    if (e == ERR_OK && l->queues == NULL)
        e = ERR_NOMEM;
    for (size_t i = 0; e == ERR_OK && i < n; i++) {
        if (only == NULL || strcmp(only, queues[i].name) == 0)
            (void)slice_to_cstr(slice_str(queues[i].name), l->queues[l->n_queues++],
                                sizeof l->queues[0]);
    }
    if (e == ERR_OK)
        qsort(l->queues, l->n_queues, sizeof l->queues[0], by_name);
    client_answered(l->client, e);
}

/* A cursor names the queue to go on with and how many of its jobs were told. */
static bool apply_cursor(struct listing *l)
{
    const char *cursor = l->call->flags->cursor;
    const char *colon = cursor == NULL ? NULL : strrchr(cursor, ':');
    char queue[JOB_NAME_MAX + 1], *end;

    if (cursor == NULL)
        return true;
    if (colon == NULL || colon[1] < '0' || colon[1] > '9' ||
        !slice_to_cstr(slice_of(cursor, (size_t)(colon - cursor)), queue, sizeof queue))
        return false;
    while (l->at < l->n_queues && strcmp(l->queues[l->at], queue) < 0)
        l->at++;
    if (l->at < l->n_queues && strcmp(l->queues[l->at], queue) == 0)
        l->offset = strtoul(colon + 1, &end, 10);
    else
        (void)strtoul(colon + 1, &end, 10);
    return *end == '\0';
}

/* One call a queue, until the page is full or no queue is left. */
static enum err list_queues(struct listing *l)
{
    enum job_state state = (enum job_state)l->call->flags->state;
    size_t limit = l->call->flags->limit;
    enum err e = ERR_OK;

    while (e == ERR_OK && l->at < l->n_queues && l->count < limit && l->next[0] == '\0') {
        e = client_wait(l->client, inspect_list(l->redis, l->queues[l->at], state, l->offset,
                                                limit - l->count, on_listed, l));
        if (e == ERR_OK && l->more) {
            (void)snprintf(l->next, sizeof l->next, "%s:%zu", l->queues[l->at], l->offset);
        } else {
            l->at++;
            l->offset = 0;
        }
    }
    if (e == ERR_OK && l->next[0] == '\0' && l->at < l->n_queues)
        (void)snprintf(l->next, sizeof l->next, "%s:0", l->queues[l->at]);
    return e;
}

static enum cli_exit list_live(struct listing *l)
{
    enum cli_exit code = client_redis(l->client, &l->redis);
    enum err e;

    if (l->call->flags->error != NULL)
        call_note(l->call, "--error: only jobs that have ended an attempt have one; ignored");
    if (code != CLI_DONE)
        return code;
    e = client_wait(l->client, inspect_queues(l->redis, on_queues, l));
    if (e == ERR_OK && !apply_cursor(l))
        return call_fail(l->call, CLI_USAGE,
                         "--cursor: must be what an earlier page of the same list gave");
    if (e == ERR_OK)
        e = list_queues(l);
    return e == ERR_OK ? CLI_DONE : client_redis_failed(l->client, e);
}

/* --- both ------------------------------------------------------------------------------------ */

static bool is_live(unsigned state)
{
    return state == JOB_QUEUED || state == JOB_SCHEDULED || state == JOB_RUNNING;
}

static void end_json(struct listing *l)
{
    struct buf *out = &l->call->text;

    buf_add_str(out, "],\"next_cursor\":");
    if (l->next[0] != '\0')
        json_quote(slice_str(l->next), out);
    else
        buf_add_str(out, "null");
    buf_add_str(out, "}\n");
}

static void end_table(struct listing *l)
{
    call_print_table(l->call, &l->table);
    if (l->count == 0 && l->call->flags->state == 0)
        call_note(l->call, "none has ended an attempt; --state queued, scheduled or running "
                           "lists those that live");
    if (l->next[0] != '\0')
        call_note(l->call, "there are more: --cursor %s", l->next);
}

static enum cli_exit tell(struct listing *l)
{
    enum cli_exit code;

    if (l->call->json)
        buf_add_str(&l->call->text, "{\"jobs\":[");
    code = is_live(l->call->flags->state) ? list_live(l) : list_recorded(l);
    if (code != CLI_DONE)
        buf_clear(&l->call->text);
    else if (l->call->json)
        end_json(l);
    else
        end_table(l);
    return code;
}

static enum cli_exit run(struct call *call)
{
    struct listing l = {.call = call};
    enum cli_exit code = client_new(call, &l.client);

    if (is_live(call->flags->state))
        table_init(&l.table, live_columns, COUNT_OF(live_columns));
    else
        table_init(&l.table, recorded_columns, COUNT_OF(recorded_columns));
    if (code == CLI_DONE)
        code = tell(&l);
    client_close(&l.client);
    table_done(&l.table);
    free(l.queues);
    return code;
}

/* The states stand in the order of enum job_state. */
/* clang-format off */
static const struct cfg_key keys[] = {
    {"STATE",  CFG_CHOICE, FLAG_AT(state),  "any", "any|queued|scheduled|running|retrying|succeeded|dead|cancelled|expired", NULL, 0, "only jobs in this state"},
    {"QUEUE",  CFG_TEXT,   FLAG_AT(queue),  NULL,  NULL, NULL, 0, "only jobs of this queue"},
    {"TYPE",   CFG_TEXT,   FLAG_AT(type),   NULL,  NULL, NULL, 0, "only jobs of this type"},
    {"ERROR",  CFG_TEXT,   FLAG_AT(error),  NULL,  NULL, NULL, 0, "only jobs whose last attempt ended with this error (TIMEOUT, REJECTED, ...)"},
    {"LIMIT",  CFG_COUNT,  FLAG_AT(limit),  "50",  "1", LIMIT_MAX, 0, "jobs on a page"},
    {"CURSOR", CFG_TEXT,   FLAG_AT(cursor), NULL,  NULL, NULL, 0, "go on behind an earlier page: what it gave"},
};
/* clang-format on */

const struct command command_jobs = {
    .name = "jobs",
    .summary = "lists jobs, newest first",
    .usage = "",
    .about = "Without --state, jobs that ended an attempt, as PostgreSQL recorded them. With "
             "--state queued, scheduled or running, jobs that live in Redis, queue by queue; "
             "since these move, a page may repeat or skip some.",
    .flags = {.keys = keys, .n_keys = COUNT_OF(keys)},
    .run = run,
};
