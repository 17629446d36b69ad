#include "queue/limits.h"

#include <inttypes.h>

#include "queue/spec/walk.h"
#include "shared/json.h"

#define NUMBERS 8

bool limits_are_set(const struct queue_limits *l)
{
    return l->whole.running > 0 || l->whole.rate.count > 0 || l->per_key.running > 0 ||
           l->per_key.rate.count > 0;
}

/* --- as users write them ---------------------------------------------------------------------- */

static bool is_null(const msgpack_object *v)
{
    return v->type == MSGPACK_OBJECT_NIL;
}

static enum err take_count(void *out, const msgpack_object *v, const struct place *at,
                           struct spec_fault *ret)
{
    struct rate_limit *r = out;

    return walk_uint(v, 1, LIMITS_COUNT_MAX, &r->count, at, ret);
}

static enum err take_per(void *out, const msgpack_object *v, const struct place *at,
                         struct spec_fault *ret)
{
    struct rate_limit *r = out;

    return walk_uint(v, 1, LIMITS_PER_MAX, &r->per_ms, at, ret);
}

static enum err take_burst(void *out, const msgpack_object *v, const struct place *at,
                           struct spec_fault *ret)
{
    struct rate_limit *r = out;

    return is_null(v) ? ERR_OK : walk_uint(v, 1, LIMITS_COUNT_MAX, &r->burst, at, ret);
}

static const struct walk_field rate_fields[] = {
    {"count", take_count, true}, {"per_ms", take_per, true}, {"burst", take_burst, false}};

static enum err take_running(void *out, const msgpack_object *v, const struct place *at,
                             struct spec_fault *ret)
{
    struct limit *l = out;

    return is_null(v) ? ERR_OK : walk_uint(v, 1, LIMITS_COUNT_MAX, &l->running, at, ret);
}

static enum err take_rate(void *out, const msgpack_object *v, const struct place *at,
                          struct spec_fault *ret)
{
    struct limit *l = out;
    enum err e = is_null(v) ? ERR_OK : walk_map(v, WALK_TABLE(rate_fields), &l->rate, at, ret);

    if (e == ERR_OK && l->rate.burst == 0)
        l->rate.burst = l->rate.count;
    return e;
}

static const struct walk_field key_fields[] = {{"running", take_running, false},
                                               {"rate", take_rate, false}};

static enum err take_whole_running(void *out, const msgpack_object *v, const struct place *at,
                                   struct spec_fault *ret)
{
    struct queue_limits *l = out;

    return take_running(&l->whole, v, at, ret);
}

static enum err take_whole_rate(void *out, const msgpack_object *v, const struct place *at,
                                struct spec_fault *ret)
{
    struct queue_limits *l = out;

    return take_rate(&l->whole, v, at, ret);
}

static enum err take_per_key(void *out, const msgpack_object *v, const struct place *at,
                             struct spec_fault *ret)
{
    struct queue_limits *l = out;

    return is_null(v) ? ERR_OK : walk_map(v, WALK_TABLE(key_fields), &l->per_key, at, ret);
}

static const struct walk_field fields[] = {{"running", take_whole_running, false},
                                           {"rate", take_whole_rate, false},
                                           {"per_key", take_per_key, false}};

enum err limits_parse(struct slice json, struct queue_limits *ret, struct spec_fault *reterr)
{
    struct queue_limits found = {.whole = {.running = 0}};
    struct place at = place_root("");
    AUTO(buf_done) struct buf packed = {0};
    struct fault why = {.text = ""};
    msgpack_object root;
    msgpack_zone zone;
    enum err e = json_to_msgpack(json, 4, &packed, &why);

    if (e != ERR_OK)
        return spec_fault_set(reterr, "", "%s", why.text);
    if (!msgpack_zone_init(&zone, 512))
        return ERR_NOMEM;
    e = mp_parse(buf_slice(&packed), &MP_LIMITS_DEFAULT, &zone, &root, &why);
    if (e != ERR_OK)
        e = spec_fault_set(reterr, "", "%s", why.text);
    else
        e = walk_map(&root, WALK_TABLE(fields), &found, &at, reterr);
    msgpack_zone_destroy(&zone);
    if (e == ERR_OK)
        *ret = found;
    return e;
}

/* --- rates in short --------------------------------------------------------------------------- */

static const struct {
    const char *unit;
    uint32_t ms;
} units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};

/* A number from 1 to max, cut off the front of *rest. 0: there is none. */
static uint32_t cut_number(struct slice *rest, uint32_t max)
{
    uint64_t n = 0;

    while (rest->len > 0 && rest->ptr[0] >= '0' && rest->ptr[0] <= '9' && n <= max) {
        n = n * 10 + (uint64_t)(rest->ptr[0] - '0');
        *rest = slice_of(rest->ptr + 1, rest->len - 1);
    }
    return n <= max ? (uint32_t)n : 0;
}

static bool cut_char(struct slice *rest, char c)
{
    if (rest->len == 0 || rest->ptr[0] != c)
        return false;
    *rest = slice_of(rest->ptr + 1, rest->len - 1);
    return true;
}

