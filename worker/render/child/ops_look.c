/* What changes colours and sharpness, and no size. Alpha is put aside meanwhile, but for blur and
 * pixelate, which mix pixels and so premultiply. Formulas stand in docs/images.md. */
#include <math.h>

#include "worker/render/child/ops_kit.h"
#include "worker/render/child/vfault.h"

typedef int look_fn(VipsImage **im, const struct image_op *op, struct ops_memo *memo);

/* Runs look on the colours alone. */
static enum err on_colours(VipsImage **im, const struct image_op *op, struct ops_memo *memo,
                           look_fn *look, struct fault *reterr)
{
    VipsImage *alpha = NULL;
    int rc = ops_split_alpha(im, &alpha);

    if (rc == 0)
        rc = look(im, op, memo);
    if (rc == 0)
        rc = ops_to_bytes(im);
    if (rc == 0)
        rc = ops_join_alpha(im, &alpha);
    vimage_drop(&alpha);
    return rc == 0 ? ERR_OK : vfault_take(reterr, ERR_MALFORMED, "colours");
}

#define LOOK(name, look)                                                                \
    enum err name(VipsImage **im, const struct image_op *op, const struct ops_job *job, \
                  struct ops_memo *memo, struct fault *reterr)                          \
    {                                                                                   \
        (void)job;                                                                      \
        return on_colours(im, op, memo, look, reterr);                                  \
    }

/* --- a table of 256 values ----------------------------------------------------------------- */

static uint8_t to_byte(double v)
{
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : lround(v));
}

/* One column of bytes for each band. */
static int map_bands(VipsImage **im, const uint8_t *lut, int bands)
{
    VipsImage *table = vips_image_new_from_memory_copy(lut, 256 * (size_t)bands, 256, 1, bands,
                                                       VIPS_FORMAT_UCHAR);
    VipsImage *next = NULL;
    VipsImage *typed = NULL;
    int rc = table == NULL ? -1 : vips_maplut(*im, &next, table, NULL);

    vimage_drop(&table);
    if (rc == 0)
        rc = vips_copy(next, &typed, "interpretation",
                       bands == 3 ? VIPS_INTERPRETATION_sRGB : (*im)->Type, NULL);
    vimage_drop(&next);
    if (rc == 0)
        vimage_replace(im, typed);
    return rc;
}

static int contrast(VipsImage **im, const struct image_op *op, struct ops_memo *memo)
{
    uint8_t lut[256];

    (void)memo;
    for (int i = 0; i < 256; i++)
        lut[i] = to_byte((i - 127.5) * op->u.adjust.amount + 127.5);
    return map_bands(im, lut, 1);
}
LOOK(ops_contrast, contrast)

static int gamma_curve(VipsImage **im, const struct image_op *op, struct ops_memo *memo)
{
    uint8_t lut[256];

    (void)memo;
    for (int i = 0; i < 256; i++)
        lut[i] = to_byte(255 * pow(i / 255.0, 1 / op->u.adjust.amount));
    return map_bands(im, lut, 1);
}
LOOK(ops_gamma, gamma_curve)

static int negate(VipsImage **im, const struct image_op *op, struct ops_memo *memo)
{
    uint8_t lut[256];

    (void)op;
    (void)memo;
    for (int i = 0; i < 256; i++)
        lut[i] = (uint8_t)(255 - i);
    return map_bands(im, lut, 1);
}
LOOK(ops_negate, negate)

static int duotone(VipsImage **im, const struct image_op *op, struct ops_memo *memo)
{
    const uint8_t *low = op->u.tones.shadow.rgba;
    const uint8_t *high = op->u.tones.highlight.rgba;
    uint8_t lut[256 * 3];

    (void)memo;
    if (!vimage_is_grey(*im) && ops_to_space(im, VIPS_INTERPRETATION_B_W) != 0)
        return -1;
    for (int i = 0; i < 256; i++) {
        for (int b = 0; b < 3; b++)
            lut[3 * i + b] = to_byte(low[b] + (high[b] - low[b]) * i / 255.0);
    }
    return map_bands(im, lut, 3);
}
LOOK(ops_duotone, duotone)

static int grayscale(VipsImage **im, const struct image_op *op, struct ops_memo *memo)
{
    (void)op;
    (void)memo;
    return vimage_is_grey(*im) ? 0 : ops_to_space(im, VIPS_INTERPRETATION_B_W);
}
LOOK(ops_grayscale, grayscale)

/* --- lightness, chroma, hue: CIE LCh ------------------------------------------------------- */

