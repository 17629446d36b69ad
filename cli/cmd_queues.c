/* millrace queues, workers, pause, resume: what the queues look like, and who works on them. */
#include <inttypes.h>

#include "cli/client.h"
#include "cli/command.h"
#include "queue/inspect_json.h"

struct look {
    struct call *call;
    struct client *client;
    struct redis *redis;
};

/* Runs ask with a connection; what it told stands in the call when it gives ERR_OK. */
static enum cli_exit with_redis(struct call *call, enum err (*ask)(struct look *l))
{
    struct look l = {.call = call};
    enum cli_exit code = client_new(call, &l.client);
    enum err e;

    if (code == CLI_DONE)
        code = client_redis(l.client, &l.redis);
    if (code == CLI_DONE) {
        e = client_wait(l.client, ask(&l));
        if (e == ERR_NOT_FOUND || e == ERR_MALFORMED)
            code = call_fail(call, CLI_NOT_FOUND, "there is no queue named %s", call->words[0]);
        else if (e != ERR_OK)
            code = client_redis_failed(l.client, e);
    }
    client_close(&l.client);
    return code;
}

/* --- queues ---------------------------------------------------------------------------------- */

static void add_queue(struct table *t, const struct queue_info *q)
{
    const uint64_t counts[] = {q->delayed, q->active, q->consumers};
    const uint64_t totals[] = {q->enqueued, q->settled, q->retried, q->reaped};
    uint64_t waiting = 0;

    for (size_t i = 0; i < JOB_PRIORITIES; i++)
        waiting += q->ready[i];
    table_add(t, slice_str(q->name));
    table_addf(t, "%" PRIu64, waiting);
    table_addf(t, "%" PRIu64 "/%" PRIu64 "/%" PRIu64 "/%" PRIu64,
               q->ready[JOB_PRIORITY_CRITICAL], q->ready[JOB_PRIORITY_HIGH],
               q->ready[JOB_PRIORITY_NORMAL], q->ready[JOB_PRIORITY_LOW]);
    for (size_t i = 0; i < COUNT_OF(counts); i++)
        table_addf(t, "%" PRIu64, counts[i]);
    table_add(t, slice_str(q->paused ? "yes" : "no"));
    for (size_t i = 0; i < COUNT_OF(totals); i++)
        table_addf(t, "%" PRIu64, totals[i]);
}

static void print_queues(struct call *call, const struct queue_info *queues, size_t n)
{
    static const struct table_column columns[] = {
        {"QUEUE", false},  {"WAITING", true},  {"CRIT/HIGH/NORM/LOW", true},
        {"DELAYED", true}, {"RUNNING", true},  {"WORKERS", true},
        {"PAUSED", false}, {"ENQUEUED", true}, {"SETTLED", true},
        {"RETRIED", true}, {"REAPED", true}};
    AUTO(table_done) struct table t;

    table_init(&t, columns, COUNT_OF(columns));
    for (size_t i = 0; i < n; i++)
        add_queue(&t, &queues[i]);
    call_print_table(call, &t);
}

static void json_queues(struct buf *out, const struct queue_info *queues, size_t n)
{
    buf_add_str(out, "{\"queues\":[");
    for (size_t i = 0; i < n; i++) {
        buf_add_str(out, i > 0 ? "," : "");
        inspect_json_queue(&queues[i], out);
    }
    buf_add_str(out, "]}\n");
}

static void on_queues(void *arg, enum err e, const struct queue_info *queues, size_t n)
{
    struct look *l = arg;

    if (e == ERR_OK && l->call->json)
        json_queues(&l->call->text, queues, n);
    else if (e == ERR_OK)
        print_queues(l->call, queues, n);
    client_answered(l->client, e);
}

static enum err ask_queues(struct look *l)
{
    return inspect_queues(l->redis, on_queues, l);
}

static enum cli_exit run_queues(struct call *call)
{
    return with_redis(call, ask_queues);
}

/* --- workers --------------------------------------------------------------------------------- */

