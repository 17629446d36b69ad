#include "queue/spec/image_op.h"
#include "queue/spec/image_srcset.h"
#include "queue/spec/types.h"

#define PATH_MAX_LEN 1024

/* --- source ---------------------------------------------------------------------------------- */

static enum err take_upload(void *out, const msgpack_object *v, const struct place *at,
                            struct spec_fault *ret)
{
    struct image_source *source = out;

    source->kind = IMAGE_SOURCE_UPLOAD;
    if (v->type != MSGPACK_OBJECT_STR || !uuid_parse(mp_as_slice(v), &source->upload))
        return walk_fault(at, ret, "must be the id of an upload, as POST /v1/uploads gives it");
    return ERR_OK;
}

static enum err take_url(void *out, const msgpack_object *v, const struct place *at,
                         struct spec_fault *ret)
{
    struct image_source *source = out;

    source->kind = IMAGE_SOURCE_URL;
    return walk_url(v, &source->text, at, ret);
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
    struct image_source *source = out;
    enum err e = walk_line(v, PATH_MAX_LEN, &source->text, at, ret);

    source->kind = IMAGE_SOURCE_PATH;
    if (e == ERR_OK && goes_up(source->text))
        return walk_fault(at, ret, "must not contain \"..\"");
    return e;
}

static const struct walk_field source_fields[] = {
    {"upload", take_upload, false},
    {"url", take_url, false},
    {"path", take_path, false},
};

enum err image_source_take(void *out, const msgpack_object *v, const struct place *at,
                           struct spec_fault *ret)
{
    enum err e = walk_map(v, WALK_TABLE(source_fields), out, at, ret);

    if (e == ERR_OK && v->via.map.size != 1)
        return walk_fault(at, ret, "must have exactly one of upload, url, path");
    return e;
}

/* --- the whole ------------------------------------------------------------------------------- */

static enum err take_animated(void *out, const msgpack_object *v, const struct place *at,
                              struct spec_fault *ret)
{
    struct spec_image *image = out;
    bool animated = true;
    enum err e = walk_bool(v, &animated, at, ret);

    image->still = !animated;
    return e;
}

#define PAGE_MAX 9999

static enum err take_page(void *out, const msgpack_object *v, const struct place *at,
                          struct spec_fault *ret)
{
    struct spec_image *image = out;

    image->has_page = true;
    return walk_uint(v, 0, PAGE_MAX, &image->page, at, ret);
}

static enum err take_profile(void *out, const msgpack_object *v, const struct place *at,
                             struct spec_fault *ret)
{
    static const struct walk_word words[] = {{"srgb", false}, {"keep", true}};
    struct spec_image *image = out;
    int keep = false;
    enum err e = walk_word(v, IMAGE_WORDS(words), &keep, at, ret);

    image->keep_profile = keep != 0;
    return e;
}

static enum err take_fidelity(void *out, const msgpack_object *v, const struct place *at,
                              struct spec_fault *ret)
{
    static const struct walk_word words[] = {{"normal", false}, {"high", true}};
    struct spec_image *image = out;
    int high = false;
    enum err e = walk_word(v, IMAGE_WORDS(words), &high, at, ret);

    image->high_fidelity = high != 0;
    return e;
}

static enum err take_outputs(void *out, const msgpack_object *v, const struct place *at,
                             struct spec_fault *ret)
{
    const struct spec_image *image = out;

    if (image->n_outputs > 0)
        return walk_fault(at, ret, "stands instead of srcset, not beside it");
    return image_outputs_take(out, v, at, ret);
}

static enum err take_srcset(void *out, const msgpack_object *v, const struct place *at,
                            struct spec_fault *ret)
{
    const struct spec_image *image = out;

    if (image->n_outputs > 0)
        return walk_fault(at, ret, "stands instead of outputs, not beside them");
    return image_srcset_take(v, image_outputs_take, out, at, ret);
}

