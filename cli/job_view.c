#include "cli/job_view.h"

#include <inttypes.h>
#include <jansson.h>

#include "cli/text.h"
#include "queue/spec.h"
#include "shared/clock.h"
#include "shared/json.h"

enum { NAME_WIDTH = 14, ONE_LINE = 70 };

/* --- lines ----------------------------------------------------------------------------------- */

static void add_name(struct buf *out, const char *name)
{
    buf_addf(out, "%-*s", NAME_WIDTH, name);
}

static void add_text(struct buf *out, const char *name, struct slice value)
{
    if (value.len == 0)
        return;
    add_name(out, name);
    text_safe(value, out);
    buf_add_char(out, '\n');
}

static void add_time(const struct call *call, struct buf *out, const char *name, uint64_t ms)
{
    char full[CLOCK_RFC3339_SIZE];

    if (ms == 0)
        return;
    add_name(out, name);
    buf_add_str(out, clock_rfc3339(ms, full));
    if (call->terminal) {
        buf_add_str(out, " (");
        text_age(ms, call->now_ms, out);
        buf_add_char(out, ')');
    }
    buf_add_char(out, '\n');
}

static void add_lines(struct buf *out, const char *text)
{
    for (const char *p = text; *p != '\0';) {
        size_t len = strcspn(p, "\n");

        if (p > text) {
            buf_add_char(out, '\n');
            add_name(out, "");
        }
        text_safe(slice_of(p, len), out);
        p += len + (p[len] == '\n');
    }
}

/* On one line where it is short, else indented. */
static void add_json(struct buf *out, const char *name, struct slice json)
{
    json_t *value = NULL;
    char *indented = NULL;

    if (json.len == 0)
        return;
    if (json.len > ONE_LINE)
        value = json_loadb(json.ptr, json.len, JSON_DECODE_ANY, NULL);
    if (value != NULL)
        indented = json_dumps(value, JSON_INDENT(2) | JSON_ENCODE_ANY);
    add_name(out, name);
    if (indented != NULL)
        add_lines(out, indented);
    else
        text_safe(json, out);
    buf_add_char(out, '\n');
    free(indented);
    json_decref(value);
}

/* --- what live and recorded jobs share ------------------------------------------------------- */

static void add_head(struct buf *out, const struct uuid *id, enum job_state state)
{
    char text[UUID_TEXT_SIZE];

    add_text(out, "id", slice_str(uuid_text(id, text)));
    add_text(out, "state", slice_str(job_state_name(state)));
}

static void add_attempt_line(struct buf *out, uint32_t attempt, uint32_t max, uint32_t excused)
{
    add_name(out, "attempt");
    buf_addf(out, "%" PRIu32, attempt);
    if (max > 0)
        buf_addf(out, " of %" PRIu32, max);
    if (excused > 0)
        buf_addf(out, ", %" PRIu32 " of them excused", excused);
    buf_add_char(out, '\n');
}

/* What was asked for, out of the envelope. */
static void add_item(struct buf *out, const struct job *job)
{
    AUTO(buf_done) struct buf args = {0};
    AUTO(buf_done) struct buf then = {0};

    if (job->timeout_ms > 0) {
        add_name(out, "timeout");
        text_duration(job->timeout_ms, out);
        buf_add_char(out, '\n');
    }
    json_from_msgpack_bytes(job->args, &args);
    add_json(out, "args", buf_slice(&args));
    if (job->then.len > 0)
        json_from_msgpack_bytes(job->then, &then);
    add_json(out, "then", buf_slice(&then));
    out->failed = out->failed || buf_failed(&args) || buf_failed(&then);
}

static bool decode(struct slice item, struct job *ret)
{
    return item.len > 0 && job_decode(item, ret, NULL) == ERR_OK;
}

/* --- live ------------------------------------------------------------------------------------ */

/* 0: not known. */
static uint32_t max_attempts(const struct live_job *job, const struct job *item)
{
    const struct spec_type *type = spec_find(job->type);

    if (item->max_attempts > 0 || type == NULL)
        return item->max_attempts;
    return type->default_max_attempts;
}

