/* millrace enqueue: a job onto its queue: check, connect, upload, send, follow.
 *
 * Nothing is left behind by a job that is refused or cannot be sent: it is checked before anything
 * is connected, and the upload is copied last and taken back if no job names it. */
#include "cli/client.h"
#include "cli/command.h"
#include "cli/compose.h"
#include "cli/follow.h"
#include "cli/once.h"
#include "cli/send.h"
#include "cli/send_file.h"
#include "cli/upload.h"

struct enqueue {
    struct call *call;
    struct client *client;
    struct redis *redis;
    struct pg *pg;
    struct submission job;
    struct uuid upload;
};

static enum cli_exit check_flags(const struct call *call)
{
    const struct flags *f = call->flags;

    if ((f->file == NULL) == (call->n_words == 0))
        return call_fail(call, CLI_USAGE, "give either TYPE or --file");
    if (f->file != NULL && (f->wait_s > 0 || f->count > 1 || f->upload != NULL))
        return call_fail(call, CLI_USAGE,
                         "--file takes whole jobs: not with --wait, --count or --upload");
    if (f->idempotency_key != NULL && (f->count > 1 || f->file != NULL || f->upload != NULL))
        return call_fail(call, CLI_USAGE,
                         "--idempotency-key is for one job: not with --count, --file or "
                         "--upload");
    if (f->wait_s > 0 && f->count > 1)
        return call_fail(call, CLI_USAGE, "--wait follows one job: not with --count");
    if (f->upload != NULL && call->options->blob_dir == NULL)
        return call_fail(call, CLI_CONFIG,
                         "--upload needs BLOB_DIR: give --blob-dir, or MILLRACE_BLOB_DIR in "
                         "the environment, or BLOB_DIR in the --config file");
    return CLI_DONE;
}

static enum cli_exit connect_all(struct enqueue *q)
{
    enum cli_exit code = client_redis(q->client, &q->redis);

    if (code == CLI_DONE && q->call->flags->wait_s > 0)
        code = client_postgres(q->client, &q->pg);
    return code;
}

static enum cli_exit copy_upload(struct enqueue *q)
{
    const struct call *call = q->call;
    struct fault why;

    if (call->flags->upload == NULL ||
        upload_copy(call->flags->upload, call->options->blob_dir, &q->upload, &why) == ERR_OK)
        return CLI_DONE;
    return call_fail(call, CLI_FAILED, "--upload: %s", why.text);
}

static enum cli_exit send_all(struct enqueue *q)
{
    const struct flags *f = q->call->flags;
    struct once once = {.call = q->call, .client = q->client, .redis = q->redis};
    enum cli_exit code = once_begin(&once, &q->job);
    const struct send_order order = {.client = q->client,
                                     .job = &q->job,
                                     .count = f->count,
                                     .once = once.used ? &once.idem : NULL,
                                     .quiet = f->wait_s > 0};
    bool none = code != CLI_DONE;

    if (code == CLI_DONE && once.answered) {
        send_tell(q->call, &order);
    } else if (code == CLI_DONE) {
        code = send_jobs(q->call, &order, &none);
        once_end(&once, &q->job, code == CLI_DONE, none);
    }
    if (none && f->upload != NULL)
        upload_remove(q->call->options->blob_dir, &q->upload);
    return code;
}

static enum cli_exit follow(struct enqueue *q)
{
    const struct follow_job job = {.client = q->client,
                                   .redis = q->redis,
                                   .pg = q->pg,
                                   .id = q->job.id,
                                   .wait_s = q->call->flags->wait_s};
    char id[UUID_TEXT_SIZE];

    if (job.wait_s == 0)
        return CLI_DONE;
    if (!q->call->json)
        (void)fprintf(q->call->err, "job %s\n", uuid_text(&job.id, id));
    return follow_job(q->call, &job);
}

static enum cli_exit go(struct enqueue *q)
{
    enum cli_exit code = client_new(q->call, &q->client);

    if (code == CLI_DONE)
        code = connect_all(q);
    if (code == CLI_DONE)
        code = copy_upload(q);
    if (code == CLI_DONE)
        code = send_all(q);
    if (code == CLI_DONE)
        code = follow(q);
    client_close(&q->client);
    return code;
}

static enum cli_exit run_file(struct call *call)
{
    struct client *client = NULL;
    struct redis *redis;
    enum cli_exit code = client_new(call, &client);

    if (code == CLI_DONE)
        code = client_redis(client, &redis);
    if (code == CLI_DONE)
        code = send_file(call, client, call->flags->file);
    client_close(&client);
    return code;
}

static enum cli_exit run(struct call *call)
{
    struct enqueue q = {.call = call, .upload = uuid_v7()};
    enum cli_exit code = check_flags(call);

