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

/* What a resize asks for, with dpr in it. Sides of 0 are free. */
struct box {
    uint32_t width, height;
    double min_width, min_height, max_width, max_height; /* max: INFINITY where there is none */
    bool enlarge;
};

static uint32_t times_dpr(uint32_t length, double dpr)
{
    return length == 0 ? 0 : side(length * (dpr == 0 ? 1 : dpr));
}

static struct box box_of(const struct image_resize *r)
{
    return (struct box){
        .width = times_dpr(r->width, r->dpr),
        .height = times_dpr(r->height, r->dpr),
        .min_width = times_dpr(r->min_width, r->dpr),
        .min_height = times_dpr(r->min_height, r->dpr),
        .max_width = r->max_width == 0 ? (double)INFINITY : r->max_width,
        .max_height = r->max_height == 0 ? (double)INFINITY : r->max_height,
        .enlarge = r->enlarge,
    };
}

/* A side that binds is met exactly, whatever the rounding of the product would give. */
static void meet(uint32_t *length, uint32_t src, double k, double bound)
{
    if (bound > 0 && isfinite(bound) && k == bound / src)
        *length = side(bound);
}

static double scale_of(struct plan_size src, const struct box *b, bool outside)
{
    double kw = b->width == 0 ? NAN : (double)b->width / src.width;
    double kh = b->height == 0 ? NAN : (double)b->height / src.height;
    double k = outside ? fmax(kw, kh) : fmin(kw, kh); /* of one that is NAN, the other */

    if (isnan(k))
        k = 1;
    k = fmax(k, fmax(b->min_width / src.width, b->min_height / src.height));
    if (!b->enlarge)
        k = fmin(k, 1);
    return fmin(k, fmin(b->max_width / src.width, b->max_height / src.height));
}

/* One side may be free, or both. */
static struct plan_size keep_shape(struct plan_size src, const struct box *b, bool outside)
{
    double k = scale_of(src, b, outside);
    struct plan_size out = scale_by(src, k);

    if (k == 1)
        return src;
    meet(&out.width, src.width, k, b->width);
    meet(&out.width, src.width, k, b->min_width);
    meet(&out.width, src.width, k, b->max_width);
    meet(&out.height, src.height, k, b->height);
    meet(&out.height, src.height, k, b->min_height);
    meet(&out.height, src.height, k, b->max_height);
    return out;
}

/* For cover, contain and fill the limits are the box's own. */
static void bound_box(struct box *b)
{
    double k;

    b->width = (uint32_t)fmax(b->width, b->min_width);
    b->height = (uint32_t)fmax(b->height, b->min_height);
    k = fmin(b->max_width / b->width, b->max_height / b->height);
    if (k < 1) {
        b->width = side(b->width * k);
        b->height = side(b->height * k);
    }
    b->min_width = b->min_height = 0;
    b->max_width = b->max_height = INFINITY;
}

/* The box, or without enlarge the largest rectangle of its shape that the source holds. */
static struct plan_size cover_box(struct plan_size src, const struct box *b)
{
    double k = fmin((double)src.width / b->width, (double)src.height / b->height);
    struct plan_size box = {b->width, b->height};

    if (b->enlarge || k >= 1)
        return box;
    box = scale_by(box, k);
    return (struct plan_size){smaller(box.width, src.width), smaller(box.height, src.height)};
}

static void resize_cover(struct plan_size src, const struct box *b, struct plan_resize *ret)
{
    struct plan_size box = cover_box(src, b);
    double kw = (double)box.width / src.width;
    double kh = (double)box.height / src.height;

    ret->out = box;
    ret->scaled = scale_by(src, fmax(kw, kh));
    if (kw >= kh)
        ret->scaled.width = box.width;
    if (kh >= kw)
        ret->scaled.height = box.height;
    if (!b->enlarge && fmax(kw, kh) >= 1)
        ret->scaled = src;
    /* Rounding must not leave the picture a pixel short of its box. */
    ret->out.width = smaller(ret->out.width, ret->scaled.width);
    ret->out.height = smaller(ret->out.height, ret->scaled.height);
    ret->then = PLAN_CROP;
}

static void resize_fill(struct plan_size src, const struct box *b, struct plan_resize *ret)
{
    ret->scaled.width = b->enlarge ? b->width : smaller(b->width, src.width);
    ret->scaled.height = b->enlarge ? b->height : smaller(b->height, src.height);
    ret->out = ret->scaled;
}

