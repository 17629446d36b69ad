/* What turns and cuts a picture: rotate, flip, flop, round, circle. */
#include "queue/spec/image_op.h"

#define RADIUS_MAX 8192

static const struct image_field rotate_fields[] = {
    {.name = "angle",
     .kind = FIELD_NUMBER,
     .offset = OP_AT(rotate.angle),
     .min = -360,
     .max = 360,
     .required = true},
    {.name = "background", .kind = FIELD_COLOUR, .offset = OP_AT(rotate.background)},
};
static const struct image_field round_fields[] = {
    {.name = "radius",
     .kind = FIELD_LENGTH,
     .offset = OP_AT(round.radius),
     .max = RADIUS_MAX,
     .required = true},
    {.name = "background", .kind = FIELD_COLOUR, .offset = OP_AT(round.background)},
};
static const struct image_field circle_fields[] = {
    {.name = "gravity", .kind = FIELD_PLACE, .offset = OP_AT(round.gravity)},
    {.name = "background", .kind = FIELD_COLOUR, .offset = OP_AT(round.background)},
};

static const struct image_op_row rows[] = {
    {"rotate", {.kind = IMAGE_OP_ROTATE}, IMAGE_FIELDS(rotate_fields), NULL},
    {"flip", {.kind = IMAGE_OP_FLIP}, {NULL, 0}, NULL},
    {"flop", {.kind = IMAGE_OP_FLOP}, {NULL, 0}, NULL},
    {"round", {.kind = IMAGE_OP_ROUND}, IMAGE_FIELDS(round_fields), NULL},
    {"circle", {.kind = IMAGE_OP_CIRCLE}, IMAGE_FIELDS(circle_fields), NULL},
};
const struct image_family image_family_turn = {rows, COUNT_OF(rows)};
