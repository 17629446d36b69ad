#include "queue/spec.h"

static const struct {
    const char *name, *mime, *ext;
    bool written, alpha, moves;
} formats[IMAGE_FORMATS] = {
    [IMAGE_JPEG] = {"jpeg", "image/jpeg", "jpg", true, false, false},
    [IMAGE_PNG] = {"png", "image/png", "png", true, true, false},
    [IMAGE_WEBP] = {"webp", "image/webp", "webp", true, true, true},
    [IMAGE_AVIF] = {"avif", "image/avif", "avif", true, true, false},
    [IMAGE_GIF] = {"gif", "image/gif", "gif", true, true, true},
    [IMAGE_TIFF] = {"tiff", "image/tiff", "tif", true, true, false},
    [IMAGE_HEIF] = {"heif", "image/heif", "heif", false, true, false},
    [IMAGE_SVG] = {"svg", "image/svg+xml", "svg", false, true, false},
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

bool image_format_is_written(enum image_format f)
{
    return (size_t)f < COUNT_OF(formats) && formats[f].written;
}

bool image_format_has_alpha(enum image_format f)
{
    return (size_t)f < COUNT_OF(formats) && formats[f].alpha;
}

bool image_format_moves(enum image_format f)
{
    return (size_t)f < COUNT_OF(formats) && formats[f].moves;
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