static void print_workers(struct call *call, const struct worker_info *workers, size_t n)
{
    static const struct table_column columns[] = {
        {"WORKER", false}, {"QUEUE", false},   {"SLOTS", true},
        {"RUNNING", true}, {"PID", true},      {"STARTED", false},
        {"BEAT", false},   {"VERSION", false}, {"ALIVE", false}};
    AUTO(table_done) struct table t;

    table_init(&t, columns, COUNT_OF(columns));
    for (size_t i = 0; i < n; i++) {
        const struct worker_info *w = &workers[i];

        table_add(&t, slice_str(w->name));
        table_add(&t, slice_str(w->queue));
        table_addf(&t, "%" PRIu32, w->slots);
        table_addf(&t, "%" PRIu32, w->active);
        table_addf(&t, "%" PRIu32, w->pid);
        call_add_time(call, w->started_ms, &t);
        call_add_time(call, w->beat_ms, &t);
        table_add(&t, slice_str(w->version));
        table_add(&t, slice_str(w->alive ? "yes" : "no"));
    }
    call_print_table(call, &t);
}

static void json_workers(struct buf *out, const struct worker_info *workers, size_t n)
{
    buf_add_str(out, "{\"workers\":[");
    for (size_t i = 0; i < n; i++) {
        buf_add_str(out, i > 0 ? "," : "");
        inspect_json_worker(&workers[i], out);
    }
    buf_add_str(out, "]}\n");
}

static void on_workers(void *arg, enum err e, const struct worker_info *workers, size_t n)
{
    struct look *l = arg;

    if (e == ERR_OK && l->call->json)
        json_workers(&l->call->text, workers, n);
    else if (e == ERR_OK)
        print_workers(l->call, workers, n);
    client_answered(l->client, e);
}

static enum err ask_workers(struct look *l)
{
    return inspect_workers(l->redis, on_workers, l);
}

static enum cli_exit run_workers(struct call *call)
{
    return with_redis(call, ask_workers);
}

/* --- pause and resume ------------------------------------------------------------------------ */

static void tell_paused(struct call *call, bool paused)
{
    const char *queue = call->words[0]; /* it exists, so it is a proper name */

    if (call->json)
        buf_addf(&call->text, "{\"name\":\"%s\",\"paused\":%s}\n", queue,
                 paused ? "true" : "false");
    else
        buf_addf(&call->text, "queue %s is %s\n", queue, paused ? "paused" : "not paused");
}

static void on_paused(void *arg, enum err e)
{
    struct look *l = arg;

    if (e == ERR_OK)
        tell_paused(l->call, true);
    client_answered(l->client, e);
}

static void on_resumed(void *arg, enum err e)
{
    struct look *l = arg;

    if (e == ERR_OK)
        tell_paused(l->call, false);
    client_answered(l->client, e);
}

static enum err ask_pause(struct look *l)
{
    return inspect_pause(l->redis, l->call->words[0], true, on_paused, l);
}

static enum err ask_resume(struct look *l)
{
    return inspect_pause(l->redis, l->call->words[0], false, on_resumed, l);
}

static enum cli_exit run_pause(struct call *call)
{
    return with_redis(call, ask_pause);
}

static enum cli_exit run_resume(struct call *call)
{
    return with_redis(call, ask_resume);
}

/* --- the commands ---------------------------------------------------------------------------- */

const struct command command_queues = {
    .name = "queues",
    .summary = "lists the queues: what waits, what runs, how many work on it",
    .usage = "",
    .about = "The last four columns count since the queue began: jobs put on it, jobs that "
             "ended, attempts that failed and were put back, jobs taken back from workers "
             "that fell silent.",
    .run = run_queues,
};
const struct command command_workers = {
    .name = "workers",
    .summary = "lists the workers: which queue, how busy, whether they live",
    .usage = "",
    .about = "A worker has a line for each queue that it serves.",
    .run = run_workers,
};
const struct command command_pause = {
    .name = "pause",
    .summary = "stops a queue's jobs from being started",
    .usage = "QUEUE",
    .about = "Jobs that run go on, and new ones are still taken; none is started until "
             "millrace resume.",
    .min_words = 1,
    .max_words = 1,
    .run = run_pause,
};
const struct command command_resume = {
    .name = "resume",
    .summary = "lets a paused queue go on",
    .usage = "QUEUE",
    .min_words = 1,
    .max_words = 1,
    .run = run_resume,
};
