#include "queue/spec/image_op.h"

#include <math.h>

#define SIDE_MAX      16384
#define SIGMA_MIN     0.3
#define SIGMA_MAX     10.0
#define SIGMA_DEFAULT 0.5

#define WORDS(array)  ((struct walk_words){(array), COUNT_OF(array), COUNT_OF(array)})

/* --- resize ---------------------------------------------------------------------------------- */

static enum err take_width(void *out, const msgpack_object *v, const struct place *at,
                           struct spec_fault *ret)
{
    struct image_op *op = out;

    return walk_uint(v, 1, SIDE_MAX, &op->u.resize.width, at, ret);
}

static enum err take_height(void *out, const msgpack_object *v, const struct place *at,
                            struct spec_fault *ret)
{
    struct image_op *op = out;

    return walk_uint(v, 1, SIDE_MAX, &op->u.resize.height, at, ret);
}

static enum err take_fit(void *out, const msgpack_object *v, const struct place *at,
                         struct spec_fault *ret)
{
    static const struct walk_word words[] = {{"inside", IMAGE_FIT_INSIDE},
                                             {"cover", IMAGE_FIT_COVER},
                                             {"contain", IMAGE_FIT_CONTAIN},
                                             {"fill", IMAGE_FIT_FILL}};
    struct image_op *op = out;
    int fit = IMAGE_FIT_INSIDE;
    enum err e = walk_word(v, WORDS(words), &fit, at, ret);

    op->u.resize.fit = (enum image_fit)fit;
    return e;
}

static enum err take_gravity(void *out, const msgpack_object *v, const struct place *at,
                             struct spec_fault *ret)
{
    static const struct walk_word words[] = {
        {"center", IMAGE_CENTER},       {"north", IMAGE_NORTH},
        {"south", IMAGE_SOUTH},         {"east", IMAGE_EAST},
        {"west", IMAGE_WEST},           {"northeast", IMAGE_NORTHEAST},
        {"northwest", IMAGE_NORTHWEST}, {"southeast", IMAGE_SOUTHEAST},
        {"southwest", IMAGE_SOUTHWEST}, {"attention", IMAGE_ATTENTION},
        {"entropy", IMAGE_ENTROPY}};
    struct image_op *op = out;
    int gravity = IMAGE_CENTER;
    enum err e = walk_word(v, WORDS(words), &gravity, at, ret);

    op->u.resize.gravity = (enum image_gravity)gravity;
    return e;
}

static enum err take_enlarge(void *out, const msgpack_object *v, const struct place *at,
                             struct spec_fault *ret)
{
    struct image_op *op = out;

    return walk_bool(v, &op->u.resize.enlarge, at, ret);
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static bool parse_colour(struct slice s, uint8_t ret[4])
{
    ret[3] = 255; /* "#rrggbb" is opaque */
    if ((s.len != 7 && s.len != 9) || s.ptr[0] != '#')
        return false;
    for (size_t i = 1; i < s.len; i += 2) {
        int high = hex_digit(s.ptr[i]);
        int low = hex_digit(s.ptr[i + 1]);

        if (high < 0 || low < 0)
            return false;
        ret[i / 2] = (uint8_t)(high * 16 + low);
    }
    return true;
}

static enum err take_background(void *out, const msgpack_object *v, const struct place *at,
                                struct spec_fault *ret)
{
    struct image_op *op = out;

    if (v->type != MSGPACK_OBJECT_STR || !parse_colour(mp_as_slice(v), op->u.resize.background))
        return walk_fault(at, ret, "must be a colour: \"#rrggbb\" or \"#rrggbbaa\"");
    op->u.resize.has_background = true;
    return ERR_OK;
}

static const struct walk_field resize_fields[] = {
    {"width", take_width, false},     {"height", take_height, false},
    {"fit", take_fit, false},         {"gravity", take_gravity, false},
    {"enlarge", take_enlarge, false}, {"background", take_background, false},
};

static enum err take_resize(void *out, const msgpack_object *v, const struct place *at,
                            struct spec_fault *ret)
{
    struct image_op *op = out;
    enum err e;

    op->kind = IMAGE_OP_RESIZE;
    e = walk_map(v, WALK_TABLE(resize_fields), op, at, ret);
    if (e == ERR_OK && op->u.resize.width == 0 && op->u.resize.height == 0)
        return walk_fault(at, ret, "must have width or height");
    return e;
}

/* --- sharpen --------------------------------------------------------------------------------- */

static bool as_number(const msgpack_object *v, double *ret)
{
    if (v->type == MSGPACK_OBJECT_POSITIVE_INTEGER)
        *ret = (double)v->via.u64;
    else if (v->type == MSGPACK_OBJECT_FLOAT32 || v->type == MSGPACK_OBJECT_FLOAT64)
        *ret = v->via.f64;
    else
        return false;
    return isfinite(*ret);
}

static enum err take_sigma(void *out, const msgpack_object *v, const struct place *at,
                           struct spec_fault *ret)
{
    struct image_op *op = out;
    double sigma = 0;

    if (!as_number(v, &sigma) || sigma < SIGMA_MIN || sigma > SIGMA_MAX)
        return walk_fault(at, ret, "must be a number from %g to %g", SIGMA_MIN, SIGMA_MAX);
    op->u.sharpen.sigma = sigma;
    return ERR_OK;
}

static const struct walk_field sharpen_fields[] = {{"sigma", take_sigma, false}};

static enum err take_sharpen(void *out, const msgpack_object *v, const struct place *at,
                             struct spec_fault *ret)
{
    struct image_op *op = out;

    op->kind = IMAGE_OP_SHARPEN;
    op->u.sharpen.sigma = SIGMA_DEFAULT;
    return walk_map(v, WALK_TABLE(sharpen_fields), op, at, ret);
}

/* --- the list -------------------------------------------------------------------------------- */

static const struct walk_field op_fields[] = {
    {"resize", take_resize, false},
    {"sharpen", take_sharpen, false},
};

enum err image_ops_take(const msgpack_object *v, struct image_output *out,
                        const struct place *at, struct spec_fault *ret)
{
    enum err e = walk_array(v, 0, SPEC_IMAGE_OPS_MAX, at, ret);

    for (uint32_t i = 0; e == ERR_OK && i < v->via.array.size; i++) {
        const msgpack_object *op = &v->via.array.ptr[i];
        struct place here = place_index(at, i);

        if (op->type != MSGPACK_OBJECT_MAP || op->via.map.size != 1)
            return walk_fault(&here, ret,
                              "must be an object with one key, the operation: "
                              "resize or sharpen");
        out->ops[i] = (struct image_op){.kind = IMAGE_OP_RESIZE};
        e = walk_map(op, WALK_TABLE(op_fields), &out->ops[i], &here, ret);
        out->n_ops = i + 1;
    }
    return e;
}
