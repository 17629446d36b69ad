#include "queue/spec/image_srcset.h"
#include "queue/spec/image_limits.h"

#include "shared/buf.h"

#define SIDE_MAX 16384

struct srcset {
    uint32_t widths[SRCSET_WIDTHS_MAX];
    size_t n_widths;
    struct slice formats[SRCSET_FORMATS_MAX];
    size_t n_formats;
    uint32_t quality; /* 0: not given */
};

static bool has_width(const struct srcset *s, uint32_t width)
{
    for (size_t i = 0; i < s->n_widths; i++) {
        if (s->widths[i] == width)
            return true;
    }
    return false;
}

static enum err take_widths(void *out, const msgpack_object *v, const struct place *at,
                            struct spec_fault *ret)
{
    struct srcset *s = out;
    enum err e = walk_array(v, 1, SRCSET_WIDTHS_MAX, at, ret);

    for (uint32_t i = 0; e == ERR_OK && i < v->via.array.size; i++) {
        struct place here = place_index(at, i);
        uint32_t width = 0;

        e = walk_uint(&v->via.array.ptr[i], 1, SIDE_MAX, &width, &here, ret);
        if (e == ERR_OK && has_width(s, width))
            return walk_fault(&here, ret, "must be unique: this width is there already");
        s->widths[s->n_widths++] = width;
    }
    return e;
}

static bool has_format(const struct srcset *s, struct slice format)
{
    for (size_t i = 0; i < s->n_formats; i++) {
        if (slice_eq(s->formats[i], format))
            return true;
    }
    return false;
}

static enum err take_formats(void *out, const msgpack_object *v, const struct place *at,
                             struct spec_fault *ret)
{
    struct srcset *s = out;
    enum err e = walk_array(v, 1, SRCSET_FORMATS_MAX, at, ret);

    for (uint32_t i = 0; e == ERR_OK && i < v->via.array.size; i++) {
        struct place here = place_index(at, i);
        struct slice format = SLICE_LIT("");
        enum image_format known;

        e = walk_text(&v->via.array.ptr[i], JOB_NAME_MAX, &format, &here, ret);
        if (e != ERR_OK)
            return e;
        if (!image_format_parse(format, &known))
            return walk_fault(&here, ret, "must be a format that outputs may have");
        format = slice_str(image_format_name(known));
        if (has_format(s, format))
            return walk_fault(&here, ret, "must be unique: this format is there already");
        s->formats[s->n_formats++] = format;
    }
    return e;
}

static enum err take_quality(void *out, const msgpack_object *v, const struct place *at,
                             struct spec_fault *ret)
{
    struct srcset *s = out;

    return walk_uint(v, 1, 100, &s->quality, at, ret);
}

static enum err take_sizes(void *out, const msgpack_object *v, const struct place *at,
                           struct spec_fault *ret)
{
    struct slice sizes;

    (void)out; /* for whoever writes the result */
    return walk_line(v, SRCSET_SIZES_MAX, &sizes, at, ret);
}

static const struct walk_field fields[] = {
    {"widths", take_widths, true},
    {"formats", take_formats, true},
    {"quality", take_quality, false},
    {"sizes", take_sizes, false},
};

/* --- spelled out ------------------------------------------------------------------------------ */

static bool is_lossy(struct slice format)
{
    return slice_is(format, "jpeg") || slice_is(format, "webp") || slice_is(format, "avif");
}

static void pack_output(msgpack_packer *pk, struct slice format, uint32_t width,
                        uint32_t quality)
{
    bool has_quality = quality > 0 && is_lossy(format);
    char name[JOB_NAME_MAX + 1];

    (void)snprintf(name, sizeof name, SLICE_FMT "-%u", SLICE_ARG(format), width);
    msgpack_pack_map(pk, 3 + has_quality);
    mp_str(pk, "name");
    mp_str(pk, name);
    mp_str(pk, "format");
    mp_slice(pk, format);
    mp_str(pk, "ops");
    msgpack_pack_array(pk, 1);
    msgpack_pack_map(pk, 1);
    mp_str(pk, "resize");
    msgpack_pack_map(pk, 1);
    mp_str(pk, "width");
    msgpack_pack_uint32(pk, width);
    if (has_quality) {
        mp_str(pk, "quality");
        msgpack_pack_uint32(pk, quality);
    }
}

static void pack_outputs(const struct srcset *s, struct buf *out)
{
    msgpack_packer pk;

    mp_packer(&pk, out);
    msgpack_pack_array(&pk, s->n_formats * s->n_widths);
    for (size_t f = 0; f < s->n_formats; f++) {
        for (size_t w = 0; w < s->n_widths; w++)
            pack_output(&pk, s->formats[f], s->widths[w], s->quality);
    }
}

/* What is wrong with the outputs can only be wrong with the formats: the rest was checked here. */
static enum err give(struct slice packed, walk_take_fn *take, void *out, const struct place *at,
                     struct spec_fault *ret)
{
    const struct mp_limits limits = MP_LIMITS_DEFAULT;
    struct place formats = place_key(at, SLICE_LIT("formats"));
    struct spec_fault inner = {.text = ""};
    msgpack_object outputs;
    msgpack_zone zone;
    enum err e;

    if (!msgpack_zone_init(&zone, 8192))
        return ERR_NOMEM;
    e = mp_parse(packed, &limits, &zone, &outputs, NULL);
    if (e == ERR_OK)
        e = take(out, &outputs, at, &inner);
    msgpack_zone_destroy(&zone);
    return e == ERR_MALFORMED ? walk_fault(&formats, ret, "%s", inner.text) : e;
}

enum err image_srcset_take(const msgpack_object *v, walk_take_fn *take, void *out,
                           const struct place *at, struct spec_fault *ret)
{
    AUTO(buf_done) struct buf packed = {0};
    struct srcset s = {.n_widths = 0};
    enum err e = walk_map(v, WALK_TABLE(fields), &s, at, ret);

    if (e != ERR_OK)
        return e;
    if (s.n_formats * s.n_widths > image_limits()->outputs)
        return walk_fault(
            at, ret,
            "makes %zu outputs (widths times formats), at most %zu are made (IMAGE_OUTPUTS)",
            s.n_formats * s.n_widths, image_limits()->outputs);
    pack_outputs(&s, &packed);
    if (buf_failed(&packed))
        return ERR_NOMEM;
    return give(buf_slice(&packed), take, out, at, ret);
}
