#include "cli/text.h"

#include <inttypes.h>

#include "shared/utf8.h"

/* --- safe text ------------------------------------------------------------------------------- */

/* The bytes at p are one whole character, as utf8_step() found. */
static uint32_t code_point(const char *p, size_t len)
{
    uint32_t c = (unsigned char)p[0];

    if (len > 1)
        c &= 0x7fU >> len;
    for (size_t i = 1; i < len; i++)
        c = c << 6 | ((unsigned char)p[i] & 0x3fU);
    return c;
}

static bool is_unsafe(uint32_t c)
{
    if (c < 0x20 || (c >= 0x7f && c <= 0x9f))
        return true;
    return c == 0x061c || c == 0x200e || c == 0x200f || (c >= 0x2028 && c <= 0x202e) ||
           (c >= 0x2066 && c <= 0x2069);
}

static void add_escaped(uint32_t c, struct buf *out)
{
    static const char letters[] = "\nn\rr\tt"; /* the character, then its letter */

    for (size_t i = 0; i + 1 < sizeof letters; i += 2) {
        if (c == (unsigned char)letters[i]) {
            buf_addf(out, "\\%c", letters[i + 1]);
            return;
        }
    }
    buf_addf(out, c < 0x80 ? "\\x%02x" : "\\u%04x", (unsigned)c);
}

static void add_safe(struct slice s, bool keep_lines, struct buf *out)
{
    for (size_t i = 0; i < s.len;) {
        const char *p = s.ptr + i;
        size_t len = utf8_step(p, s.len - i);
        uint32_t c = len == 0 ? 0 : code_point(p, len);

        if (len == 0)
            buf_addf(out, "\\x%02x", (unsigned char)*p);
        else if (is_unsafe(c) && !(keep_lines && c == '\n'))
            add_escaped(c, out);
        else
            buf_add(out, p, len);
        i += len == 0 ? 1 : len;
    }
}

void text_safe(struct slice s, struct buf *out)
{
    add_safe(s, false, out);
}

void text_safe_lines(struct slice s, struct buf *out)
{
    add_safe(s, true, out);
}

size_t text_width(struct slice s)
{
    size_t n = 0;

    for (size_t i = 0; i < s.len; i++)
        n += ((unsigned char)s.ptr[i] & 0xc0) != 0x80;
    return n;
}

/* --- numbers --------------------------------------------------------------------------------- */

struct unit {
    uint64_t size;
    const char *name;
};

static const struct unit times[] = {
    {86400000, "d"}, {3600000, "h"}, {60000, "min"}, {1000, "s"}, {1, "ms"}};

/* The largest unit of which there is one at least; the last one if there is none. */
static size_t unit_for(const struct unit *units, size_t n, uint64_t value)
{
    size_t i = 0;

    while (i + 1 < n && value < units[i].size)
        i++;
    return i;
}

void text_age(uint64_t then_ms, uint64_t now_ms, struct buf *out)
{
    bool past = then_ms <= now_ms;
    uint64_t ms = past ? now_ms - then_ms : then_ms - now_ms;
    const struct unit *u = &times[unit_for(times, COUNT_OF(times) - 1, ms)];

    if (ms < 1000)
        buf_add_str(out, "now");
    else
        buf_addf(out, past ? "%" PRIu64 " %s ago" : "in %" PRIu64 " %s", ms / u->size, u->name);
}

void text_duration(uint64_t ms, struct buf *out)
{
    size_t i = unit_for(times, COUNT_OF(times), ms);
    const struct unit *u = &times[i];

    if (u->size == 1)
        buf_addf(out, "%" PRIu64 " ms", ms);
    else if (u->size == 1000)
        buf_addf(out, "%" PRIu64 ".%02" PRIu64 " s", ms / 1000, ms % 1000 / 10);
    else
        buf_addf(out, "%" PRIu64 " %s %" PRIu64 " %s", ms / u->size, u->name,
                 ms % u->size / u[1].size, u[1].name);
}

void text_bytes(uint64_t bytes, struct buf *out)
{
    static const struct unit sizes[] = {
        {1000000000, "GB"}, {1000000, "MB"}, {1000, "kB"}, {1, "B"}};
    const struct unit *u = &sizes[unit_for(sizes, COUNT_OF(sizes), bytes)];

    if (u->size == 1)
        buf_addf(out, "%" PRIu64 " B", bytes);
    else
        buf_addf(out, "%" PRIu64 ".%" PRIu64 " %s", bytes / u->size,
                 bytes % u->size / (u->size / 10), u->name);
}