    if (code == CLI_DONE && call->flags->file != NULL)
        return run_file(call);
    if (code == CLI_DONE)
        code = compose_job(call, call->flags->upload == NULL ? NULL : &q.upload, &q.job);
    if (code != CLI_DONE)
        return code;
    code = go(&q);
    submission_done(&q.job);
    return code;
}

/* The priorities stand in the order of enum job_priority. */
/* clang-format off */
static const struct cfg_key keys[] = {
    {"QUEUE",        CFG_TEXT,   FLAG_AT(queue),        NULL,     NULL, NULL, 0, "instead of the type's own queue"},
    {"PRIORITY",     CFG_CHOICE, FLAG_AT(priority),     "normal", "critical|high|normal|low", NULL, 0, "what is claimed first"},
    {"MAX_ATTEMPTS", CFG_COUNT,  FLAG_AT(max_attempts), NULL,     "1", "100", 0, "instead of the type's own"},
    {"TIMEOUT_MS",   CFG_COUNT,  FLAG_AT(timeout_ms),   NULL,     "1", "86400000", 0, "for one attempt, instead of the type's own"},
    {"DELAY_MS",     CFG_COUNT,  FLAG_AT(delay_ms),     NULL,     "0", "31536000000", 0, "do not start it before this time has passed"},
    {"THEN",         CFG_TEXT,   FLAG_AT(then),         NULL,     NULL, NULL, 0, "follow-up jobs: a JSON array (or one object) of {\"type\", \"args\", \"queue\"?, \"on\"?}, or @FILE, or - for standard input"},
    {"CHAIN",        CFG_TEXT,   FLAG_AT(chain),        NULL,     NULL, NULL, 0, "jobs that come one after the other when it has succeeded, likewise"},
    {"RETRY",        CFG_TEXT,   FLAG_AT(retry),        NULL,     NULL, NULL, 0, "how long to wait between attempts, as JSON: {\"policy\"?, \"base_ms\"?, \"cap_ms\"?, \"delays_ms\"?, \"jitter_pct\"?}"},
    {"RUN_AT",       CFG_TEXT,   FLAG_AT(run_at),       NULL,     NULL, NULL, 0, "do not start it before this time (RFC 3339)"},
    {"EXPIRES_IN_MS", CFG_COUNT, FLAG_AT(expires_in_ms), NULL,    "1", "31536000000", 0, "begin no attempt after this time has passed"},
    {"EXPIRES_AT",   CFG_TEXT,   FLAG_AT(expires_at),   NULL,     NULL, NULL, 0, "begin no attempt after this time (RFC 3339)"},
    {"KEY",          CFG_TEXT,   FLAG_AT(key),          NULL,     NULL, NULL, 0, "what limits per key go by: a tenant, a host"},
    {"UNIQUE",       CFG_TEXT,   FLAG_AT(unique),       NULL,     NULL, NULL, 0, "a key that one live job of the queue may hold"},
    {"UNIQUE_POLICY", CFG_CHOICE, FLAG_AT(unique_policy), "reject", "reject|keep|replace", NULL, 0, "when it is held: refuse, print the holder's id, or replace the holder while it is scheduled"},
    {"UNIQUE_WINDOW_MS", CFG_COUNT, FLAG_AT(unique_window_ms), NULL, "1", "31536000000", 0, "hold the key for this time, not for as long as the job lives"},
    {"IDEMPOTENCY_KEY", CFG_TEXT, FLAG_AT(idempotency_key), NULL, NULL, NULL, 0, "run again with the same key within a day, the command enqueues nothing and prints the same id"},
    {"FILE",         CFG_TEXT,   FLAG_AT(file),         NULL,     NULL, NULL, 0, "instead of TYPE: a job as JSON in each line of FILE (- for standard input), with all its fields"},
    {"UPLOAD",       CFG_TEXT,   FLAG_AT(upload),       NULL,     NULL, NULL, 0, "a picture for an image job: copied into BLOB_DIR and named as args.source"},
    {"COUNT",        CFG_COUNT,  FLAG_AT(count),        "1",      "1", "100000", 0, "so many times, each with an id of its own: for trying"},
    {"WAIT",         CFG_COUNT,  FLAG_AT(wait_s),       NULL,     "1", "31536000", FLAG_OPTIONAL, "follow the job until it has ended, at most so many seconds; needs PG_URL too"},
};
/* clang-format on */

const struct command command_enqueue = {
    .name = "enqueue",
    .summary = "puts a job on its queue and prints its id",
    .usage = "[TYPE [ARGS]]",
    .about =
        "ARGS is a JSON object (default {}), @FILE, or - for standard input. What each TYPE "
        "takes is in docs/jobs.md: image, webhook, email, noop.\n"
        "With --wait the job's state goes to standard error and its record to standard "
        "output; the exit status is 0 only if it succeeded.",
    .flags = {.keys = keys, .n_keys = COUNT_OF(keys)},
    .max_words = 2,
    .run = run,
};
