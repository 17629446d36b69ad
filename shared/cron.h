/* cron: when an expression of cron fires next, in a time zone.
 *
 *     [second] minute hour day-of-month month day-of-week      five fields, or six with seconds first
 *     @hourly @daily @midnight @weekly @monthly @yearly @annually
 *
 * A field is a list, joined by commas, of *, n and a-b, with a step /n behind * or a-b or a (from a to the
 * field's end). Months and weekdays may be names (JAN, MON; any case); Sunday is 0, 7 or SUN.
 * "?" stands for * in either day field. Beside that
 *     day of month  L  the last day    L-3  three days before it    15W  the weekday nearest to
 *                   the 15th, in the same month    LW  the last weekday
 *     day of week   5L  the last Friday of the month    MON#2  its second Monday
 *
 * Days, as Vixie cron has it: when neither day field begins with * (or is ?), a day is taken if
 * either fits; otherwise both must.
 *
 * Clock changes, as Vixie cron and cronie have it, by whether minute or hour begins with *:
 *   neither (fixed times)   in a gap: once, at the moment after the gap; in a repeated hour: once, the
 *                           first time round.
 *   one of them (wildcard)  as the clock shows it: what falls into a gap is left out, and a repeated hour
 *                           counts twice, so that a step goes on at its pace.
 * Unlike cron, several fixed times in one gap are one tick, since they have one moment.
 *
 * An expression that never fits (30 February) is malformed. Plain values, no allocation. */
#ifndef SHARED_CRON_H
#define SHARED_CRON_H

#include "shared/tz.h"

#define CRON_TEXT_MAX 256

struct cron {
    uint64_t seconds, minutes; /* bit n: n */
    uint32_t hours;
    uint16_t months;                /* bits 1..12 */
    uint32_t days, nearest_weekday; /* bits 1..31 */
    uint32_t before_last;           /* bit n: n days before the last one */
    bool last_weekday;              /* LW */
    uint8_t weekdays;               /* bits 0..6, Sunday first */
    uint8_t last_of;                /* bits 0..6: the last such day of the month */
    uint8_t nth[7];                 /* by weekday, bits 1..5 */
    bool any_day, any_weekday;      /* the field begins with * or is ? */
    bool wildcard;                  /* minute or hour begins with * */
};

/* ERR_MALFORMED; the fault names the field and its rule. */
MUST_USE enum err cron_parse(struct slice text, struct cron *ret, struct fault *reterr);
/* The first tick after unix_s (0 or later). ERR_NOT_FOUND: none before the year 10000. */
MUST_USE enum err cron_next(const struct cron *c, const struct tz *tz, int64_t unix_s,
                            int64_t *ret_unix_s);

#endif
