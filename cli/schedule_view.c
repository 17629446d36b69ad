#include "cli/schedule_view.h"

#include <inttypes.h>

#include "cli/text.h"
#include "queue/schedule_json.h"
#include "shared/clock.h"

enum { NAME_WIDTH = 14 };

static void add_text(struct buf *out, const char *name, struct slice value)
{
    if (value.len == 0)
        return;
    buf_addf(out, "%-*s", NAME_WIDTH, name);
    text_safe(value, out);
    buf_add_char(out, '\n');
}

static void add_time(const struct call *call, const char *name, uint64_t ms, struct buf *out)
{
    char full[CLOCK_RFC3339_SIZE];

    if (ms == 0)
        return;
    buf_addf(out, "%-*s%s", NAME_WIDTH, name, clock_rfc3339(ms, full));
    if (call->terminal) {
        buf_add_str(out, " (");
        text_age(ms, call->now_ms, out);
        buf_add_char(out, ')');
    }
    buf_add_char(out, '\n');
}

static void add_rule(const struct call *call, const struct schedule *s, struct buf *out)
{
    if (s->cron[0] != '\0') {
        add_text(out, "cron", slice_str(s->cron));
        add_text(out, "timezone", slice_str(s->timezone));
    } else {
        buf_addf(out, "%-*s", NAME_WIDTH, "every");
        text_duration(s->every_ms, out);
        buf_add_char(out, '\n');
    }
    add_text(out, "missed", slice_str(schedule_missed_name(s->missed)));
    add_text(out, "overlap", s->overlap ? SLICE_LIT("allow") : SLICE_LIT("skip"));
    add_text(out, "paused", s->paused ? SLICE_LIT("yes") : SLICE_LIT("no"));
    add_time(call, "start", s->start_ms, out);
    add_time(call, "end", s->end_ms, out);
}

static void add_ticks(const struct call *call, const struct schedule_view *v, struct buf *out)
{
    uint64_t ticks[SCHEDULE_JSON_TICKS];
    size_t n = schedule_json_ticks(v, ticks);

    for (size_t i = 0; i < n; i++)
        add_time(call, i == 0 ? "next" : "", ticks[i], out);
    if (n == 0)
        add_text(out, "next",
                 v->s->paused ? SLICE_LIT("none: it is paused")
                              : SLICE_LIT("none: it has ended"));
}

static void add_past(const struct call *call, const struct schedule_past *p, struct buf *out)
{
    char id[UUID_TEXT_SIZE];

    if (!uuid_is_nil(&p->job))
        add_text(out, "last job", slice_str(uuid_text(&p->job, id)));
    add_time(call, "last fired", p->made_ms, out);
    buf_addf(out, "%-*s%" PRIu64 " fired, %" PRIu64 " missed, %" PRIu64 " skipped\n",
             NAME_WIDTH, "ticks", p->fired, p->missed, p->skipped);
}

void schedule_view(struct call *call, const struct schedule_view *v)
{
    struct buf *out = &call->text;

    if (call->json) {
        schedule_json_whole(v, out);
        buf_add_char(out, '\n');
        return;
    }
    add_text(out, "name", slice_str(v->s->name));
    add_text(out, "queue", slice_str(v->s->queue));
    add_rule(call, v->s, out);
    add_ticks(call, v, out);
    add_past(call, &v->past, out);
    add_time(call, "created", v->s->created_ms, out);
    add_time(call, "updated", v->s->updated_ms, out);
    add_text(out, "job", v->job);
}
