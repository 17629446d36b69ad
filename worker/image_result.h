/* image_result: the result of an image job that was made before, told once more. */
#ifndef WORKER_IMAGE_RESULT_H
#define WORKER_IMAGE_RESULT_H

#include "queue/ledger.h"
#include "shared/mp.h"

/* stored: the result map as it was told then. Appends to out the same map without what it had cost, with this job's own
 * addresses (srcset.h), and with "cached": true. *ret_rows are its outputs, for slot_set_outputs(): heap, and so are names and files in it. */
MUST_USE enum err image_result_repeat(struct slice stored, const struct uuid *job,
                                      const msgpack_object *args, struct buf *out,
                                      struct ledger_output **ret_rows, size_t *ret_n,
                                      struct fault *reterr);
void image_result_free_rows(struct ledger_output *rows, size_t n);

#endif