/* "60s", "s" */
static uint32_t cut_time(struct slice *rest)
{
    bool has_number = rest->len > 0 && rest->ptr[0] >= '0' && rest->ptr[0] <= '9';
    uint64_t n = has_number ? cut_number(rest, LIMITS_PER_MAX) : 1;
    size_t len = 0;

    while (len < rest->len && rest->ptr[len] != ',')
        len++;
    for (size_t i = 0; i < COUNT_OF(units); i++) {
        if (slice_is(slice_of(rest->ptr, len), units[i].unit)) {
            *rest = slice_of(rest->ptr + len, rest->len - len);
            n *= units[i].ms;
            return n <= LIMITS_PER_MAX ? (uint32_t)n : 0;
        }
    }
    return 0;
}

enum err limits_parse_rate(const char *text, struct rate_limit *ret, struct fault *reterr)
{
    struct slice rest = slice_str(text);
    struct rate_limit r = {.count = cut_number(&rest, LIMITS_COUNT_MAX)};

    if (r.count > 0 && cut_char(&rest, '/'))
        r.per_ms = cut_time(&rest);
    r.burst = r.count;
    if (r.per_ms > 0 && cut_char(&rest, ','))
        r.burst = cut_number(&rest, LIMITS_COUNT_MAX);
    if (r.count == 0 || r.per_ms == 0 || r.burst == 0 || rest.len > 0)
        return fault_set(
            reterr, ERR_MALFORMED, 0,
            "%.60s is no rate: COUNT/TIME or COUNT/TIME,BURST, as 10/s, 100/60s,20; "
            "counts from 1 to %u, times up to a day",
            text, LIMITS_COUNT_MAX);
    *ret = r;
    return ERR_OK;
}

const char *limits_rate_text(const struct rate_limit *r, char dst[LIMITS_RATE_SIZE])
{
    size_t unit = 0;
    int n;

    if (r->count == 0)
        return "";
    for (size_t i = 1; i < COUNT_OF(units); i++) {
        if (r->per_ms % units[i].ms == 0)
            unit = i;
    }
    n = snprintf(dst, LIMITS_RATE_SIZE, "%" PRIu32 "/", r->count);
    if (r->per_ms != units[unit].ms)
        n += snprintf(dst + n, LIMITS_RATE_SIZE - (size_t)n, "%" PRIu32,
                      r->per_ms / units[unit].ms);
    n += snprintf(dst + n, LIMITS_RATE_SIZE - (size_t)n, "%s", units[unit].unit);
    if (r->burst != r->count)
        (void)snprintf(dst + n, LIMITS_RATE_SIZE - (size_t)n, ",%" PRIu32, r->burst);
    return dst;
}

/* --- as they are shown ------------------------------------------------------------------------ */

static void add_limit(const struct limit *l, struct buf *out)
{
    const char *comma = "";

    if (l->running > 0) {
        buf_addf(out, "\"running\":%" PRIu32, l->running);
        comma = ",";
    }
    if (l->rate.count > 0)
        buf_addf(out,
                 "%s\"rate\":{\"count\":%" PRIu32 ",\"per_ms\":%" PRIu32 ",\"burst\":%" PRIu32
                 "}",
                 comma, l->rate.count, l->rate.per_ms, l->rate.burst);
}

void limits_json(const struct queue_limits *l, struct buf *out)
{
    bool has_whole = l->whole.running > 0 || l->whole.rate.count > 0;

    buf_add_str(out, "{");
    add_limit(&l->whole, out);
    if (l->per_key.running > 0 || l->per_key.rate.count > 0) {
        buf_add_str(out, has_whole ? ",\"per_key\":{" : "\"per_key\":{");
        add_limit(&l->per_key, out);
        buf_add_str(out, "}");
    }
    buf_add_str(out, "}");
}

/* --- as Redis keeps them ---------------------------------------------------------------------- */

struct slice limits_encode(const struct queue_limits *l, char dst[LIMITS_TEXT_SIZE])
{
    const struct limit *w = &l->whole, *k = &l->per_key;
    int n;

    if (!limits_are_set(l))
        return slice_of("", 0);
    n = snprintf(dst, LIMITS_TEXT_SIZE, "%u %u %u %u %u %u %u %u", w->running, w->rate.count,
                 w->rate.per_ms, w->rate.burst, k->running, k->rate.count, k->rate.per_ms,
                 k->rate.burst);
    must(n > 0 && n < LIMITS_TEXT_SIZE);
    return slice_of(dst, (size_t)n);
}

void limits_decode(struct slice text, struct queue_limits *ret)
{
    uint32_t n[NUMBERS] = {0};
    size_t i = 0;

    *ret = (struct queue_limits){.whole = {.running = 0}};
    while (i < NUMBERS && text.len > 0) {
        n[i++] = cut_number(&text, UINT32_MAX - 1);
        if (i < NUMBERS && !cut_char(&text, ' '))
            return;
    }
    if (i < NUMBERS || text.len > 0)
        return;
    *ret = (struct queue_limits){{n[0], {n[1], n[2], n[3]}}, {n[4], {n[5], n[6], n[7]}}};
}