static int in_lch(VipsImage **im, const double mul[3], const double add[3])
{
    bool grey = vimage_is_grey(*im);
    double ones[3] = {mul[0], mul[1], mul[2]};
    double plus[3] = {add[0], add[1], add[2]};
    VipsImage *next = NULL;
    VipsImage *typed = NULL;
    int rc;

    if (ops_to_space(im, VIPS_INTERPRETATION_LCH) != 0 ||
        vips_linear(*im, &next, ones, plus, 3, NULL) != 0)
        return -1;
    rc = vips_copy(next, &typed, "interpretation", VIPS_INTERPRETATION_LCH, NULL);
    vimage_drop(&next);
    if (rc != 0)
        return -1;
    vimage_replace(im, typed);
    return ops_to_space(im, grey ? VIPS_INTERPRETATION_B_W : VIPS_INTERPRETATION_sRGB);
}

static int brightness(VipsImage **im, const struct image_op *op, struct ops_memo *memo)
{
    double a = op->u.adjust.amount;

    (void)memo;
    /* What gets darker has less colour, too: black has none. */
    return in_lch(im, (double[]){a, a < 1 ? a : 1, 1}, (double[]){0, 0, 0});
}
LOOK(ops_brightness, brightness)

static int saturation(VipsImage **im, const struct image_op *op, struct ops_memo *memo)
{
    (void)memo;
    if (vimage_is_grey(*im))
        return 0;
    return in_lch(im, (double[]){1, op->u.adjust.amount, 1}, (double[]){0, 0, 0});
}
LOOK(ops_saturation, saturation)

static int hue(VipsImage **im, const struct image_op *op, struct ops_memo *memo)
{
    (void)memo;
    if (vimage_is_grey(*im))
        return 0;
    return in_lch(im, (double[]){1, 1, 1}, (double[]){0, 0, op->u.adjust.amount});
}
LOOK(ops_hue, hue)

/* --- sepia, tint --------------------------------------------------------------------------- */

/* The matrix of the CSS filter "sepia" (W3C Filter Effects, 13.6), which fades to the identity. */
static int sepia(VipsImage **im, const struct image_op *op, struct ops_memo *memo)
{
    static const double full[9] = {0.393, 0.769, 0.189, 0.349, 0.686,
                                   0.168, 0.272, 0.534, 0.131};
    double a = op->u.adjust.amount;
    double m[9];
    VipsImage *matrix;
    VipsImage *next = NULL;
    int rc;

    (void)memo;
    if (ops_to_rgb(im) != 0)
        return -1;
    for (int i = 0; i < 9; i++)
        m[i] = full[i] * a + (i % 4 == 0 ? 1 - a : 0);
    matrix = vips_image_new_matrix_from_array(3, 3, m, 9);
    rc = matrix == NULL ? -1 : vips_recomb(*im, &next, matrix, NULL);
    vimage_drop(&matrix);
    if (rc != 0)
        return -1;
    vimage_replace(im, next);
    next = NULL;
    if (vips_rint(*im, &next, NULL) != 0)
        return -1;
    vimage_replace(im, next);
    return 0;
}
LOOK(ops_sepia, sepia)

/* The picture's lightness with the colour's a and b of CIE Lab. */
static int colour_in_lab(const struct image_colour *c, double ret_ab[2])
{
    VipsImage *dot = NULL;
    VipsImage *rgb = NULL;
    VipsImage *lab = NULL;
    double *point = NULL;
    int n = 0;
    int rc = ops_solid((struct plan_size){1, 1}, c->rgba, &dot);

    if (rc == 0)
        rc = vips_extract_band(dot, &rgb, 0, "n", 3, NULL);
    if (rc == 0)
        rc = vips_colourspace(rgb, &lab, VIPS_INTERPRETATION_LAB, NULL);
    if (rc == 0)
        rc = vips_getpoint(lab, &point, &n, 0, 0, NULL);
    if (rc == 0) {
        ret_ab[0] = point[1];
        ret_ab[1] = point[2];
        g_free(point);
    }
    vimage_drop(&dot);
    vimage_drop(&rgb);
    vimage_drop(&lab);
    return rc;
}

static int tint(VipsImage **im, const struct image_op *op, struct ops_memo *memo)
{
    double mul[3] = {1, 0, 0};
    double add[3] = {0, 0, 0};
    VipsImage *next = NULL;
    VipsImage *typed = NULL;
    int rc;

    (void)memo;
    if (colour_in_lab(&op->u.tones.colour, add + 1) != 0 ||
        ops_to_space(im, VIPS_INTERPRETATION_LAB) != 0 ||
        vips_linear(*im, &next, mul, add, 3, NULL) != 0)
        return -1;
    rc = vips_copy(next, &typed, "interpretation", VIPS_INTERPRETATION_LAB, NULL);
    vimage_drop(&next);
    if (rc != 0)
        return -1;
    vimage_replace(im, typed);
    return ops_to_space(im, VIPS_INTERPRETATION_sRGB);
}
LOOK(ops_tint, tint)

/* --- normalise ----------------------------------------------------------------------------- */

