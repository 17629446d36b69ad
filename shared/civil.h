/* civil: dates of the proleptic Gregorian calendar as numbers, without libc's time zones.
 *
 * A civil second counts the seconds since 1970-01-01T00:00:00 as a clock on the wall shows them;
 * it is a Unix time only where that clock shows UTC. Pure functions. */
#ifndef SHARED_CIVIL_H
#define SHARED_CIVIL_H

#include "shared/base.h"

#define CIVIL_DAY_S 86400
#define CIVIL_MAX_S INT64_C(253402300799) /* 9999-12-31T23:59:59 */

struct civil {
    int year;
    unsigned month, day; /* from 1 */
    unsigned hour, minute, second;
};

/* Days since 1970-01-01. month 1..12; day may lie outside of the month. */
int64_t civil_days(int year, unsigned month, unsigned day);
/* 0 is Sunday. */
unsigned civil_weekday(int64_t days);
unsigned civil_month_days(int year, unsigned month);
/* Of any civil second whose year is 0..9999. */
struct civil civil_of(int64_t civil_s);
int64_t civil_seconds(const struct civil *c);

#endif
