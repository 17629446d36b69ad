/* work_state: an order being worked on; what work.c, work_output.c and work_describe.c share. */
#ifndef WORKER_RENDER_CHILD_WORK_STATE_H
#define WORKER_RENDER_CHILD_WORK_STATE_H

#include "worker/render/child/decode.h"
#include "worker/render/child/ops.h"
#include "worker/render/child/work.h"

struct work {
    const struct wire_order *order;
    msgpack_zone zone;
    struct spec_image spec;
    struct slice file; /* mapped */
    struct decode decode;
    struct plan_size displayed;
    struct plan plan;
    VipsImage *base;       /* the page, or the first frame */
    VipsImage *roll;       /* if something moves: all frames, one below the other, in memory */
    uint32_t frames;       /* 1: nothing does */
    uint32_t frame_height; /* in the roll */
    struct ops_mark marks[SPEC_IMAGE_MARKS_MAX];
    VipsImage
        *made[SPEC_IMAGE_OUTPUTS_MAX]; /* by position in the plan; what others are made from */
    const struct work_events *ev;
    unsigned phases, phase; /* a phase is one evaluation of pixels */
    unsigned last_pct;
    uint64_t last_ms;
};

/* A whole file, for reading. */
MUST_USE enum err work_map(const char *path, struct slice *ret, struct fault *reterr);
void work_unmap(struct slice *file);
struct probe_limits work_limits(const struct work *w);
/* Opens the pictures of all watermarks; after the plan. */
MUST_USE enum err work_open_marks(struct work *w, struct fault *reterr);
unsigned work_orientation(const struct work *w);
void work_end_phase(struct work *w);
/* One frame of the roll. */
MUST_USE enum err work_frame(const struct work *w, uint32_t i, VipsImage **ret,
                             struct fault *reterr);
/* Output i of the plan, into its file. */
MUST_USE enum err work_make_output(struct work *w, size_t i, struct wire_output *ret,
                                   struct fault *reterr);
/* The size of the picture that a description is made from. */
struct plan_size work_small_size(struct plan_size displayed);
MUST_USE enum err work_describe(struct work *w, struct wire_info *ret, struct fault *reterr);

#endif
