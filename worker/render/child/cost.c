#include "worker/render/child/cost.h"

#include <math.h>

/* All figures are nanoseconds a pixel, if nothing else is said. */
#define NS_RESIZE_FROM  2.6
#define NS_RESIZE_TO    3.0
#define NS_ORDER        1e6 /* of any order, whatever its pixels */
#define TRIES_MAX_BYTES 6   /* encodings until a file fits, about */

static double area(struct plan_size s)
{
    return (double)s.width * s.height;
}

/* --- decoders ------------------------------------------------------------------------------ */

static const double decoders[IMAGE_FORMATS] = {
    [IMAGE_JPEG] = 4, [IMAGE_PNG] = 10,  [IMAGE_WEBP] = 12, [IMAGE_GIF] = 13,
    [IMAGE_TIFF] = 9, [IMAGE_AVIF] = 26, [IMAGE_HEIF] = 26, [IMAGE_SVG] = 100};

static double decode_ns(const struct cost_source *s)
{
    double ns = decoders[s->format];

    /* The entropy coder goes through all of the file, however small the picture is to be. */
    if (s->format == IMAGE_JPEG && s->shrink > 1)
        ns = s->shrink > 4 ? 2 : 2.8;
    if (s->format == IMAGE_WEBP)
        ns *= 0.4 + 0.6 * s->scale;
    if (s->interlaced)
        ns *= 2;
    return ns * area(s->stored) * s->frames;
}

/* --- encoders ------------------------------------------------------------------------------ */

/* By effort; what is beyond the last costs as that. */
struct efforts {
    size_t n;
    double ns[11];
};

static double by_effort(const struct efforts *t, unsigned effort)
{
    return t->ns[effort < t->n ? effort : t->n - 1];
}

static const struct efforts
    webp = {7, {14, 17, 22, 60, 60, 65, 90}},
    webp_lossless = {7, {60, 160, 260, 320, 380, 500, 640}},
    palette = {11, {350, 350, 350, 350, 630, 1300, 2400, 3600, 4500, 5300, 6700}},
    avif = {5, {34, 51, 126, 205, 1350}},
    gif = {11, {390, 390, 390, 390, 600, 1350, 2100, 3100, 4100, 5000, 6200}};

static unsigned effort_or(const struct image_coding *c, unsigned otherwise)
{
    return c->effort == IMAGE_UNSET ? otherwise : c->effort;
}

static double png_ns(const struct image_coding *c)
{
    if (c->palette)
        return by_effort(&palette, effort_or(c, 6));
    return c->compression == 0 ? 3 : c->compression == 9 ? 53 : 37;
}

static double tiff_ns(const struct image_coding *c)
{
    static const double ways[] = {[IMAGE_SQUEEZE_DEFLATE] = 46,
                                  [IMAGE_SQUEEZE_LZW] = 31,
                                  [IMAGE_SQUEEZE_JPEG] = 4,
                                  [IMAGE_SQUEEZE_NONE] = 2};

    return ways[c->squeeze];
}

static double encoder_ns(const struct image_coding *c, enum image_format f)
{
    switch (f) {
    case IMAGE_JPEG:
        return c->optimise ? 42 : c->progressive ? 10 : 6;
    case IMAGE_PNG:
        return png_ns(c);
    case IMAGE_WEBP:
        return by_effort(c->lossless || c->near_lossless > 0 ? &webp_lossless : &webp,
                         effort_or(c, 2)) *
               (c->near_lossless > 0 ? 3 : 1);
    case IMAGE_AVIF:
    case IMAGE_HEIF:
        return by_effort(&avif, effort_or(c, 2)) * (c->lossless ? 5 : 1);
    case IMAGE_GIF:
        return by_effort(&gif, effort_or(c, 4));
    case IMAGE_TIFF:
        return tiff_ns(c);
    case IMAGE_SVG:
        break; /* is not written */
    }
    return 0;
}

/* Every format that may be the smallest is tried. */
static double auto_ns(const struct image_output *o, bool moves)
{
    uint32_t set = o->candidates == 0 ? 1u << IMAGE_WEBP | 1u << IMAGE_AVIF | 1u << IMAGE_JPEG
                                      : o->candidates;
    double ns = 0;

    if (moves)
        return encoder_ns(&o->how, IMAGE_WEBP);
    for (unsigned f = 0; f < IMAGE_FORMATS; f++)
        ns += (set & 1u << f) != 0 ? encoder_ns(&o->how, (enum image_format)f) : 0;
    return ns;
}

