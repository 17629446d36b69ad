/* image_result: the result of an image job that was made before, told once more. */
#ifndef WORKER_IMAGE_RESULT_H
#define WORKER_IMAGE_RESULT_H

#include "queue/ledger.h"
#include "shared/mp.h"

/* Outputs for slot_set_outputs(): heap, and so are names and files in it. */
struct image_rows {
    struct ledger_output *rows;
    size_t n;
};

/* stored: the result map as it was told then. Appends to out the same map without what it had cost, with this
 * job's own addresses (srcset.h), and with "cached": true. */
MUST_USE enum err image_result_repeat(struct slice stored, const struct uuid *job,
                                      const msgpack_object *args, struct buf *out,
                                      struct image_rows *ret, struct fault *reterr);
void image_rows_free(struct image_rows *r);

#endif
