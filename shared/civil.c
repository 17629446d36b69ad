#include "shared/civil.h"

/* Counted in years that begin in March, so that the leap day is the last one; 400 of them, an era,
 * are 146097 days. 1970-01-01 is day 719468 of such a calendar that begins with the year 0. */
#define ERA_YEARS  400
#define ERA_DAYS   146097
#define UNIX_START 719468

static unsigned day_of_year(unsigned month)
{
    unsigned from_march = month > 2 ? month - 3 : month + 9;

    return (153 * from_march + 2) / 5;
}

int64_t civil_days(int year, unsigned month, unsigned day)
{
    int64_t y = month <= 2 ? (int64_t)year - 1 : year;
    int64_t era = (y >= 0 ? y : y - (ERA_YEARS - 1)) / ERA_YEARS;
    int64_t of_era = y - era * ERA_YEARS;

    return era * ERA_DAYS + of_era * 365 + of_era / 4 - of_era / 100 + day_of_year(month) +
           (int64_t)day - 1 - UNIX_START;
}

unsigned civil_weekday(int64_t days)
{
    int64_t w = (days + 4) % 7; /* 1970-01-01 was a Thursday */

    return (unsigned)(w < 0 ? w + 7 : w);
}

unsigned civil_month_days(int year, unsigned month)
{
    static const unsigned char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return month == 2 && leap ? 29 : days[month - 1];
}

static void put_date(int64_t days, struct civil *c)
{
    int64_t d = days + UNIX_START;
    int64_t era = (d >= 0 ? d : d - (ERA_DAYS - 1)) / ERA_DAYS;
    unsigned of_era = (unsigned)(d - era * ERA_DAYS);
    unsigned year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    unsigned of_year = of_era - (365 * year + year / 4 - year / 100);
    unsigned from_march = (5 * of_year + 2) / 153;

    c->day = of_year - (153 * from_march + 2) / 5 + 1;
    c->month = from_march < 10 ? from_march + 3 : from_march - 9;
    c->year = (int)(era * ERA_YEARS) + (int)year + (c->month <= 2 ? 1 : 0);
}

struct civil civil_of(int64_t civil_s)
{
    struct civil c;
    int64_t days = civil_s / CIVIL_DAY_S;
    int64_t rest = civil_s % CIVIL_DAY_S;

    if (rest < 0) {
        rest += CIVIL_DAY_S;
        days--;
    }
    put_date(days, &c);
    c.hour = (unsigned)(rest / 3600);
    c.minute = (unsigned)(rest / 60 % 60);
    c.second = (unsigned)(rest % 60);
    return c;
}

int64_t civil_seconds(const struct civil *c)
{
    return civil_days(c->year, c->month, c->day) * CIVIL_DAY_S + (int64_t)c->hour * 3600 +
           (int64_t)c->minute * 60 + (int64_t)c->second;
}
