#include "shared/uuid.h"

#include <stdatomic.h>
#include <string.h>

#include "shared/clock.h"
#include "shared/hash.h"
#include "shared/rand.h"

#define COUNTER_BITS 12

/* Milliseconds and counter of the newest id as one number, so that the next one is simply greater:
 * the counter runs over into the time, and a wall clock that went back is not followed. */
static _Atomic uint64_t newest;

static void put_version(struct uuid *id)
{
    id->bytes[6] = (uint8_t)(0x70 | (id->bytes[6] & 0x0f));
    id->bytes[8] = (uint8_t)(0x80 | (id->bytes[8] & 0x3f));
}

/* A fresh millisecond starts at a random count, in the lower half so that 2048 more have room. */
static uint64_t next_tick(uint16_t random)
{
    uint64_t now = clock_wall_ms() << COUNTER_BITS;
    uint64_t last = atomic_load(&newest), next;

    do
        next = now > last ? now | (random & 0x7ff) : last + 1;
    while (!atomic_compare_exchange_weak(&newest, &last, next));
    return next;
}

struct uuid uuid_v7(void)
{
    struct uuid id;
    uint16_t random;
    uint64_t tick, ms;

    rand_bytes(&random, sizeof random);
    rand_bytes(id.bytes + 8, 8);
    tick = next_tick(random);
    ms = tick >> COUNTER_BITS;
    for (int i = 0; i < 6; i++)
        id.bytes[i] = (uint8_t)(ms >> (40 - 8 * i));
    id.bytes[6] = (uint8_t)((tick >> 8) & 0x0f);
    id.bytes[7] = (uint8_t)tick;
    put_version(&id);
    return id;
}

struct uuid uuid_derive(const struct uuid *parent, uint32_t index)
{
    uint8_t text[UUID_LEN + 4], digest[HASH_LEN];
    struct uuid id = *parent;

    memcpy(text, parent->bytes, UUID_LEN);
    for (int i = 0; i < 4; i++)
        text[UUID_LEN + i] = (uint8_t)(index >> (24 - 8 * i));
    hash_sha256(text, sizeof text, digest);
    memcpy(id.bytes + 6, digest, UUID_LEN - 6);
    put_version(&id);
    return id;
}

uint64_t uuid_time_ms(const struct uuid *id)
{
    uint64_t ms = 0;

    if (id->bytes[6] >> 4 != 7)
        return 0;
    for (int i = 0; i < 6; i++)
        ms = ms << 8 | id->bytes[i];
    return ms;
}

static bool dash_before(size_t byte)
{
    return byte == 4 || byte == 6 || byte == 8 || byte == 10;
}

char *uuid_text(const struct uuid *id, char dst[UUID_TEXT_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    char *to = dst;

    for (size_t i = 0; i < UUID_LEN; i++) {
        if (dash_before(i))
            *to++ = '-';
        *to++ = digits[id->bytes[i] >> 4];
        *to++ = digits[id->bytes[i] & 0x0f];
    }
    *to = '\0';
    return dst;
}

static int digit_of(char c)
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
    const char *from = text.ptr;
    struct uuid id;

    if (text.len != UUID_TEXT_SIZE - 1)
        return false;
    for (size_t i = 0; i < UUID_LEN; i++) {
        int high, low;

        if (dash_before(i) && *from++ != '-')
            return false;
        high = digit_of(*from++);
        low = digit_of(*from++);
        if (high < 0 || low < 0)
            return false;
        id.bytes[i] = (uint8_t)(high << 4 | low);
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
