#include "queue/schedule.h"

#define RECORD_VERSION 1
#define RECORD_FIELDS  15
#define PAST_SIZE      64

static const char *const missed_names[] = {[SCHEDULE_MISSED_SKIP] = "skip",
                                           [SCHEDULE_MISSED_ONE] = "one",
                                           [SCHEDULE_MISSED_ALL] = "all"};

const char *schedule_missed_name(enum schedule_missed m)
{
    return missed_names[m];
}

/* --- the record ------------------------------------------------------------------------------ */

struct record_text {
    const char *key;
    size_t offset, size;
};
struct record_number {
    const char *key;
    size_t offset;
};

#define TEXT(key, field)                                                                   \
    {                                                                                      \
        key, offsetof(struct schedule, field), sizeof(((const struct schedule *)0)->field) \
    }
#define NUMBER(field)                            \
    {                                            \
#field, offsetof(struct schedule, field) \
    }

static const struct record_text texts[] = {TEXT("type", type), TEXT("queue", queue),
                                           TEXT("cron", cron), TEXT("timezone", timezone)};
static const struct record_number numbers[] = {NUMBER(every_ms),   NUMBER(anchor_ms),
                                               NUMBER(start_ms),   NUMBER(end_ms),
                                               NUMBER(created_ms), NUMBER(updated_ms)};

void schedule_encode(const struct schedule *s, struct buf *out)
{
    msgpack_packer pk;

    mp_packer(&pk, out);
    msgpack_pack_map(&pk, RECORD_FIELDS);
    mp_str(&pk, "v");
    msgpack_pack_int(&pk, RECORD_VERSION);
    mp_str(&pk, "rev");
    mp_bin(&pk, slice_of(s->rev.bytes, UUID_LEN));
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        mp_str(&pk, texts[i].key);
        mp_str(&pk, (const char *)s + texts[i].offset);
    }
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        mp_str(&pk, numbers[i].key);
        msgpack_pack_uint64(
            &pk, *(const uint64_t *)(const void *)((const char *)s + numbers[i].offset));
    }
    mp_str(&pk, "missed");
    msgpack_pack_int(&pk, (int)s->missed);
    mp_str(&pk, "overlap");
    s->overlap ? msgpack_pack_true(&pk) : msgpack_pack_false(&pk);
    mp_str(&pk, "paused");
    s->paused ? msgpack_pack_true(&pk) : msgpack_pack_false(&pk);
}

static bool take_text(const msgpack_object *root, const struct record_text *f,
                      struct schedule *s)
{
    const msgpack_object *o = mp_get(root, f->key);

    return o != NULL && o->type == MSGPACK_OBJECT_STR &&
           slice_to_cstr(mp_as_slice(o), (char *)s + f->offset, f->size);
}

static bool take_number(const msgpack_object *root, const char *key, uint64_t *ret)
{
    const msgpack_object *o = mp_get(root, key);

    if (o == NULL || o->type != MSGPACK_OBJECT_POSITIVE_INTEGER)
        return false;
    *ret = o->via.u64;
    return true;
}

static bool take_bool(const msgpack_object *root, const char *key, bool *ret)
{
    const msgpack_object *o = mp_get(root, key);

    if (o == NULL || o->type != MSGPACK_OBJECT_BOOLEAN)
        return false;
    *ret = o->via.boolean;
    return true;
}

static bool take_rev(const msgpack_object *root, struct schedule *s)
{
    const msgpack_object *o = mp_get(root, "rev");

    if (o == NULL || o->type != MSGPACK_OBJECT_BIN || o->via.bin.size != UUID_LEN)
        return false;
    memcpy(s->rev.bytes, o->via.bin.ptr, UUID_LEN);
    return true;
}

static bool take_all(const msgpack_object *root, struct schedule *s)
{
    uint64_t version, missed;
    bool good = root->type == MSGPACK_OBJECT_MAP && take_number(root, "v", &version) &&
                version == RECORD_VERSION && take_rev(root, s) &&
                take_number(root, "missed", &missed) && missed <= SCHEDULE_MISSED_ALL &&
                take_bool(root, "overlap", &s->overlap) &&
                take_bool(root, "paused", &s->paused);

    for (size_t i = 0; good && i < COUNT_OF(texts); i++)
        good = take_text(root, &texts[i], s);
    for (size_t i = 0; good && i < COUNT_OF(numbers); i++)
        good = take_number(root, numbers[i].key,
                           (uint64_t *)(void *)((char *)s + numbers[i].offset));
    if (good)
        s->missed = (enum schedule_missed)missed;
    return good && (s->cron[0] != '\0' || (s->every_ms >= SCHEDULE_EVERY_MIN_MS &&
                                           s->every_ms <= SCHEDULE_EVERY_MAX_MS));
}

enum err schedule_decode(struct slice record, struct schedule *ret, struct fault *reterr)
{
    struct schedule s = {.missed = SCHEDULE_MISSED_ONE};
    msgpack_object root;
    msgpack_zone z;
    enum err e;

    if (!msgpack_zone_init(&z, 1024))
        return fault_set(reterr, ERR_NOMEM, 0, "no memory for a schedule");
    e = mp_parse(record, &MP_LIMITS_DEFAULT, &z, &root, reterr);
    if (e == ERR_OK && !take_all(&root, &s))
        e = fault_set(reterr, ERR_MALFORMED, 0, "not a record that this version knows");
    msgpack_zone_destroy(&z);
    if (e == ERR_OK) {
        memcpy(s.name, ret->name, sizeof s.name);
        *ret = s;
    }
    return e;
}

