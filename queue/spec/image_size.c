/* What changes the size of a picture: resize, extract, trim, pad, extend. */
#include <stdlib.h>

#include "queue/spec/image_op.h"

#define SIDE_MAX   16384
#define DPR_MIN    0.1
#define DPR_MAX    8
#define ASPECT_MIN 0.01
#define ASPECT_MAX 100

#define SIDE(field_name, member)                                                     \
    {                                                                                \
        .name = (field_name), .kind = FIELD_UINT, .offset = OP_AT(member), .min = 1, \
        .max = SIDE_MAX                                                              \
    }
#define LENGTH(field_name, member, least)                                                    \
    {                                                                                        \
        .name = (field_name), .kind = FIELD_LENGTH, .offset = OP_AT(member), .min = (least), \
        .max = SIDE_MAX                                                                      \
    }
#define BACKGROUND(member)                                                  \
    {                                                                       \
        .name = "background", .kind = FIELD_COLOUR, .offset = OP_AT(member) \
    }
#define ANCHOR(member)                                                   \
    {                                                                    \
        .name = "gravity", .kind = FIELD_ANCHOR, .offset = OP_AT(member) \
    }
#define PLACE(member)                                                   \
    {                                                                   \
        .name = "gravity", .kind = FIELD_PLACE, .offset = OP_AT(member) \
    }

/* --- resize ---------------------------------------------------------------------------------- */

static const struct walk_word fits[] = {{"inside", IMAGE_FIT_INSIDE},
                                        {"outside", IMAGE_FIT_OUTSIDE},
                                        {"cover", IMAGE_FIT_COVER},
                                        {"contain", IMAGE_FIT_CONTAIN},
                                        {"fill", IMAGE_FIT_FILL}};
static const struct walk_word kernels[] = {
    {"auto", IMAGE_KERNEL_AUTO},         {"nearest", IMAGE_KERNEL_NEAREST},
    {"linear", IMAGE_KERNEL_LINEAR},     {"cubic", IMAGE_KERNEL_CUBIC},
    {"mitchell", IMAGE_KERNEL_MITCHELL}, {"lanczos2", IMAGE_KERNEL_LANCZOS2},
    {"lanczos3", IMAGE_KERNEL_LANCZOS3}};

static const struct image_field resize_fields[] = {
    SIDE("width", resize.width),
    SIDE("height", resize.height),
    {.name = "fit",
     .kind = FIELD_WORD,
     .offset = OP_AT(resize.fit),
     .words = IMAGE_WORDS(fits)},
    PLACE(resize.gravity),
    {.name = "enlarge", .kind = FIELD_BOOL, .offset = OP_AT(resize.enlarge)},
    BACKGROUND(resize.background),
    SIDE("min_width", resize.min_width),
    SIDE("min_height", resize.min_height),
    SIDE("max_width", resize.max_width),
    SIDE("max_height", resize.max_height),
    {.name = "dpr",
     .kind = FIELD_NUMBER,
     .offset = OP_AT(resize.dpr),
     .min = DPR_MIN,
     .max = DPR_MAX},
    {.name = "kernel",
     .kind = FIELD_WORD,
     .offset = OP_AT(resize.kernel),
     .words = IMAGE_WORDS(kernels)},
};

static enum err check_resize(const struct image_op *op, const struct place *at,
                             struct spec_fault *ret)
{
    const struct image_resize *r = &op->u.resize;

    if ((r->width | r->height | r->min_width | r->min_height | r->max_width | r->max_height) ==
        0)
        return walk_fault(at, ret, "must have width or height, or a min_ or max_ side");
    if (r->max_width != 0 && r->min_width > r->max_width)
        return walk_fault(at, ret, "must not have a min_width above its max_width");
    if (r->max_height != 0 && r->min_height > r->max_height)
        return walk_fault(at, ret, "must not have a min_height above its max_height");
    return ERR_OK;
}

/* --- extract, trim, pad, extend -------------------------------------------------------------- */

static const struct image_field extract_fields[] = {
    LENGTH("left", extract.left, 0),
    LENGTH("top", extract.top, 0),
    LENGTH("width", extract.width, 1),
    LENGTH("height", extract.height, 1),
    PLACE(extract.gravity),
};

