/* What changes the colours and the sharpness of a picture and leaves its size. */
#include "queue/spec/image_op.h"

#define BLUR_MAX     100
#define SIGMA_MIN    0.3
#define SHARPEN_MAX  10
#define PIXELATE_MAX 1024
#define FACTOR_MAX   10
#define GAMMA_MIN    0.1

/* The one field of an operation with an amount. */
#define AMOUNT(field_name, least, most)                                                 \
    {                                                                                   \
        {                                                                               \
            .name = (field_name), .kind = FIELD_NUMBER, .offset = OP_AT(adjust.amount), \
            .min = (least), .max = (most)                                               \
        }                                                                               \
    }
#define MUST_AMOUNT(field_name, least, most)                                            \
    {                                                                                   \
        {                                                                               \
            .name = (field_name), .kind = FIELD_NUMBER, .offset = OP_AT(adjust.amount), \
            .min = (least), .max = (most), .required = true                             \
        }                                                                               \
    }
#define BLANK(kind_, amount_)                \
    {                                        \
        (kind_),                             \
        {                                    \
            .adjust = {.amount = (amount_) } \
        }                                    \
    }
#define COLOUR(field_name, member)                                                \
    {                                                                             \
        .name = (field_name), .kind = FIELD_COLOUR, .offset = OP_AT(tones.member) \
    }

static const struct image_field blur_fields[] = MUST_AMOUNT("sigma", SIGMA_MIN, BLUR_MAX);
static const struct image_field sharpen_fields[] = AMOUNT("sigma", SIGMA_MIN, SHARPEN_MAX);
static const struct image_field pixelate_fields[] = {
    {.name = "size",
     .kind = FIELD_UINT,
     .offset = OP_AT(pixelate.size),
     .min = 2,
     .max = PIXELATE_MAX,
     .required = true},
};
static const struct image_field factor_fields[] = MUST_AMOUNT("amount", 0, FACTOR_MAX);
static const struct image_field hue_fields[] = MUST_AMOUNT("degrees", -360, 360);
static const struct image_field gamma_fields[] = AMOUNT("exponent", GAMMA_MIN, FACTOR_MAX);
static const struct image_field sepia_fields[] = AMOUNT("amount", 0, 1);
static const struct image_field tint_fields[] = {
    {.name = "colour", .kind = FIELD_COLOUR, .offset = OP_AT(tones.colour), .required = true},
};
static const struct image_field duotone_fields[] = {COLOUR("shadow", shadow),
                                                    COLOUR("highlight", highlight)};
static const struct image_field flatten_fields[] = {COLOUR("background", colour)};
static const struct image_field normalise_fields[] = {
    {.name = "lower", .kind = FIELD_NUMBER, .offset = OP_AT(normalise.lower), .max = 49},
    {.name = "upper",
     .kind = FIELD_NUMBER,
     .offset = OP_AT(normalise.upper),
     .min = 51,
     .max = 100},
};

static const struct image_op_row rows[] = {
    {"blur", BLANK(IMAGE_OP_BLUR, 0), IMAGE_FIELDS(blur_fields), NULL},
    {"sharpen", BLANK(IMAGE_OP_SHARPEN, 0.5), IMAGE_FIELDS(sharpen_fields), NULL},
    {"pixelate", {.kind = IMAGE_OP_PIXELATE}, IMAGE_FIELDS(pixelate_fields), NULL},
    {"brightness", BLANK(IMAGE_OP_BRIGHTNESS, 1), IMAGE_FIELDS(factor_fields), NULL},
    {"contrast", BLANK(IMAGE_OP_CONTRAST, 1), IMAGE_FIELDS(factor_fields), NULL},
    {"saturation", BLANK(IMAGE_OP_SATURATION, 1), IMAGE_FIELDS(factor_fields), NULL},
    {"hue", BLANK(IMAGE_OP_HUE, 0), IMAGE_FIELDS(hue_fields), NULL},
    {"gamma", BLANK(IMAGE_OP_GAMMA, 2.2), IMAGE_FIELDS(gamma_fields), NULL},
    {"grayscale", {.kind = IMAGE_OP_GRAYSCALE}, {NULL, 0}, NULL},
    {"sepia", BLANK(IMAGE_OP_SEPIA, 1), IMAGE_FIELDS(sepia_fields), NULL},
    {"tint", {.kind = IMAGE_OP_TINT}, IMAGE_FIELDS(tint_fields), NULL},
    {"duotone",
     {IMAGE_OP_DUOTONE,
      {.tones = {.shadow = {{0, 0, 0, 255}, true}, .highlight = {{255, 255, 255, 255}, true}}}},
     IMAGE_FIELDS(duotone_fields),
     NULL},
    {"negate", {.kind = IMAGE_OP_NEGATE}, {NULL, 0}, NULL},
    {"normalise",
     {IMAGE_OP_NORMALISE, {.normalise = {1, 99}}},
     IMAGE_FIELDS(normalise_fields),
     NULL},
    {"flatten",
     {IMAGE_OP_FLATTEN, {.tones = {.colour = {{255, 255, 255, 255}, true}}}},
     IMAGE_FIELDS(flatten_fields),
     NULL},
};
const struct image_family image_family_look = {rows, COUNT_OF(rows)};
