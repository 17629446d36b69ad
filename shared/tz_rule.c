#include "shared/tz_rule.h"

#include "shared/civil.h"

#define HOUR_S      3600
#define OFFSET_HOUR 24
#define SWITCH_HOUR 167
#define YEAR_ZERO   (-INT64_C(62167219200)) /* 0000-01-01: what civil_of() bears */

/* --- parsing --------------------------------------------------------------------------------- */

static bool skip_char(struct slice *s, char c)
{
    if (s->len == 0 || s->ptr[0] != c)
        return false;
    *s = slice_of(s->ptr + 1, s->len - 1);
    return true;
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool number(struct slice *s, unsigned min, unsigned max, unsigned *ret)
{
    size_t n = 0;
    unsigned v = 0;

    while (n < s->len && n < 4 && s->ptr[n] >= '0' && s->ptr[n] <= '9')
        v = v * 10 + (unsigned)(s->ptr[n++] - '0');
    *s = slice_of(s->ptr + n, s->len - n);
    *ret = v;
    return n > 0 && v >= min && v <= max;
}

/* Three letters or more, or anything but ">" between angle brackets. */
static bool skip_name(struct slice *s)
{
    size_t n = 0;

    if (skip_char(s, '<')) {
        while (n < s->len && s->ptr[n] != '>')
            n++;
        *s = slice_of(s->ptr + n, s->len - n);
        return n > 0 && skip_char(s, '>');
    }
    while (n < s->len && is_letter(s->ptr[n]))
        n++;
    *s = slice_of(s->ptr + n, s->len - n);
    return n >= 3;
}

/* [+-]hh[:mm[:ss]] */
static bool clock_time(struct slice *s, unsigned max_hour, int32_t *ret_s)
{
    bool negative = skip_char(s, '-');
    unsigned hour, minute = 0, second = 0;

    if (!negative)
        (void)skip_char(s, '+');
    if (!number(s, 0, max_hour, &hour))
        return false;
    if (skip_char(s, ':') && !number(s, 0, 59, &minute))
        return false;
    if (skip_char(s, ':') && !number(s, 0, 59, &second))
        return false;
    *ret_s = (int32_t)(hour * HOUR_S + minute * 60 + second);
    if (negative)
        *ret_s = -*ret_s;
    return true;
}

static bool month_day(struct slice *s, struct tz_switch *ret)
{
    ret->kind = TZ_MONTH;
    return number(s, 1, 12, &ret->month) && skip_char(s, '.') && number(s, 1, 5, &ret->week) &&
           skip_char(s, '.') && number(s, 0, 6, &ret->day);
}

static bool one_switch(struct slice *s, struct tz_switch *ret)
{
    bool good;

    *ret = (struct tz_switch){.time_s = 2 * HOUR_S};
    if (skip_char(s, 'M')) {
        good = month_day(s, ret);
    } else if (skip_char(s, 'J')) {
        ret->kind = TZ_JULIAN;
        good = number(s, 1, 365, &ret->day);
    } else {
        ret->kind = TZ_DAY;
        good = number(s, 0, 365, &ret->day);
    }
    return good && (!skip_char(s, '/') || clock_time(s, SWITCH_HOUR, &ret->time_s));
}

bool tz_rule_parse(struct slice s, struct tz_rule *ret)
{
    int32_t west;

    *ret = (struct tz_rule){.has_summer = false};
    if (!skip_name(&s) || !clock_time(&s, OFFSET_HOUR, &west))
        return false;
    ret->standard_s = -west; /* POSIX counts to the west */
    if (s.len == 0)
        return true;
    ret->has_summer = true;
    ret->summer_s = ret->standard_s + HOUR_S;
    if (!skip_name(&s))
        return false;
    if (s.len > 0 && s.ptr[0] != ',') {
        if (!clock_time(&s, OFFSET_HOUR, &west))
            return false;
        ret->summer_s = -west;
    }
    return skip_char(&s, ',') && one_switch(&s, &ret->begin) && skip_char(&s, ',') &&
           one_switch(&s, &ret->end) && s.len == 0;
}

/* --- asking ---------------------------------------------------------------------------------- */

static int64_t month_switch_day(const struct tz_switch *w, int year)
{
    int64_t first = civil_days(year, w->month, 1);
    unsigned day = 1 + (w->day + 7 - civil_weekday(first)) % 7 + (w->week - 1) * 7;

    if (day > civil_month_days(year, w->month)) /* 5 means the last one */
        day -= 7;
    return first + day - 1;
}

static int64_t switch_day(const struct tz_switch *w, int year)
{
    int64_t first = civil_days(year, 1, 1);
    bool leap = civil_month_days(year, 2) == 29;

    switch (w->kind) {
    case TZ_MONTH:
        return month_switch_day(w, year);
    case TZ_JULIAN:
        return first + w->day - 1 + (leap && w->day >= 60 ? 1 : 0);
    case TZ_DAY:
        break;
    }
    return first + w->day;
}

static int64_t switch_unix(const struct tz_switch *w, int year, int32_t offset_before_s)
{
    return switch_day(w, year) * CIVIL_DAY_S + w->time_s - offset_before_s;
}

/* Takes one switch into account: the last one at or before unix_s, or the next after it. */
static void consider(struct tz_segment *s, int64_t unix_s, int64_t at_s, int32_t offset_s)
{
    if (at_s <= unix_s && at_s >= s->start_s) {
        s->start_s = at_s;
        s->offset_s = offset_s;
    } else if (at_s > unix_s && at_s < s->end_s) {
        s->end_s = at_s;
    }
}

struct tz_segment tz_rule_segment(const struct tz_rule *r, int64_t unix_s)
{
    struct tz_segment s = {INT64_MIN, INT64_MAX, r->standard_s};
    int year;

    if (!r->has_summer || unix_s < YEAR_ZERO + CIVIL_DAY_S || unix_s > CIVIL_MAX_S)
        return s;
    year = civil_of(unix_s).year;
    for (int y = year - 1; y <= year + 1; y++) {
        int64_t begin = switch_unix(&r->begin, y, r->standard_s);
        int64_t end = switch_unix(&r->end, y, r->summer_s);

        /* In the order of time, so that of two at one moment the later one counts. */
        if (begin <= end)
            consider(&s, unix_s, begin, r->summer_s);
        consider(&s, unix_s, end, r->standard_s);
        if (begin > end)
            consider(&s, unix_s, begin, r->summer_s);
    }
    return s;
}
