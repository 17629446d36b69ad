#include "shared/backoff.h"

#include "shared/rand.h"

uint64_t backoff_ms(uint64_t base_ms, uint64_t cap_ms, unsigned tries)
{
    uint64_t whole = cap_ms, half;

    if (tries < 64 && base_ms <= cap_ms >> tries)
        whole = base_ms << tries;
    half = whole / 2;
    return whole - (half == 0 ? 0 : rand_below(half + 1));
}
