#include "shared/backoff.h"

#include "shared/rand.h"

uint64_t backoff_ms(uint64_t base_ms, uint64_t cap_ms, unsigned tries)
{
    uint64_t d = base_ms;

    for (unsigned i = 0; i < tries && d < cap_ms; i++)
        d = d > cap_ms / 2 ? cap_ms : d * 2;
    if (d > cap_ms)
        d = cap_ms;
    return d - rand_below(d / 2 + 1);
}
