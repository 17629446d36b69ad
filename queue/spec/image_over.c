/* What is laid over a picture: text, and another picture. */
#include "queue/spec/image_op.h"

#define TEXT_MAX      2000
#define FONT_MAX      64
#define FONT_SIZE_MIN 4
#define FONT_SIZE_MAX 1000
#define STROKE_MAX    20
#define WRAP_MAX      16384
#define OFFSET_MAX    16384
#define SPACING_MAX   4096

#define OFFSET(field_name, member)                                                            \
    {                                                                                         \
        .name = (field_name), .kind = FIELD_INT, .offset = OP_AT(member), .min = -OFFSET_MAX, \
        .max = OFFSET_MAX                                                                     \
    }
#define OPACITY(member)                                                            \
    {                                                                              \
        .name = "opacity", .kind = FIELD_NUMBER, .offset = OP_AT(member), .max = 1 \
    }

static const struct walk_word aligns[] = {
    {"left", IMAGE_ALIGN_LEFT}, {"center", IMAGE_ALIGN_CENTER}, {"right", IMAGE_ALIGN_RIGHT}};

/* The name of a family alone: Pango would read "Sans Bold 40" as a style and a size, and a comma as
 * a list. */
static enum err take_font(void *out, const msgpack_object *v, const struct place *at,
                          struct spec_fault *ret)
{
    struct slice font = SLICE_LIT("");
    enum err e = walk_line(v, FONT_MAX, &font, at, ret);

    for (size_t i = 0; e == ERR_OK && i < font.len; i++) {
        char c = font.ptr[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');

        if (!letter && (i == 0 || (c != ' ' && c != '-')))
            return walk_fault(at, ret,
                              "must be the name of a font family: letters, spaces, '-'");
    }
    if (e == ERR_OK)
        *(struct slice *)out = font;
    return e;
}

/* Of spaces there is nothing to draw. */
static enum err check_text(const struct image_op *op, const struct place *at,
                           struct spec_fault *ret)
{
    struct place text = place_key(at, SLICE_LIT("text"));
    struct slice s = op->u.text.text;

    for (size_t i = 0; i < s.len; i++) {
        if ((uint8_t)s.ptr[i] > ' ' && s.ptr[i] != 127)
            return ERR_OK;
    }
    return walk_fault(&text, ret, "must have more than spaces");
}

/* A pattern begins at the upper left corner; what says where one mark lies says nothing then. */
static enum err check_watermark(const struct image_op *op, const struct place *at,
                                struct spec_fault *ret)
{
    const struct image_watermark *w = &op->u.watermark;
    struct place gravity = place_key(at, SLICE_LIT("gravity"));
    struct place spacing = place_key(at, SLICE_LIT("spacing"));

    if (w->tile && w->gravity.at != IMAGE_SOUTHEAST)
        return walk_fault(&gravity, ret, "does not go with tile; x and y shift the pattern");
    if (!w->tile && w->spacing > 0)
        return walk_fault(&spacing, ret, "needs \"tile\": true");
    return ERR_OK;
}

static const struct image_field text_fields[] = {
    {.name = "text",
     .kind = FIELD_TEXT,
     .offset = OP_AT(text.text),
     .max = TEXT_MAX,
     .required = true},
    {.name = "font", .kind = FIELD_OWN, .offset = OP_AT(text.font), .take = take_font},
    {.name = "size",
     .kind = FIELD_UINT,
     .offset = OP_AT(text.size),
     .min = FONT_SIZE_MIN,
     .max = FONT_SIZE_MAX},
    {.name = "bold", .kind = FIELD_BOOL, .offset = OP_AT(text.bold)},
    {.name = "italic", .kind = FIELD_BOOL, .offset = OP_AT(text.italic)},
    {.name = "colour", .kind = FIELD_COLOUR, .offset = OP_AT(text.colour)},
    {.name = "wrap",
     .kind = FIELD_LENGTH,
     .offset = OP_AT(text.wrap),
     .min = 1,
     .max = WRAP_MAX},
    {.name = "align",
     .kind = FIELD_WORD,
     .offset = OP_AT(text.align),
     .words = IMAGE_WORDS(aligns)},
    {.name = "stroke", .kind = FIELD_UINT, .offset = OP_AT(text.stroke), .max = STROKE_MAX},
    {.name = "stroke_colour", .kind = FIELD_COLOUR, .offset = OP_AT(text.stroke_colour)},
    {.name = "gravity", .kind = FIELD_ANCHOR, .offset = OP_AT(text.gravity)},
    OFFSET("x", text.x),
    OFFSET("y", text.y),
    OPACITY(text.opacity),
};

static const struct image_field watermark_fields[] = {
    {.name = "source",
     .kind = FIELD_OWN,
     .offset = OP_AT(watermark.source),
     .take = image_source_take,
     .required = true},
    {.name = "gravity", .kind = FIELD_ANCHOR, .offset = OP_AT(watermark.gravity)},
    OFFSET("x", watermark.x),
    OFFSET("y", watermark.y),
    OPACITY(watermark.opacity),
    {.name = "scale",
     .kind = FIELD_NUMBER,
     .offset = OP_AT(watermark.scale),
     .min = 0.01,
     .max = 1},
    {.name = "tile", .kind = FIELD_BOOL, .offset = OP_AT(watermark.tile)},
    {.name = "spacing",
     .kind = FIELD_UINT,
     .offset = OP_AT(watermark.spacing),
     .max = SPACING_MAX},
};

static const struct image_op_row rows[] = {
    {"text",
     {IMAGE_OP_TEXT,
      {.text = {.font = {"sans", 4},
                .size = 32,
                .colour = {{255, 255, 255, 255}, true},
                .stroke_colour = {{0, 0, 0, 255}, true},
                .gravity = {.at = IMAGE_SOUTHEAST},
                .opacity = 1}}},
     IMAGE_FIELDS(text_fields),
     check_text},
    {"watermark",
     {IMAGE_OP_WATERMARK, {.watermark = {.gravity = {.at = IMAGE_SOUTHEAST}, .opacity = 1}}},
     IMAGE_FIELDS(watermark_fields),
     check_watermark},
};
const struct image_family image_family_over = {rows, COUNT_OF(rows)};
