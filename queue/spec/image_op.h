/* image_op: the operations of one output, in the order in which they are done. */
#ifndef QUEUE_SPEC_IMAGE_OP_H
#define QUEUE_SPEC_IMAGE_OP_H

#include "queue/spec/walk.h"

/* A list of maps with one key each: [{"resize": {…}}, {"sharpen": {}}]. */
MUST_USE enum err image_ops_take(const msgpack_object *v, struct image_output *out,
                                 const struct place *at, struct spec_fault *ret);

#endif
