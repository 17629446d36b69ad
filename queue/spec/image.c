#include "queue/spec/image_op.h"
#include "queue/spec/image_srcset.h"
#include "queue/spec/types.h"

#define QUALITY_MAX  100
#define PATH_MAX_LEN 1024

/* --- source ---------------------------------------------------------------------------------- */

static enum err take_upload(void *out, const msgpack_object *v, const struct place *at,
                            struct spec_fault *ret)
{
    struct spec_image *image = out;

    image->source_kind = IMAGE_SOURCE_UPLOAD;
    if (v->type != MSGPACK_OBJECT_STR || !uuid_parse(mp_as_slice(v), &image->upload))
        return walk_fault(at, ret, "must be the id of an upload, as POST /v1/uploads gives it");
    return ERR_OK;
}

static enum err take_url(void *out, const msgpack_object *v, const struct place *at,
                         struct spec_fault *ret)
{
    struct spec_image *image = out;

    image->source_kind = IMAGE_SOURCE_URL;
    return walk_url(v, &image->source, at, ret);
}

/* Whether one of the parts of a path is "..". */
static bool goes_up(struct slice path)
{
    size_t from = 0;

    for (size_t i = 0; i <= path.len; i++) {
        if (i < path.len && path.ptr[i] != '/')
            continue;
        if (slice_is(slice_of(path.ptr + from, i - from), ".."))
            return true;
        from = i + 1;
    }
    return false;
}

static enum err take_path(void *out, const msgpack_object *v, const struct place *at,
                          struct spec_fault *ret)
{
    struct spec_image *image = out;
    enum err e = walk_line(v, PATH_MAX_LEN, &image->source, at, ret);

    image->source_kind = IMAGE_SOURCE_PATH;
    if (e == ERR_OK && goes_up(image->source))
        return walk_fault(at, ret, "must not contain \"..\"");
    return e;
}

static const struct walk_field source_fields[] = {
    {"upload", take_upload, false},
    {"url", take_url, false},
    {"path", take_path, false},
};

static enum err take_source(void *out, const msgpack_object *v, const struct place *at,
                            struct spec_fault *ret)
{
    enum err e = walk_map(v, WALK_TABLE(source_fields), out, at, ret);

    if (e == ERR_OK && v->via.map.size != 1)
        return walk_fault(at, ret, "must have exactly one of upload, url, path");
    return e;
}

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
    struct image_output *output = out;

    if (v->type != MSGPACK_OBJECT_STR || !is_output_name(mp_as_slice(v)))
        return walk_fault(at, ret,
                          "must be 1 to %d of a-z, 0-9, '.', '_' and '-', first a letter or "
                          "digit",
                          JOB_NAME_MAX);
    (void)slice_to_cstr(mp_as_slice(v), output->name, sizeof output->name);
    return ERR_OK;
}

static enum err take_ops(void *out, const msgpack_object *v, const struct place *at,
                         struct spec_fault *ret)
{
    return image_ops_take(v, out, at, ret);
}

static enum err take_format(void *out, const msgpack_object *v, const struct place *at,
                            struct spec_fault *ret)
{
    static const struct walk_word words[] = {{"jpeg", IMAGE_JPEG},
                                             {"png", IMAGE_PNG},
                                             {"webp", IMAGE_WEBP},
                                             {"avif", IMAGE_AVIF},
                                             {"jpg", IMAGE_JPEG}};
    struct image_output *output = out;
    int format = IMAGE_JPEG;
    enum err e = walk_word(v, (struct walk_words){words, COUNT_OF(words), COUNT_OF(words) - 1},
                           &format, at, ret);

    output->format = (enum image_format)format;
    output->has_format = true;
    return e;
}

static enum err take_quality(void *out, const msgpack_object *v, const struct place *at,
                             struct spec_fault *ret)
{
    struct image_output *output = out;
    uint32_t quality = 0;
    enum err e = walk_uint(v, 1, QUALITY_MAX, &quality, at, ret);

