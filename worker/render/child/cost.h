/* cost: what an order will take of one processor, told from its plan before any pixel is touched.
 *
 * A sum of pixels times nanoseconds: of the decoder, of each resize, operation and encoder, measured
 * on the machine of docs/decisions/0016 and good to a factor of two there. It need not be right; it has
 * to tell a thumbnail from an AVIF of twenty million pixels, so that the one need not wait for the
 * other. */
#ifndef WORKER_RENDER_CHILD_COST_H
#define WORKER_RENDER_CHILD_COST_H

#include "worker/render/child/plan.h"

struct cost_source {
    enum image_format format;
    struct plan_size stored;
    unsigned shrink; /* by the decoder of a JPEG: 1, 2, 4 or 8 */
    double scale;    /* by that of a WebP: up to 1 */
    bool interlaced; /* a progressive JPEG, an interlaced PNG */
    uint32_t frames; /* that are decoded: 1, unless something moves */
};

/* In microseconds. plan was made for spec. */
uint64_t cost_predict(const struct spec_image *spec, const struct plan *plan,
                      const struct cost_source *source);

#endif
