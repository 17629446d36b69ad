#include "queue/schedule_body.h"

#include "queue/spec/walk.h"
#include "queue/submission.h"
#include "shared/clock.h"
#include "shared/json.h"

struct fields {
    struct slice queue, cron, timezone;
    msgpack_object *job;
    uint64_t every_ms, start_ms, end_ms;
    int missed, overlap;
    bool paused;
};

static enum err take_queue(void *out, const msgpack_object *v, const struct place *at,
                           struct spec_fault *ret)
{
    struct fields *f = out;

    return walk_name(v, &f->queue, at, ret);
}

static enum err take_cron(void *out, const msgpack_object *v, const struct place *at,
                          struct spec_fault *ret)
{
    struct fields *f = out;

    return walk_text(v, CRON_TEXT_MAX, &f->cron, at, ret);
}

static enum err take_timezone(void *out, const msgpack_object *v, const struct place *at,
                              struct spec_fault *ret)
{
    struct fields *f = out;

    return walk_text(v, TZ_NAME_MAX, &f->timezone, at, ret);
}

static enum err take_every(void *out, const msgpack_object *v, const struct place *at,
                           struct spec_fault *ret)
{
    struct fields *f = out;

    if (v->type != MSGPACK_OBJECT_POSITIVE_INTEGER || v->via.u64 < SCHEDULE_EVERY_MIN_MS ||
        v->via.u64 > SCHEDULE_EVERY_MAX_MS)
        return walk_fault(at, ret, "must be an integer from %u to %llu", SCHEDULE_EVERY_MIN_MS,
                          (unsigned long long)SCHEDULE_EVERY_MAX_MS);
    f->every_ms = v->via.u64;
    return ERR_OK;
}

static enum err take_missed(void *out, const msgpack_object *v, const struct place *at,
                            struct spec_fault *ret)
{
    static const struct walk_word words[] = {{"skip", SCHEDULE_MISSED_SKIP},
                                             {"one", SCHEDULE_MISSED_ONE},
                                             {"all", SCHEDULE_MISSED_ALL}};
    struct fields *f = out;

    return walk_word(v, (struct walk_words){words, COUNT_OF(words), COUNT_OF(words)},
                     &f->missed, at, ret);
}

static enum err take_overlap(void *out, const msgpack_object *v, const struct place *at,
                             struct spec_fault *ret)
{
    static const struct walk_word words[] = {{"allow", true}, {"skip", false}};
    struct fields *f = out;

    return walk_word(v, (struct walk_words){words, COUNT_OF(words), COUNT_OF(words)},
                     &f->overlap, at, ret);
}

static enum err take_paused(void *out, const msgpack_object *v, const struct place *at,
                            struct spec_fault *ret)
{
    struct fields *f = out;

    return walk_bool(v, &f->paused, at, ret);
}

static enum err take_time(const msgpack_object *v, uint64_t *ret_ms, const struct place *at,
                          struct spec_fault *ret)
{
    if (v->type != MSGPACK_OBJECT_STR || !clock_parse_rfc3339(mp_as_slice(v), ret_ms) ||
        *ret_ms == 0)
        return walk_fault(at, ret, "must be a time like 2026-11-25T08:30:00Z (RFC 3339)");
    return ERR_OK;
}

static enum err take_start(void *out, const msgpack_object *v, const struct place *at,
                           struct spec_fault *ret)
{
    return take_time(v, &((struct fields *)out)->start_ms, at, ret);
}

static enum err take_end(void *out, const msgpack_object *v, const struct place *at,
                         struct spec_fault *ret)
{
    return take_time(v, &((struct fields *)out)->end_ms, at, ret);
}

static enum err take_job(void *out, const msgpack_object *v, const struct place *at,
                         struct spec_fault *ret)
{
    struct fields *f = out;

    if (v->type != MSGPACK_OBJECT_MAP)
        return walk_fault(at, ret, "must be an object");
    f->job = (msgpack_object *)(uintptr_t)v; /* our own tree: not const */
    return ERR_OK;
}

