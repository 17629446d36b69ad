/* uuid: UUIDv7 (RFC 9562 section 5.7): 48 bits of Unix milliseconds, version, 74 random bits.
 * Ids made by one process in one millisecond keep their order (a 12-bit counter in rand_a). */
#ifndef SHARED_UUID_H
#define SHARED_UUID_H

#include "shared/err.h"
#include "shared/slice.h"

#define UUID_LEN       16
#define UUID_TEXT_SIZE 37 /* with the NUL */

struct uuid {
    uint8_t bytes[UUID_LEN];
};

struct uuid uuid_v7(void);
/* The same parent and index always give the same id; its time is the parent's. SHA-256 of
 * parent || index (be32) fills the random bits. */
struct uuid uuid_derive(const struct uuid *parent, uint32_t index);
/* The Unix ms inside a version-7 id; 0 for any other version. */
uint64_t uuid_time_ms(const struct uuid *id);
/* Lower-case text with dashes. Gives dst. */
char *uuid_text(const struct uuid *id, char dst[UUID_TEXT_SIZE]);
/* Takes 36 characters, either case. */
MUST_USE bool uuid_parse(struct slice text, struct uuid *ret);
bool uuid_eq(const struct uuid *a, const struct uuid *b);
bool uuid_is_nil(const struct uuid *id);

#endif
