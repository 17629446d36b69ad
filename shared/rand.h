/* rand: random bytes from the kernel (buffered), and a seedable generator for jitter. */
#ifndef SHARED_RAND_H
#define SHARED_RAND_H

#include "shared/base.h"

/* Unpredictable bytes (getrandom); aborts if the kernel cannot give any. */
void rand_bytes(void *dst, size_t len);
/* Uniform in [0, bound) for jitter; bound > 0. Not for secrets. */
uint64_t rand_below(uint64_t bound);
/* Tests only: makes rand_below() repeatable; 0 goes back to a random seed. */
void rand_seed(uint64_t seed);

#endif
