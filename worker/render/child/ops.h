/* ops: what an output does to its picture, by the sizes of plan.h. Pictures are as decode.h
 * leaves them: 8 bits, grey or RGB, perhaps alpha; after ops_scale there is no profile left.
 *
 * Each operation is a function in a table (ops.c), one file a family: ops_size.c, ops_turn.c,
 * ops_look.c, ops_over.c. What operations share stands in ops_kit.h. */
#ifndef WORKER_RENDER_CHILD_OPS_H
#define WORKER_RENDER_CHILD_OPS_H

#include "worker/render/child/plan.h"
#include "worker/render/child/vimage.h"

struct ops_scale {
    struct plan_size to;  /* as displayed */
    unsigned orientation; /* EXIF's, to be undone; 1: none */
    bool settle;          /* leave the pixels in memory, for others to be made from them */
    enum image_kernel kernel;
};
/* Lazy, unless settled; *ret may be read once from top to bottom. Reads from so, too. */
MUST_USE enum err ops_scale(VipsImage *from, const struct ops_scale *how, VipsImage **ret,
                            struct fault *reterr);

/* What an operation found out in the first frame of an animation, for the others. */
struct ops_memo {
    bool set;
    int x, y, width, height;
    double low, high;
};
/* A watermark's picture: RGB with alpha, in memory. One that was drawn for this order may have more pixels
 * than its size says. */
struct ops_mark {
    VipsImage *im;
    struct plan_size size;
};
/* One output being made. All is borrowed. */
struct ops_job {
    const struct image_output *output;
    const struct plan_output *plan;
    bool alpha_fits;                           /* the file can hold alpha */
    bool alpha_lives;                          /* it can, or a later flatten ends it (ops.c) */
    uint64_t max_pixels;                       /* on the way, a frame */
    const struct ops_mark *marks;              /* of watermarks */
    struct ops_memo memos[SPEC_IMAGE_OPS_MAX]; /* zero before the first frame */
};
/* One operation. memo is its own. */
typedef enum err ops_fn(VipsImage **im, const struct image_op *op, const struct ops_job *job,
                        struct ops_memo *memo, struct fault *reterr);

/* Takes a picture that is scaled already if the plan has a first resize: cuts or pads it, then does
 * the other ops. */
MUST_USE enum err ops_apply(VipsImage **im, struct ops_job *job, struct fault *reterr);

/* What shows through where the format holds no alpha: the background of the last resize that
 * has one, over white. */
void ops_flat_colour(const struct image_output *o, double ret_rgb[3]);
MUST_USE enum err ops_flatten(VipsImage **im, const double rgb[3], struct fault *reterr);

/* Whether what comes in grey goes out grey, and what comes in RGB goes out RGB. */
bool ops_keep_kind(const struct image_output *o, bool grey);

ops_fn ops_resize, ops_extract, ops_trim, ops_pad, ops_extend;
ops_fn ops_rotate, ops_flip, ops_flop, ops_round, ops_circle;
ops_fn ops_blur, ops_sharpen, ops_pixelate, ops_brightness, ops_contrast, ops_saturation,
    ops_hue, ops_gamma, ops_grayscale, ops_sepia, ops_tint, ops_duotone, ops_negate,
    ops_normalise, ops_flat;
ops_fn ops_text, ops_watermark;
/* How large a mark of that size is laid over such a picture: as asked for, never larger than it. */
struct plan_size ops_mark_size(struct plan_size mark, const struct image_watermark *w,
                               struct plan_size pic);
/* After the scaling: cuts or pads as r says. */
MUST_USE enum err ops_frame(VipsImage **im, const struct plan_resize *r,
                            const struct image_op *op, const struct ops_job *job,
                            struct ops_memo *memo, struct fault *reterr);

#endif
