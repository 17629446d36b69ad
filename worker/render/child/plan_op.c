#include <math.h>

#include "worker/render/child/plan.h"

static uint32_t at_least_1(double exact)
{
    double r = round(exact);

    return r < 1 ? 1 : r > UINT32_MAX ? UINT32_MAX : (uint32_t)r;
}

uint32_t plan_length(const struct image_length *l, uint32_t side)
{
    return (uint32_t)round(l->is_part ? l->value * side : l->value);
}

/* --- extract ------------------------------------------------------------------------------- */

static uint32_t smaller(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static uint32_t wanted(const struct image_length *l, uint32_t side)
{
    uint32_t n = l->given ? plan_length(l, side) : side;

    return n < 1 ? 1 : n;
}

bool plan_extract(struct plan_size s, const struct image_extract *x, struct plan_area *ret)
{
    uint32_t left = x->left.given ? plan_length(&x->left, s.width) : 0;
    uint32_t top = x->top.given ? plan_length(&x->top, s.height) : 0;
    struct plan_point placed;

    if (left >= s.width || top >= s.height)
        return false;
    ret->size.width = smaller(wanted(&x->width, s.width), s.width - left);
    ret->size.height = smaller(wanted(&x->height, s.height), s.height - top);
    placed = plan_place(s, ret->size, &x->gravity);
    ret->at.x = x->left.given ? left : placed.x;
    ret->at.y = x->top.given ? top : placed.y;
    return true;
}

/* --- pad, extend --------------------------------------------------------------------------- */

static uint32_t pad_of(const struct image_pad *p, const struct image_length *own, uint32_t side)
{
    return plan_length(own->given ? own : &p->all, side);
}

void plan_pad(struct plan_size s, const struct image_pad *p, struct plan_area *ret)
{
    ret->at.x = pad_of(p, &p->left, s.width);
    ret->at.y = pad_of(p, &p->top, s.height);
    ret->size.width = s.width + ret->at.x + pad_of(p, &p->right, s.width);
    ret->size.height = s.height + ret->at.y + pad_of(p, &p->bottom, s.height);
}

/* The canvas is never smaller than the picture; the aspect makes one side longer still. */
void plan_extend(struct plan_size s, const struct image_extend *x, struct plan_area *ret)
{
    struct plan_size c = {x->width > s.width ? x->width : s.width,
                          x->height > s.height ? x->height : s.height};

    if (x->aspect > 0 && (double)c.width / c.height < x->aspect)
        c.width = at_least_1(c.height * x->aspect);
    else if (x->aspect > 0)
        c.height = at_least_1(c.width / x->aspect);
    c.width = c.width < s.width ? s.width : c.width;
    c.height = c.height < s.height ? s.height : c.height;
    ret->size = c;
    ret->at = plan_place(c, s, &x->gravity);
}

/* --- sizes --------------------------------------------------------------------------------- */

bool plan_quarters(double angle, unsigned *ret_quarters)
{
    double quarters = fmod(angle, 360) / 90;

    if (quarters != floor(quarters))
        return false;
    *ret_quarters = ((unsigned)((int)quarters + 4)) % 4;
    return true;
}

static enum plan_next after_rotate(struct plan_size s, double angle, struct plan_size *ret)
{
    unsigned quarters;

    if (!plan_quarters(angle, &quarters))
        return PLAN_UNKNOWN;
    *ret = quarters % 2 == 1 ? (struct plan_size){s.height, s.width} : s;
    return PLAN_KNOWN;
}

static enum plan_next after_resize(struct plan_size s, const struct image_op *op,
                                   struct plan_size *ret, struct plan_size *ret_way)
{
    struct plan_resize r;

    plan_resize(s, op, &r);
    *ret = r.out;
    *ret_way = r.scaled;
    return PLAN_KNOWN;
}

/* NOLINTNEXTLINE(readability-function-size): one line each */
enum plan_next plan_after(struct plan_size s, const struct image_op *op, struct plan_size *ret,
                          struct plan_size *ret_way)
{
    struct plan_area area = {.size = s};
    enum plan_next next = PLAN_KNOWN;

    *ret = s;
    *ret_way = s;
    if (op->kind == IMAGE_OP_RESIZE)
        return after_resize(s, op, ret, ret_way);
    if (op->kind == IMAGE_OP_TRIM)
        return PLAN_UNKNOWN;
    if (op->kind == IMAGE_OP_ROTATE)
        return after_rotate(s, op->u.rotate.angle, ret);
    if (op->kind == IMAGE_OP_CIRCLE)
        area.size.width = area.size.height = smaller(s.width, s.height);
    else if (op->kind == IMAGE_OP_PAD)
        plan_pad(s, &op->u.pad, &area);
    else if (op->kind == IMAGE_OP_EXTEND)
        plan_extend(s, &op->u.extend, &area);
    else if (op->kind == IMAGE_OP_EXTRACT && !plan_extract(s, &op->u.extract, &area))
        next = PLAN_OUTSIDE;
    *ret = area.size;
    return next;
}