#define SOURCE_FIELD                                                                        \
    {                                                                                       \
        .name = "source", .kind = FIELD_OWN, .offset = offsetof(struct spec_image, source), \
        .take = image_source_take, .required = true                                         \
    }
#define FLAG(field_name, member)                      \
    {                                                 \
        .name = (field_name), .kind = FIELD_BOOL,     \
        .offset = offsetof(struct spec_image, member) \
    }

static const struct image_field fields[] = {
    SOURCE_FIELD,
    {.name = "outputs", .kind = FIELD_OWN, .take = take_outputs},
    {.name = "srcset", .kind = FIELD_OWN, .take = take_srcset},
    FLAG("auto_orient", auto_orient),
    FLAG("describe", describe),
    FLAG("gps", gps),
    {.name = "animated", .kind = FIELD_OWN, .take = take_animated},
    {.name = "page", .kind = FIELD_OWN, .take = take_page},
    {.name = "profile", .kind = FIELD_OWN, .take = take_profile},
    {.name = "fidelity", .kind = FIELD_OWN, .take = take_fidelity},
};
static const struct image_field info_fields[] = {
    SOURCE_FIELD,
    FLAG("gps", gps),
    {.name = "page", .kind = FIELD_OWN, .take = take_page},
};

/* It is too large for a copy, so the outputs stay what they were. */
static void blank_spec(struct spec_image *ret)
{
    ret->n_outputs = 0;
    ret->n_marks = 0;
    ret->auto_orient = true;
    ret->source = (struct image_source){.text = SLICE_LIT("")};
    ret->describe = false;
    ret->gps = false;
    ret->still = false;
    ret->has_page = false;
    ret->page = 0;
    ret->keep_profile = false;
    ret->high_fidelity = false;
}

enum err spec_image_parse(const msgpack_object *args, const char *at, struct spec_image *ret,
                          struct spec_fault *reterr)
{
    struct place root = place_root(at);
    struct place outputs = place_key(&root, SLICE_LIT("outputs"));
    enum err e;

    blank_spec(ret);
    e = image_fields_take(args, IMAGE_FIELDS(fields), ret, &root, reterr);
    if (e == ERR_OK && ret->n_outputs == 0)
        return walk_fault(&outputs, reterr, "is required");
    return e == ERR_OK ? image_marks_gather(ret, &root, reterr) : e;
}

enum err spec_image_info_parse(const msgpack_object *args, const char *at,
                               struct spec_image *ret, struct spec_fault *reterr)
{
    struct place root = place_root(at);

    blank_spec(ret);
    ret->describe = true;
    return image_fields_take(args, IMAGE_FIELDS(info_fields), ret, &root, reterr);
}

enum err spec_image_any_parse(const msgpack_object *args, const char *at,
                              struct spec_image *ret, struct spec_fault *reterr)
{
    bool info = args->type == MSGPACK_OBJECT_MAP && mp_get(args, "outputs") == NULL &&
                mp_get(args, "srcset") == NULL;

    return (info ? spec_image_info_parse : spec_image_parse)(args, at, ret, reterr);
}

typedef enum err parse_fn(const msgpack_object *args, const char *at, struct spec_image *ret,
                          struct spec_fault *reterr);

static enum err check(parse_fn *parse, const msgpack_object *args, const char *at,
                      struct spec_fault *ret)
{
    struct spec_image *image = malloc(sizeof *image);
    enum err e;

    if (image == NULL) {
        (void)spec_fault_set(ret, at, "cannot be checked: out of memory");
        return ERR_NOMEM;
    }
    e = parse(args, at, image, ret);
    free(image);
    return e;
}

enum err spec_image_check(const msgpack_object *args, const char *at, struct spec_fault *ret)
{
    return check(spec_image_parse, args, at, ret);
}

enum err spec_image_info_check(const msgpack_object *args, const char *at,
                               struct spec_fault *ret)
{
    return check(spec_image_info_parse, args, at, ret);
}
