/* One output: its name, its operations, its file. */
#include "queue/spec/image_limits.h"
#include "queue/spec/image_op.h"

/* --- outputs --------------------------------------------------------------------------------- */

/* It becomes part of a URL and a file name, so it cannot be "." or "..". */
static bool is_output_name(struct slice s)
{
    static const char marks[] = "._-";

    if (s.len == 0 || s.len > JOB_NAME_MAX)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        bool word = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');

        if (!word && (i == 0 || memchr(marks, c, sizeof marks - 1) == NULL))
            return false;
    }
    return true;
}

static enum err take_name(void *out, const msgpack_object *v, const struct place *at,
                          struct spec_fault *ret)
{
    if (v->type != MSGPACK_OBJECT_STR || !is_output_name(mp_as_slice(v)))
        return walk_fault(at, ret,
                          "must be 1 to %d of a-z, 0-9, '.', '_' and '-', first a letter or "
                          "digit",
                          JOB_NAME_MAX);
    (void)slice_to_cstr(mp_as_slice(v), out, JOB_NAME_MAX + 1);
    return ERR_OK;
}

static enum err take_ops(void *out, const msgpack_object *v, const struct place *at,
                         struct spec_fault *ret)
{
    return image_ops_take(v, out, at, ret);
}

#define FORMAT_AUTO (-1)

static const struct walk_word formats[] = {
    {"jpeg", IMAGE_JPEG},  {"png", IMAGE_PNG},  {"webp", IMAGE_WEBP},
    {"avif", IMAGE_AVIF},  {"gif", IMAGE_GIF},  {"tiff", IMAGE_TIFF},
    {"auto", FORMAT_AUTO}, {"jpg", IMAGE_JPEG}, {"tif", IMAGE_TIFF}};
#define FORMATS_SHOWN 7

static enum err take_format(void *out, const msgpack_object *v, const struct place *at,
                            struct spec_fault *ret)
{
    struct image_output *output = out;
    int format = IMAGE_JPEG;
    enum err e = walk_word(v, (struct walk_words){formats, COUNT_OF(formats), FORMATS_SHOWN},
                           &format, at, ret);

    output->is_auto = format == FORMAT_AUTO;
    output->has_format = !output->is_auto;
    if (output->has_format)
        output->format = (enum image_format)format;
    return e;
}

static enum err take_candidates(void *out, const msgpack_object *v, const struct place *at,
                                struct spec_fault *ret)
{
    static const struct walk_words words = {formats, 4, 4};
    struct image_output *output = out;
    enum err e = walk_array(v, 1, words.n, at, ret);

    for (uint32_t i = 0; e == ERR_OK && i < v->via.array.size; i++) {
        struct place here = place_index(at, i);
        int format = 0;

        e = walk_word(&v->via.array.ptr[i], words, &format, &here, ret);
        output->candidates |= 1u << format;
    }
    return e;
}

static const struct walk_word chromas[] = {
    {"auto", IMAGE_CHROMA_AUTO}, {"4:2:0", IMAGE_CHROMA_420}, {"4:4:4", IMAGE_CHROMA_444}};
static const struct walk_word squeezes[] = {{"deflate", IMAGE_SQUEEZE_DEFLATE},
                                            {"lzw", IMAGE_SQUEEZE_LZW},
                                            {"jpeg", IMAGE_SQUEEZE_JPEG},
                                            {"none", IMAGE_SQUEEZE_NONE}};

#define AT(member)      offsetof(struct image_output, member)
#define HOW(member)     offsetof(struct image_output, how.member)
#define MAX_BYTES_LEAST 256
#define MAX_BYTES_MOST  536870912

