#include "shared/backoff.h"

#include "shared/rand.h"

uint64_t backoff_whole(uint64_t base_ms, uint64_t cap_ms, unsigned tries)
{
    return tries < 64 && base_ms <= cap_ms >> tries ? base_ms << tries : cap_ms;
}

uint64_t backoff_jitter(uint64_t whole_ms, unsigned pct)
{
    uint64_t chance = whole_ms / 100 * pct + whole_ms % 100 * pct / 100;

    return whole_ms - (chance == 0 ? 0 : rand_below(chance + 1));
}

uint64_t backoff_ms(uint64_t base_ms, uint64_t cap_ms, unsigned tries)
{
    return backoff_jitter(backoff_whole(base_ms, cap_ms, tries), 50);
}