static void print_live(struct call *call, const struct live_job *job)
{
    struct buf *out = &call->text;
    bool retrying = job->state == JOB_RETRYING;
    struct job item = {.max_attempts = 0};
    bool has_item = decode(job->item, &item);

    add_head(out, &job->id, job->state);
    if (job->state == JOB_RUNNING)
        buf_addf(out, "%-*s%u %%\n", NAME_WIDTH, "progress", job->progress);
    add_text(out, retrying ? "last error" : "note", job->note);
    add_text(out, "type", slice_str(job->type));
    add_text(out, "queue", slice_str(job->queue));
    add_text(out, "priority", slice_str(job_priority_name(job->priority)));
    add_attempt_line(out, job->attempt, max_attempts(job, &item), job->excused);
    add_time(call, out, "created", uuid_time_ms(&job->id));
    add_time(call, out, "since", job->since_ms);
    add_time(call, out, retrying ? "next attempt" : "due", job->due_ms);
    add_text(out, "worker", job->consumer);
    if (has_item)
        add_item(out, &item);
}

void job_view_live(struct call *call, const struct live_job *job)
{
    if (!call->json) {
        print_live(call, job);
        return;
    }
    job_json_live(job, &call->text);
    buf_add_char(&call->text, '\n');
}

/* --- recorded -------------------------------------------------------------------------------- */

static void add_span(struct table *t, uint64_t began_ms, uint64_t ended_ms)
{
    AUTO(buf_done) struct buf text = {0};

    if (began_ms > 0 && ended_ms >= began_ms)
        text_duration(ended_ms - began_ms, &text);
    table_add(t, buf_slice(&text));
}

static void print_outputs(struct call *call, const struct ledger_parts *p)
{
    static const struct table_column columns[] = {{"OUTPUT", false}, {"FORMAT", false},
                                                  {"WIDTH", true},   {"HEIGHT", true},
                                                  {"SIZE", true},    {"FILE", false}};
    AUTO(table_done) struct table t;

    table_init(&t, columns, COUNT_OF(columns));
    for (size_t i = 0; i < p->n_outputs; i++) {
        const struct ledger_output_row *o = &p->outputs[i];
        AUTO(buf_done) struct buf size = {0};

        if (call->terminal)
            text_bytes(o->bytes, &size);
        else
            buf_addf(&size, "%" PRIu64, o->bytes);
        table_add(&t, o->name);
        table_add(&t, o->format);
        table_addf(&t, "%" PRIu32, o->width);
        table_addf(&t, "%" PRIu32, o->height);
        table_add(&t, buf_slice(&size));
        table_add(&t, o->file);
    }
    buf_add_char(&call->text, '\n');
    call_print_table(call, &t);
}

static void print_attempts(struct call *call, const struct ledger_parts *p)
{
    static const struct table_column columns[] = {
        {"ATTEMPT", true}, {"LED TO", false}, {"STARTED", false}, {"RAN", true},
        {"WORKER", false}, {"ERROR", false},  {"WHY", false}};
    AUTO(table_done) struct table t;

    table_init(&t, columns, COUNT_OF(columns));
    for (size_t i = 0; i < p->n_attempts; i++) {
        const struct ledger_attempt_row *a = &p->attempts[i];

        table_addf(&t, "%" PRIu32, a->attempt);
        table_add(&t, a->outcome);
        call_add_time(call, a->started_ms, &t);
        add_span(&t, a->started_ms, a->finished_ms);
        table_add(&t, a->worker);
        table_add(&t, a->error);
        table_add(&t, a->error_text);
    }
    buf_add_char(&call->text, '\n');
    call_print_table(call, &t);
}

static void print_row(struct call *call, const struct ledger_row *row)
{
    struct buf *out = &call->text;
    char parent[UUID_TEXT_SIZE];
    struct job item;

    add_head(out, &row->id, row->state);
    add_text(out, "error", row->error);
    add_text(out, "why", row->error_text);
    add_text(out, "type", row->type);
    add_text(out, "queue", row->queue);
    add_text(out, "priority", slice_str(job_priority_name(row->priority)));
    add_attempt_line(out, row->attempt, row->max_attempts, 0);
    add_time(call, out, "created", row->enqueued_ms);
    add_time(call, out, "started", row->started_ms);
    add_time(call, out, "finished", row->finished_ms);
    add_time(call, out, "next attempt", row->next_attempt_ms);
    add_text(out, "worker", row->worker);
    if (row->has_parent)
        add_text(out, "parent", slice_str(uuid_text(&row->parent, parent)));
    if (decode(row->item, &item))
        add_item(out, &item);
    add_json(out, "result", row->result_json);
}

void job_view_recorded(struct call *call, const struct ledger_row *row,
                       const struct ledger_parts *parts)
{
    if (call->json) {
        job_json_recorded(row, parts, &call->text);
        buf_add_char(&call->text, '\n');
        return;
    }
    print_row(call, row);
    if (parts->n_outputs > 0)
        print_outputs(call, parts);
    if (parts->n_attempts > 0)
        print_attempts(call, parts);
}