static const struct image_field output_fields[] = {
    {.name = "name",
     .kind = FIELD_OWN,
     .offset = AT(name),
     .take = take_name,
     .required = true},
    {.name = "ops", .kind = FIELD_OWN, .take = take_ops},
    {.name = "format", .kind = FIELD_OWN, .take = take_format},
    {.name = "quality", .kind = FIELD_UINT, .offset = HOW(quality), .min = 1, .max = 100},
    {.name = "max_bytes",
     .kind = FIELD_UINT,
     .offset = AT(max_bytes),
     .min = MAX_BYTES_LEAST,
     .max = MAX_BYTES_MOST},
    {.name = "candidates", .kind = FIELD_OWN, .take = take_candidates},
    {.name = "progressive", .kind = FIELD_BOOL, .offset = HOW(progressive)},
    {.name = "optimise", .kind = FIELD_BOOL, .offset = HOW(optimise)},
    {.name = "chroma",
     .kind = FIELD_WORD,
     .offset = HOW(chroma),
     .words = IMAGE_WORDS(chromas)},
    {.name = "palette", .kind = FIELD_BOOL, .offset = HOW(palette)},
    {.name = "colours", .kind = FIELD_UINT, .offset = HOW(colours), .min = 2, .max = 256},
    {.name = "dither", .kind = FIELD_NUMBER, .offset = HOW(dither), .max = 1},
    {.name = "compression", .kind = FIELD_UINT, .offset = HOW(compression), .max = 9},
    {.name = "lossless", .kind = FIELD_BOOL, .offset = HOW(lossless)},
    {.name = "near_lossless",
     .kind = FIELD_UINT,
     .offset = HOW(near_lossless),
     .min = 1,
     .max = 100},
    {.name = "effort", .kind = FIELD_UINT, .offset = HOW(effort), .max = 10},
    {.name = "tiff_compression",
     .kind = FIELD_WORD,
     .offset = HOW(squeeze),
     .words = IMAGE_WORDS(squeezes)},
};

/* --- which field goes with which format ------------------------------------------------------- */

#define JPEG (1u << IMAGE_JPEG)
#define PNG  (1u << IMAGE_PNG)
#define WEBP (1u << IMAGE_WEBP)
#define AVIF (1u << IMAGE_AVIF)
#define GIF  (1u << IMAGE_GIF)
#define TIFF (1u << IMAGE_TIFF)

static const struct {
    const char *name, *for_what;
    uint32_t formats;
    bool at_large; /* also where the format is not known beforehand */
} belongings[] = {
    {"quality", "jpeg, webp, avif, tiff", JPEG | WEBP | AVIF | TIFF, true},
    {"max_bytes", "jpeg, webp, avif", JPEG | WEBP | AVIF, true},
    {"progressive", "jpeg, png", JPEG | PNG, false},
    {"optimise", "jpeg", JPEG, false},
    {"chroma", "jpeg, avif", JPEG | AVIF, false},
    {"palette", "png", PNG, false},
    {"colours", "png, gif", PNG | GIF, false},
    {"dither", "png, gif", PNG | GIF, false},
    {"compression", "png", PNG, false},
    {"lossless", "webp, avif", WEBP | AVIF, false},
    {"near_lossless", "webp", WEBP, false},
    {"effort", "png, webp, avif, gif", PNG | WEBP | AVIF | GIF, false},
    {"tiff_compression", "tiff", TIFF, false},
};

static enum err check_belongings(const struct image_output *o, const msgpack_object *v,
                                 const struct place *at, struct spec_fault *ret)
{
    for (size_t i = 0; i < COUNT_OF(belongings); i++) {
        struct place here = place_key(at, slice_str(belongings[i].name));

        if (mp_get(v, belongings[i].name) == NULL)
            continue;
        if (!o->has_format && !belongings[i].at_large)
            return walk_fault(&here, ret, "needs a format beside it: %s",
                              belongings[i].for_what);
        if (o->has_format && (belongings[i].formats & 1u << o->format) == 0)
            return walk_fault(&here, ret, "does not go with %s; it is for %s",
                              image_format_name(o->format), belongings[i].for_what);
    }
    return ERR_OK;
}

/* What a codec may spend is capped: AVIF above 4 costs seconds a picture for no bytes. */
static enum err check_effort(const struct image_output *o, const struct place *at,
                             struct spec_fault *ret)
{
    static const struct {
        uint32_t least, most;
    } efforts[IMAGE_FORMATS] = {[IMAGE_PNG] = {1, 10},
                                [IMAGE_WEBP] = {0, 6},
                                [IMAGE_AVIF] = {0, 4},
                                [IMAGE_GIF] = {1, 10}};
    struct place here = place_key(at, SLICE_LIT("effort"));
    uint32_t least = efforts[o->format].least;
    uint32_t most = efforts[o->format].most;

