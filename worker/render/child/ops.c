#include "worker/render/child/ops_kit.h"

#include "worker/render/child/vfault.h"

#if VIMAGE_815
#define OUTPUT_PROFILE "output_profile"
#else
#define OUTPUT_PROFILE "export_profile"
#endif

static bool same_size(const VipsImage *im, struct plan_size s)
{
    return (uint32_t)im->Xsize == s.width && (uint32_t)im->Ysize == s.height;
}

/* --- scale --------------------------------------------------------------------------------- */

static bool has_profile(const VipsImage *im)
{
    return vips_image_get_typeof(im, VIPS_META_ICC_NAME) != 0;
}

static const VipsKernel kernels[] = {
    [IMAGE_KERNEL_AUTO] = VIPS_KERNEL_LANCZOS3,
    [IMAGE_KERNEL_NEAREST] = VIPS_KERNEL_NEAREST,
    [IMAGE_KERNEL_LINEAR] = VIPS_KERNEL_LINEAR,
    [IMAGE_KERNEL_CUBIC] = VIPS_KERNEL_CUBIC,
    [IMAGE_KERNEL_MITCHELL] = VIPS_KERNEL_MITCHELL,
    [IMAGE_KERNEL_LANCZOS2] = VIPS_KERNEL_LANCZOS2,
    [IMAGE_KERNEL_LANCZOS3] = VIPS_KERNEL_LANCZOS3,
};

/* What vips_thumbnail does, without what it does beside. The profile has been seen to by now. */
static int resize_by(VipsImage *from, struct plan_size s, VipsKernel kernel, VipsImage **ret)
{
    bool alpha = vips_image_hasalpha(from) && kernel != VIPS_KERNEL_NEAREST;
    VipsImage *t[3] = {NULL, NULL, NULL};
    VipsImage *in = from;
    int rc = 0;

    if (alpha) {
        rc = vips_premultiply(from, &t[0], NULL);
        in = t[0];
    }
    if (rc == 0)
        rc = vips_resize(in, &t[1], (double)s.width / from->Xsize, "vscale",
                         (double)s.height / from->Ysize, "kernel", kernel, NULL);
    if (rc == 0 && alpha)
        rc = vips_unpremultiply(t[1], &t[2], NULL);
    if (rc == 0) {
        *ret = alpha ? t[2] : t[1];
        g_object_ref(*ret);
        rc = ops_to_bytes(ret);
    }
    for (int i = 0; i < 3; i++)
        vimage_drop(&t[i]);
    return rc;
}

/* Premultiplies and resizes; and converts by the profile, but only if there is one: libvips
 * would otherwise transform sRGB to sRGB, at ten times the price of the resize. */
static int resize(VipsImage *from, struct plan_size s, enum image_kernel kernel,
                  VipsImage **ret)
{
    int w = (int)s.width;
    int h = (int)s.height;

    if (has_profile(from))
        return vips_thumbnail_image(from, ret, w, "height", h, "size", VIPS_SIZE_FORCE,
                                    "no_rotate", TRUE, OUTPUT_PROFILE, "srgb", NULL);
    if (!same_size(from, s))
        return resize_by(from, s, kernels[kernel], ret);
    g_object_ref(from);
    *ret = from;
    return 0;
}

/* The transform by a grey profile gives RGB. */
static int keep_grey(VipsImage **im, bool grey)
{
    return grey && !vimage_is_grey(*im) ? ops_to_space(im, VIPS_INTERPRETATION_B_W) : 0;
}

static int forget_profile(VipsImage **im)
{
    VipsImage *copy = NULL;

    if (!has_profile(*im))
        return 0;
    if (vips_copy(*im, &copy, NULL) != 0)
        return -1;
    (void)vips_image_remove(copy, VIPS_META_ICC_NAME);
    vimage_replace(im, copy);
    return 0;
}

/* Turning reads columns, so the pixels have to be in memory; by now they are few. */
static int undo_orientation(VipsImage **im)
{
    VipsImage *next = NULL;

    if (!vimage_settle(im) || vips_autorot(*im, &next, NULL) != 0)
        return -1;
    vimage_replace(im, next);
    return 0;
}

