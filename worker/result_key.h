/* result_key: what an image job would make, as a hash: its type, its args, and who makes it.
 *
 * Args are hashed in one form whatever order their keys came in, so that whatever option there is, or
 * will be, counts. The source is left out: its bytes are hashed apart. */
#ifndef WORKER_RESULT_KEY_H
#define WORKER_RESULT_KEY_H

#include "shared/hash.h"
#include "shared/mp.h"

/* False: the result hangs on more than its source and its options (an option names a path or a URL,
 * whose content may change), or memory is short. */
MUST_USE bool result_key_recipe(const char *type, const msgpack_object *args,
                                const uint8_t engine[HASH_LEN], uint8_t ret[HASH_LEN]);
void result_key_source(const uint8_t recipe[HASH_LEN], const uint8_t source[HASH_LEN],
                       uint8_t ret[HASH_LEN]);

#endif