static enum err check_extract(const struct image_op *op, const struct place *at,
                              struct spec_fault *ret)
{
    const struct image_extract *x = &op->u.extract;

    if (!x->left.given && !x->top.given && !x->width.given && !x->height.given)
        return walk_fault(at, ret, "must have left, top, width or height");
    return ERR_OK;
}

static const struct image_field trim_fields[] = {
    {.name = "threshold", .kind = FIELD_NUMBER, .offset = OP_AT(trim.threshold), .max = 255},
    BACKGROUND(trim.background),
};

static const struct image_field pad_fields[] = {
    LENGTH("all", pad.all, 0),       LENGTH("top", pad.top, 0),   LENGTH("right", pad.right, 0),
    LENGTH("bottom", pad.bottom, 0), LENGTH("left", pad.left, 0), BACKGROUND(pad.background),
};

static enum err check_pad(const struct image_op *op, const struct place *at,
                          struct spec_fault *ret)
{
    const struct image_pad *p = &op->u.pad;

    if (!p->all.given && !p->top.given && !p->right.given && !p->bottom.given && !p->left.given)
        return walk_fault(at, ret, "must have all, or one of top, right, bottom, left");
    return ERR_OK;
}

/* "16:9", or a number. */
static bool parse_aspect(struct slice s, double *ret)
{
    char text[16];
    char *end;
    unsigned long w, h;

    if (s.len == 0 || s.len >= sizeof text || s.ptr[0] < '0' || s.ptr[0] > '9')
        return false;
    memcpy(text, s.ptr, s.len);
    text[s.len] = '\0';
    w = strtoul(text, &end, 10);
    if (*end != ':' || end[1] < '0' || end[1] > '9')
        return false;
    h = strtoul(end + 1, &end, 10);
    if (*end != '\0' || w == 0 || h == 0)
        return false;
    *ret = (double)w / (double)h;
    return true;
}

static enum err take_aspect(void *out, const msgpack_object *v, const struct place *at,
                            struct spec_fault *ret)
{
    double *aspect = out;

    if (v->type != MSGPACK_OBJECT_STR)
        return image_number(v, ASPECT_MIN, ASPECT_MAX, aspect, at, ret);
    if (!parse_aspect(mp_as_slice(v), aspect) || *aspect < ASPECT_MIN || *aspect > ASPECT_MAX)
        return walk_fault(at, ret, "must be as \"16:9\", or a number from %g to %d", ASPECT_MIN,
                          ASPECT_MAX);
    return ERR_OK;
}

static const struct image_field extend_fields[] = {
    SIDE("width", extend.width),
    SIDE("height", extend.height),
    {.name = "aspect", .kind = FIELD_OWN, .offset = OP_AT(extend.aspect), .take = take_aspect},
    ANCHOR(extend.gravity),
    BACKGROUND(extend.background),
};

static enum err check_extend(const struct image_op *op, const struct place *at,
                             struct spec_fault *ret)
{
    const struct image_extend *x = &op->u.extend;

    if (x->width == 0 && x->height == 0 && x->aspect == 0)
        return walk_fault(at, ret, "must have width, height or aspect");
    return ERR_OK;
}

static const struct image_op_row rows[] = {
    {"resize",
     {IMAGE_OP_RESIZE, {.resize = {.dpr = 1}}},
     IMAGE_FIELDS(resize_fields),
     check_resize},
    {"extract", {.kind = IMAGE_OP_EXTRACT}, IMAGE_FIELDS(extract_fields), check_extract},
    {"trim", {IMAGE_OP_TRIM, {.trim = {.threshold = 10}}}, IMAGE_FIELDS(trim_fields), NULL},
    {"pad", {.kind = IMAGE_OP_PAD}, IMAGE_FIELDS(pad_fields), check_pad},
    {"extend", {.kind = IMAGE_OP_EXTEND}, IMAGE_FIELDS(extend_fields), check_extend},
};
const struct image_family image_family_size = {rows, COUNT_OF(rows)};
