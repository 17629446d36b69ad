#include "worker/render/child/describe.h"
#include "worker/render/child/ops.h"
#include "worker/render/child/summary.h"
#include "worker/render/child/work_state.h"

struct plan_size work_small_size(struct plan_size displayed)
{
    struct image_op fit = {.kind = IMAGE_OP_RESIZE};
    struct plan_resize r;

    fit.u.resize.width = SUMMARY_SIDE;
    fit.u.resize.height = SUMMARY_SIDE;
    plan_resize(displayed, &fit, &r);
    return r.scaled;
}

enum err work_describe(struct work *w, struct wire_info *ret, struct fault *reterr)
{
    struct ops_scale how = {.to = work_small_size(w->displayed),
                            .orientation = work_orientation(w),
                            .settle = true};
    AUTO(vimage_drop) VipsImage *small = NULL;
    enum err e;

    describe_header(&w->decode, w->spec.gps, ret);
    e = ops_scale(w->base, &how, &small, reterr);
    return e == ERR_OK ? describe_pixels(small, ret, reterr) : e;
}
