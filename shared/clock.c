#include "shared/clock.h"

#include <stdatomic.h>
#include <time.h>

/* The last moment that four digits of a year can say. */
#define LAST_WALL_MS UINT64_C(253402300799999)

static _Atomic bool faked;
static _Atomic uint64_t fake_mono_us, fake_wall_ms;

static uint64_t read_us(clockid_t id)
{
    struct timespec ts;

    must(clock_gettime(id, &ts) == 0);
    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

uint64_t clock_now_us(void)
{
    return atomic_load(&faked) ? atomic_load(&fake_mono_us) : read_us(CLOCK_MONOTONIC);
}

uint64_t clock_now_ms(void)
{
    return clock_now_us() / 1000;
}

uint64_t clock_wall_ms(void)
{
    return atomic_load(&faked) ? atomic_load(&fake_wall_ms) : read_us(CLOCK_REALTIME) / 1000;
}

char *clock_rfc3339(uint64_t wall_ms, char dst[CLOCK_RFC3339_SIZE])
{
    uint64_t ms = wall_ms < LAST_WALL_MS ? wall_ms : LAST_WALL_MS;
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm;
    size_t n;

    must(gmtime_r(&seconds, &tm) != NULL);
    n = strftime(dst, CLOCK_RFC3339_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
    (void)snprintf(dst + n, CLOCK_RFC3339_SIZE - n, ".%03uZ", (unsigned)(ms % 1000));
    return dst;
}

void clock_fake(uint64_t mono_us, uint64_t wall_ms)
{
    atomic_store(&fake_mono_us, mono_us);
    atomic_store(&fake_wall_ms, wall_ms);
    atomic_store(&faked, mono_us != 0 || wall_ms != 0);
}
