#include "shared/cron.h"

#include <strings.h>

#include "shared/civil.h"

#define FIELDS_MAX   6
#define SEARCH_YEARS 60 /* a given weekday on 29 February may be 40 years away */
#define YEAR_MAX     9999
#define NONE         64u

/* --- parsing: fields ------------------------------------------------------------------------- */

enum field_kind { SECOND, MINUTE, HOUR, DAY, MONTH, WEEKDAY };

static const char *const month_names[] = {"JAN", "FEB", "MAR", "APR", "MAY", "JUN",
                                          "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"};
static const char *const weekday_names[] = {"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"};

static const struct field {
    const char *name;
    unsigned min, max;
    const char *const *names;
    unsigned n_names; /* the first one stands for min */
} fields[] = {
    [SECOND] = {"second", 0, 59, NULL, 0},
    [MINUTE] = {"minute", 0, 59, NULL, 0},
    [HOUR] = {"hour", 0, 23, NULL, 0},
    [DAY] = {"day of month", 1, 31, NULL, 0},
    [MONTH] = {"month", 1, 12, month_names, COUNT_OF(month_names)},
    [WEEKDAY] = {"day of week", 0, 7, weekday_names, COUNT_OF(weekday_names)},
};

struct parse {
    struct cron *cron;
    enum field_kind kind;
    const struct field *f;
    struct slice item, rest; /* the item being read, what is left of it */
    struct fault *reterr;
};

static enum err bad(const struct parse *p, const char *rule)
{
    return fault_set(p->reterr, ERR_MALFORMED, 0, "%s \"%.*s\": %s", p->f->name,
                     p->item.len < 40 ? (int)p->item.len : 40, p->item.ptr, rule);
}

static void advance(struct slice *s, size_t n)
{
    *s = slice_of(s->ptr + n, s->len - n);
}

static bool skip(struct parse *p, char c)
{
    if (p->rest.len == 0 || p->rest.ptr[0] != c)
        return false;
    advance(&p->rest, 1);
    return true;
}

static bool digits(struct parse *p, unsigned *ret)
{
    size_t n = 0;
    unsigned v = 0;

    while (n < p->rest.len && n < 4 && p->rest.ptr[n] >= '0' && p->rest.ptr[n] <= '9')
        v = v * 10 + (unsigned)(p->rest.ptr[n++] - '0');
    advance(&p->rest, n);
    *ret = v;
    return n > 0;
}

static bool name(struct parse *p, unsigned *ret)
{
    for (unsigned i = 0; i < p->f->n_names; i++) {
        size_t n = strlen(p->f->names[i]);

        if (p->rest.len >= n && strncasecmp(p->rest.ptr, p->f->names[i], n) == 0) {
            advance(&p->rest, n);
            *ret = p->f->min + i;
            return true;
        }
    }
    return false;
}

static enum err value(struct parse *p, unsigned *ret)
{
    static const char *const ranges[] = {[SECOND] = "must be 0 to 59",
                                         [MINUTE] = "must be 0 to 59",
                                         [HOUR] = "must be 0 to 23",
                                         [DAY] = "must be 1 to 31, L, LW, L-n or nW",
                                         [MONTH] = "must be 1 to 12 or a name",
                                         [WEEKDAY] = "must be 0 to 7 or a name"};

    if ((digits(p, ret) || name(p, ret)) && *ret >= p->f->min && *ret <= p->f->max)
        return ERR_OK;
    return bad(p, ranges[p->kind]);
}

static void set_bit(struct cron *c, enum field_kind kind, unsigned n)
{
    switch (kind) {
    case SECOND:
        c->seconds |= UINT64_C(1) << n;
        break;
    case MINUTE:
        c->minutes |= UINT64_C(1) << n;
        break;
    case HOUR:
        c->hours |= UINT32_C(1) << n;
        break;
    case DAY:
        c->days |= UINT32_C(1) << n;
        break;
    case MONTH:
        c->months = (uint16_t)(c->months | 1u << n);
        break;
    case WEEKDAY:
        c->weekdays = (uint8_t)(c->weekdays | 1u << n % 7);
        break;
    }
}

/* "/n" or nothing, then the end of the item. */
static enum err finish(struct parse *p, unsigned from, unsigned to)
{
    unsigned step = 1;