    output->quality = (uint8_t)quality;
    return e;
}

static const struct walk_field output_fields[] = {
    {"name", take_name, true},
    {"ops", take_ops, false},
    {"format", take_format, false},
    {"quality", take_quality, false},
};

static bool name_is_taken(const struct spec_image *image, size_t i)
{
    for (size_t k = 0; k < i; k++) {
        if (strcmp(image->outputs[k].name, image->outputs[i].name) == 0)
            return true;
    }
    return false;
}

static enum err take_output(struct spec_image *image, size_t i, const msgpack_object *v,
                            const struct place *at, struct spec_fault *ret)
{
    struct image_output *output = &image->outputs[i];
    struct place name_at = place_key(at, SLICE_LIT("name"));
    struct place quality_at = place_key(at, SLICE_LIT("quality"));
    enum err e;

    output->name[0] = '\0';
    output->n_ops = 0;
    output->format = IMAGE_WEBP;
    output->has_format = false;
    output->quality = 0;
    e = walk_map(v, WALK_TABLE(output_fields), output, at, ret);
    if (e != ERR_OK)
        return e;
    if (name_is_taken(image, i))
        return walk_fault(&name_at, ret, "must be unique: another output has this name");
    if (output->quality != 0 && output->has_format && output->format == IMAGE_PNG)
        return walk_fault(&quality_at, ret, "does not go with png, which loses nothing");
    return ERR_OK;
}

static enum err take_outputs(void *out, const msgpack_object *v, const struct place *at,
                             struct spec_fault *ret)
{
    struct spec_image *image = out;
    enum err e = image->n_outputs > 0
                     ? walk_fault(at, ret, "stands instead of srcset, not beside it")
                     : walk_array(v, 1, SPEC_IMAGE_OUTPUTS_MAX, at, ret);

    for (uint32_t i = 0; e == ERR_OK && i < v->via.array.size; i++) {
        struct place here = place_index(at, i);

        e = take_output(image, i, &v->via.array.ptr[i], &here, ret);
        image->n_outputs = i + 1;
    }
    return e;
}

/* --- the whole ------------------------------------------------------------------------------- */

static enum err take_auto_orient(void *out, const msgpack_object *v, const struct place *at,
                                 struct spec_fault *ret)
{
    struct spec_image *image = out;

    return walk_bool(v, &image->auto_orient, at, ret);
}

static enum err take_srcset(void *out, const msgpack_object *v, const struct place *at,
                            struct spec_fault *ret)
{
    struct spec_image *image = out;

    if (image->n_outputs > 0)
        return walk_fault(at, ret, "stands instead of outputs, not beside them");
    return image_srcset_take(v, take_outputs, out, at, ret);
}

static const struct walk_field fields[] = {
    {"source", take_source, true},
    {"outputs", take_outputs, false},
    {"srcset", take_srcset, false},
    {"auto_orient", take_auto_orient, false},
};

/* *ret may be half written when this fails: it is too large for a copy. */
enum err spec_image_parse(const msgpack_object *args, const char *at, struct spec_image *ret,
                          struct spec_fault *reterr)
{
    struct place root = place_root(at);
    struct place outputs = place_key(&root, SLICE_LIT("outputs"));
    enum err e;

    ret->n_outputs = 0;
    ret->auto_orient = true;
    ret->source = slice_of("", 0);
    ret->upload = (struct uuid){{0}};
    e = walk_map(args, WALK_TABLE(fields), ret, &root, reterr);
    return e == ERR_OK && ret->n_outputs == 0 ? walk_fault(&outputs, reterr, "is required") : e;
}

enum err spec_image_check(const msgpack_object *args, const char *at, struct spec_fault *ret)
{
    struct spec_image *image = malloc(sizeof *image);
    enum err e;

    if (image == NULL) {
        (void)spec_fault_set(ret, at, "cannot be checked: out of memory");
        return ERR_NOMEM;
    }
    e = spec_image_parse(args, at, image, ret);
    free(image);
    return e;
}
