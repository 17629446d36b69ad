/* A schedule from a stranger, behind eight bytes of a moment: it is refused with a reason, or kept and read back
 * the same, its ticks go on, and what is due goes by its policy. */
#include <stdlib.h>
#include <string.h>

#include "queue/schedule_body.h"
#include "shared/civil.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_record(const struct schedule *s)
{
    struct schedule back = {.name = ""};
    struct buf record = {0}, again = {0};

    schedule_encode(s, &record);
    must(schedule_decode(buf_slice(&record), &back, NULL) == ERR_OK);
    must(schedule_ticks_alike(s, &back));
    schedule_encode(&back, &again);
    must(slice_eq(buf_slice(&record), buf_slice(&again)));
    buf_done(&record);
    buf_done(&again);
}

static void check_plan(const struct schedule_clock *c, uint64_t due_ms, uint64_t now_ms)
{
    struct schedule_plan p;

    schedule_plan(c, due_ms, now_ms, 10000, &p);
    must(p.n <= SCHEDULE_CATCH_UP_MAX && p.n + p.missed >= 1);
    must(p.n + p.missed <= SCHEDULE_COUNT_MAX);
    must(p.next_ms == 0 || p.next_ms > now_ms);
    for (size_t i = 0; i < p.n; i++) {
        must(p.ticks[i] >= due_ms && p.ticks[i] <= now_ms);
        must(i == 0 || p.ticks[i] > p.ticks[i - 1]);
    }
    must(p.n == 0 || schedule_next(c, p.ticks[p.n - 1]) == p.next_ms);
}

static void check_ticks(const struct schedule *s, uint64_t at_ms)
{
    struct schedule_clock c;
    uint64_t first_ms;

    must(schedule_clock_init(&c, s, NULL) == ERR_OK);
    first_ms = schedule_next(&c, at_ms);
    for (uint64_t tick_ms = first_ms, i = 0; tick_ms > 0 && i < 4; i++) {
        uint64_t next_ms = schedule_next(&c, tick_ms);

        must(next_ms == 0 || next_ms > tick_ms);
        must(tick_ms >= s->start_ms && (s->end_ms == 0 || tick_ms <= s->end_ms));
        tick_ms = next_ms;
    }
    if (first_ms > 0) {
        check_plan(&c, first_ms, first_ms);
        check_plan(&c, first_ms, first_ms + at_ms % 100000);
        check_plan(&c, first_ms, first_ms + at_ms % 10000000000);
    }
    schedule_clock_done(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct schedule_body body;
    struct spec_fault why = {.text = ""};
    uint64_t moment = 0;
    enum err e;

    if (size < 8)
        return 0;
    for (size_t i = 0; i < 8; i++)
        moment = moment << 8 | data[i];
    e = schedule_body_parse(slice_of(data + 8, size - 8), JOB_DEPTH_MAX, NULL, &body, &why);
    if (e != ERR_OK) {
        must(why.text[0] != '\0');
        return 0;
    }
    body.s.anchor_ms = body.s.start_ms > 0 ? body.s.start_ms : moment % 100000;
    check_record(&body.s);
    check_ticks(&body.s, moment % ((uint64_t)CIVIL_MAX_S * 1000));
    schedule_body_done(&body);
    return 0;
}