static double encode_ns(const struct image_output *o, const struct plan_output *p)
{
    double ns = o->is_auto ? auto_ns(o, p->moves) : encoder_ns(&o->how, p->format);

    return o->max_bytes > 0 ? ns * TRIES_MAX_BYTES : ns;
}

/* --- operations ---------------------------------------------------------------------------- */

static const double operations[IMAGE_OPS] = {[IMAGE_OP_RESIZE] = NS_RESIZE_FROM,
                                             [IMAGE_OP_EXTRACT] = 1,
                                             [IMAGE_OP_TRIM] = 146,
                                             [IMAGE_OP_PAD] = 2,
                                             [IMAGE_OP_EXTEND] = 2,
                                             [IMAGE_OP_ROTATE] = 13,
                                             [IMAGE_OP_FLIP] = 2,
                                             [IMAGE_OP_FLOP] = 2,
                                             [IMAGE_OP_ROUND] = 10,
                                             [IMAGE_OP_CIRCLE] = 10,
                                             [IMAGE_OP_BLUR] = 4,
                                             [IMAGE_OP_SHARPEN] = 58,
                                             [IMAGE_OP_PIXELATE] = 3,
                                             [IMAGE_OP_BRIGHTNESS] = 2,
                                             [IMAGE_OP_CONTRAST] = 2,
                                             [IMAGE_OP_SATURATION] = 39,
                                             [IMAGE_OP_HUE] = 39,
                                             [IMAGE_OP_GAMMA] = 4,
                                             [IMAGE_OP_GRAYSCALE] = 10,
                                             [IMAGE_OP_SEPIA] = 6,
                                             [IMAGE_OP_TINT] = 39,
                                             [IMAGE_OP_DUOTONE] = 10,
                                             [IMAGE_OP_NEGATE] = 2,
                                             [IMAGE_OP_NORMALISE] = 40,
                                             [IMAGE_OP_FLATTEN] = 3,
                                             [IMAGE_OP_TEXT] = 10,
                                             [IMAGE_OP_WATERMARK] = 15};

static double op_ns(const struct image_op *op)
{
    double ns = operations[op->kind];

    return op->kind == IMAGE_OP_BLUR ? ns + op->u.adjust.amount : ns;
}

/* Size by size; where that cannot be told, as before. */
static double ops_ns(const struct image_output *o, const struct plan_output *p,
                     struct plan_size *size)
{
    double ns = 0;

    for (size_t i = p->has_first ? 1 : 0; i < o->n_ops; i++) {
        struct plan_size next, way;

        ns += op_ns(&o->ops[i]) * area(*size);
        if (plan_after(*size, &o->ops[i], &next, &way) == PLAN_KNOWN)
            *size = next;
    }
    return ns;
}

/* --- whole orders -------------------------------------------------------------------------- */

static struct plan_size base_of(const struct cost_source *s)
{
    double k = s->format == IMAGE_JPEG ? 1.0 / s->shrink : s->scale;

    return (struct plan_size){(uint32_t)ceil(s->stored.width * k),
                              (uint32_t)ceil(s->stored.height * k)};
}

static double output_ns(const struct spec_image *spec, const struct plan *plan, size_t i,
                        const struct cost_source *s)
{
    const struct plan_output *p = &plan->outputs[i];
    const struct image_output *o = &spec->outputs[p->index];
    struct plan_size from =
        p->from == PLAN_BASE ? base_of(s) : plan->outputs[p->from].first.scaled;
    struct plan_size size = p->first.out;
    double ns = 0;

    if (area(from) != area(p->first.scaled))
        ns += NS_RESIZE_FROM * area(from) + NS_RESIZE_TO * area(p->first.scaled);
    ns += ops_ns(o, p, &size);
    ns += encode_ns(o, p) * area(size);
    return ns * (p->moves ? s->frames : 1);
}

uint64_t cost_predict(const struct spec_image *spec, const struct plan *plan,
                      const struct cost_source *source)
{
    double ns = NS_ORDER + decode_ns(source);

    for (size_t i = 0; i < plan->n; i++)
        ns += output_ns(spec, plan, i, source);
    return ns > 1e18 ? (uint64_t)1e15 : (uint64_t)(ns / 1e3);
}
