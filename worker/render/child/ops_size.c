/* resize (but the first), extract, trim, pad, extend. */
#include "worker/render/child/ops_kit.h"
#include "worker/render/child/vfault.h"

static enum err failed(struct fault *reterr, const char *what)
{
    return vfault_take(reterr, ERR_MALFORMED, what);
}

enum err ops_frame(VipsImage **im, const struct plan_resize *r, const struct image_op *op,
                   const struct ops_job *job, struct ops_memo *memo, struct fault *reterr)
{
    const struct image_resize *how = &op->u.resize;
    struct plan_area area = {.size = r->out};

    /* All rows are read before some are thrown away: a file that breaks off must fail, wherever
     * its last part would have gone. */
    if (r->then == PLAN_CROP &&
        (!vimage_settle(im) || ops_cut(im, r->out, &how->gravity, memo) != 0))
        return failed(reterr, "crop");
    if (r->then != PLAN_PAD)
        return ERR_OK;
    area.at = plan_place(r->out, r->scaled, &how->gravity);
    if (ops_canvas(im, &area, &how->background, job->alpha_lives) != 0)
        return failed(reterr, "pad");
    return ERR_OK;
}

enum err ops_resize(VipsImage **im, const struct image_op *op, const struct ops_job *job,
                    struct ops_memo *memo, struct fault *reterr)
{
    struct ops_scale how = {.orientation = 1, .kernel = op->u.resize.kernel};
    struct plan_resize r;
    VipsImage *next = NULL;
    enum err e;

    plan_resize(ops_size_of(*im), op, &r);
    if ((uint64_t)r.scaled.width * r.scaled.height > job->max_pixels)
        return fault_set(
            reterr, ERR_TOO_BIG, 0,
            "output %s: %u x %u pixels on the way, the limit is %llu (OUTPUT_PIXELS)",
            job->output->name, r.scaled.width, r.scaled.height,
            (unsigned long long)job->max_pixels);
    how.to = r.scaled;
    e = ops_scale(*im, &how, &next, reterr);
    if (e != ERR_OK)
        return e;
    vimage_replace(im, next);
    return ops_frame(im, &r, op, job, memo, reterr);
}

enum err ops_extract(VipsImage **im, const struct image_op *op, const struct ops_job *job,
                     struct ops_memo *memo, struct fault *reterr)
{
    const struct image_extract *x = &op->u.extract;
    bool smart = (x->gravity.at == IMAGE_ATTENTION || x->gravity.at == IMAGE_ENTROPY) &&
                 !x->left.given && !x->top.given;
    struct plan_area a;
    VipsImage *next = NULL;

    if (!plan_extract(ops_size_of(*im), x, &a))
        return fault_set(reterr, ERR_MALFORMED, 0,
                         "output %s: extract begins outside of the picture (%d x %d)",
                         job->output->name, (*im)->Xsize, (*im)->Ysize);
    if (smart)
        return ops_cut(im, a.size, &x->gravity, memo) == 0 ? ERR_OK : failed(reterr, "extract");
    if (vips_extract_area(*im, &next, (int)a.at.x, (int)a.at.y, (int)a.size.width,
                          (int)a.size.height, NULL) != 0)
        return failed(reterr, "extract");
    vimage_replace(im, next);
    return ERR_OK;
}

/* --- trim ---------------------------------------------------------------------------------- */

/* The colour of the first pixel, unless one is named; with alpha, what is transparent counts as
 * edge, whatever its colour. */
static int trim_colour(VipsImage *flat, const struct image_trim *t, VipsArrayDouble **ret)
{
    double *first = NULL;
    double rgb[3] = {t->background.rgba[0], t->background.rgba[1], t->background.rgba[2]};
    int n = 0;

    if (t->background.given) {
        if (flat->Bands < 3)
            rgb[0] = 0.2126 * rgb[0] + 0.7152 * rgb[1] + 0.0722 * rgb[2];
        *ret = vips_array_double_new(rgb, flat->Bands < 3 ? 1 : 3);
        return 0;
    }
    if (vips_getpoint(flat, &first, &n, 0, 0, NULL) != 0)
        return -1;
    *ret = vips_array_double_new(first, n);
    g_free(first);
    return 0;
}

/* The part of [*at, *at + *len), found one pixel further on, that lies in [0, side). */
static void step_back(int *at, int *len, int side)
{
    int end = *at + *len - 1;
    int begin = *at - 1;

    *at = begin < 0 ? 0 : begin;
    *len = (end > side ? side : end) - *at;
}

