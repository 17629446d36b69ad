#include "worker/render/child/ops_kit.h"

#include <math.h>

#include "worker/render/child/vfault.h"

int ops_to_space(VipsImage **im, VipsInterpretation space)
{
    VipsImage *next = NULL;

    if (vips_colourspace(*im, &next, space, NULL) != 0)
        return -1;
    vimage_replace(im, next);
    return 0;
}

int ops_to_rgb(VipsImage **im)
{
    return vimage_is_grey(*im) ? ops_to_space(im, VIPS_INTERPRETATION_sRGB) : 0;
}

int ops_to_bytes(VipsImage **im)
{
    VipsImage *next = NULL;

    if ((*im)->BandFmt == VIPS_FORMAT_UCHAR)
        return 0;
    if (vips_cast_uchar(*im, &next, NULL) != 0)
        return -1;
    vimage_replace(im, next);
    return 0;
}

/* --- alpha --------------------------------------------------------------------------------- */

int ops_add_alpha(VipsImage **im)
{
    VipsImage *next = NULL;

    if (vips_image_hasalpha(*im))
        return 0;
    if (vips_addalpha(*im, &next, NULL) != 0)
        return -1;
    vimage_replace(im, next);
    return 0;
}

int ops_split_alpha(VipsImage **im, VipsImage **ret)
{
    int n = (*im)->Bands - 1;
    VipsImage *colours = NULL;

    *ret = NULL;
    if (!vips_image_hasalpha(*im))
        return 0;
    if (vips_extract_band(*im, ret, n, NULL) != 0 ||
        vips_extract_band(*im, &colours, 0, "n", n, NULL) != 0)
        return -1;
    vimage_replace(im, colours);
    return 0;
}

int ops_join_alpha(VipsImage **im, VipsImage **alpha)
{
    VipsImage *next = NULL;
    int rc;

    if (*alpha == NULL)
        return 0;
    rc = vips_bandjoin2(*im, *alpha, &next, NULL);
    vimage_drop(alpha);
    if (rc != 0)
        return -1;
    vimage_replace(im, next);
    return 0;
}

static bool is_opaque(VipsImage *im)
{
    const VipsPel *pixel = VIPS_IMAGE_ADDR(im, 0, 0);
    size_t n = (size_t)im->Xsize * (size_t)im->Ysize;
    size_t step = (size_t)im->Bands;

    for (size_t i = 0; i < n; i++) {
        if (pixel[i * step + step - 1] != 255)
            return false;
    }
    return true;
}

int ops_drop_idle_alpha(VipsImage **im)
{
    VipsImage *colours = NULL;

    if (!vips_image_hasalpha(*im) || (*im)->BandFmt != VIPS_FORMAT_UCHAR || !is_opaque(*im))
        return 0;
    if (vips_extract_band(*im, &colours, 0, "n", (*im)->Bands - 1, NULL) != 0)
        return -1;
    vimage_replace(im, colours);
    return 0;
}

/* --- colours ------------------------------------------------------------------------------- */

static double over_white(uint8_t colour, uint8_t alpha)
{
    return (colour * alpha + 255.0 * (255 - alpha)) / 255.0;
}

void ops_over_white(const struct image_colour *c, double ret_rgb[3])
{
    for (int i = 0; i < 3; i++)
        ret_rgb[i] = c->given ? over_white(c->rgba[i], c->rgba[3]) : 255;
}

static bool is_grey_colour(const double rgb[3])
{
    return rgb[0] == rgb[1] && rgb[1] == rgb[2];
}

int ops_match_colour(VipsImage **im, const double rgb[3], const double *alpha,
                     VipsArrayDouble **ret)
{
    double values[4] = {rgb[0], rgb[1], rgb[2]};
    int n = 3;

    if (vimage_is_grey(*im) && is_grey_colour(rgb))
        n = 1;
    else if (ops_to_rgb(im) != 0)
        return -1;
    if (alpha != NULL)
        values[n++] = *alpha;
    *ret = vips_array_double_new(values, n);
    return 0;
}

