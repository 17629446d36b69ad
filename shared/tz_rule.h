/* tz_rule: the POSIX form of a time zone, "CET-1CEST,M3.5.0,M10.5.0/3", as the footer of a TZif file holds it
 * (RFC 8536: hours of a switch from -167 to 167). Nobody but tz includes this. */
#ifndef SHARED_TZ_RULE_H
#define SHARED_TZ_RULE_H

#include "shared/tz.h"

struct tz_switch {
    enum { TZ_JULIAN, TZ_DAY, TZ_MONTH } kind; /* J1..365 without 29 February; 0..365; Mm.w.d */
    unsigned day, month, week;
    int32_t time_s; /* after midnight, local time before the switch */
};

struct tz_rule {
    int32_t standard_s, summer_s; /* local time less UTC */
    bool has_summer;
    struct tz_switch begin, end; /* of summer time */
};

MUST_USE bool tz_rule_parse(struct slice text, struct tz_rule *ret);
struct tz_segment tz_rule_segment(const struct tz_rule *rule, int64_t unix_s);

#endif
