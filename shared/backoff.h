/* backoff: how long to wait before the next try.
 *
 * Full jitter between half and the whole of min(cap, base * 2^n): never at once, never in step. */
#ifndef SHARED_BACKOFF_H
#define SHARED_BACKOFF_H

#include "shared/base.h"

/* tries: failures so far, 0 for the first wait. Gives ms in [d/2, d], d = min(cap_ms, base_ms << tries). */
uint64_t backoff_ms(uint64_t base_ms, uint64_t cap_ms, unsigned tries);

/* The two halves of it: min(cap, base * 2^tries), and pct (0..100) of a delay left to chance, downwards. */
uint64_t backoff_whole(uint64_t base_ms, uint64_t cap_ms, unsigned tries);
uint64_t backoff_jitter(uint64_t whole_ms, unsigned pct);

#endif