static int flatten(VipsImage **im, const double rgb[3])
{
    VipsArrayDouble *colour = NULL;
    VipsImage *next = NULL;
    int rc;

    if (!vips_image_hasalpha(*im))
        return 0;
    if (ops_match_colour(im, rgb, NULL, &colour) != 0)
        return -1;
    rc = vips_flatten(*im, &next, "background", colour, NULL);
    vips_area_unref(VIPS_AREA(colour));
    if (rc != 0)
        return -1;
    vimage_replace(im, next);
    return 0;
}

int ops_solid(struct plan_size s, const uint8_t rgba[4], VipsImage **ret)
{
    double ones[4] = {1, 1, 1, 1};
    double values[4] = {rgba[0], rgba[1], rgba[2], rgba[3]};
    VipsImage *black = NULL;
    VipsImage *bytes = NULL;
    int rc;

    if (vips_black(&black, (int)s.width, (int)s.height, "bands", 4, NULL) != 0)
        return -1;
    rc = vips_linear(black, &bytes, ones, values, 4, "uchar", TRUE, NULL);
    if (rc == 0)
        rc = vips_copy(bytes, ret, "interpretation", VIPS_INTERPRETATION_sRGB, NULL);
    vimage_drop(&black);
    vimage_drop(&bytes);
    return rc;
}

int ops_lay(VipsImage **im, VipsImage *over, int x, int y)
{
    bool had_alpha = vips_image_hasalpha(*im);
    VipsImage *next = NULL;
    VipsImage *colours = NULL;

    if (ops_to_rgb(im) != 0 ||
        vips_composite2(*im, over, &next, VIPS_BLEND_MODE_OVER, "x", x, "y", y, NULL) != 0)
        return -1;
    vimage_replace(im, next);
    if (had_alpha)
        return ops_to_bytes(im);
    if (vips_extract_band(*im, &colours, 0, "n", 3, NULL) != 0)
        return -1;
    vimage_replace(im, colours);
    return ops_to_bytes(im);
}

int ops_back(VipsImage **im, const uint8_t rgba[4])
{
    double rgb[3] = {rgba[0], rgba[1], rgba[2]};
    VipsImage *solid = NULL;
    int rc;

    if (!vips_image_hasalpha(*im) || rgba[3] == 0)
        return 0;
    if (rgba[3] == 255)
        return flatten(im, rgb);
    if (ops_to_rgb(im) != 0 || ops_solid(ops_size_of(*im), rgba, &solid) != 0)
        return -1;
    rc = ops_lay(&solid, *im, 0, 0);
    if (rc == 0)
        vimage_replace(im, solid);
    else
        vimage_drop(&solid);
    return rc;
}

int ops_behind(VipsImage **im, const struct image_colour *c, bool alpha_fits)
{
    double rgb[3];

    if (alpha_fits)
        return c->given ? ops_back(im, c->rgba) : 0;
    ops_over_white(c, rgb);
    return flatten(im, rgb);
}

enum err ops_flatten(VipsImage **im, const double rgb[3], struct fault *reterr)
{
    return flatten(im, rgb) == 0 ? ERR_OK : vfault_take(reterr, ERR_INTERNAL, "flatten");
}

/* --- canvas and cut ------------------------------------------------------------------------ */

static int embed(VipsImage **im, const struct plan_area *a, const double rgb[3], double alpha)
{
    VipsArrayDouble *colour = NULL;
    VipsImage *next = NULL;
    int rc;

    if (ops_match_colour(im, rgb, vips_image_hasalpha(*im) ? &alpha : NULL, &colour) != 0)
        return -1;
    rc = vips_embed(*im, &next, (int)a->at.x, (int)a->at.y, (int)a->size.width,
                    (int)a->size.height, "extend", VIPS_EXTEND_BACKGROUND, "background", colour,
                    NULL);
    vips_area_unref(VIPS_AREA(colour));
    if (rc != 0)
        return -1;
    vimage_replace(im, next);
    return 0;
}