static const struct walk_field table[] = {
    {"cron", take_cron, false},         {"every_ms", take_every, false},
    {"timezone", take_timezone, false}, {"queue", take_queue, false},
    {"missed", take_missed, false},     {"overlap", take_overlap, false},
    {"paused", take_paused, false},     {"start_at", take_start, false},
    {"end_at", take_end, false},        {"job", take_job, true},
};

/* --- the ticks ------------------------------------------------------------------------------- */

static enum err check_zone(const struct fields *f, struct spec_fault *reterr)
{
    struct fault why;
    struct tz *tz;
    enum err e = tz_load(f->timezone, &tz, &why);

    if (e == ERR_OK) {
        tz_free(&tz);
        return ERR_OK;
    }
    (void)spec_fault_set(reterr, "/timezone", "is refused: %s", why.text);
    return e == ERR_NOMEM || e == ERR_IO ? e : ERR_MALFORMED;
}

static enum err check_ticks(struct fields *f, struct spec_fault *reterr)
{
    struct fault why;
    struct cron cron;

    if (f->cron.len == 0 && f->every_ms == 0)
        return spec_fault_set(reterr, "/cron", "is required, or every_ms in its place");
    if (f->cron.len > 0 && f->every_ms > 0)
        return spec_fault_set(reterr, "/every_ms", "stands in place of cron: give one of them");
    if (f->every_ms > 0 && f->timezone.len > 0)
        return spec_fault_set(reterr, "/timezone", "belongs to cron, not to every_ms");
    if (f->start_ms > 0 && f->end_ms > 0 && f->end_ms < f->start_ms)
        return spec_fault_set(reterr, "/end_at", "must not be before start_at");
    if (f->every_ms > 0)
        return ERR_OK;
    if (cron_parse(f->cron, &cron, &why) != ERR_OK)
        return spec_fault_set(reterr, "/cron", "is refused: %s", why.text);
    if (f->timezone.len == 0)
        f->timezone = SLICE_LIT("UTC");
    return check_zone(f, reterr);
}

/* --- the job --------------------------------------------------------------------------------- */

static void put_under_job(struct spec_fault *why, struct spec_fault *reterr)
{
    if (reterr == NULL)
        return;
    (void)snprintf(reterr->pointer, sizeof reterr->pointer, "/job%.150s", why->pointer);
    (void)snprintf(reterr->text, sizeof reterr->text, "%s", why->text);
}

/* What says when a job runs, or that there may be no other, is said by the schedule. */
static enum err refuse_foreign(const struct fields *f, struct spec_fault *reterr)
{
    static const struct {
        const char *name, *pointer, *rule;
    } foreign[] = {
        {"delay_ms", "/job/delay_ms", "has no place here: the schedule says when the job runs"},
        {"run_at", "/job/run_at", "has no place here: the schedule says when the job runs"},
        {"expires_at", "/job/expires_at",
         "has no place here: expires_in_ms counts from each tick"},
        {"unique", "/job/unique",
         "has no place here: overlap says whether there may be another"},
    };

    for (size_t i = 0; i < COUNT_OF(foreign); i++) {
        if (mp_get(f->job, foreign[i].name) != NULL)
            return spec_fault_set(reterr, foreign[i].pointer, "%s", foreign[i].rule);
    }
    return ERR_OK;
}

static enum err check_queue(const struct fields *f, struct spec_fault *reterr)
{
    const msgpack_object *own = mp_get(f->job, "queue");

    if (f->queue.len > 0 && own != NULL && !slice_eq(mp_as_slice(own), f->queue))
        return spec_fault_set(reterr, "/job/queue", "differs from the schedule's queue");
    return ERR_OK;
}

/* Where bodies are parsed. */
struct desk {
    unsigned max_depth;
    struct recipe_book *book;
    msgpack_zone *zone;
};