    if (o->how.effort != IMAGE_UNSET && (o->how.effort < least || o->how.effort > most))
        return walk_fault(&here, ret, "must be an integer from %u to %u for %s", least, most,
                          image_format_name(o->format));
    return ERR_OK;
}

/* --- which field goes with which other one ----------------------------------------------------- */

typedef bool idle_fn(const struct image_output *o);

static bool has_no_palette(const struct image_output *o)
{
    return o->has_format && o->format == IMAGE_PNG && !o->how.palette;
}

static bool is_lossless(const struct image_output *o)
{
    return o->how.lossless || o->how.near_lossless > 0;
}

static bool is_lossless_tiff(const struct image_output *o)
{
    return o->has_format && o->format == IMAGE_TIFF && o->how.squeeze != IMAGE_SQUEEZE_JPEG;
}

static bool is_wholly_lossless(const struct image_output *o)
{
    return o->how.lossless;
}

/* What would be given and change nothing is refused, so that nobody wonders. */
static enum err check_company(const struct image_output *o, const msgpack_object *v,
                              const struct place *at, struct spec_fault *ret)
{
    static const struct {
        const char *name;
        idle_fn *is_idle;
        const char *text;
    } rows[] = {
        {"colours", has_no_palette, "needs \"palette\": true"},
        {"dither", has_no_palette, "needs \"palette\": true"},
        {"effort", has_no_palette, "needs \"palette\": true"},
        {"quality", is_lossless, "does not go with lossless: there is no quality to choose"},
        {"quality", is_lossless_tiff, "needs \"tiff_compression\": \"jpeg\""},
        {"max_bytes", is_lossless, "does not go with lossless: there is no quality to lower"},
        {"near_lossless", is_wholly_lossless,
         "does not go with lossless: it is one or the other"},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct place here = place_key(at, slice_str(rows[i].name));

        if (mp_get(v, rows[i].name) != NULL && rows[i].is_idle(o))
            return walk_fault(&here, ret, "%s", rows[i].text);
    }
    return ERR_OK;
}

static enum err check_output(const struct image_output *o, const msgpack_object *v,
                             const struct place *at, struct spec_fault *ret)
{
    struct place candidates = place_key(at, SLICE_LIT("candidates"));
    enum err e = check_belongings(o, v, at, ret);

    if (e == ERR_OK)
        e = check_effort(o, at, ret);
    if (e == ERR_OK && o->candidates != 0 && !o->is_auto)
        return walk_fault(&candidates, ret, "needs \"format\": \"auto\"");
    return e == ERR_OK ? check_company(o, v, at, ret) : e;
}

static bool name_is_taken(const struct spec_image *image, size_t i)
{
    for (size_t k = 0; k < i; k++) {
        if (strcmp(image->outputs[k].name, image->outputs[i].name) == 0)
            return true;
    }
    return false;
}

static void blank_output(struct image_output *o)
{
    o->name[0] = '\0';
    o->n_ops = 0;
    o->format = IMAGE_WEBP;
    o->has_format = false;
    o->is_auto = false;
    o->candidates = 0;
    o->max_bytes = 0;
    o->how = (struct image_coding){
        .effort = IMAGE_UNSET, .compression = IMAGE_UNSET, .colours = 256, .dither = 1};
}

static enum err take_output(struct spec_image *image, size_t i, const msgpack_object *v,
                            const struct place *at, struct spec_fault *ret)
{
    struct image_output *output = &image->outputs[i];
    struct place name_at = place_key(at, SLICE_LIT("name"));
    enum err e;

    blank_output(output);
    e = image_fields_take(v, IMAGE_FIELDS(output_fields), output, at, ret);
    if (e != ERR_OK)
        return e;
    if (name_is_taken(image, i))
        return walk_fault(&name_at, ret, "must be unique: another output has this name");
    return check_output(output, v, at, ret);
}

enum err image_outputs_take(void *out, const msgpack_object *v, const struct place *at,
                            struct spec_fault *ret)
{
    struct spec_image *image = out;
    enum err e = image_limit_array(v, 1, image_limits()->outputs, "IMAGE_OUTPUTS", at, ret);

    for (uint32_t i = 0; e == ERR_OK && i < v->via.array.size; i++) {
        struct place here = place_index(at, i);

        e = take_output(image, i, &v->via.array.ptr[i], &here, ret);
        image->n_outputs = i + 1;
    }
    return e;
}
