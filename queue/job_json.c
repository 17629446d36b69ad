#include "queue/job_json.h"

#include "shared/clock.h"
#include "shared/json.h"

static void add_str(struct buf *out, const char *key, struct slice value)
{
    if (value.len == 0)
        return;
    buf_addf(out, ",\"%s\":", key);
    json_quote(value, out);
}

static void add_time(struct buf *out, const char *key, uint64_t ms)
{
    char text[CLOCK_RFC3339_SIZE];

    if (ms > 0)
        buf_addf(out, ",\"%s\":\"%s\"", key, clock_rfc3339(ms, text));
}

static void add_packed(struct buf *out, const char *key, struct slice packed)
{
    if (packed.len == 0)
        return;
    buf_addf(out, ",\"%s\":", key);
    json_from_msgpack_bytes(packed, out);
}

/* What the user asked for, taken out of the envelope. */
static void add_item(struct buf *out, struct slice item, bool with_limits)
{
    struct job job;

    if (item.len == 0 || job_decode(item, &job, NULL) != ERR_OK)
        return;
    if (with_limits && job.max_attempts > 0)
        buf_addf(out, ",\"max_attempts\":%u", job.max_attempts);
    if (job.timeout_ms > 0)
        buf_addf(out, ",\"timeout_ms\":%u", job.timeout_ms);
    add_str(out, "key", job.key);
    add_str(out, "unique", job.unique);
    add_time(out, "expires_at", job.expires_ms);
    add_packed(out, "args", job.args);
    add_packed(out, "retry", job.retry);
    add_packed(out, "then", job.then);
    add_packed(out, "chain", job.chain);
}

static void add_head(struct buf *out, const struct uuid *id, enum job_state state)
{
    char text[UUID_TEXT_SIZE];

    buf_addf(out, "{\"id\":\"%s\",\"state\":\"%s\"", uuid_text(id, text),
             job_state_name(state));
}

void job_json_live(const struct live_job *job, struct buf *out)
{
    add_head(out, &job->id, job->state);
    add_str(out, "type", slice_str(job->type));
    add_str(out, "queue", slice_str(job->queue));
    buf_addf(out, ",\"priority\":\"%s\",\"attempt\":%u", job_priority_name(job->priority),
             job->attempt);
    if (job->excused > 0)
        buf_addf(out, ",\"excused_attempts\":%u", job->excused);
    add_time(out, "created_at", uuid_time_ms(&job->id));
    add_time(out, "since", job->since_ms);
    add_time(out, job->state == JOB_RETRYING ? "next_attempt_at" : "run_at", job->due_ms);
    if (job->state == JOB_RUNNING)
        buf_addf(out, ",\"progress\":%u", job->progress);
    add_str(out, job->state == JOB_RETRYING ? "error_text" : "note", job->note);
    add_str(out, "worker", job->consumer);
    add_item(out, job->item, true);
    buf_add_char(out, '}');
}

static void add_output(struct buf *out, const struct uuid *id,
                       const struct ledger_output_row *o)
{
    char text[UUID_TEXT_SIZE];

    buf_add_str(out, "{\"name\":");
    json_quote(o->name, out);
    add_str(out, "format", o->format);
    buf_addf(out, ",\"width\":%u,\"height\":%u,\"bytes\":%llu,\"sha256\":\"%s\"", o->width,
             o->height, (unsigned long long)o->bytes, o->sha256);
    add_str(out, "file", o->file);
    buf_addf(out, ",\"url\":\"/v1/jobs/%s/outputs/" SLICE_FMT "\"}", uuid_text(id, text),
             SLICE_ARG(o->name));
}

static void add_attempt(struct buf *out, const struct ledger_attempt_row *a)
{
    buf_addf(out, "{\"attempt\":%u", a->attempt);
    add_str(out, "outcome", a->outcome);
    add_time(out, "started_at", a->started_ms);
    add_time(out, "finished_at", a->finished_ms);
    add_str(out, "worker", a->worker);
    add_str(out, "error", a->error);
    add_str(out, "error_text", a->error_text);
    buf_add_char(out, '}');
}

static void add_parts(struct buf *out, const struct uuid *id, const struct ledger_parts *p)
{
    if (p->n_outputs > 0) {
        buf_add_str(out, ",\"outputs\":[");
        for (size_t i = 0; i < p->n_outputs; i++) {
            buf_add_str(out, i > 0 ? "," : "");
            add_output(out, id, &p->outputs[i]);
        }
        buf_add_char(out, ']');
    }
    if (p->n_attempts > 0) {
        buf_add_str(out, ",\"attempts\":[");
        for (size_t i = 0; i < p->n_attempts; i++) {
            buf_add_str(out, i > 0 ? "," : "");
            add_attempt(out, &p->attempts[i]);
        }
        buf_add_char(out, ']');
    }
}

void job_json_recorded(const struct ledger_row *row, const struct ledger_parts *parts,
                       struct buf *out)
{
    char parent[UUID_TEXT_SIZE];

    add_head(out, &row->id, row->state);
    add_str(out, "type", row->type);
    add_str(out, "queue", row->queue);
    buf_addf(out, ",\"priority\":\"%s\",\"attempt\":%u,\"max_attempts\":%u",
             job_priority_name(row->priority), row->attempt, row->max_attempts);
    add_time(out, "created_at", row->enqueued_ms);
    add_time(out, "started_at", row->started_ms);
    add_time(out, "finished_at", row->finished_ms);
    add_time(out, "next_attempt_at", row->next_attempt_ms);
    if (row->state == JOB_SUCCEEDED)
        buf_add_str(out, ",\"progress\":100");
    add_str(out, "worker", row->worker);
    if (row->has_parent)
        buf_addf(out, ",\"parent\":\"%s\"", uuid_text(&row->parent, parent));
    if (row->has_batch)
        buf_addf(out, ",\"batch\":\"%s\"", uuid_text(&row->batch, parent));
    if (row->redrives > 0)
        buf_addf(out, ",\"redrives\":%u", row->redrives);
    add_str(out, "error", row->error);
    add_str(out, "error_text", row->error_text);
    add_item(out, row->item, false);
    if (row->result_json.len > 0) {
        buf_add_str(out, ",\"result\":");
        buf_add_slice(out, row->result_json);
    }
    if (parts != NULL)
        add_parts(out, &row->id, parts);
    buf_add_char(out, '}');
}
