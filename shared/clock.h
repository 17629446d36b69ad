/* clock: the one place that reads time, so that tests can set it. */
#ifndef SHARED_CLOCK_H
#define SHARED_CLOCK_H

#include "shared/base.h"
#include "shared/slice.h"

uint64_t clock_now_ms(void);  /* monotonic: for deadlines and durations */
uint64_t clock_now_us(void);  /* monotonic */
uint64_t clock_wall_ms(void); /* Unix time in ms: for people, rows and ids; may jump */

#define CLOCK_RFC3339_SIZE 32
/* "2026-11-23T22:43:01.123Z". Gives dst. */
char *clock_rfc3339(uint64_t wall_ms, char dst[CLOCK_RFC3339_SIZE]);
/* Takes RFC 3339 times from 1970 to 9999 with seconds, an optional fraction (cut at ms) and Z or an
 * offset. A leap second (:60) is taken as the second after. */
MUST_USE bool clock_parse_rfc3339(struct slice text, uint64_t *ret_ms);

/* Tests only: both clocks stand still at these values; 0, 0 goes back to the real ones. */
void clock_fake(uint64_t mono_us, uint64_t wall_ms);

#endif