void plan_resize(struct plan_size src, const struct image_op *op, struct plan_resize *ret)
{
    enum image_fit fit = op->u.resize.fit;
    struct box b = box_of(&op->u.resize);

    *ret = (struct plan_resize){.then = PLAN_PLAIN};
    if (b.width == 0 || b.height == 0 || fit == IMAGE_FIT_INSIDE || fit == IMAGE_FIT_OUTSIDE) {
        ret->scaled = keep_shape(src, &b, fit == IMAGE_FIT_OUTSIDE);
        ret->out = ret->scaled;
        return;
    }
    bound_box(&b);
    if (fit == IMAGE_FIT_COVER) {
        resize_cover(src, &b, ret);
    } else if (fit == IMAGE_FIT_CONTAIN) {
        ret->scaled = keep_shape(src, &b, false);
        ret->out = (struct plan_size){b.width, b.height};
        ret->then = PLAN_PAD;
    } else {
        resize_fill(src, &b, ret);
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
    [IMAGE_ATTENTION] = {1, 1}, [IMAGE_ENTROPY] = {1, 1},   [IMAGE_FOCUS] = {1, 1},
};

static uint32_t centre_on(double focus, uint32_t outer, uint32_t inner)
{
    double at = round(focus * outer - inner / 2.0);

    return at < 0 ? 0 : at > outer - inner ? outer - inner : (uint32_t)at;
}

struct plan_point plan_place(struct plan_size outer, struct plan_size inner,
                             const struct image_anchor *g)
{
    uint32_t room_x = outer.width - inner.width;
    uint32_t room_y = outer.height - inner.height;
    unsigned px, py;

    if (g->at == IMAGE_FOCUS)
        return (struct plan_point){centre_on(g->x, outer.width, inner.width),
                                   centre_on(g->y, outer.height, inner.height)};
    px = places[g->at].x;
    py = places[g->at].y;
    return (struct plan_point){room_x / 2 * px + (px == 2 ? room_x % 2 : 0),
                               room_y / 2 * py + (py == 2 ? room_y % 2 : 0)};
}

/* --- a whole order ------------------------------------------------------------------------- */

unsigned plan_shrink(struct plan_size src, struct plan_size least)
{
    double factor = fmin((double)src.width / least.width, (double)src.height / least.height);
    unsigned shrink;

    shrink = factor >= 8 ? 8 : factor >= 4 ? 4 : factor >= 2 ? 2 : 1;
    if (shrink > 1 && factor < shrink + 1)
        shrink /= 2;
    return shrink;
}

double plan_scale(struct plan_size src, struct plan_size least)
{
    double from = fmax((least.width - 0.5) / src.width, (least.height - 0.5) / src.height);
    double to = fmin((least.width + 0.5) / src.width, (least.height + 0.5) / src.height);
    double exact = fmax((double)least.width / src.width, (double)least.height / src.height);

    return fmin(from < to ? (from + to) / 2 : exact, 1);
}

static uint32_t larger(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

struct plan_size plan_upright(struct plan_size s, unsigned orientation)
{
    return orientation >= 5 ? (struct plan_size){s.height, s.width} : s;
}

struct plan_size plan_larger(struct plan_size a, struct plan_size b)
{
    return (struct plan_size){larger(a.width, b.width), larger(a.height, b.height)};
}

enum image_format plan_format(const struct image_output *o, enum image_format source)
{
    if (o->has_format)
        return o->format;
    return o->is_auto || !image_format_is_written(source) ? IMAGE_WEBP : source;
}

static uint32_t format_side_max(enum image_format f)
{
    static const uint32_t sides[IMAGE_FORMATS] = {
        [IMAGE_JPEG] = 65500, [IMAGE_WEBP] = 16383, [IMAGE_AVIF] = 16384, [IMAGE_GIF] = 65535};

    return sides[f] == 0 ? INT32_MAX : sides[f];
}

static enum err check_pixels(const struct image_output *o, struct plan_size s, uint64_t max,
                             struct fault *reterr)
{
    if ((uint64_t)s.width * s.height <= max)
        return ERR_OK;
    return fault_set(reterr, ERR_TOO_BIG, 0,
                     "output %s: %u x %u pixels on the way, the limit is %llu (OUTPUT_PIXELS)",
                     o->name, s.width, s.height, (unsigned long long)max);
}

static enum err check_sides(const struct image_output *o, struct plan_size s,
                            enum image_format f, struct fault *reterr)
{
    uint32_t side_max = format_side_max(f);

    if (s.width <= side_max && s.height <= side_max)
        return ERR_OK;
    return fault_set(reterr, ERR_TOO_BIG, 0,
                     "output %s: %u x %u pixels, and %s ends at %u a side", o->name, s.width,
                     s.height, image_format_name(f), side_max);
}

/* Follows the size through all ops, as far as it can be told from here. Frames count as pixels. */
static enum err check_output(const struct image_output *o, const struct plan_source *source,
                             const struct plan_output *p, struct fault *reterr)
{
    uint64_t max = source->output_pixels / (p->moves ? source->frames : 1);
    struct plan_size s = source->displayed;

    for (size_t i = 0; i < o->n_ops; i++) {
        struct plan_size way, next;
        enum plan_next known = plan_after(s, &o->ops[i], &next, &way);

        if (known == PLAN_OUTSIDE)
            return fault_set(reterr, ERR_MALFORMED, 0,
                             "output %s: op %zu begins outside of the picture (%u x %u)",
                             o->name, i, s.width, s.height);
        if (known == PLAN_UNKNOWN)
            return ERR_OK;
        s = next;
        if (check_pixels(o, way, max, reterr) != ERR_OK ||
            check_pixels(o, s, max, reterr) != ERR_OK)
            return ERR_TOO_BIG;
    }
    if (check_pixels(o, s, max, reterr) != ERR_OK)
        return ERR_TOO_BIG;
    return check_sides(o, s, p->format, reterr);
}

/* A resize that comes first, and leaves the choice of the kernel to us, may be done with the
 * decoder's help and from another output's picture. */
static bool leads(const struct image_output *o)
{
    return o->n_ops > 0 && o->ops[0].kind == IMAGE_OP_RESIZE &&
           o->ops[0].u.resize.kernel == IMAGE_KERNEL_AUTO;
}

static void plan_first(const struct image_output *o, size_t index,
                       const struct plan_source *source, struct plan_output *ret)
{
    struct plan_size src = source->displayed;

    *ret = (struct plan_output){
        .index = index, .first = {.scaled = src, .out = src}, .from = PLAN_BASE};
    ret->format = plan_format(o, source->format);
    ret->moves = source->frames > 1 && image_format_moves(ret->format);
    ret->has_first = leads(o);
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

/* What an output may be made from: how much larger, and of what source all are. */
struct rule {
    struct plan_size src;
    double times;
};

static bool serves(struct plan_size have, struct plan_size want, const struct rule *r)
{
    if (have.width == want.width && have.height == want.height)
        return true;
    /* What has been enlarged is blurred: nothing else is made from it. */
    if (have.width > r->src.width || have.height > r->src.height)
        return false;
    /* A pixel that rounding took must not send 400 x 267 back to the base when there is 800
     * x 533. */
    return have.width + 1 >= r->times * want.width && have.height + 1 >= r->times * want.height;
}

static int find_source(const struct plan *p, size_t i, const struct rule *r)
{
    for (size_t j = i; j > 0; j--) {
        const struct plan_output *have = &p->outputs[j - 1];

        if (!have->moves && serves(have->first.scaled, p->outputs[i].first.scaled, r))
            return (int)(j - 1);
    }
    return PLAN_BASE;
}

static void choose_sources(struct plan *p, const struct rule *r)
{
    size_t from_base = 0;

    for (size_t i = 0; i < p->n; i++) {
        struct plan_output *o = &p->outputs[i];

        if (!o->moves)
            o->from = find_source(p, i, r);
        if (o->from == PLAN_BASE)
            from_base++;
        else
            p->outputs[o->from].kept = true;
        p->moves = p->moves || o->moves;
    }
    p->keep_base = from_base > 1 || p->moves;
}

static struct plan_size twice(struct plan_size s)
{
    return (struct plan_size){2 * s.width, 2 * s.height};
}

/* The base must be large enough for every output that is made from it. */
static struct plan_size least_base(const struct plan *p, bool high)
{
    struct plan_size least = {1, 1};

    for (size_t i = 0; i < p->n; i++) {
        struct plan_size s = p->outputs[i].first.scaled;

        if (p->outputs[i].from == PLAN_BASE)
            least = plan_larger(least, high ? twice(s) : s);
    }
    return least;
}

enum err plan_make(const struct spec_image *spec, const struct plan_source *source,
                   struct plan *ret, struct fault *reterr)
{
    ret->n = 0;
    ret->moves = false;
    for (size_t i = 0; i < spec->n_outputs; i++) {
        const struct image_output *o = &spec->outputs[i];
        struct plan_output first;
        enum err e;

        plan_first(o, i, source, &first);
        e = check_output(o, source, &first, reterr);
        if (e != ERR_OK)
            return e;
        insert_by_size(ret, &first);
    }
    choose_sources(
        ret, &(struct rule){.src = source->displayed, .times = spec->high_fidelity ? 2 : 1.2});
    ret->least = least_base(ret, spec->high_fidelity);
    return ERR_OK;
}