    if (skip(p, '/') && (!digits(p, &step) || step == 0 || step > p->f->max))
        return bad(p, "the step must be a number from 1 to the field's greatest value");
    if (p->rest.len > 0)
        return bad(p, "nothing may follow here");
    for (unsigned n = from; n <= to; n += step)
        set_bit(p->cron, p->kind, n);
    return ERR_OK;
}

/* --- parsing: L, W and # --------------------------------------------------------------------- */

static bool skip_letter(struct parse *p, char lower)
{
    return skip(p, lower) || skip(p, (char)(lower - 'a' + 'A'));
}

/* L, L-n, LW. */
static enum err last_day(struct parse *p)
{
    unsigned before = 0;

    if (skip_letter(p, 'w')) {
        p->cron->last_weekday = true;
    } else {
        if (skip(p, '-') && (!digits(p, &before) || before > 30))
            return bad(p, "L-n goes from L-0 to L-30");
        p->cron->before_last |= UINT32_C(1) << before;
    }
    return p->rest.len == 0 ? ERR_OK : bad(p, "nothing may follow here");
}

/* 5L, MON#2. */
static enum err special_weekday(struct parse *p, unsigned day, bool *ret_done)
{
    unsigned n;

    *ret_done = true;
    day %= 7;
    if (skip_letter(p, 'l')) {
        p->cron->last_of = (uint8_t)(p->cron->last_of | 1u << day);
    } else if (skip(p, '#')) {
        if (!digits(p, &n) || n < 1 || n > 5)
            return bad(p, "behind # stands a number from 1 to 5");
        p->cron->nth[day] = (uint8_t)(p->cron->nth[day] | 1u << n);
    } else {
        *ret_done = false;
        return ERR_OK;
    }
    return p->rest.len == 0 ? ERR_OK : bad(p, "nothing may follow here");
}

static enum err special(struct parse *p, unsigned from, bool *ret_done)
{
    *ret_done = false;
    if (p->kind == WEEKDAY)
        return special_weekday(p, from, ret_done);
    if (p->kind != DAY || !skip_letter(p, 'w'))
        return ERR_OK;
    *ret_done = true;
    p->cron->nearest_weekday |= UINT32_C(1) << from;
    return p->rest.len == 0 ? ERR_OK : bad(p, "nothing may follow here");
}

/* --- parsing: the whole ---------------------------------------------------------------------- */

static enum err range(struct parse *p, unsigned from)
{
    unsigned to = from;
    enum err e = ERR_OK;

    if (skip(p, '-')) {
        e = value(p, &to);
        if (e == ERR_OK && p->kind == WEEKDAY && to == 0 && from > 0)
            to = 7; /* MON-SUN */
        if (e == ERR_OK && to < from)
            return bad(p, "the range runs backwards");
    } else if (p->rest.len > 0 && p->rest.ptr[0] == '/') {
        to = p->kind == WEEKDAY && from < 7 ? 6 : p->f->max;
    }
    return e == ERR_OK ? finish(p, from, to) : e;
}

static enum err parse_item(struct parse *p)
{
    unsigned from;
    bool done;
    enum err e;

    p->rest = p->item;
    if (skip(p, '*'))
        return finish(p, p->f->min, p->kind == WEEKDAY ? 6 : p->f->max);
    if (p->kind == DAY && skip_letter(p, 'l'))
        return last_day(p);
    e = value(p, &from);
    if (e == ERR_OK)
        e = special(p, from, &done);
    if (e != ERR_OK || done)
        return e;
    return range(p, from);
}

static void note_star(struct parse *p, struct slice text)
{
    bool star = text.ptr[0] == '*';

    if (p->kind == DAY)
        p->cron->any_day = star;
    else if (p->kind == WEEKDAY)
        p->cron->any_weekday = star;
    else if (p->kind == HOUR || p->kind == MINUTE)
        p->cron->wildcard |= star;
}

