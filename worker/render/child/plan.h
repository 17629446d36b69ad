/* plan: the arithmetic of an order: sizes, offsets, and which picture each output is made from.
 *
 * Resize, with a source of sw x sh and a box of bw x bh, already times dpr (sides are rounded, at
 * least 1):
 *   one side free  any fit keeps the shape and follows the side that is given.
 *   inside         keeps the shape; the whole picture lies within the box.
 *   outside        keeps the shape; the picture covers the whole box, and nothing is cut off.
 *   fill           stretches to the box; without enlarge each side stays within the source's.
 *   contain        as inside, then padded to the whole box. Gravity says where the picture lies;
 *                  attention and entropy mean the centre.
 *   cover          fills the box, then cuts off what stands over, where gravity says. Without
 *                  enlarge, a source smaller than the box is cut to the box's shape and not scaled:
 *                  400 x 100 in a box of 200 x 200 gives 100 x 100.
 * min sides make the picture (or the box, where both its sides are given and the fit is cover,
 * contain or fill) larger, max sides then make it smaller, both in its shape; max wins.
 * Nothing grows unless `enlarge` asks for it.
 *
 * Outputs are made from large to small. Each takes the smallest picture that is made already
 * and is at least a fifth larger on both sides (or just as large), else the decoded source
 * ("base"): a small picture from a larger one is cheaper than from the source, and as good
 * (docs/decisions/0014). The largest output from the base also says how small the decoder may
 * leave a JPEG or WebP. High fidelity asks for twice the size of both.
 *
 * An output moves if its format can and the source does. Those are made frame by frame, each from
 * the base. */
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
    size_t index; /* into the spec's outputs */
    enum image_format
        format; /* of an output that is to be the smallest of several: the first */
    bool moves;
    struct plan_resize first; /* the leading resize, or the source's own size */
    bool has_first;           /* ops[0] is that resize */
    int from;                 /* PLAN_BASE, or a position in plan.outputs */
    bool kept;                /* another output is made from its scaled picture */
};
#define PLAN_BASE (-1)
struct plan {
    struct plan_size least; /* the decoder may leave a smaller picture, but none below this */
    bool keep_base;         /* more than one output is made from the base, or frames are */
    bool moves;             /* some output does */
    size_t n;
    struct plan_output outputs[SPEC_IMAGE_OUTPUTS_MAX];
};

void plan_resize(struct plan_size src, const struct image_op *op, struct plan_resize *ret);
/* Where an inner rectangle lies in an outer one. A focus comes to lie in the middle, as far as
 * there is room. */
struct plan_point plan_place(struct plan_size outer, struct plan_size inner,
                             const struct image_anchor *g);
/* The largest of 8, 4, 2, 1 that leaves at least that; one step less where the shrunk side would
 * barely reach it, since decoders round. */
unsigned plan_shrink(struct plan_size src, struct plan_size least);
/* For a decoder that can leave any size: the factor, at most 1, that comes to just `least` on both
 * sides however it rounds, or where the shapes differ to no less. */
double plan_scale(struct plan_size src, struct plan_size least);
/* From stored to displayed by EXIF's orientation, and back. */
struct plan_size plan_upright(struct plan_size s, unsigned orientation);
struct plan_size plan_larger(struct plan_size a, struct plan_size b); /* side by side */

struct plan_source {
    struct plan_size displayed; /* after orientation */
    enum image_format format;
    uint32_t frames; /* more than 1: outputs that can move do */
    uint64_t output_pixels;
};
/* Gives ERR_TOO_BIG, naming the output, when one would be over output_pixels or over what its
 * format can hold; ERR_MALFORMED when it would cut out a part that lies outside. */
MUST_USE enum err plan_make(const struct spec_image *spec, const struct plan_source *source,
                            struct plan *ret, struct fault *reterr);
/* The format of an output: its own, or the source's, or WebP where that cannot be written. */
enum image_format plan_format(const struct image_output *o, enum image_format source);

/* --- what other operations make of a size (plan_op.c) ------------------------------------------ */

struct plan_area {
    struct plan_point at;
    struct plan_size size;
};
/* A part of a picture; gives false if it begins outside. */
MUST_USE bool plan_extract(struct plan_size s, const struct image_extract *x,
                           struct plan_area *ret);
/* The canvas, and where the picture lies on it. */
void plan_pad(struct plan_size s, const struct image_pad *p, struct plan_area *ret);
void plan_extend(struct plan_size s, const struct image_extend *x, struct plan_area *ret);
/* A length in pixels. */
uint32_t plan_length(const struct image_length *l, uint32_t side);
/* Whether a rotation is by a multiple of 90 degrees: *ret_quarters 0..3. */
bool plan_quarters(double angle, unsigned *ret_quarters);
enum plan_next { PLAN_KNOWN, PLAN_UNKNOWN, PLAN_OUTSIDE };
/* The size after one operation, where that can be said without seeing pixels. *ret_way: the
 * largest size on the way. */
enum plan_next plan_after(struct plan_size s, const struct image_op *op, struct plan_size *ret,
                          struct plan_size *ret_way);

#endif