/* The greys below and above which that many percent of all pixels lie. */
static int find_range(VipsImage *im, const struct image_normalise *n, struct ops_memo *memo)
{
    VipsImage *grey = im;
    int low = 0;
    int high = 255;
    int rc;

    g_object_ref(grey);
    rc = vimage_is_grey(grey) ? 0 : ops_to_space(&grey, VIPS_INTERPRETATION_B_W);
    if (rc == 0)
        rc = vips_percent(grey, n->lower, &low, NULL);
    if (rc == 0)
        rc = vips_percent(grey, n->upper, &high, NULL);
    vimage_drop(&grey);
    memo->low = low;
    memo->high = high;
    memo->set = rc == 0;
    return rc;
}

static int normalise(VipsImage **im, const struct image_op *op, struct ops_memo *memo)
{
    uint8_t lut[256];

    if (!memo->set && find_range(*im, &op->u.normalise, memo) != 0)
        return -1;
    if (memo->high <= memo->low)
        return 0;
    for (int i = 0; i < 256; i++)
        lut[i] = to_byte((i - memo->low) * 255 / (memo->high - memo->low));
    return map_bands(im, lut, 1);
}
LOOK(ops_normalise, normalise)

/* --- sharpen, blur, pixelate --------------------------------------------------------------- */

static int sharpen(VipsImage **im, const struct image_op *op, struct ops_memo *memo)
{
    VipsImage *next = NULL;

    (void)memo;
    if (vips_sharpen(*im, &next, "sigma", op->u.adjust.amount, NULL) != 0)
        return -1;
    vimage_replace(im, next);
    return 0;
}
LOOK(ops_sharpen, sharpen)

/* Mixes pixels: what is transparent must not lend its colour. */
static int premultiplied(VipsImage **im, const struct image_op *op, look_fn *mix)
{
    VipsImage *next = NULL;

    if (!vips_image_hasalpha(*im))
        return mix(im, op, NULL) == 0 ? ops_to_bytes(im) : -1;
    if (vips_premultiply(*im, &next, NULL) != 0)
        return -1;
    vimage_replace(im, next);
    next = NULL;
    if (mix(im, op, NULL) != 0 || vips_unpremultiply(*im, &next, NULL) != 0)
        return -1;
    vimage_replace(im, next);
    return ops_to_bytes(im);
}

static int blur(VipsImage **im, const struct image_op *op, struct ops_memo *memo)
{
    VipsImage *next = NULL;

    (void)memo;
    if (vips_gaussblur(*im, &next, op->u.adjust.amount, NULL) != 0)
        return -1;
    vimage_replace(im, next);
    return 0;
}

enum err ops_blur(VipsImage **im, const struct image_op *op, const struct ops_job *job,
                  struct ops_memo *memo, struct fault *reterr)
{
    (void)job;
    (void)memo;
    return premultiplied(im, op, blur) == 0 ? ERR_OK
                                            : vfault_take(reterr, ERR_MALFORMED, "blur");
}

/* The mean of each block; what a block lacks at the edge is the last pixel again. */
static int pixelate(VipsImage **im, const struct image_op *op, struct ops_memo *memo)
{
    int k = (int)op->u.pixelate.size;
    int w = (*im)->Xsize;
    int h = (*im)->Ysize;
    VipsImage *t[4] = {NULL, NULL, NULL, NULL};
    int rc;

    (void)memo;
    rc = vips_embed(*im, &t[0], 0, 0, (w + k - 1) / k * k, (h + k - 1) / k * k, "extend",
                    VIPS_EXTEND_COPY, NULL);
    if (rc == 0)
        rc = vips_shrink(t[0], &t[1], k, k, NULL);
    if (rc == 0 && !vimage_settle(&t[1]))
        rc = -1;
    if (rc == 0)
        rc = vips_zoom(t[1], &t[2], k, k, NULL);
    if (rc == 0)
        rc = vips_extract_area(t[2], &t[3], 0, 0, w, h, NULL);
    for (int i = 0; i < 3; i++)
        vimage_drop(&t[i]);
    if (rc == 0)
        vimage_replace(im, t[3]);
    return rc;
}

enum err ops_pixelate(VipsImage **im, const struct image_op *op, const struct ops_job *job,
                      struct ops_memo *memo, struct fault *reterr)
{
    (void)job;
    (void)memo;
    return premultiplied(im, op, pixelate) == 0
               ? ERR_OK
               : vfault_take(reterr, ERR_MALFORMED, "pixelate");
}

/* --- flatten ------------------------------------------------------------------------------- */

enum err ops_flat(VipsImage **im, const struct image_op *op, const struct ops_job *job,
                  struct ops_memo *memo, struct fault *reterr)
{
    (void)memo;
    if (ops_behind(im, &op->u.tones.colour, job->alpha_lives) != 0)
        return vfault_take(reterr, ERR_MALFORMED, "flatten");
    return ERR_OK;
}
