#include "shared/rand.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/random.h>

#define POOL_SIZE 4096

/* Each thread has its own stream, so nothing here locks. A forked child has a copy of its parent's
 * memory: it must not hand out the same bytes, so every fork makes what is in stock void. */
static _Atomic unsigned forks;
static pthread_once_t watch_once = PTHREAD_ONCE_INIT;

static _Thread_local struct {
    uint8_t bytes[POOL_SIZE];
    size_t left; /* at the end of bytes */
    unsigned forks;
} pool;

static _Thread_local struct {
    uint64_t state;
    bool ready, seeded;
    unsigned forks;
} jitter;

static void on_fork(void)
{
    atomic_fetch_add(&forks, 1);
}

static void watch_forks(void)
{
    must(pthread_atfork(NULL, NULL, on_fork) == 0);
}

static void from_kernel(uint8_t *dst, size_t len)
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
    must(pthread_once(&watch_once, watch_forks) == 0);
    pool.forks = atomic_load(&forks);
    from_kernel(pool.bytes, sizeof pool.bytes);
    pool.left = sizeof pool.bytes;
}

void rand_bytes(void *dst, size_t len)
{
    uint8_t *from;

    if (len > sizeof pool.bytes) {
        from_kernel(dst, len);
        return;
    }
    if (len > pool.left || pool.forks != atomic_load(&forks))
        refill();
    from = pool.bytes + sizeof pool.bytes - pool.left;
    memcpy(dst, from, len);
    memset(from, 0, len); /* what was given out cannot be read here later */
    pool.left -= len;
}

/* splitmix64 */
static uint64_t next_jitter(void)
{
    uint64_t z = jitter.state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

uint64_t rand_below(uint64_t bound)
{
    uint64_t unfair, x; /* the lowest values that would come once more often than the others */

    must(bound > 0);
    if (!jitter.ready || (!jitter.seeded && jitter.forks != atomic_load(&forks))) {
        rand_bytes(&jitter.state, sizeof jitter.state);
        jitter.forks = pool.forks;
        jitter.ready = true;
    }
    unfair = -bound % bound;
    do
        x = next_jitter();
    while (x < unfair);
    return x % bound;
}

void rand_seed(uint64_t seed)
{
    jitter.state = seed;
    jitter.seeded = seed != 0;
    jitter.ready = jitter.seeded;
}
