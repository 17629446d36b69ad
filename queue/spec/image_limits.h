/* image_limits: how much an image job may hold, as the operator says (spec_image_set_limits). */
#ifndef QUEUE_SPEC_IMAGE_LIMITS_H
#define QUEUE_SPEC_IMAGE_LIMITS_H

#include "queue/spec/walk.h"
#include "queue/spec_image.h"

const struct spec_image_limits *image_limits(void);
/* An array of min to max items. Over max the fault names key, the operator's. */
MUST_USE enum err image_limit_array(const msgpack_object *v, size_t min, size_t max,
                                    const char *key, const struct place *at,
                                    struct spec_fault *ret);

#endif