int ops_canvas(VipsImage **im, const struct plan_area *area, const struct image_colour *c,
               bool alpha_fits)
{
    double alpha = c->given ? c->rgba[3] : 0;
    double rgb[3];

    ops_over_white(c, rgb);
    if (!alpha_fits)
        return flatten(im, rgb) != 0 ? -1 : embed(im, area, rgb, 255);
    for (int i = 0; i < 3; i++)
        rgb[i] = c->given ? c->rgba[i] : 0;
    if (alpha < 255 && ops_add_alpha(im) != 0)
        return -1;
    return embed(im, area, rgb, alpha);
}

static int smart_place(VipsImage *im, struct plan_size out, enum image_gravity g, int *ret_x,
                       int *ret_y)
{
    VipsImage *cut = NULL;
    int rc = vips_smartcrop(
        im, &cut, (int)out.width, (int)out.height, "interesting",
        g == IMAGE_ENTROPY ? VIPS_INTERESTING_ENTROPY : VIPS_INTERESTING_ATTENTION, NULL);

    if (rc != 0)
        return -1;
    /* Where the cut lies is in its offsets, counted from the picture's corner. */
    *ret_x = -cut->Xoffset;
    *ret_y = -cut->Yoffset;
    vimage_drop(&cut);
    return 0;
}

int ops_cut(VipsImage **im, struct plan_size out, const struct image_anchor *g,
            struct ops_memo *memo)
{
    struct plan_point at = plan_place(ops_size_of(*im), out, g);
    VipsImage *next = NULL;
    int x = (int)at.x;
    int y = (int)at.y;

    if (g->at == IMAGE_ATTENTION || g->at == IMAGE_ENTROPY) {
        if (!memo->set && smart_place(*im, out, g->at, &memo->x, &memo->y) != 0)
            return -1;
        memo->set = true;
        x = memo->x;
        y = memo->y;
    }
    if (vips_extract_area(*im, &next, x, y, (int)out.width, (int)out.height, NULL) != 0)
        return -1;
    vimage_replace(im, next);
    return 0;
}

/* -1, 0 or 1 along each axis: at the start, in the middle, at the end. */
static const struct {
    int8_t x, y;
} edges[] = {
    [IMAGE_CENTER] = {0, 0},      [IMAGE_NORTH] = {0, -1},    [IMAGE_SOUTH] = {0, 1},
    [IMAGE_EAST] = {1, 0},        [IMAGE_WEST] = {-1, 0},     [IMAGE_NORTHEAST] = {1, -1},
    [IMAGE_NORTHWEST] = {-1, -1}, [IMAGE_SOUTHEAST] = {1, 1}, [IMAGE_SOUTHWEST] = {-1, 1},
    [IMAGE_ATTENTION] = {0, 0},   [IMAGE_ENTROPY] = {0, 0},   [IMAGE_FOCUS] = {0, 0},
};

static int anchor_side(int edge, int outer, int inner, int offset)
{
    if (edge < 0)
        return offset;
    return edge > 0 ? outer - inner - offset : (outer - inner) / 2 + offset;
}

struct ops_point ops_anchor(struct plan_size outer, struct plan_size inner,
                            const struct image_anchor *g, struct ops_point offset)
{
    if (g->at == IMAGE_FOCUS)
        return (struct ops_point){
            (int)lround(g->x * outer.width - inner.width / 2.0) + offset.x,
            (int)lround(g->y * outer.height - inner.height / 2.0) + offset.y};
    return (struct ops_point){
        anchor_side(edges[g->at].x, (int)outer.width, (int)inner.width, offset.x),
        anchor_side(edges[g->at].y, (int)outer.height, (int)inner.height, offset.y)};
}
