/* A Retry-After value from a stranger: the answer is none, or a wait within a day. */
#include <stdlib.h>
#include <string.h>

#include "shared/retry_after.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int64_t now_ms = INT64_C(1762300800123);
    char *padded = malloc(size + 2);
    int64_t ms = retry_after_parse(slice_of(data, size), now_ms);

    must(ms >= -1 && ms <= RETRY_AFTER_MAX_MS);
    must(padded != NULL);
    padded[0] = ' ';
    if (size > 0)
        memcpy(padded + 1, data, size);
    padded[size + 1] = '\t';
    must(retry_after_parse(slice_of(padded, size + 2), now_ms) ==
         ms); /* space around it does not count */
    free(padded);
    return 0;
}
