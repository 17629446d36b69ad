/* plan: the arithmetic of an order: sizes, offsets, and which picture each output is made from.
 *
 * Resize, with a source of sw x sh and a box of bw x bh (sides are rounded, at least 1):
 *   one side free  any fit keeps the shape and follows the side that is given.
 *   inside         keeps the shape; the whole picture lies within the box.
 *   fill           stretches to the box; without enlarge each side stays within the source's.
 *   contain        as inside, then padded to the whole box. Gravity says where the picture lies;
 *                  attention and entropy mean the centre.
 *   cover          fills the box, then cuts off what stands over, where gravity says. Without
 *                  enlarge, a source smaller than the box is cut to the box's shape and not scaled:
 *                  400 x 100 in a box of 200 x 200 gives 100 x 100.
 * Nothing grows unless `enlarge` asks for it.
 *
 * Outputs are made from large to small. Each takes the smallest picture that is made already
 * and is at least twice as large on both sides (or just as large), else the decoded source
 * ("base"): a small picture from a larger one is cheaper than from the source, and at twice
 * the size as good. The largest output also decides how far a JPEG or WebP is shrunk while
 * it is decoded. */
#ifndef WORKER_RENDER_CHILD_PLAN_H
#define WORKER_RENDER_CHILD_PLAN_H

#include "queue/spec.h"

struct plan_size {
    uint32_t width, height;
};
struct plan_point {
    uint32_t x, y;
};
enum plan_then { PLAN_PLAIN, PLAN_CROP, PLAN_PAD };
struct plan_resize {
    struct plan_size scaled; /* the whole picture */
    struct plan_size out;    /* what is left after the cut, or the canvas */
    enum plan_then then;
};
struct plan_output {
    size_t index;             /* into the spec's outputs */
    struct plan_resize first; /* the leading resize, or the source's own size */
    bool has_first;           /* ops[0] is that resize */
    int from;                 /* PLAN_BASE, or a position in plan.outputs */
    bool kept;                /* another output is made from its scaled picture */
};
#define PLAN_BASE (-1)
struct plan {
    unsigned shrink; /* of the decoder: 1, 2, 4 or 8 */
    bool keep_base;  /* more than one output is made from the base */
    size_t n;
    struct plan_output outputs[SPEC_IMAGE_OUTPUTS_MAX];
};

void plan_resize(struct plan_size src, const struct image_op *op, struct plan_resize *ret);
/* Where an inner rectangle lies in an outer one. */
struct plan_point plan_place(struct plan_size outer, struct plan_size inner,
                             enum image_gravity g);
/* The largest of 8, 4, 2, 1 that leaves at least `scaled`; one step less where the shrunk
 * side would barely reach it, since decoders round. */
unsigned plan_shrink(struct plan_size src, struct plan_size scaled);
/* displayed: the source's size after orientation. Gives ERR_TOO_BIG, naming the output, when
 * one would be over output_pixels or over what its format can hold. source: the format of
 * outputs that name none. */
MUST_USE enum err plan_make(const struct spec_image *spec, struct plan_size displayed,
                            enum image_format source, uint64_t output_pixels, struct plan *ret,
                            struct fault *reterr);
/* The format of an output: its own, or the source's, or WebP where that cannot be written. */
enum image_format plan_format(const struct image_output *o, enum image_format source);

#endif
