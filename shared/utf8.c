#include "shared/utf8.h"

/* The second byte decides what the first leaves open. */
static bool second_fits(uint8_t first, uint8_t second)
{
    uint8_t low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    uint8_t high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;

    return second >= low && second <= high;
}

size_t utf8_step(const char *p, size_t left)
{
    const uint8_t *b = (const uint8_t *)p;
    size_t n;

    if (b[0] < 0x80)
        return 1;
    if (b[0] < 0xc2 || b[0] > 0xf4)
        return 0;
    n = b[0] < 0xe0 ? 2 : b[0] < 0xf0 ? 3 : 4;
    if (left < n || !second_fits(b[0], b[1]))
        return 0;
    for (size_t i = 2; i < n; i++) {
        if ((b[i] & 0xc0) != 0x80)
            return 0;
    }
    return n;
}

/* How many of the bytes at p are ASCII without NUL, counted in eights: a byte's top bit in `stop` is set if it
 * is neither. A borrow may set one too many, never one too few. */
static size_t ascii_run(const char *p, size_t left)
{
    const uint64_t ones = ~(uint64_t)0 / 255;
    size_t n = 0;

    for (uint64_t x; left - n >= sizeof x; n += sizeof x) {
        memcpy(&x, p + n, sizeof x);
        if (((x | (x - ones)) & ones * 0x80) != 0)
            break;
    }
    return n;
}

bool utf8_is_text(struct slice s)
{
    size_t i = 0;

    while (i < s.len) {
        size_t n = ascii_run(s.ptr + i, s.len - i);

        if (n == 0)
            n = s.ptr[i] == '\0' ? 0 : utf8_step(s.ptr + i, s.len - i);
        if (n == 0)
            return false;
        i += n;
    }
    return true;
}
