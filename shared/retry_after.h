/* retry_after: the value of a Retry-After header. */
#ifndef SHARED_RETRY_AFTER_H
#define SHARED_RETRY_AFTER_H

#include "shared/slice.h"

#define RETRY_AFTER_MAX_MS INT64_C(86400000) /* a day */

/* Seconds ("120", "1.5") or an HTTP date ("Fri, 31 Dec 2027 23:59:59 GMT"), as milliseconds from
 * now_ms (Unix time), within 0 and RETRY_AFTER_MAX_MS. -1: neither. */
int64_t retry_after_parse(struct slice value, int64_t now_ms);

#endif
