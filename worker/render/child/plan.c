#include "worker/render/child/plan.h"

#include <math.h>

static uint32_t side(double exact)
{
    double r = round(exact);

    return r < 1 ? 1 : r > UINT32_MAX ? UINT32_MAX : (uint32_t)r;
}

static struct plan_size scale_by(struct plan_size s, double k)
{
    return (struct plan_size){side(s.width * k), side(s.height * k)};
}

static uint32_t smaller(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* --- one resize ---------------------------------------------------------------------------- */

/* Inside a box of which one side may be free. The side that binds is met exactly, whatever the
 * rounding of the product would give. */
static struct plan_size fit_inside(struct plan_size src, uint32_t bw, uint32_t bh, bool enlarge)
{
    double kw = bw == 0 ? INFINITY : (double)bw / src.width;
    double kh = bh == 0 ? INFINITY : (double)bh / src.height;
    struct plan_size out;

    if (!enlarge && fmin(kw, kh) >= 1)
        return src;
    out = scale_by(src, fmin(kw, kh));
    if (kw <= kh)
        out.width = bw;
    if (kh <= kw)
        out.height = bh;
    return out;
}

/* The box, or without enlarge the largest rectangle of its shape that the source holds. */
static struct plan_size cover_box(struct plan_size src, uint32_t bw, uint32_t bh, bool enlarge)
{
    double k = fmin((double)src.width / bw, (double)src.height / bh);
    struct plan_size box = {bw, bh};

    if (enlarge || k >= 1)
        return box;
    box = scale_by(box, k);
    return (struct plan_size){smaller(box.width, src.width), smaller(box.height, src.height)};
}

static void resize_cover(struct plan_size src, uint32_t bw, uint32_t bh, bool enlarge,
                         struct plan_resize *ret)
{
    struct plan_size box = cover_box(src, bw, bh, enlarge);
    double kw = (double)box.width / src.width;
    double kh = (double)box.height / src.height;

    ret->out = box;
    ret->scaled = scale_by(src, fmax(kw, kh));
    if (kw >= kh)
        ret->scaled.width = box.width;
    if (kh >= kw)
        ret->scaled.height = box.height;
    if (!enlarge && fmax(kw, kh) >= 1)
        ret->scaled = src;
    /* Rounding must not leave the picture a pixel short of its box. */
    ret->out.width = smaller(ret->out.width, ret->scaled.width);
    ret->out.height = smaller(ret->out.height, ret->scaled.height);
    ret->then = PLAN_CROP;
}

static void resize_contain(struct plan_size src, uint32_t bw, uint32_t bh, bool enlarge,
                           struct plan_resize *ret)
{
    ret->scaled = fit_inside(src, bw, bh, enlarge);
    ret->out = (struct plan_size){bw, bh};
    ret->then = PLAN_PAD;
}

static void resize_fill(struct plan_size src, uint32_t bw, uint32_t bh, bool enlarge,
                        struct plan_resize *ret)
{
    ret->scaled.width = enlarge ? bw : smaller(bw, src.width);
    ret->scaled.height = enlarge ? bh : smaller(bh, src.height);
    ret->out = ret->scaled;
}

void plan_resize(struct plan_size src, const struct image_op *op, struct plan_resize *ret)
{
    uint32_t bw = op->u.resize.width;
    uint32_t bh = op->u.resize.height;
    bool enlarge = op->u.resize.enlarge;
    bool free_side = bw == 0 || bh == 0;

    *ret = (struct plan_resize){.then = PLAN_PLAIN};
    if (free_side || op->u.resize.fit == IMAGE_FIT_INSIDE) {
        ret->scaled = fit_inside(src, bw, bh, enlarge);
        ret->out = ret->scaled;
    } else if (op->u.resize.fit == IMAGE_FIT_COVER) {
        resize_cover(src, bw, bh, enlarge, ret);
    } else if (op->u.resize.fit == IMAGE_FIT_CONTAIN) {
        resize_contain(src, bw, bh, enlarge, ret);
    } else {
        resize_fill(src, bw, bh, enlarge, ret);
    }
    if (ret->out.width == ret->scaled.width && ret->out.height == ret->scaled.height)
        ret->then = PLAN_PLAIN;
}

/* Position along each axis: 0 at the start, 1 in the middle, 2 at the end. */
static const struct {
    uint8_t x, y;
} places[] = {
    [IMAGE_CENTER] = {1, 1},    [IMAGE_NORTH] = {1, 0},     [IMAGE_SOUTH] = {1, 2},
    [IMAGE_EAST] = {2, 1},      [IMAGE_WEST] = {0, 1},      [IMAGE_NORTHEAST] = {2, 0},
    [IMAGE_NORTHWEST] = {0, 0}, [IMAGE_SOUTHEAST] = {2, 2}, [IMAGE_SOUTHWEST] = {0, 2},
    [IMAGE_ATTENTION] = {1, 1}, [IMAGE_ENTROPY] = {1, 1},
};

struct plan_point plan_place(struct plan_size outer, struct plan_size inner,
                             enum image_gravity g)
{
    uint32_t room_x = outer.width - inner.width;
    uint32_t room_y = outer.height - inner.height;

    return (struct plan_point){room_x / 2 * places[g].x + (places[g].x == 2 ? room_x % 2 : 0),
                               room_y / 2 * places[g].y + (places[g].y == 2 ? room_y % 2 : 0)};
}

/* --- a whole order ------------------------------------------------------------------------- */

unsigned plan_shrink(struct plan_size src, struct plan_size scaled)
{
    double factor = fmin((double)src.width / scaled.width, (double)src.height / scaled.height);
    unsigned shrink = factor >= 8 ? 8 : factor >= 4 ? 4 : factor >= 2 ? 2 : 1;

    if (shrink > 1 && factor < shrink + 1)
        shrink /= 2;
    return shrink;
}

enum image_format plan_format(const struct image_output *o, enum image_format source)
{
    if (o->has_format)
        return o->format;
    return source == IMAGE_GIF ? IMAGE_WEBP : source;
}

static uint32_t format_side_max(enum image_format f)
{
    switch (f) {
    case IMAGE_JPEG:
        return 65500;
    case IMAGE_WEBP:
        return 16383;
    case IMAGE_AVIF:
        return 16384;
    case IMAGE_PNG:
    case IMAGE_GIF:
        break;
    }
    return INT32_MAX;
}

static enum err check_pixels(const struct image_output *o, struct plan_size s, uint64_t max,
                             struct fault *reterr)
{
    if ((uint64_t)s.width * s.height <= max)
        return ERR_OK;
    return fault_set(reterr, ERR_TOO_BIG, 0,
                     "output %s: %u x %u pixels on the way, the limit is %llu", o->name,
                     s.width, s.height, (unsigned long long)max);
}

/* Follows the size through all ops. */
static enum err check_output(const struct image_output *o, struct plan_size s,
                             enum image_format f, uint64_t max, struct fault *reterr)
{
    uint32_t side_max = format_side_max(f);

    for (size_t i = 0; i < o->n_ops; i++) {
        struct plan_resize r;

        if (o->ops[i].kind != IMAGE_OP_RESIZE)
            continue;
        plan_resize(s, &o->ops[i], &r);
        if (check_pixels(o, r.scaled, max, reterr) != ERR_OK)
            return ERR_TOO_BIG;
        s = r.out;
    }
    if (check_pixels(o, s, max, reterr) != ERR_OK)
        return ERR_TOO_BIG;
    if (s.width > side_max || s.height > side_max)
        return fault_set(reterr, ERR_TOO_BIG, 0,
                         "output %s: %u x %u pixels, and %s ends at %u a side", o->name,
                         s.width, s.height, image_format_name(f), side_max);
    return ERR_OK;
}

static void plan_first(const struct image_output *o, size_t index, struct plan_size src,
                       struct plan_output *ret)
{
    *ret = (struct plan_output){
        .index = index, .first = {.scaled = src, .out = src}, .from = PLAN_BASE};
    ret->has_first = o->n_ops > 0 && o->ops[0].kind == IMAGE_OP_RESIZE;
    if (ret->has_first)
        plan_resize(src, &o->ops[0], &ret->first);
}

/* Large to small; outputs of one size keep their order. */
static void insert_by_size(struct plan *p, const struct plan_output *o)
{
    uint64_t area = (uint64_t)o->first.scaled.width * o->first.scaled.height;
    size_t at = p->n++;

    while (at > 0) {
        const struct plan_size *s = &p->outputs[at - 1].first.scaled;

        if ((uint64_t)s->width * s->height >= area)
            break;
        p->outputs[at] = p->outputs[at - 1];
        at--;
    }
    p->outputs[at] = *o;
}

static bool serves(struct plan_size have, struct plan_size want)
{
    if (have.width == want.width && have.height == want.height)
        return true;
    /* A pixel that rounding took must not send 400 x 267 back to the base when there is 800
     * x 533. */
    return (uint64_t)have.width + 1 >= 2ull * want.width &&
           (uint64_t)have.height + 1 >= 2ull * want.height;
}

static void choose_sources(struct plan *p)
{
    size_t from_base = 0;

    for (size_t i = 0; i < p->n; i++) {
        struct plan_output *o = &p->outputs[i];

        for (size_t j = i; j > 0 && o->from == PLAN_BASE; j--) {
            if (serves(p->outputs[j - 1].first.scaled, o->first.scaled))
                o->from = (int)(j - 1);
        }
        if (o->from == PLAN_BASE)
            from_base++;
        else
            p->outputs[o->from].kept = true;
    }
    p->keep_base = from_base > 1;
}

/* The base must be large enough for every output that is made from it. */
static unsigned choose_shrink(const struct plan *p, struct plan_size src)
{
    unsigned least = 8;

    for (size_t i = 0; i < p->n; i++) {
        unsigned s = plan_shrink(src, p->outputs[i].first.scaled);

        if (p->outputs[i].from == PLAN_BASE && s < least)
            least = s;
    }
    return least;
}

enum err plan_make(const struct spec_image *spec, struct plan_size displayed,
                   enum image_format source, uint64_t output_pixels, struct plan *ret,
                   struct fault *reterr)
{
    ret->n = 0;
    for (size_t i = 0; i < spec->n_outputs; i++) {
        const struct image_output *o = &spec->outputs[i];
        struct plan_output first;
        enum err e = check_output(o, displayed, plan_format(o, source), output_pixels, reterr);

        if (e != ERR_OK)
            return e;
        plan_first(o, i, displayed, &first);
        insert_by_size(ret, &first);
    }
    choose_sources(ret);
    ret->shrink = choose_shrink(ret, displayed);
    return ERR_OK;
}
