#include "queue/schedule_json.h"

#include <inttypes.h>

#include "shared/clock.h"
#include "shared/json.h"

static void add_text(struct buf *out, const char *key, const char *value)
{
    buf_addf(out, ",\"%s\":", key);
    json_quote(slice_str(value), out);
}

static void add_time(struct buf *out, const char *key, uint64_t ms)
{
    char text[CLOCK_RFC3339_SIZE];

    if (ms > 0)
        buf_addf(out, ",\"%s\":\"%s\"", key, clock_rfc3339(ms, text));
}

static void add_rule(const struct schedule *s, struct buf *out)
{
    if (s->cron[0] != '\0') {
        add_text(out, "cron", s->cron);
        add_text(out, "timezone", s->timezone);
    } else {
        buf_addf(out, ",\"every_ms\":%" PRIu64, s->every_ms);
    }
    buf_addf(out, ",\"missed\":\"%s\",\"overlap\":\"%s\",\"paused\":%s",
             schedule_missed_name(s->missed), s->overlap ? "allow" : "skip",
             s->paused ? "true" : "false");
    add_time(out, "start_at", s->start_ms);
    add_time(out, "end_at", s->end_ms);
}

static void add_past(const struct schedule_past *p, struct buf *out)
{
    char id[UUID_TEXT_SIZE];

    if (!uuid_is_nil(&p->job))
        add_text(out, "last_job_id", uuid_text(&p->job, id));
    add_time(out, "last_fired_at", p->made_ms);
    add_time(out, "last_tick_at", p->tick_ms);
    buf_addf(out,
             ",\"totals\":{\"fired\":%" PRIu64 ",\"missed\":%" PRIu64 ",\"skipped\":%" PRIu64
             "}",
             p->fired, p->missed, p->skipped);
}

static void add_brief(const struct schedule_view *v, struct buf *out)
{
    char text[CLOCK_RFC3339_SIZE];

    buf_add_str(out, "{\"name\":");
    json_quote(slice_str(v->s->name), out);
    add_text(out, "queue", v->s->queue);
    add_text(out, "type", v->s->type);
    add_rule(v->s, out);
    if (v->next_ms > 0)
        buf_addf(out, ",\"next_at\":\"%s\"", clock_rfc3339(v->next_ms, text));
    else
        buf_add_str(out, ",\"next_at\":null");
    add_past(&v->past, out);
    add_time(out, "created_at", v->s->created_ms);
    add_time(out, "updated_at", v->s->updated_ms);
}

void schedule_json_brief(const struct schedule_view *v, struct buf *out)
{
    add_brief(v, out);
    buf_add_char(out, '}');
}

size_t schedule_json_ticks(const struct schedule_view *v, uint64_t ret[SCHEDULE_JSON_TICKS])
{
    struct schedule_clock c;
    size_t n = 0;

    if (v->next_ms > 0)
        ret[n++] = v->next_ms;
    if (n > 0 && schedule_clock_init(&c, v->s, NULL) == ERR_OK) {
        while (n < SCHEDULE_JSON_TICKS && (ret[n] = schedule_next(&c, ret[n - 1])) > 0)
            n++;
        schedule_clock_done(&c);
    }
    return n;
}

void schedule_json_whole(const struct schedule_view *v, struct buf *out)
{
    uint64_t ticks[SCHEDULE_JSON_TICKS];
    size_t n = schedule_json_ticks(v, ticks);
    char text[CLOCK_RFC3339_SIZE];

    add_brief(v, out);
    buf_add_str(out, ",\"next\":[");
    for (size_t i = 0; i < n; i++)
        buf_addf(out, "%s\"%s\"", i > 0 ? "," : "", clock_rfc3339(ticks[i], text));
    buf_add_str(out, "],\"job\":");
    buf_add_slice(out, v->job.len > 0 ? v->job : SLICE_LIT("null"));
    buf_add_char(out, '}');
}
