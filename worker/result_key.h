/* result_key: what an image job would make, as a hash: its type, its args, and who makes it.
 *
 * Args are hashed in one form whatever order their keys came in, so that whatever option there is, or
 * will be, counts. The source is left out, and a watermark's is its number: their bytes are hashed apart. */
#ifndef WORKER_RESULT_KEY_H
#define WORKER_RESULT_KEY_H

#include "queue/spec_image.h"
#include "shared/hash.h"
#include "shared/mp.h"

/* spec: of the same args. False: the result hangs on more than its files and its options (an option that
 * spec does not know as a file names a path or a URL, whose content may change), or memory is short. */
MUST_USE bool result_key_recipe(const char *type, const msgpack_object *args,
                                const struct spec_image *spec, const uint8_t engine[HASH_LEN],
                                uint8_t ret[HASH_LEN]);
/* files: the source's hash, then those of spec's marks, n in all. */
void result_key_files(const uint8_t recipe[HASH_LEN], const uint8_t files[][HASH_LEN], size_t n,
                      uint8_t ret[HASH_LEN]);

#endif
