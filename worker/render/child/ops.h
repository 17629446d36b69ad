/* ops: what an output does to its picture, by the sizes of plan.h. Pictures are as decode.h
 * leaves them: 8 bits, grey or RGB, perhaps alpha; after ops_scale there is no profile left. */
#ifndef WORKER_RENDER_CHILD_OPS_H
#define WORKER_RENDER_CHILD_OPS_H

#include "worker/render/child/plan.h"
#include "worker/render/child/vimage.h"

struct ops_scale {
    struct plan_size to;  /* as displayed */
    unsigned orientation; /* EXIF's, to be undone; 1: none */
    bool settle;          /* leave the pixels in memory, for others to be made from them */
};
/* Lazy, unless settled; *ret may be read once from top to bottom. Reads from so, too. */
MUST_USE enum err ops_scale(VipsImage *from, const struct ops_scale *how, VipsImage **ret,
                            struct fault *reterr);

/* Takes a picture that is scaled already if p has a first resize: cuts or pads it, then does
 * the other ops. format: of the file, which may hold no alpha. */
MUST_USE enum err ops_apply(VipsImage **im, const struct image_output *o,
                            const struct plan_output *p, enum image_format format,
                            struct fault *reterr);

/* What shows through where the format holds no alpha: the background of the last resize that
 * has one, over white. */
void ops_flat_colour(const struct image_output *o, double ret_rgb[3]);
MUST_USE enum err ops_flatten(VipsImage **im, const double rgb[3], struct fault *reterr);

#endif