enum err ops_scale(VipsImage *from, const struct ops_scale *how, VipsImage **ret,
                   struct fault *reterr)
{
    AUTO(vimage_drop) VipsImage *im = NULL;
    struct plan_size stored = how->to;

    if (how->orientation >= 5)
        stored = (struct plan_size){how->to.height, how->to.width};
    if (resize(from, stored, how->kernel, &im) != 0 ||
        keep_grey(&im, vimage_is_grey(from)) != 0 || forget_profile(&im) != 0)
        return vfault_take(reterr, ERR_MALFORMED, "resize");
    if (how->orientation > 1 && undo_orientation(&im) != 0)
        return vfault_take(reterr, ERR_MALFORMED, "orient");
    if (!same_size(im, how->to))
        return fault_set(reterr, ERR_INTERNAL, 0, "resize: %d x %d instead of %u x %u",
                         im->Xsize, im->Ysize, how->to.width, how->to.height);
    if (how->settle && !vimage_settle(&im))
        return vfault_take(reterr, ERR_MALFORMED, "resize");
    *ret = im;
    im = NULL;
    return ERR_OK;
}

/* --- the list ------------------------------------------------------------------------------ */

void ops_flat_colour(const struct image_output *o, double ret_rgb[3])
{
    struct image_colour c = {.given = false};

    for (size_t i = 0; i < o->n_ops; i++) {
        if (o->ops[i].kind == IMAGE_OP_RESIZE && o->ops[i].u.resize.background.given)
            c = o->ops[i].u.resize.background;
    }
    ops_over_white(&c, ret_rgb);
}

/* The colour that an operation puts behind or beside the picture; NULL: it has none. */
static const struct image_colour *background_of(const struct image_op *op)
{
    static const size_t where[IMAGE_OPS] = {
        [IMAGE_OP_RESIZE] = offsetof(struct image_op, u.resize.background),
        [IMAGE_OP_PAD] = offsetof(struct image_op, u.pad.background),
        [IMAGE_OP_EXTEND] = offsetof(struct image_op, u.extend.background),
        [IMAGE_OP_ROTATE] = offsetof(struct image_op, u.rotate.background),
        [IMAGE_OP_ROUND] = offsetof(struct image_op, u.round.background),
        [IMAGE_OP_CIRCLE] = offsetof(struct image_op, u.round.background),
        [IMAGE_OP_FLATTEN] = offsetof(struct image_op, u.tones.colour)};

    return where[op->kind] == 0 ? NULL : (const void *)((const char *)op + where[op->kind]);
}

static bool brings_hue(const struct image_op *op)
{
    const struct image_colour *c = background_of(op);

    if (op->kind == IMAGE_OP_SEPIA || op->kind == IMAGE_OP_TINT ||
        op->kind == IMAGE_OP_DUOTONE || op->kind == IMAGE_OP_TEXT ||
        op->kind == IMAGE_OP_WATERMARK)
        return true;
    return c != NULL && c->given && (c->rgba[0] != c->rgba[1] || c->rgba[1] != c->rgba[2]);
}

bool ops_keep_kind(const struct image_output *o, bool grey)
{
    for (size_t i = 0; i < o->n_ops; i++) {
        enum image_op_kind kind = o->ops[i].kind;

        if (grey ? brings_hue(&o->ops[i])
                 : kind == IMAGE_OP_GRAYSCALE || kind == IMAGE_OP_DUOTONE)
            return false;
    }
    return true;
}

/* settle: reads its picture in another order than from top to bottom, or more than once; or throws
 * part of it away, which must not hide that the source breaks off. */
