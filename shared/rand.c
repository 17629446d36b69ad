#include "shared/rand.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/random.h>

/* Bytes fetched ahead: a getrandom() for each id would cost half a microsecond. Emptied in a child after
 * fork, so that two processes never hand out the same bytes. */
static struct {
    uint8_t bytes[4096];
    size_t left;
    bool watched;
} pool;

static struct {
    bool seeded;
    uint64_t state;
} jitter;

static void forget(void)
{
    memset(&pool.bytes, 0, sizeof pool.bytes);
    pool.left = 0;
    jitter.seeded = false;
}

static void fetch(uint8_t *dst, size_t len)
{
    while (len > 0) {
        ssize_t n = getrandom(dst, len, 0);

        must(n > 0 || errno == EINTR);
        if (n > 0) {
            dst += n;
            len -= (size_t)n;
        }
    }
}

static void refill(void)
{
    if (!pool.watched)
        must(pthread_atfork(NULL, NULL, forget) == 0);
    pool.watched = true;
    fetch(pool.bytes, sizeof pool.bytes);
    pool.left = sizeof pool.bytes;
}

void rand_bytes(void *dst, size_t len)
{
    if (len > sizeof pool.bytes / 4) {
        fetch(dst, len);
        return;
    }
    if (pool.left < len)
        refill();
    pool.left -= len;
    memcpy(dst, pool.bytes + pool.left, len);
    memset(pool.bytes + pool.left, 0, len);
}

/* splitmix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014. */
static uint64_t next(void)
{
    uint64_t z = jitter.state += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint64_t rand_below(uint64_t bound)
{
    must(bound > 0);
    if (!jitter.seeded) {
        rand_bytes(&jitter.state, sizeof jitter.state);
        jitter.seeded = true;
    }
    return next() % bound; /* the bias is below 2^-40 for the bounds that jitter uses */
}

void rand_seed(uint64_t seed)
{
    jitter.seeded = seed != 0;
    jitter.state = seed;
}
