#include "shared/clock.h"

#include <stdatomic.h>
#include <string.h>
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

/* n digits at *at, which moves on; more than max or no digits: false. */
static bool take_digits(const char **at, unsigned n, unsigned min, unsigned max, unsigned *ret)
{
    unsigned value = 0;

    for (; n > 0; n--, (*at)++) {
        if (**at < '0' || **at > '9')
            return false;
        value = value * 10 + (unsigned)(**at - '0');
    }
    *ret = value;
    return value >= min && value <= max;
}

static bool take_char(const char **at, const char *one_of)
{
    if (**at == '\0' || strchr(one_of, **at) == NULL)
        return false;
    (*at)++;
    return true;
}

/* The fraction, cut at ms. */
static bool take_fraction(const char **at, unsigned *ret_ms)
{
    unsigned ms = 0, digits = 0;

    if (**at != '.')
        return true;
    for ((*at)++; **at >= '0' && **at <= '9'; (*at)++, digits++) {
        if (digits < 3)
            ms = ms * 10 + (unsigned)(**at - '0');
    }
    for (unsigned n = digits; n < 3; n++)
        ms *= 10;
    *ret_ms = ms;
    return digits > 0;
}

static bool take_offset(const char **at, int64_t *ret_minutes)
{
    bool west = **at == '-';
    unsigned hours, minutes;

    if (take_char(at, "Zz"))
        return true;
    if (!take_char(at, "+-") || !take_digits(at, 2, 0, 23, &hours) || !take_char(at, ":") ||
        !take_digits(at, 2, 0, 59, &minutes))
        return false;
    *ret_minutes = (int64_t)(hours * 60 + minutes) * (west ? -1 : 1);
    return true;
}

static bool is_leap(unsigned year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static bool day_exists(unsigned year, unsigned month, unsigned day)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    return day <= days[month - 1] + (month == 2 && is_leap(year) ? 1u : 0u);
}

/* Days since 1970-01-01. Counted in years that begin in March, so that the leap day comes last. */
static int64_t days_since_epoch(unsigned year, unsigned month, unsigned day)
{
    int64_t y = (int64_t)year - (month <= 2 ? 1 : 0);
    int64_t m = ((int64_t)month + 9) % 12;

    return 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + (int64_t)day - 1 - 719468;
}

bool clock_parse_rfc3339(struct slice text, uint64_t *ret_ms)
{
    unsigned year, month, day, hour, minute, second, ms = 0;
    char copy[64];
    const char *at = copy;
    int64_t offset = 0, seconds, total;

    if (!slice_to_cstr(text, copy, sizeof copy))
        return false;
    if (!take_digits(&at, 4, 1970, 9999, &year) || !take_char(&at, "-") ||
        !take_digits(&at, 2, 1, 12, &month) || !take_char(&at, "-") ||
        !take_digits(&at, 2, 1, 31, &day) || !take_char(&at, "Tt ") ||
        !take_digits(&at, 2, 0, 23, &hour) || !take_char(&at, ":") ||
        !take_digits(&at, 2, 0, 59, &minute) || !take_char(&at, ":") ||
        !take_digits(&at, 2, 0, 60, &second))
        return false;
    if (!take_fraction(&at, &ms) || !take_offset(&at, &offset) || *at != '\0' ||
        !day_exists(year, month, day))
        return false;
    seconds = days_since_epoch(year, month, day) * 86400 + ((int64_t)hour * 60 + minute) * 60 +
              second;
    total = (seconds - offset * 60) * 1000 + ms;
    if (total < 0 || (uint64_t)total > LAST_WALL_MS)
        return false;
    *ret_ms = (uint64_t)total;
    return true;
}

void clock_fake(uint64_t mono_us, uint64_t wall_ms)
{
    atomic_store(&fake_mono_us, mono_us);
    atomic_store(&fake_wall_ms, wall_ms);
    atomic_store(&faked, mono_us != 0 || wall_ms != 0);
}