bool schedule_ticks_alike(const struct schedule *a, const struct schedule *b)
{
    return strcmp(a->cron, b->cron) == 0 && strcmp(a->timezone, b->timezone) == 0 &&
           a->every_ms == b->every_ms && a->start_ms == b->start_ms && a->end_ms == b->end_ms;
}

/* --- ticks ----------------------------------------------------------------------------------- */

enum err schedule_clock_init(struct schedule_clock *c, const struct schedule *s,
                             struct fault *reterr)
{
    enum err e = ERR_OK;

    *c = (struct schedule_clock){.s = s};
    if (s->cron[0] == '\0')
        return ERR_OK;
    e = cron_parse(slice_str(s->cron), &c->cron, reterr);
    return e == ERR_OK ? tz_load(slice_str(s->timezone), &c->tz, reterr) : e;
}

void schedule_clock_done(struct schedule_clock *c)
{
    tz_free(&c->tz);
}

static uint64_t next_every(const struct schedule *s, uint64_t after_ms)
{
    if (after_ms < s->anchor_ms)
        return s->anchor_ms;
    return s->anchor_ms + ((after_ms - s->anchor_ms) / s->every_ms + 1) * s->every_ms;
}

static uint64_t next_cron(const struct schedule_clock *c, uint64_t after_ms)
{
    int64_t at_s;

    if (after_ms / 1000 > INT64_MAX ||
        cron_next(&c->cron, c->tz, (int64_t)(after_ms / 1000), &at_s) != ERR_OK)
        return 0;
    return (uint64_t)at_s * 1000;
}

uint64_t schedule_next(const struct schedule_clock *c, uint64_t after_ms)
{
    const struct schedule *s = c->s;
    uint64_t at_ms;

    if (s->start_ms > 0 && after_ms < s->start_ms)
        after_ms = s->start_ms - 1;
    at_ms = s->cron[0] == '\0' ? next_every(s, after_ms) : next_cron(c, after_ms);
    return s->end_ms > 0 && at_ms > s->end_ms ? 0 : at_ms;
}

/* The last tick that is not after now_ms; due_ms is one. */
static uint64_t last_tick(const struct schedule_clock *c, uint64_t due_ms, uint64_t now_ms)
{
    uint64_t low = due_ms - 1, high = now_ms,
             last = due_ms; /* next(low) is due, next(high) not */

    while (high - low > 1) {
        uint64_t middle = low + (high - low) / 2, at_ms = schedule_next(c, middle);

        if (at_ms > 0 && at_ms <= now_ms) {
            low = middle;
            last = at_ms;
        } else {
            high = middle;
        }
    }
    return last;
}

/* Counts what is due, and keeps the last of it; gives the very last one. */
static uint64_t count_due(const struct schedule_clock *c, uint64_t due_ms, uint64_t now_ms,
                          uint64_t *ret_n)
{
    uint64_t last_ms = due_ms, n = 1;

    for (;;) {
        uint64_t at_ms = schedule_next(c, last_ms);

        if (at_ms == 0 || at_ms > now_ms)
            break;
        if (n == SCHEDULE_COUNT_MAX) {
            last_ms = last_tick(c, last_ms, now_ms);
            break;
        }
        last_ms = at_ms;
        n++;
    }
    *ret_n = n;
    return last_ms;
}

/* The last ones up to last_ms, none before due_ms, in the order of time. */
static void keep_last(const struct schedule_clock *c, uint64_t due_ms, uint64_t last_ms,
                      struct schedule_plan *p)
{
    p->n = 0;
    for (uint64_t at_ms = last_ms; p->n < SCHEDULE_CATCH_UP_MAX; p->n++) {
        memmove(p->ticks + 1, p->ticks, p->n * sizeof p->ticks[0]);
        p->ticks[0] = at_ms;
        if (at_ms <= due_ms) {
            p->n++;
            break;
        }
        at_ms = last_tick(c, due_ms, at_ms - 1);
    }
}

void schedule_plan(const struct schedule_clock *c, uint64_t due_ms, uint64_t now_ms,
                   uint64_t grace_ms, struct schedule_plan *ret)
{
    enum schedule_missed policy = c->s->missed;
    uint64_t n, last_ms = count_due(c, due_ms, now_ms, &n);

    if (policy == SCHEDULE_MISSED_ALL && !c->s->overlap)
        policy = SCHEDULE_MISSED_ONE;
    ret->ticks[0] = last_ms;
    ret->n = 1;
    if (policy == SCHEDULE_MISSED_SKIP && now_ms - last_ms > grace_ms)
        ret->n = 0;
    else if (policy == SCHEDULE_MISSED_ALL)
        keep_last(c, due_ms, last_ms, ret);
    ret->missed = n > ret->n ? n - ret->n : 0;
    ret->next_ms = schedule_next(c, now_ms);
}

/* --- what it did ----------------------------------------------------------------------------- */

static uint64_t be64(const char *p)
{
    uint64_t v = 0;

    for (int i = 0; i < 8; i++)
        v = v << 8 | (unsigned char)p[i];
    return v;
}

struct schedule_past schedule_past_of(struct slice bytes)
{
    struct schedule_past past = {.fired = 0};
    uint64_t *const fields[] = {&past.made_ms, &past.tick_ms, &past.fired, &past.missed,
                                &past.skipped};

    if (bytes.len != PAST_SIZE)
        return past;
    memcpy(past.job.bytes, bytes.ptr + 3, UUID_LEN);
    for (size_t i = 0; i < COUNT_OF(fields); i++)
        *fields[i] = be64(bytes.ptr + 20 + i * 9);
    return past;
}
