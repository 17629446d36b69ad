#include "worker/render/child/ops.h"

#include "worker/render/child/vfault.h"

#if VIMAGE_815
#define OUTPUT_PROFILE "output_profile"
#else
#define OUTPUT_PROFILE "export_profile"
#endif

static struct plan_size size_of(const VipsImage *im)
{
    return (struct plan_size){(uint32_t)im->Xsize, (uint32_t)im->Ysize};
}

static bool same_size(const VipsImage *im, struct plan_size s)
{
    return (uint32_t)im->Xsize == s.width && (uint32_t)im->Ysize == s.height;
}

/* --- scale --------------------------------------------------------------------------------- */

static bool has_profile(const VipsImage *im)
{
    return vips_image_get_typeof(im, VIPS_META_ICC_NAME) != 0;
}

/* Premultiplies and resizes; and converts by the profile, but only if there is one: libvips
 * would otherwise transform sRGB to sRGB, at ten times the price of the resize. */
static int resize(VipsImage *from, struct plan_size s, VipsImage **ret)
{
    int w = (int)s.width;
    int h = (int)s.height;

    if (has_profile(from))
        return vips_thumbnail_image(from, ret, w, "height", h, "size", VIPS_SIZE_FORCE,
                                    "no_rotate", TRUE, OUTPUT_PROFILE, "srgb", NULL);
    if (!same_size(from, s))
        return vips_thumbnail_image(from, ret, w, "height", h, "size", VIPS_SIZE_FORCE,
                                    "no_rotate", TRUE, NULL);
    g_object_ref(from);
    *ret = from;
    return 0;
}

static int to_space(VipsImage **im, VipsInterpretation space)
{
    VipsImage *next = NULL;

    if (vips_colourspace(*im, &next, space, NULL) != 0)
        return -1;
    vimage_replace(im, next);
    return 0;
}

