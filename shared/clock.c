#include "shared/clock.h"

#include <time.h>

/* Set by tests alone. */
static struct {
    bool on;
    uint64_t mono_us, wall_ms;
} fake;

static uint64_t read_us(clockid_t id)
{
    struct timespec ts;

    must(clock_gettime(id, &ts) == 0);
    return (uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000u;
}

uint64_t clock_now_us(void)
{
    return fake.on ? fake.mono_us : read_us(CLOCK_MONOTONIC);
}

uint64_t clock_now_ms(void)
{
    return clock_now_us() / 1000u;
}

uint64_t clock_wall_ms(void)
{
    return fake.on ? fake.wall_ms : read_us(CLOCK_REALTIME) / 1000u;
}

char *clock_rfc3339(uint64_t wall_ms, char dst[CLOCK_RFC3339_SIZE])
{
    time_t s = (time_t)(wall_ms / 1000u);
    struct tm tm;
    size_t n;

    if (gmtime_r(&s, &tm) == NULL || tm.tm_year > 9999 - 1900) {
        (void)snprintf(dst, CLOCK_RFC3339_SIZE, "9999-12-31T23:59:59.999Z");
        return dst;
    }
    n = strftime(dst, CLOCK_RFC3339_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
    (void)snprintf(dst + n, CLOCK_RFC3339_SIZE - n, ".%03uZ", (unsigned)(wall_ms % 1000u));
    return dst;
}

void clock_fake(uint64_t mono_us, uint64_t wall_ms)
{
    fake.on = mono_us != 0 || wall_ms != 0;
    fake.mono_us = mono_us;
    fake.wall_ms = wall_ms;
}
