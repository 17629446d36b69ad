#include "shared/uuid.h"

#include "shared/clock.h"
#include "shared/hash.h"
#include "shared/rand.h"

/* The last id's time and counter: ids of one process never go back, even when the clock does. */
static struct {
    uint64_t ms;
    unsigned count;
} last;

static void put_time(struct uuid *id, uint64_t ms)
{
    for (int i = 0; i < 6; i++)
        id->bytes[i] = (uint8_t)(ms >> (40 - 8 * i));
}

static void put_version(struct uuid *id)
{
    id->bytes[6] = (uint8_t)(0x70 | (id->bytes[6] & 0x0f));
    id->bytes[8] = (uint8_t)(0x80 | (id->bytes[8] & 0x3f));
}

struct uuid uuid_v7(void)
{
    struct uuid id;
    uint64_t now = clock_wall_ms();

    rand_bytes(id.bytes + 6, sizeof id.bytes - 6);
    if (now > last.ms) {
        last.ms = now;
        last.count =
            ((unsigned)(id.bytes[6] & 0x07) << 8) | id.bytes[7]; /* lower half: room to count */
    } else if (++last.count > 0x0fff) {
        last.ms++;
        last.count = 0;
    }
    put_time(&id, last.ms);
    id.bytes[6] = (uint8_t)(last.count >> 8);
    id.bytes[7] = (uint8_t)last.count;
    put_version(&id);
    return id;
}

struct uuid uuid_derive(const struct uuid *parent, uint32_t index)
{
    uint8_t text[UUID_LEN + 4], digest[HASH_LEN];
    struct uuid id;

    memcpy(text, parent->bytes, UUID_LEN);
    for (int i = 0; i < 4; i++)
        text[UUID_LEN + i] = (uint8_t)(index >> (24 - 8 * i));
    hash_sha256(text, sizeof text, digest);
    memcpy(id.bytes, parent->bytes, 6);
    memcpy(id.bytes + 6, digest, sizeof id.bytes - 6);
    put_version(&id);
    return id;
}

uint64_t uuid_time_ms(const struct uuid *id)
{
    uint64_t ms = 0;

    if ((id->bytes[6] & 0xf0) != 0x70)
        return 0;
    for (int i = 0; i < 6; i++)
        ms = ms << 8 | id->bytes[i];
    return ms;
}

char *uuid_text(const struct uuid *id, char dst[UUID_TEXT_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    char *p = dst;

    for (int i = 0; i < UUID_LEN; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *p++ = '-';
        *p++ = digits[id->bytes[i] >> 4];
        *p++ = digits[id->bytes[i] & 15];
    }
    *p = '\0';
    return dst;
}

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool uuid_parse(struct slice text, struct uuid *ret)
{
    struct uuid id;
    size_t at = 0;

    if (text.len != UUID_TEXT_SIZE - 1)
        return false;
    for (int i = 0; i < UUID_LEN; i++) {
        int high, low;

        if ((i == 4 || i == 6 || i == 8 || i == 10) && text.ptr[at++] != '-')
            return false;
        high = digit(text.ptr[at]);
        low = digit(text.ptr[at + 1]);
        if (high < 0 || low < 0)
            return false;
        id.bytes[i] = (uint8_t)(high << 4 | low);
        at += 2;
    }
    *ret = id;
    return true;
}

bool uuid_eq(const struct uuid *a, const struct uuid *b)
{
    return memcmp(a->bytes, b->bytes, UUID_LEN) == 0;
}

bool uuid_is_nil(const struct uuid *id)
{
    static const struct uuid nil;

    return uuid_eq(id, &nil);
}