/* The transform by a grey profile gives RGB. */
static int keep_grey(VipsImage **im, bool grey)
{
    return grey && !vimage_is_grey(*im) ? to_space(im, VIPS_INTERPRETATION_B_W) : 0;
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
    if (resize(from, stored, &im) != 0 || keep_grey(&im, vimage_is_grey(from)) != 0 ||
        forget_profile(&im) != 0)
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

/* --- colours ------------------------------------------------------------------------------- */

static double over_white(uint8_t colour, uint8_t alpha)
{
    return (colour * alpha + 255.0 * (255 - alpha)) / 255.0;
}

static void flat_colour(const struct image_op *op, double ret_rgb[3])
{
    for (int i = 0; i < 3; i++)
        ret_rgb[i] = op->u.resize.has_background
                         ? over_white(op->u.resize.background[i], op->u.resize.background[3])
                         : 255;
}

void ops_flat_colour(const struct image_output *o, double ret_rgb[3])
{
    static const struct image_op none = {.kind = IMAGE_OP_RESIZE};

    flat_colour(&none, ret_rgb);
    for (size_t i = 0; i < o->n_ops; i++) {
        if (o->ops[i].kind == IMAGE_OP_RESIZE && o->ops[i].u.resize.has_background)
            flat_colour(&o->ops[i], ret_rgb);
    }
}

static bool is_grey_colour(const double rgb[3])
{
    return rgb[0] == rgb[1] && rgb[1] == rgb[2];
}

/* A grey picture stays so unless the colour to be mixed in has a hue. */
static int match_colour(VipsImage **im, const double rgb[3], VipsArrayDouble **ret,
                        const double *alpha)
{
    double values[4] = {rgb[0], rgb[1], rgb[2]};
    int n = 3;

    if (vimage_is_grey(*im) && is_grey_colour(rgb))
        n = 1;
    else if (vimage_is_grey(*im) && to_space(im, VIPS_INTERPRETATION_sRGB) != 0)
        return -1;
    if (alpha != NULL)
        values[n++] = *alpha;
    *ret = vips_array_double_new(values, n);
    return 0;
}

enum err ops_flatten(VipsImage **im, const double rgb[3], struct fault *reterr)
{
    VipsArrayDouble *colour;
    VipsImage *next = NULL;
    int rc;

    if (!vips_image_hasalpha(*im))
        return ERR_OK;
    if (match_colour(im, rgb, &colour, NULL) != 0)
        return vfault_take(reterr, ERR_INTERNAL, "flatten");
    rc = vips_flatten(*im, &next, "background", colour, NULL);
    vips_area_unref(VIPS_AREA(colour));
    if (rc != 0)
        return vfault_take(reterr, ERR_INTERNAL, "flatten");
    vimage_replace(im, next);
    return ERR_OK;
}

/* --- cut and pad --------------------------------------------------------------------------- */

static int crop(VipsImage **im, struct plan_size out, enum image_gravity g)
{
    VipsImage *next = NULL;
    int rc;

    /* All rows are read before some are thrown away: a file that breaks off must fail, wherever
     * its last part would have gone. */
    if (!vimage_settle(im))
        return -1;
    if (g == IMAGE_ATTENTION || g == IMAGE_ENTROPY) {
        rc = vips_smartcrop(
            *im, &next, (int)out.width, (int)out.height, "interesting",
            g == IMAGE_ENTROPY ? VIPS_INTERESTING_ENTROPY : VIPS_INTERESTING_ATTENTION, NULL);
    } else {
        struct plan_point at = plan_place(size_of(*im), out, g);

        rc = vips_extract_area(*im, &next, (int)at.x, (int)at.y, (int)out.width,
                               (int)out.height, NULL);
    }
    if (rc != 0)
        return -1;
    vimage_replace(im, next);
    return 0;
}

static int add_alpha(VipsImage **im)
{
    VipsImage *next = NULL;

    if (vips_image_hasalpha(*im))
        return 0;
    if (vips_addalpha(*im, &next, NULL) != 0)
        return -1;
    vimage_replace(im, next);
    return 0;
}

static int embed(VipsImage **im, struct plan_size canvas, enum image_gravity g,
                 VipsArrayDouble *colour)
{
    struct plan_point at = plan_place(canvas, size_of(*im), g);
    VipsImage *next = NULL;

    if (vips_embed(*im, &next, (int)at.x, (int)at.y, (int)canvas.width, (int)canvas.height,
                   "extend", VIPS_EXTEND_BACKGROUND, "background", colour, NULL) != 0)
        return -1;
    vimage_replace(im, next);
    return 0;
}

static int pad(VipsImage **im, struct plan_size canvas, const struct image_op *op,
               bool alpha_fits)
{
    bool given = op->u.resize.has_background;
    double alpha = given ? op->u.resize.background[3] : 0;
    VipsArrayDouble *colour;
    double rgb[3];
    int rc;

    flat_colour(op, rgb);
    if (alpha_fits) {
        for (int i = 0; i < 3; i++)
            rgb[i] = given ? op->u.resize.background[i] : 0;
        if (alpha < 255 && add_alpha(im) != 0)
            return -1;
    } else if (ops_flatten(im, rgb, NULL) != ERR_OK) {
        return -1;
    }
    if (match_colour(im, rgb, &colour, vips_image_hasalpha(*im) ? &alpha : NULL) != 0)
        return -1;
    rc = embed(im, canvas, op->u.resize.gravity, colour);
    vips_area_unref(VIPS_AREA(colour));
    return rc;
}

static enum err frame(VipsImage **im, const struct plan_resize *r, const struct image_op *op,
                      enum image_format format, struct fault *reterr)
{
    if (r->then == PLAN_CROP && crop(im, r->out, op->u.resize.gravity) != 0)
        return vfault_take(reterr, ERR_MALFORMED, "crop");
    if (r->then == PLAN_PAD && pad(im, r->out, op, format != IMAGE_JPEG) != 0)
        return vfault_take(reterr, ERR_MALFORMED, "pad");
    return ERR_OK;
}

/* --- the list ------------------------------------------------------------------------------ */

static enum err resize_again(VipsImage **im, const struct image_op *op,
                             enum image_format format, struct fault *reterr)
{
    struct ops_scale how = {.orientation = 1};
    struct plan_resize r;
    VipsImage *next = NULL;
    enum err e;

    plan_resize(size_of(*im), op, &r);
    how.to = r.scaled;
    e = ops_scale(*im, &how, &next, reterr);
    if (e != ERR_OK)
        return e;
    vimage_replace(im, next);
    return frame(im, &r, op, format, reterr);
}

static enum err sharpen(VipsImage **im, double sigma, struct fault *reterr)
{
    VipsImage *next = NULL;

    if (vips_sharpen(*im, &next, "sigma", sigma, NULL) != 0)
        return vfault_take(reterr, ERR_MALFORMED, "sharpen");
    vimage_replace(im, next);
    return ERR_OK;
}

enum err ops_apply(VipsImage **im, const struct image_output *o, const struct plan_output *p,
                   enum image_format format, struct fault *reterr)
{
    size_t i = p->has_first ? 1 : 0;
    enum err e = ERR_OK;

    if (p->has_first)
        e = frame(im, &p->first, &o->ops[0], format, reterr);
    for (; i < o->n_ops && e == ERR_OK; i++) {
        const struct image_op *op = &o->ops[i];

        if (op->kind == IMAGE_OP_RESIZE)
            e = resize_again(im, op, format, reterr);
        else
            e = sharpen(im, op->u.sharpen.sigma, reterr);
    }
    return e;
}
