#include "api/sse.h"

#include "queue/job_json.h"
#include "shared/clock.h"
#include "shared/json.h"

enum rank {
    RANK_RUNNING = 1,
    RANK_PROGRESS = 2, /* and the percent */
    RANK_DELAYED = 110,
    RANK_QUEUED = 111,
    RANK_CANCELLED = 112,
    RANK_END = 120,
};

/* --- places ---------------------------------------------------------------------------------- */

static bool take_number(struct slice *text, uint32_t *ret)
{
    uint64_t n = 0;
    size_t i = 0;

    for (; i < text->len && text->ptr[i] >= '0' && text->ptr[i] <= '9' && n <= UINT32_MAX; i++)
        n = n * 10 + (uint64_t)(text->ptr[i] - '0');
    *text = slice_of(text->ptr + i, text->len - i);
    *ret = (uint32_t)n;
    return i > 0 && n <= UINT32_MAX;
}

bool sse_place_parse(struct slice text, struct sse_place *ret)
{
    struct sse_place place;

    if (text.len == 0) /* there may be no bytes to point to */
        return false;
    if (!take_number(&text, &place.attempt) || text.len == 0 || *text.ptr != '.')
        return false;
    text = slice_of(text.ptr + 1, text.len - 1);
    if (!take_number(&text, &place.rank) || text.len > 0)
        return false;
    *ret = place;
    return true;
}

bool sse_is_behind(struct sse_place place, struct sse_place last)
{
    return place.attempt > last.attempt ||
           (place.attempt == last.attempt && place.rank > last.rank);
}

struct sse_place sse_place_of(const struct live_job *job)
{
    struct sse_place place = {job->attempt, RANK_QUEUED};

    if (job->state == JOB_RUNNING)
        place.rank = job->progress == 0 && job->note.len == 0 ? RANK_RUNNING
                                                              : RANK_PROGRESS + job->progress;
    else if (job->state == JOB_RETRYING || job->state == JOB_SCHEDULED)
        place.rank = RANK_DELAYED;
    else if (job->state == JOB_CANCELLED)
        place.rank = RANK_CANCELLED;
    if (job->state == JOB_CANCELLED && job->consumer.len > 0 && place.attempt > 0)
        place.attempt--; /* who has claimed it only records it */
    return place;
}

bool sse_has_gap(struct sse_place last, const struct live_job *job)
{
    if (job->attempt == 0 || job->attempt <= last.attempt)
        return false;
    return job->attempt > last.attempt + 1 || (last.attempt > 0 && last.rank < RANK_DELAYED);
}

void sse_skip_to(uint32_t attempt, struct sse_place *last)
{
    struct sse_place end = {attempt > 0 ? attempt - 1 : 0, RANK_END};

    if (sse_is_behind(end, *last))
        *last = end;
}

/* --- events ---------------------------------------------------------------------------------- */

static void begin(const char *event, struct sse_place place, struct sse_place *last,
                  struct buf *out)
{
    buf_addf(out, "id: %u.%u\nevent: %s\ndata: {", place.attempt, place.rank, event);
    *last = place;
}

static void add_text(const char *key, struct slice text, struct buf *out)
{
    if (text.len == 0)
        return;
    buf_addf(out, ",\"%s\":", key);
    json_quote(text, out);
}

static void add_time(const char *key, uint64_t ms, struct buf *out)
{
    char text[CLOCK_RFC3339_SIZE];

    if (ms > 0)
        buf_addf(out, ",\"%s\":\"%s\"", key, clock_rfc3339(ms, text));
}

static void end(struct buf *out)
{
    buf_add_str(out, "}\n\n");
}

static void add_state(const struct live_job *job, struct sse_place place,
                      struct sse_place *last, struct buf *out)
{
    begin("state", place, last, out);
    buf_addf(out, "\"state\":\"%s\",\"attempt\":%u", job_state_name(job->state), place.attempt);
    add_time("since", job->since_ms, out);
    add_time(job->state == JOB_RETRYING ? "next_attempt_at" : "run_at", job->due_ms, out);
    add_text("worker", job->consumer, out);
    if (job->state == JOB_RETRYING)
        add_text("error_text", job->note, out);
    end(out);
}

void sse_add_live(const struct live_job *job, struct sse_place *last, struct buf *out)
{
    struct sse_place place = sse_place_of(job);
    struct sse_place running = {job->attempt, RANK_RUNNING};

    if (!sse_is_behind(place, *last))
        return;
    if (job->state == JOB_CANCELLED && place.attempt > 0)
        return; /* an attempt that has died may have had the last word: the end tells */
    if (job->state != JOB_RUNNING) {
        add_state(job, place, last, out);
        return;
    }
    if (sse_is_behind(running, *last))
        add_state(job, running, last, out);
    if (!sse_is_behind(place, *last))
        return;
    begin("progress", place, last, out);
    buf_addf(out, "\"attempt\":%u,\"progress\":%u", job->attempt, job->progress);
    add_text("note", job->note, out);
    end(out);
}

static void add_attempt(const struct ledger_attempt_row *a, struct sse_place *last,
                        struct buf *out)
{
    struct sse_place running = {a->attempt, RANK_RUNNING}, over = {a->attempt, RANK_DELAYED};
    bool retried = slice_is(a->outcome, job_state_name(JOB_RETRYING));
    bool ran = !slice_is(a->outcome, job_state_name(JOB_CANCELLED)) &&
               !slice_is(a->outcome, job_state_name(JOB_EXPIRED));

    if (ran && sse_is_behind(running, *last)) {
        begin("state", running, last, out);
        buf_addf(out, "\"state\":\"running\",\"attempt\":%u", a->attempt);
        add_time("since", a->started_ms, out);
        add_text("worker", a->worker, out);
        end(out);
    }
    if (!retried || !sse_is_behind(over, *last))
        return;
    begin("state", over, last, out);
    buf_addf(out, "\"state\":\"retrying\",\"attempt\":%u", a->attempt);
    add_time("since", a->finished_ms, out);
    add_text("error", a->error, out);
    add_text("error_text", a->error_text, out);
    end(out);
}

void sse_add_attempts(const struct ledger_parts *parts, uint32_t before, struct sse_place *last,
                      struct buf *out)
{
    for (size_t i = 0; i < parts->n_attempts; i++) {
        if (parts->attempts[i].attempt < before)
            add_attempt(&parts->attempts[i], last, out);
    }
}

void sse_add_end(const struct ledger_row *row, const struct ledger_parts *parts,
                 struct sse_place *last, struct buf *out)
{
    struct sse_place place = {row->attempt, RANK_END};

    sse_add_attempts(parts, UINT32_MAX, last, out);
    if (!sse_is_behind(place, *last))
        return;
    *last = place;
    buf_addf(out, "id: %u.%u\nevent: end\ndata: ", place.attempt, place.rank);
    job_json_recorded(row, parts, out);
    buf_add_str(out, "\n\n");
}
