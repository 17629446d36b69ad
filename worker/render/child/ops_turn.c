/* rotate, flip, flop, round, circle. */
#include <math.h>

#include "worker/render/child/ops_kit.h"
#include "worker/render/child/vfault.h"

static enum err failed(struct fault *reterr, const char *what)
{
    return vfault_take(reterr, ERR_MALFORMED, what);
}

/* --- rotate, flip, flop -------------------------------------------------------------------- */

static int turn_quarters(VipsImage **im, unsigned quarters)
{
    static const VipsAngle angles[] = {VIPS_ANGLE_D0, VIPS_ANGLE_D90, VIPS_ANGLE_D180,
                                       VIPS_ANGLE_D270};
    VipsImage *next = NULL;

    if (vips_rot(*im, &next, angles[quarters], NULL) != 0)
        return -1;
    vimage_replace(im, next);
    return 0;
}

/* Premultiplied, so that what lies outside is nothing and does not darken the edge. */
static int turn_freely(VipsImage **im, double angle)
{
    VipsImage *t[3] = {NULL, NULL, NULL};
    int rc = ops_add_alpha(im);

    if (rc == 0)
        rc = vips_premultiply(*im, &t[0], NULL);
    if (rc == 0)
        rc = vips_rotate(t[0], &t[1], angle, NULL);
    if (rc == 0)
        rc = vips_unpremultiply(t[1], &t[2], NULL);
    if (rc == 0) {
        vimage_replace(im, t[2]);
        t[2] = NULL;
        rc = ops_to_bytes(im);
    }
    for (int i = 0; i < 3; i++)
        vimage_drop(&t[i]);
    return rc;
}

enum err ops_rotate(VipsImage **im, const struct image_op *op, const struct ops_job *job,
                    struct ops_memo *memo, struct fault *reterr)
{
    const struct image_rotate *r = &op->u.rotate;
    unsigned quarters = 0;
    int rc;

    (void)memo;
    if (plan_quarters(r->angle, &quarters))
        return turn_quarters(im, quarters) == 0 ? ERR_OK : failed(reterr, "rotate");
    rc = turn_freely(im, r->angle);
    if (rc == 0)
        rc = ops_behind(im, &r->background, job->alpha_lives);
    return rc == 0 ? ERR_OK : failed(reterr, "rotate");
}

static enum err mirror(VipsImage **im, VipsDirection direction, struct fault *reterr)
{
    VipsImage *next = NULL;

    if (vips_flip(*im, &next, direction, NULL) != 0)
        return failed(reterr, "flip");
    vimage_replace(im, next);
    return ERR_OK;
}

enum err ops_flip(VipsImage **im, const struct image_op *op, const struct ops_job *job,
                  struct ops_memo *memo, struct fault *reterr)
{
    (void)op;
    (void)job;
    (void)memo;
    return mirror(im, VIPS_DIRECTION_VERTICAL, reterr);
}

enum err ops_flop(VipsImage **im, const struct image_op *op, const struct ops_job *job,
                  struct ops_memo *memo, struct fault *reterr)
{
    (void)op;
    (void)job;
    (void)memo;
    return mirror(im, VIPS_DIRECTION_HORIZONTAL, reterr);
}

/* --- round, circle ------------------------------------------------------------------------- */

/* How much of a pixel at distance d (of its middle from the arc's centre) lies within radius r. */
static double coverage(double d, double r)
{
    double inside = r - d + 0.5;

    return inside < 0 ? 0 : inside > 1 ? 1 : inside;
}

/* Distance into a corner's square from the arc's centre; below 0: this side is not in a corner. */
static double depth(double at, double length, double radius)
{
    double near = radius - at;
    double far = at - (length - radius);

    return near > far ? near : far;
}

static void draw_row(uint8_t *row, struct plan_size s, double y, double radius)
{
    double dy = depth(y, s.height, radius);

    for (uint32_t x = 0; x < s.width; x++) {
        double dx = depth(x + 0.5, s.width, radius);
        double part = dx <= 0 || dy <= 0 ? 1 : coverage(hypot(dx, dy), radius);

        row[x] = (uint8_t)lround(255 * part);
    }
}

/* A rectangle with round corners, white on black. */
static int draw_mask(struct plan_size s, double radius, VipsImage **ret)
{
    size_t len = (size_t)s.width * s.height;
    uint8_t *bytes = g_try_malloc(len);
    VipsImage *lent;

    if (bytes == NULL) {
        vips_error("mask", "out of memory");
        return -1;
    }
    for (uint32_t y = 0; y < s.height; y++)
        draw_row(bytes + (size_t)y * s.width, s, y + 0.5, radius);
    lent = vips_image_new_from_memory_copy(bytes, len, (int)s.width, (int)s.height, 1,
                                           VIPS_FORMAT_UCHAR);
    g_free(bytes);
    *ret = lent;
    return lent == NULL ? -1 : 0;
}

/* Whatever alpha there is is seen through the mask. */
static int mask_alpha(VipsImage **alpha, VipsImage *mask)
{
    VipsImage *t[2] = {NULL, NULL};
    int rc = vips_multiply(*alpha, mask, &t[0], NULL);

    if (rc == 0)
        rc = vips_linear1(t[0], &t[1], 1.0 / 255, 0.5, "uchar", TRUE, NULL);
    vimage_drop(&t[0]);
    if (rc == 0)
        vimage_replace(alpha, t[1]);
    return rc;
}

static int cut_corners(VipsImage **im, double radius, const struct image_colour *c,
                       bool alpha_fits)
{
    VipsImage *alpha = NULL;
    VipsImage *mask = NULL;
    int rc = ops_add_alpha(im);

    if (rc == 0)
        rc = draw_mask(ops_size_of(*im), radius, &mask);
    if (rc == 0)
        rc = ops_split_alpha(im, &alpha);
    if (rc == 0)
        rc = mask_alpha(&alpha, mask);
    if (rc == 0)
        rc = ops_join_alpha(im, &alpha);
    if (rc == 0)
        rc = ops_behind(im, c, alpha_fits);
    vimage_drop(&alpha);
    vimage_drop(&mask);
    return rc;
}

enum err ops_round(VipsImage **im, const struct image_op *op, const struct ops_job *job,
                   struct ops_memo *memo, struct fault *reterr)
{
    struct plan_size s = ops_size_of(*im);
    uint32_t shorter = s.width < s.height ? s.width : s.height;
    double radius = plan_length(&op->u.round.radius, shorter);

    (void)memo;
    if (radius > shorter / 2.0)
        radius = shorter / 2.0;
    if (cut_corners(im, radius, &op->u.round.background, job->alpha_lives) != 0)
        return failed(reterr, "round");
    return ERR_OK;
}

enum err ops_circle(VipsImage **im, const struct image_op *op, const struct ops_job *job,
                    struct ops_memo *memo, struct fault *reterr)
{
    struct plan_size s = ops_size_of(*im);
    uint32_t side = s.width < s.height ? s.width : s.height;

    if (ops_cut(im, (struct plan_size){side, side}, &op->u.round.gravity, memo) != 0 ||
        cut_corners(im, side / 2.0, &op->u.round.background, job->alpha_lives) != 0)
        return failed(reterr, "circle");
    return ERR_OK;
}