static enum err parse_field(struct parse *p, struct slice text)
{
    p->f = &fields[p->kind];
    p->item = text;
    if (slice_is(text, "?")) {
        if (p->kind != DAY && p->kind != WEEKDAY)
            return bad(p, "? has its place in the day fields");
        text = SLICE_LIT("*");
    }
    note_star(p, text);
    for (;;) {
        const char *comma = memchr(text.ptr, ',', text.len);
        enum err e;

        p->item = slice_of(text.ptr, comma == NULL ? text.len : (size_t)(comma - text.ptr));
        e = parse_item(p);
        if (e != ERR_OK || comma == NULL)
            return e;
        advance(&text, p->item.len + 1);
    }
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Gives how many fields there are; more than FIELDS_MAX are not stored. */
static size_t split(struct slice text, struct slice ret[FIELDS_MAX])
{
    size_t n = 0, i = 0;

    for (;;) {
        size_t start;

        while (i < text.len && is_blank(text.ptr[i]))
            i++;
        if (i == text.len)
            return n;
        start = i;
        while (i < text.len && !is_blank(text.ptr[i]))
            i++;
        if (n < FIELDS_MAX)
            ret[n] = slice_of(text.ptr + start, i - start);
        n++;
    }
}

static struct slice expand(struct slice text)
{
    static const struct {
        const char *name, *fields;
    } macros[] = {{"@hourly", "0 * * * *"},   {"@daily", "0 0 * * *"},
                  {"@midnight", "0 0 * * *"}, {"@weekly", "0 0 * * 0"},
                  {"@monthly", "0 0 1 * *"},  {"@yearly", "0 0 1 1 *"},
                  {"@annually", "0 0 1 1 *"}};

    for (size_t i = 0; i < COUNT_OF(macros); i++) {
        if (text.len == strlen(macros[i].name) &&
            strncasecmp(text.ptr, macros[i].name, text.len) == 0)
            return slice_str(macros[i].fields);
    }
    return text;
}

static bool next_civil(const struct cron *c, int64_t civil_s, int64_t *ret_s);

static enum err parse_fields(struct slice text, struct cron *ret, struct fault *reterr)
{
    struct slice field[FIELDS_MAX];
    struct parse p = {.cron = ret, .reterr = reterr};
    size_t n = split(text, field), first;
    enum err e = ERR_OK;

    if (text.len > 0 && text.ptr[0] == '@')
        return fault_set(reterr, ERR_MALFORMED, 0,
                         "of names there are @hourly, @daily, @midnight, @weekly, @monthly, "
                         "@yearly, @annually");
    if (n != FIELDS_MAX && n != FIELDS_MAX - 1)
        return fault_set(reterr, ERR_MALFORMED, 0,
                         "must have five fields (minute hour day month weekday), or six with "
                         "seconds first; here are %zu",
                         n);
    first = FIELDS_MAX - n;
    if (first > 0)
        ret->seconds = 1;
    for (size_t i = 0; e == ERR_OK && i < n; i++) {
        p.kind = (enum field_kind)(first + i);
        e = parse_field(&p, field[i]);
    }
    return e;
}

enum err cron_parse(struct slice text, struct cron *ret, struct fault *reterr)
{
    struct cron c = {0};
    int64_t some;
    enum err e;

