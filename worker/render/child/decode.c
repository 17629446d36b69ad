#include "worker/render/child/decode.h"

#include "worker/render/child/icc.h"
#include "worker/render/child/vfault.h"

/* Whatever else the library was built with (ImageMagick, PDF, SVG, ...) can no longer be
 * called. */
void decode_allow_list(void)
{
    static const char *const ours[] = {
        "VipsForeignLoadJpeg",  "VipsForeignLoadPng",  "VipsForeignLoadWebp",
        "VipsForeignLoadNsgif", "VipsForeignLoadHeif",
    };

    vips_operation_block_set("VipsForeignLoad", TRUE);
    for (size_t i = 0; i < COUNT_OF(ours); i++)
        vips_operation_block_set(ours[i], FALSE);
}

/* --- opening ------------------------------------------------------------------------------- */

#define COMMON "access", VIPS_ACCESS_SEQUENTIAL, "fail_on", VIPS_FAIL_ON_ERROR

static int load(VipsSource *src, enum image_format f, unsigned shrink, VipsImage **ret)
{
    switch (f) {
    case IMAGE_JPEG:
        return vips_jpegload_source(src, ret, COMMON, "shrink", (int)shrink, NULL);
    case IMAGE_WEBP:
        return vips_webpload_source(src, ret, COMMON, "scale", 1.0 / shrink, NULL);
    case IMAGE_PNG:
        return vips_pngload_source(src, ret, COMMON, NULL);
    case IMAGE_GIF:
        return vips_gifload_source(src, ret, COMMON, NULL);
    case IMAGE_AVIF:
        return vips_heifload_source(src, ret, COMMON, NULL);
    }
    return -1;
}

static enum err open_image(const struct decode *d, unsigned shrink, VipsImage **ret,
                           struct fault *reterr)
{
    VipsSource *src = vips_source_new_from_memory(d->file.ptr, d->file.len);
    int rc;

    if (src == NULL)
        return vfault_take(reterr, ERR_NOMEM, "decode");
    rc = load(src, d->format, shrink, ret);
    g_object_unref(src);
    if (rc != 0)
        return vfault_take(reterr, ERR_MALFORMED, "decode");
    return ERR_OK;
}

enum err decode_open(struct slice file, uint64_t max_pixels, struct decode *ret,
                     struct fault *reterr)
{
    struct probe probe;
    enum err e = probe_bytes(file, max_pixels, &probe, reterr);
    int pages;

    if (e != ERR_OK)
        return e;
    *ret = (struct decode){.file = file, .format = probe.format};
    e = open_image(ret, 1, &ret->header, reterr);
    if (e != ERR_OK)
        return e;
    ret->width = (uint32_t)ret->header->Xsize;
    ret->height = (uint32_t)ret->header->Ysize;
    ret->orientation = (unsigned)vips_image_get_orientation(ret->header);
    if (ret->orientation < 1 || ret->orientation > 8)
        ret->orientation = 1;
    pages = vips_image_get_n_pages(ret->header);
    e = probe_check_pixels(ret->width, ret->height, pages < 1 ? 1 : (uint32_t)pages, max_pixels,
                           reterr);
    if (e != ERR_OK)
        decode_done(ret);
    return e;
}

void decode_done(struct decode *d)
{
    vimage_drop(&d->header);
}

/* --- pixels -------------------------------------------------------------------------------- */

/* A profile that is broken, or says what is assumed anyway, goes. */
static bool keeps_profile(VipsImage *im)
{
    const void *data;
    size_t len;

    if (vips_image_get_typeof(im, VIPS_META_ICC_NAME) == 0 ||
        vips_image_get_blob(im, VIPS_META_ICC_NAME, &data, &len) != 0)
        return false;
    return !icc_is_srgb(slice_of(data, len)) && vips_icc_is_compatible_profile(im, data, len);
}

static int drop_profile(VipsImage **im)
{
    VipsImage *copy = NULL;

    if (vips_image_get_typeof(*im, VIPS_META_ICC_NAME) == 0)
        return 0;
    /* A copy of its own, since the loader's image may be shared. */
    if (vips_copy(*im, &copy, NULL) != 0)
        return -1;
    (void)vips_image_remove(copy, VIPS_META_ICC_NAME);
    vimage_replace(im, copy);
    return 0;
}

static bool is_plain(const VipsImage *im)
{
    return im->BandFmt == VIPS_FORMAT_UCHAR && im->Bands <= 4 &&
           (im->Type == VIPS_INTERPRETATION_sRGB || im->Type == VIPS_INTERPRETATION_RGB ||
            im->Type == VIPS_INTERPRETATION_B_W);
}

static int to_space(VipsImage **im, VipsInterpretation space)
{
    VipsImage *next = NULL;

    if (vips_colourspace(*im, &next, space, NULL) != 0)
        return -1;
    vimage_replace(im, next);
    next = NULL;
    if (vips_cast_uchar(*im, &next, NULL) != 0)
        return -1;
    vimage_replace(im, next);
    return 0;
}

/* CMYK, 16 bits and the rest. With a profile the conversion is by that, else by libvips' own. */
static int convert(VipsImage **im, bool profile)
{
    bool grey = vimage_is_grey(*im);
    VipsImage *next = NULL;

    if (profile) {
        if (vips_icc_transform(*im, &next, "srgb", "embedded", TRUE, "depth", 8, NULL) != 0)
            return -1;
        vimage_replace(im, next);
        if (drop_profile(im) != 0)
            return -1;
    }
    return to_space(im, grey ? VIPS_INTERPRETATION_B_W : VIPS_INTERPRETATION_sRGB);
}

static int normalise(VipsImage **im)
{
    bool profile = keeps_profile(*im);

    if (!profile && drop_profile(im) != 0)
        return -1;
    return is_plain(*im) ? 0 : convert(im, profile);
}

enum err decode_pixels(struct decode *d, unsigned shrink, VipsImage **ret, struct fault *reterr)
{
    AUTO(vimage_drop) VipsImage *im = NULL;
    bool can_shrink = d->format == IMAGE_JPEG || d->format == IMAGE_WEBP;
    enum err e = ERR_OK;

    if (shrink > 1 && can_shrink) {
        e = open_image(d, shrink, &im, reterr);
    } else {
        im = d->header;
        d->header = NULL;
    }
    if (e != ERR_OK)
        return e;
    must(im != NULL); /* once a decode */
    if (normalise(&im) != 0)
        return vfault_take(reterr, ERR_MALFORMED, "decode");
    *ret = im;
    im = NULL;
    return ERR_OK;
}
