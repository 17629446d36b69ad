#include "queue/spec.h"

static const struct {
    const char *name, *mime, *ext;
} formats[] = {
    [IMAGE_JPEG] = {"jpeg", "image/jpeg", "jpg"},
    [IMAGE_PNG] = {"png", "image/png", "png"},
    [IMAGE_WEBP] = {"webp", "image/webp", "webp"},
    [IMAGE_AVIF] = {"avif", "image/avif", "avif"},
    [IMAGE_GIF] = {"gif", "image/gif", "gif"},
};

const char *image_format_name(enum image_format f)
{
    return (size_t)f < COUNT_OF(formats) ? formats[f].name : "unknown";
}

const char *image_format_mime(enum image_format f)
{
    return (size_t)f < COUNT_OF(formats) ? formats[f].mime : "application/octet-stream";
}

const char *image_format_ext(enum image_format f)
{
    return (size_t)f < COUNT_OF(formats) ? formats[f].ext : "bin";
}

bool image_format_parse(struct slice name, enum image_format *ret)
{
    if (slice_is(name, "jpg"))
        name = SLICE_LIT("jpeg");
    for (size_t i = 0; i < COUNT_OF(formats); i++) {
        if (slice_is(name, formats[i].name)) {
            *ret = (enum image_format)i;
            return true;
        }
    }
    return false;
}