static enum err expand_job(const struct fields *f, const struct desk *desk,
                           struct spec_fault *reterr)
{
    struct spec_fault why;
    enum err e =
        desk->book == NULL ? ERR_OK : recipe_expand(f->job, desk->book, desk->zone, &why);

    if (e != ERR_OK)
        put_under_job(&why, reterr);
    return e;
}

static enum err check_job(const struct fields *f, const struct desk *desk,
                          struct schedule_body *b, struct spec_fault *reterr)
{
    struct submission job;
    struct spec_fault why;
    enum err e = refuse_foreign(f, reterr);

    if (e == ERR_OK)
        e = expand_job(f, desk, reterr);
    if (e != ERR_OK)
        return e;
    json_from_msgpack(f->job, &b->job);
    if (buf_failed(&b->job)) {
        (void)spec_fault_set(reterr, "", "no memory for the job");
        return ERR_NOMEM;
    }
    e = submission_parse(buf_slice(&b->job), desk->max_depth, &job, &why);
    if (e != ERR_OK) {
        put_under_job(&why, reterr);
        return e;
    }
    e = check_queue(f, reterr);
    (void)snprintf(b->s.type, sizeof b->s.type, "%s", job.type->name);
    (void)slice_to_cstr(f->queue.len > 0 ? f->queue : slice_str(job.queue), b->s.queue,
                        sizeof b->s.queue);
    submission_done(&job);
    return e;
}

/* --- the whole ------------------------------------------------------------------------------- */

static enum err build(const msgpack_object *root, const struct desk *desk,
                      struct schedule_body *b, struct spec_fault *reterr)
{
    struct fields f = {.missed = SCHEDULE_MISSED_ONE, .overlap = true};
    struct place at = place_root("");
    enum err e = walk_map(root, WALK_TABLE(table), &f, &at, reterr);

    if (e == ERR_OK)
        e = check_ticks(&f, reterr);
    if (e == ERR_OK)
        e = check_job(&f, desk, b, reterr);
    if (e != ERR_OK)
        return e;
    (void)slice_to_cstr(f.cron, b->s.cron, sizeof b->s.cron);
    (void)slice_to_cstr(f.timezone, b->s.timezone, sizeof b->s.timezone);
    b->s.every_ms = f.every_ms;
    b->s.missed = (enum schedule_missed)f.missed;
    b->s.overlap = f.overlap != 0;
    b->s.paused = f.paused;
    b->s.start_ms = f.start_ms;
    b->s.end_ms = f.end_ms;
    return ERR_OK;
}

/* The schedule's own fields beside those of the job. */
#define VALUES_MAX (JOB_VALUES_MAX + 24)

enum err schedule_body_parse(struct slice json, unsigned max_depth, struct recipe_book *book,
                             struct schedule_body *ret, struct spec_fault *reterr)
{
    struct mp_limits limits = {
        .max_depth = JOB_DEPTH_MAX + 1, .max_items = VALUES_MAX, .max_bytes = SIZE_MAX};
    AUTO(buf_done) struct buf packed = {0};
    struct fault why;
    msgpack_object root;
    msgpack_zone zone;
    enum err e = json_to_msgpack(json, max_depth + 1, &packed, &why);

    memset(ret, 0, sizeof *ret);
    if (e == ERR_OK && !msgpack_zone_init(&zone, 2048))
        e = fault_set(&why, ERR_NOMEM, 0, "no memory to parse the schedule");
    if (e != ERR_OK) {
        (void)spec_fault_set(reterr, "", "%s", why.text);
        return e;
    }
    e = mp_parse(buf_slice(&packed), &limits, &zone, &root, &why);
    if (e != ERR_OK)
        (void)spec_fault_set(reterr, "", "%s", why.text);
    else
        e = build(&root, &(struct desk){max_depth, book, &zone}, ret, reterr);
    msgpack_zone_destroy(&zone);
    if (e != ERR_OK)
        schedule_body_done(ret);
    return e;
}

void schedule_body_done(struct schedule_body *b)
{
    buf_done(&b->job);
}
