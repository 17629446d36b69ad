#include "queue/spec/image_field.h"

#include <math.h>

#include "shared/utf8.h"

/* --- numbers --------------------------------------------------------------------------------- */

static bool as_number(const msgpack_object *v, double *ret)
{
    if (v->type == MSGPACK_OBJECT_POSITIVE_INTEGER)
        *ret = (double)v->via.u64;
    else if (v->type == MSGPACK_OBJECT_NEGATIVE_INTEGER)
        *ret = (double)v->via.i64;
    else if (v->type == MSGPACK_OBJECT_FLOAT32 || v->type == MSGPACK_OBJECT_FLOAT64)
        *ret = v->via.f64;
    else
        return false;
    return isfinite(*ret);
}

static bool is_whole(const msgpack_object *v)
{
    return v->type == MSGPACK_OBJECT_POSITIVE_INTEGER ||
           v->type == MSGPACK_OBJECT_NEGATIVE_INTEGER;
}

enum err image_number(const msgpack_object *v, double min, double max, double *ret_value,
                      const struct place *at, struct spec_fault *ret)
{
    double got = 0;

    if (!as_number(v, &got) || got < min || got > max)
        return walk_fault(at, ret, "must be a number from %g to %g", min, max);
    *ret_value = got;
    return ERR_OK;
}

typedef enum err take_fn(const struct image_field *f, void *to, const msgpack_object *v,
                         const struct place *at, struct spec_fault *ret);

static enum err take_uint(const struct image_field *f, void *to, const msgpack_object *v,
                          const struct place *at, struct spec_fault *ret)
{
    return walk_uint(v, (uint32_t)f->min, (uint32_t)f->max, to, at, ret);
}

static enum err take_int(const struct image_field *f, void *to, const msgpack_object *v,
                         const struct place *at, struct spec_fault *ret)
{
    int32_t *value = to;
    double got = 0;

    if (!is_whole(v) || !as_number(v, &got) || got < f->min || got > f->max)
        return walk_fault(at, ret, "must be an integer from %d to %d", (int)f->min,
                          (int)f->max);
    *value = (int32_t)got;
    return ERR_OK;
}

static enum err take_number(const struct image_field *f, void *to, const msgpack_object *v,
                            const struct place *at, struct spec_fault *ret)
{
    return image_number(v, f->min, f->max, to, at, ret);
}

static enum err take_bool(const struct image_field *f, void *to, const msgpack_object *v,
                          const struct place *at, struct spec_fault *ret)
{
    (void)f;
    return walk_bool(v, to, at, ret);
}

static enum err take_length(const struct image_field *f, void *to, const msgpack_object *v,
                            const struct place *at, struct spec_fault *ret)
{
    struct image_length *length = to;
    bool part = !is_whole(v);
    double got = 0;

    /* Where no pixels are enough, none of the side is, too: programs that count in parts write
     * "left": 0.0. */
    if (!as_number(v, &got) ||
        (part ? got > 1 || (f->min > 0 ? got <= 0 : got < 0) : got < f->min || got > f->max))
        return walk_fault(at, ret,
                          "must be a whole number of pixels from %d to %d, or a part of the "
                          "side between 0 and 1",
                          (int)f->min, (int)f->max);
    *length = (struct image_length){.value = got, .is_part = part, .given = true};
    return ERR_OK;
}

/* --- words, colours, texts ------------------------------------------------------------------- */

