/* image_inputs: the files that an image job reads: its source, and the pictures of its watermarks.
 *
 * Uploads and paths are looked up; what is named by a URL is fetched (source_fetch.h), all at the same time
 * and each URL once, into <spool>/out, where the pool clears away what a worker that died has left. The first
 * that fails stops the others. Faults begin with the JSON pointer of what they are about. Loop thread only.
 *
 *     find --> (fetch --> its callback) --> free */
#ifndef WORKER_IMAGE_INPUTS_H
#define WORKER_IMAGE_INPUTS_H

#include "queue/consumer.h"
#include "worker/image_file.h"
#include "worker/services.h"

struct image_inputs;

struct image_inputs_order { /* what it points to must outlive the inputs */
    const struct services *sv;
    const struct claim *claim; /* names the files that are fetched */
    const struct spec_image *spec;
    uint32_t timeout_ms; /* of the job: no fetch takes longer, nor than SOURCE_TIMEOUT */
};
MUST_USE enum err image_inputs_find(const struct image_inputs_order *order,
                                    struct image_inputs **ret, struct fault *reterr);

bool image_inputs_must_fetch(const struct image_inputs *in);
/* retry_after_ms: what the server that failed asks for; -1: nothing. */
typedef void image_inputs_got_fn(void *arg, enum err e, int64_t retry_after_ms,
                                 const struct fault *why);
/* The callback comes once, never from in here. */
MUST_USE enum err image_inputs_fetch(struct image_inputs *in, image_inputs_got_fn *cb,
                                     void *arg, struct fault *reterr);
/* The callback, if it is to come, comes soon, with ERR_CANCELED or what was there before. */
void image_inputs_cancel(struct image_inputs *in);

/* The source, then the marks as in spec_image.marks; whole once all is fetched. */
const struct image_file *image_inputs_files(const struct image_inputs *in, size_t *ret_n);
/* Removes what was fetched. No fetch may be under way. Copes with NULL inside. */
void image_inputs_free(struct image_inputs **in);

#endif
