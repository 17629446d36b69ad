#include "worker/render/child/ops_kit.h"
#include "worker/render/child/vfault.h"
#include "worker/render/child/work_state.h"

/* --- of an SVG: how large it is needed ------------------------------------------------------ */

/* Follows the picture's size as far as it can be told from here. */
static void look_at(const struct image_output *o, struct plan_size pic, size_t i,
                    struct plan_size mark, struct plan_size *most)
{
    for (size_t k = 0; k < o->n_ops; k++) {
        const struct image_op *op = &o->ops[k];
        struct plan_size next, way;

        if (op->kind == IMAGE_OP_WATERMARK && op->u.watermark.mark == i)
            *most = plan_larger(*most, ops_mark_size(mark, &op->u.watermark, pic));
        if (plan_after(pic, op, &next, &way) == PLAN_KNOWN)
            pic = next;
    }
}

static void choose_drawing(const struct work *w, size_t i, struct decode *d)
{
    struct plan_size most = {1, 1};

    for (size_t k = 0; k < w->spec.n_outputs; k++)
        look_at(&w->spec.outputs[k], w->displayed, i, (struct plan_size){d->width, d->height},
                &most);
    d->draw_width = most.width;
    d->draw_height = most.height;
}

/* --- opening -------------------------------------------------------------------------------- */

/* Right side up, RGB with alpha, in memory: several outputs may use it. */
static enum err decode_mark(struct decode *d, struct ops_mark *ret, struct fault *reterr)
{
    AUTO(vimage_drop) VipsImage *im = NULL;
    struct ops_scale how = {.orientation = d->orientation};
    struct plan_size whole = {d->width, d->height};
    enum err e = decode_pixels(d, whole, &im, reterr);

    if (e != ERR_OK)
        return e;
    how.to = plan_upright(ops_size_of(im), d->orientation);
    ret->size = plan_upright(whole, d->orientation);
    e = ops_scale(im, &how, &ret->im, reterr);
    if (e != ERR_OK)
        return e;
    if (ops_to_rgb(&ret->im) != 0 || ops_add_alpha(&ret->im) != 0 || !vimage_settle(&ret->im))
        return vfault_take(reterr, ERR_MALFORMED, "watermark");
    return ERR_OK;
}

/* limits->pixels: what marks may still have, all together. */
static enum err open_mark(struct work *w, size_t i, struct probe_limits *limits,
                          struct fault *reterr)
{
    char path[sizeof WORK_MARK + 8];
    struct decode d = {0};
    struct slice file = {0};
    enum err e;

    (void)snprintf(path, sizeof path, WORK_MARK "%zu", i);
    e = work_map(path, &file, reterr);
    if (e == ERR_OK)
        e = decode_open(file, 0, limits, &d, reterr);
    if (e == ERR_OK) {
        choose_drawing(w, i, &d);
        e = decode_mark(&d, &w->marks[i], reterr);
    }
    if (e == ERR_OK)
        limits->pixels -= VIPS_IMAGE_N_PELS(w->marks[i].im);
    decode_done(&d);
    work_unmap(&file);
    return e;
}

enum err work_open_marks(struct work *w, struct fault *reterr)
{
    struct probe_limits limits = work_limits(w);

    for (size_t i = 0; i < w->spec.n_marks; i++) {
        char at[SPEC_IMAGE_POINTER_MAX];
        struct fault why;
        enum err e = open_mark(w, i, &limits, &why);

        spec_image_mark_pointer(&w->spec, i, at);
        if (e != ERR_OK)
            return fault_set(reterr, e, 0, "%s: %.150s", at, why.text);
    }
    return ERR_OK;
}