static enum err take_word(const struct image_field *f, void *to, const msgpack_object *v,
                          const struct place *at, struct spec_fault *ret)
{
    return walk_word(v, f->words, to, at, ret);
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

static enum err take_colour(const struct image_field *f, void *to, const msgpack_object *v,
                            const struct place *at, struct spec_fault *ret)
{
    struct image_colour *colour = to;

    (void)f;
    if (v->type != MSGPACK_OBJECT_STR || !parse_colour(mp_as_slice(v), colour->rgba))
        return walk_fault(at, ret, "must be a colour: \"#rrggbb\" or \"#rrggbbaa\"");
    colour->given = true;
    return ERR_OK;
}

static enum err take_text(const struct image_field *f, void *to, const msgpack_object *v,
                          const struct place *at, struct spec_fault *ret)
{
    enum err e = walk_text(v, (size_t)f->max, to, at, ret);

    if (e == ERR_OK && !utf8_is_text(mp_as_slice(v)))
        return walk_fault(at, ret, "must be UTF-8 without NUL");
    return e;
}

static enum err take_own(const struct image_field *f, void *to, const msgpack_object *v,
                         const struct place *at, struct spec_fault *ret)
{
    return f->take(to, v, at, ret);
}

/* --- gravity --------------------------------------------------------------------------------- */

static const struct walk_word gravities[] = {
    {"center", IMAGE_CENTER},       {"north", IMAGE_NORTH},
    {"south", IMAGE_SOUTH},         {"east", IMAGE_EAST},
    {"west", IMAGE_WEST},           {"northeast", IMAGE_NORTHEAST},
    {"northwest", IMAGE_NORTHWEST}, {"southeast", IMAGE_SOUTHEAST},
    {"southwest", IMAGE_SOUTHWEST}, {"attention", IMAGE_ATTENTION},
    {"entropy", IMAGE_ENTROPY}};
#define COMPASS_POINTS 9

static const struct image_field focus_fields[] = {
    {.name = "x",
     .kind = FIELD_NUMBER,
     .offset = offsetof(struct image_anchor, x),
     .max = 1,
     .required = true},
    {.name = "y",
     .kind = FIELD_NUMBER,
     .offset = offsetof(struct image_anchor, y),
     .max = 1,
     .required = true},
};

static enum err take_gravity(size_t n_words, struct image_anchor *to, const msgpack_object *v,
                             const struct place *at, struct spec_fault *ret)
{
    int word = IMAGE_CENTER;
    enum err e;

    if (v->type == MSGPACK_OBJECT_MAP) {
        to->at = IMAGE_FOCUS;
        return image_fields_take(v, IMAGE_FIELDS(focus_fields), to, at, ret);
    }
    e = walk_word(v, (struct walk_words){gravities, n_words, n_words}, &word, at, ret);
    to->at = (enum image_gravity)word;
    return e;
}

static enum err take_anchor(const struct image_field *f, void *to, const msgpack_object *v,
                            const struct place *at, struct spec_fault *ret)
{
    (void)f;
    return take_gravity(COMPASS_POINTS, to, v, at, ret);
}

static enum err take_place(const struct image_field *f, void *to, const msgpack_object *v,
                           const struct place *at, struct spec_fault *ret)
{
    (void)f;
    return take_gravity(COUNT_OF(gravities), to, v, at, ret);
}

/* --- the table ------------------------------------------------------------------------------- */

static take_fn *const takers[] = {
    [FIELD_UINT] = take_uint,     [FIELD_INT] = take_int,     [FIELD_NUMBER] = take_number,
    [FIELD_BOOL] = take_bool,     [FIELD_WORD] = take_word,   [FIELD_COLOUR] = take_colour,
    [FIELD_ANCHOR] = take_anchor, [FIELD_PLACE] = take_place, [FIELD_LENGTH] = take_length,
    [FIELD_TEXT] = take_text,     [FIELD_OWN] = take_own,
};

struct taking {
    struct image_fields table;
    char *out;
};

/* walk_map has found the name in the table, so it is there. */
static enum err take_field(void *arg, const msgpack_object *v, const struct place *at,
                           struct spec_fault *ret)
{
    const struct taking *t = arg;
    const struct image_field *f = t->table.fields;

    while (!slice_is(at->key, f->name))
        f++;
    return takers[f->kind](f, t->out + f->offset, v, at, ret);
}

enum err image_fields_take(const msgpack_object *v, struct image_fields table, void *out,
                           const struct place *at, struct spec_fault *ret)
{
    struct walk_field fields[WALK_FIELDS_MAX];
    struct taking taking = {table, out};

    must(table.n <= WALK_FIELDS_MAX);
    for (size_t i = 0; i < table.n; i++)
        fields[i] =
            (struct walk_field){table.fields[i].name, take_field, table.fields[i].required};
    return walk_map(v, (struct walk_table){fields, table.n}, &taking, at, ret);
}
