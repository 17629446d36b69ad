/* image_srcset: "srcset" instead of "outputs": each of some widths in each of some formats.
 *
 *     {"widths": [320, 640], "formats": ["webp", "jpeg"], "quality"?: 1..100, "sizes"?: "100vw"}
 *
 * It stands for outputs "webp-320", "webp-640", "jpeg-320", ..., each a resize to that width and no more; they
 * are spelled out and then read like any others. quality is for the formats that have one. */
#ifndef QUEUE_SPEC_IMAGE_SRCSET_H
#define QUEUE_SPEC_IMAGE_SRCSET_H

#include "queue/spec/walk.h"

#define SRCSET_WIDTHS_MAX  16
#define SRCSET_FORMATS_MAX 4
#define SRCSET_SIZES_MAX   1000

/* take is given the outputs; they last until it returns. */
MUST_USE enum err image_srcset_take(const msgpack_object *v, walk_take_fn *take, void *out,
                                    const struct place *at, struct spec_fault *ret);

#endif