static const struct {
    ops_fn *run;
    const char *name;
    bool settle;
} table[IMAGE_OPS] = {
    [IMAGE_OP_RESIZE] = {ops_resize, "resize", false},
    [IMAGE_OP_EXTRACT] = {ops_extract, "extract", true},
    [IMAGE_OP_TRIM] = {ops_trim, "trim", true},
    [IMAGE_OP_PAD] = {ops_pad, "pad", false},
    [IMAGE_OP_EXTEND] = {ops_extend, "extend", false},
    [IMAGE_OP_ROTATE] = {ops_rotate, "rotate", true},
    [IMAGE_OP_FLIP] = {ops_flip, "flip", true},
    [IMAGE_OP_FLOP] = {ops_flop, "flop", true},
    [IMAGE_OP_ROUND] = {ops_round, "round", false},
    [IMAGE_OP_CIRCLE] = {ops_circle, "circle", true},
    [IMAGE_OP_BLUR] = {ops_blur, "blur", true},
    [IMAGE_OP_SHARPEN] = {ops_sharpen, "sharpen", false},
    [IMAGE_OP_PIXELATE] = {ops_pixelate, "pixelate", true},
    [IMAGE_OP_BRIGHTNESS] = {ops_brightness, "brightness", false},
    [IMAGE_OP_CONTRAST] = {ops_contrast, "contrast", false},
    [IMAGE_OP_SATURATION] = {ops_saturation, "saturation", false},
    [IMAGE_OP_HUE] = {ops_hue, "hue", false},
    [IMAGE_OP_GAMMA] = {ops_gamma, "gamma", false},
    [IMAGE_OP_GRAYSCALE] = {ops_grayscale, "grayscale", false},
    [IMAGE_OP_SEPIA] = {ops_sepia, "sepia", false},
    [IMAGE_OP_TINT] = {ops_tint, "tint", false},
    [IMAGE_OP_DUOTONE] = {ops_duotone, "duotone", false},
    [IMAGE_OP_NEGATE] = {ops_negate, "negate", false},
    [IMAGE_OP_NORMALISE] = {ops_normalise, "normalise", true},
    [IMAGE_OP_FLATTEN] = {ops_flat, "flatten", false},
    [IMAGE_OP_TEXT] = {ops_text, "text", true},
    [IMAGE_OP_WATERMARK] = {ops_watermark, "watermark", true},
};

/* What could not be told beforehand, as after a trim. */
static enum err check_size(const VipsImage *im, const struct ops_job *job, struct fault *reterr)
{
    if ((uint64_t)im->Xsize * (uint64_t)im->Ysize <= job->max_pixels)
        return ERR_OK;
    return fault_set(reterr, ERR_TOO_BIG, 0,
                     "output %s: %d x %d pixels on the way, the limit is %llu (OUTPUT_PIXELS)",
                     job->output->name, im->Xsize, im->Ysize,
                     (unsigned long long)job->max_pixels);
}

/* Where a file holds no alpha, each operation puts white behind what it makes transparent; but not
 * before a flatten that names another colour for it. */
static bool alpha_lives_after(const struct ops_job *job, size_t i)
{
    const struct image_output *o = job->output;

    while (++i < o->n_ops) {
        if (o->ops[i].kind == IMAGE_OP_FLATTEN)
            return true;
    }
    return job->alpha_fits;
}

static enum err apply_one(VipsImage **im, struct ops_job *job, size_t i, struct fault *reterr)
{
    const struct image_op *op = &job->output->ops[i];
    enum err e;

    if (table[op->kind].settle && !vimage_settle(im))
        return vfault_take(reterr, ERR_MALFORMED, table[op->kind].name);
    job->alpha_lives = alpha_lives_after(job, i);
    e = table[op->kind].run(im, op, job, &job->memos[i], reterr);
    return e == ERR_OK ? check_size(*im, job, reterr) : e;
}

enum err ops_apply(VipsImage **im, struct ops_job *job, struct fault *reterr)
{
    const struct image_output *o = job->output;
    size_t i = job->plan->has_first ? 1 : 0;
    enum err e = ERR_OK;

    job->alpha_lives = alpha_lives_after(job, 0);
    if (job->plan->has_first)
        e = ops_frame(im, &job->plan->first, &o->ops[0], job, &job->memos[0], reterr);
    for (; i < o->n_ops && e == ERR_OK; i++)
        e = apply_one(im, job, i, reterr);
    return e;
}