/* libvips looks at 3 x 3 pixels at a time and refuses less: a frame of the edge's own pixels. */
static int find_in_frame(VipsImage *flat, const struct image_trim *t, VipsArrayDouble *colour,
                         struct ops_memo *memo)
{
    VipsImage *framed = NULL;
    int w = flat->Xsize;
    int h = flat->Ysize;
    int rc = vips_embed(flat, &framed, 1, 1, w + 2, h + 2, "extend", VIPS_EXTEND_COPY, NULL);

    if (rc == 0)
        rc = vips_find_trim(framed, &memo->x, &memo->y, &memo->width, &memo->height,
                            "threshold", t->threshold, "background", colour, NULL);
    vimage_drop(&framed);
    if (rc != 0 || memo->width == 0 || memo->height == 0)
        return rc;
    step_back(&memo->x, &memo->width, w);
    step_back(&memo->y, &memo->height, h);
    return 0;
}

static int find_box(VipsImage *flat, const struct image_trim *t, struct ops_memo *memo)
{
    bool tiny = flat->Xsize < 3 || flat->Ysize < 3;
    VipsArrayDouble *colour = NULL;
    int rc;

    if (trim_colour(flat, t, &colour) != 0)
        return -1;
    if (tiny)
        rc = find_in_frame(flat, t, colour, memo);
    else
        rc = vips_find_trim(flat, &memo->x, &memo->y, &memo->width, &memo->height, "threshold",
                            t->threshold, "background", colour, NULL);
    vips_area_unref(VIPS_AREA(colour));
    memo->set = rc == 0;
    return rc;
}

static int find_edge(VipsImage *im, const struct image_trim *t, struct ops_memo *memo)
{
    VipsImage *flat = NULL;
    int n = im->Bands - 1;
    int rc;

    if (!vips_image_hasalpha(im))
        return find_box(im, t, memo);
    /* The shape alone decides, if the corner is transparent and no colour is named. */
    if (!t->background.given) {
        double *first = NULL;
        int bands = 0;
        bool clear;

        if (vips_getpoint(im, &first, &bands, 0, 0, NULL) != 0)
            return -1;
        clear = first[n] == 0;
        g_free(first);
        if (clear) {
            rc = vips_extract_band(im, &flat, n, NULL);
            rc = rc == 0 ? find_box(flat, t, memo) : rc;
            vimage_drop(&flat);
            return rc;
        }
    }
    rc = vips_flatten(im, &flat, NULL);
    rc = rc == 0 ? find_box(flat, t, memo) : rc;
    vimage_drop(&flat);
    return rc;
}

enum err ops_trim(VipsImage **im, const struct image_op *op, const struct ops_job *job,
                  struct ops_memo *memo, struct fault *reterr)
{
    VipsImage *next = NULL;

    (void)job;
    if (!memo->set && find_edge(*im, &op->u.trim, memo) != 0)
        return failed(reterr, "trim");
    /* All of it is edge: there is nothing that could be left. */
    if (memo->width == 0 || memo->height == 0)
        return ERR_OK;
    if (vips_extract_area(*im, &next, memo->x, memo->y, memo->width, memo->height, NULL) != 0)
        return failed(reterr, "trim");
    vimage_replace(im, next);
    return ERR_OK;
}

/* --- pad, extend --------------------------------------------------------------------------- */

static enum err put_on_canvas(VipsImage **im, const struct plan_area *a,
                              const struct image_colour *c, const struct ops_job *job,
                              struct fault *reterr)
{
    return ops_canvas(im, a, c, job->alpha_lives) == 0 ? ERR_OK : failed(reterr, "pad");
}

enum err ops_pad(VipsImage **im, const struct image_op *op, const struct ops_job *job,
                 struct ops_memo *memo, struct fault *reterr)
{
    struct plan_area a;

    (void)memo;
    plan_pad(ops_size_of(*im), &op->u.pad, &a);
    return put_on_canvas(im, &a, &op->u.pad.background, job, reterr);
}

enum err ops_extend(VipsImage **im, const struct image_op *op, const struct ops_job *job,
                    struct ops_memo *memo, struct fault *reterr)
{
    struct plan_area a;

    (void)memo;
    plan_extend(ops_size_of(*im), &op->u.extend, &a);
    return put_on_canvas(im, &a, &op->u.extend.background, job, reterr);
}
