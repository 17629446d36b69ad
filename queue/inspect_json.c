#include "queue/inspect_json.h"

#include <inttypes.h>

#include "shared/clock.h"
#include "shared/json.h"

void inspect_json_queue(const struct queue_info *q, struct buf *out)
{
    uint64_t ready = 0;

    buf_add_str(out, "{\"name\":");
    json_quote(slice_str(q->name), out);
    buf_addf(out, ",\"paused\":%s,\"ready\":{", q->paused ? "true" : "false");
    for (int p = 0; p < JOB_PRIORITIES; p++) {
        buf_addf(out, "%s\"%s\":%" PRIu64, p > 0 ? "," : "",
                 job_priority_name((enum job_priority)p), q->ready[p]);
        ready += q->ready[p];
    }
    buf_addf(out,
             "},\"waiting\":%" PRIu64 ",\"parked\":%" PRIu64 ",\"delayed\":%" PRIu64
             ",\"running\":%" PRIu64 ",\"workers\":%" PRIu64,
             ready, q->parked, q->delayed, q->active, q->consumers);
    buf_add_str(out, ",\"limits\":");
    limits_json(&q->limits, out);
    buf_addf(out,
             ",\"totals\":{\"enqueued\":%" PRIu64 ",\"claimed\":%" PRIu64
             ",\"settled\":%" PRIu64 ",\"retried\":%" PRIu64 ",\"released\":%" PRIu64
             ",\"reaped\":%" PRIu64 "},\"bytes\":%" PRIu64 ",\"oldest_ms\":%" PRIu64
             ",\"caps\":",
             q->enqueued, q->claimed, q->settled, q->retried, q->released, q->reaped,
             q->waiting_bytes, q->oldest_ms);
    caps_json(&q->caps, out);
    buf_add_char(out, '}');
}

void inspect_json_worker(const struct worker_info *w, struct buf *out)
{
    char started[CLOCK_RFC3339_SIZE], beat[CLOCK_RFC3339_SIZE];

    buf_add_str(out, "{\"name\":");
    json_quote(slice_str(w->name), out);
    buf_add_str(out, ",\"queue\":");
    json_quote(slice_str(w->queue), out);
    buf_add_str(out, ",\"version\":");
    json_quote(slice_str(w->version), out);
    buf_addf(out,
             ",\"alive\":%s,\"pid\":%u,\"slots\":%u,\"running\":%u,\"started_at\":\"%s\","
             "\"beat_at\":\"%s\"}",
             w->alive ? "true" : "false", w->pid, w->slots, w->active,
             clock_rfc3339(w->started_ms, started), clock_rfc3339(w->beat_ms, beat));
}