    if (text.len > CRON_TEXT_MAX)
        return fault_set(reterr, ERR_MALFORMED, 0, "must be at most %d bytes", CRON_TEXT_MAX);
    e = parse_fields(expand(text), &c, reterr);
    if (e != ERR_OK)
        return e;
    if (!next_civil(&c, civil_days(2000, 1, 1) * CIVIL_DAY_S, &some))
        return fault_set(reterr, ERR_MALFORMED, 0, "no day fits: it would never fire");
    *ret = c;
    return ERR_OK;
}

/* --- days ------------------------------------------------------------------------------------ */

struct day {
    int year;
    unsigned month, day, length, weekday;
};

/* The weekday (Monday to Friday) nearest to the given day of that month. */
static unsigned nearest_weekday(const struct day *d, unsigned wanted)
{
    unsigned weekday = (d->weekday + 35 + wanted - d->day) % 7;

    if (weekday == 6)
        return wanted > 1 ? wanted - 1 : wanted + 2;
    if (weekday == 0)
        return wanted < d->length ? wanted + 1 : wanted - 2;
    return wanted;
}

static bool fits_day(const struct cron *c, const struct day *d)
{
    if ((c->days >> d->day & 1) != 0 || (c->before_last >> (d->length - d->day) & 1) != 0)
        return true;
    if (c->last_weekday && nearest_weekday(d, d->length) == d->day)
        return true;
    for (unsigned n = 1; c->nearest_weekday != 0 && n <= d->length; n++) {
        if ((c->nearest_weekday >> n & 1) != 0 && nearest_weekday(d, n) == d->day)
            return true;
    }
    return false;
}

static bool fits_weekday(const struct cron *c, const struct day *d)
{
    return (c->weekdays >> d->weekday & 1) != 0 ||
           ((c->last_of >> d->weekday & 1) != 0 && d->day + 7 > d->length) ||
           (c->nth[d->weekday] >> ((d->day + 6) / 7) & 1) != 0;
}

static bool fits(const struct cron *c, const struct day *d)
{
    bool day = fits_day(c, d), weekday = fits_weekday(c, d);

    return c->any_day || c->any_weekday ? day && weekday : day || weekday;
}

/* --- civil time ------------------------------------------------------------------------------ */

static unsigned bit_from(uint64_t set, unsigned from)
{
    if (from >= NONE || set >> from == 0)
        return NONE;
    return from + (unsigned)__builtin_ctzll(set >> from);
}

/* The first fitting time of day that is not before t's; false: none is left. */
static bool time_from(const struct cron *c, struct civil *t)
{
    unsigned hour = bit_from(c->hours, t->hour), minute = 0, second = 0;

    if (hour == t->hour) {
        minute = bit_from(c->minutes, t->minute);
        if (minute == t->minute) {
            second = bit_from(c->seconds, t->second);
            if (second == NONE)
                minute = bit_from(c->minutes, t->minute + 1);
        }
        if (minute == NONE)
            hour = bit_from(c->hours, t->hour + 1);
    }
    if (hour == NONE)
        return false;
    if (hour != t->hour)
        minute = bit_from(c->minutes, 0);
    if (hour != t->hour || minute != t->minute)
        second = bit_from(c->seconds, 0);
    t->hour = hour;
    t->minute = minute;
    t->second = second;
    return true;
}

/* The first fitting civil second that is not before civil_s. */
static bool next_civil(const struct cron *c, int64_t civil_s, int64_t *ret_s)
{
    struct civil t = civil_of(civil_s);
    int last_year = t.year + SEARCH_YEARS < YEAR_MAX ? t.year + SEARCH_YEARS : YEAR_MAX;
    int64_t days = civil_days(t.year, t.month, t.day);

    while (t.year <= last_year) {
        struct day d = {t.year, t.month, t.day, civil_month_days(t.year, t.month),
                        civil_weekday(days)};
        bool month = (c->months >> t.month & 1) != 0;

        if (month && fits(c, &d) && time_from(c, &t)) {
            *ret_s = civil_seconds(&t);
            return true;
        }
        days += month ? 1 : d.length - d.day + 1;
        t = civil_of(days * CIVIL_DAY_S);
    }
    return false;
}

/* --- Unix time ------------------------------------------------------------------------------- */

static enum err give(int64_t at_s, int64_t *ret_s)
{
    if (at_s > CIVIL_MAX_S)
        return ERR_NOT_FOUND;
    *ret_s = at_s;
    return ERR_OK;
}

/* Every fitting civil time has one moment; the order stays the same. */
static enum err next_fixed(const struct cron *c, const struct tz *tz, int64_t unix_s,
                           int64_t *ret_s)
{
    int64_t civil_s = unix_s + tz_segment_at(tz, unix_s).offset_s, at_s;

    do {
        if (!next_civil(c, civil_s + 1, &civil_s))
            return ERR_NOT_FOUND;
        (void)tz_unix_of(tz, civil_s, &at_s);
    } while (at_s <= unix_s); /* the second round of a repeated hour */
    return give(at_s, ret_s);
}

/* Segment by segment, as the clock shows it. */
static enum err next_wildcard(const struct cron *c, const struct tz *tz, int64_t unix_s,
                              int64_t *ret_s)
{
    int64_t from_s = unix_s + 1, civil_s;

    for (;;) {
        struct tz_segment s = tz_segment_at(tz, from_s);

        if (!next_civil(c, from_s + s.offset_s, &civil_s))
            return ERR_NOT_FOUND;
        if (civil_s - s.offset_s < s.end_s)
            return give(civil_s - s.offset_s, ret_s);
        /* Between here and there no civil time fits, so what lies well before it is passed over. */
        from_s = s.end_s;
        if (from_s < civil_s - 3 * (int64_t)CIVIL_DAY_S)
            from_s = civil_s - 3 * (int64_t)CIVIL_DAY_S;
    }
}

enum err cron_next(const struct cron *c, const struct tz *tz, int64_t unix_s, int64_t *ret_s)
{
    if (unix_s < 0 || unix_s >= CIVIL_MAX_S)
        return ERR_NOT_FOUND;
    return c->wildcard ? next_wildcard(c, tz, unix_s, ret_s) : next_fixed(c, tz, unix_s, ret_s);
}
