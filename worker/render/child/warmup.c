#include "worker/render/child/warmup.h"

#include "worker/render/child/decode.h"
#include "worker/render/child/encode.h"
#include "worker/render/child/ops.h"
#include "worker/render/child/vfault.h"

#define SIDE 32

/* One transparent pixel; there is no GIF encoder here to make one with. */
static const char tiny_gif[] =
    "GIF89a\1\0\1\0\x80\0\0\0\0\0\xff\xff\xff!\xf9\4\1\0\0\0\0,\0\0\0\0\1\0\1\0\0\2\2D\1\0;";

/* With letters, and with a PNG inside. */
static const char tiny_svg[] =
    "<svg xmlns='http://www.w3.org/2000/svg' width='32' height='32'><text y='9'>Aa</text>"
    "<image width='9' height='9' href='data:image/png;base64,"
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR42mP4DwABAQEAHL"
    "CMmQAAAABJRU5ErkJggg=='/></svg>";

void warmup_plugins(void)
{
    static const char no_picture[] = "\0\0\0\x18"
                                     "ftypavif\0\0\0\0avifmif1";
    VipsImage *im = NULL;

    if (vips_heifload_buffer((void *)(uintptr_t)no_picture, sizeof no_picture - 1, &im, NULL) ==
        0)
        vimage_drop(&im);
    vips_error_clear();
}

static enum err decode_back(const void *bytes, size_t len, struct fault *reterr)
{
    AUTO(vimage_drop) VipsImage *im = NULL;
    struct ops_scale how = {.to = {SIDE / 4, SIDE / 4}, .orientation = 1, .settle = true};
    AUTO(vimage_drop) VipsImage *small = NULL;
    const struct probe_limits limits = {.pixels = 1 << 20, .svg_bytes = len};
    struct decode d;
    enum err e = decode_open(slice_of(bytes, len), 0, &limits, &d, reterr);

    if (e != ERR_OK)
        return e;
    e = decode_pixels(&d, (struct plan_size){SIDE, SIDE}, &im, reterr);
    if (e == ERR_OK)
        e = ops_scale(im, &how, &small, reterr);
    decode_done(&d);
    return e;
}

static enum err round_trip(VipsImage *im, enum image_format f, struct fault *reterr)
{
    static const struct image_coding plain = {
        .effort = IMAGE_UNSET, .compression = IMAGE_UNSET, .colours = 256, .dither = 1};
    struct encode_how how = {.format = f, .coding = &plain};
    VipsTarget *to = vips_target_new_to_memory();
    VipsBlob *blob = NULL;
    const void *bytes;
    size_t len;
    enum err e;

    if (to == NULL)
        return vfault_take(reterr, ERR_NOMEM, "warm-up");
    e = encode_target(im, &how, to, reterr);
    if (e == ERR_OK) {
        g_object_get(to, "blob", &blob, NULL);
        bytes = vips_blob_get(blob, &len);
        e = decode_back(bytes, len, reterr);
        vips_area_unref(VIPS_AREA(blob));
    }
    g_object_unref(to);
    return e;
}

static enum err warm_colours(VipsImage *im, struct fault *reterr)
{
    AUTO(vimage_drop) VipsImage *cmyk = NULL;
    AUTO(vimage_drop) VipsImage *rgb = NULL;

    if (vips_colourspace(im, &cmyk, VIPS_INTERPRETATION_CMYK, NULL) != 0 ||
        vips_colourspace(cmyk, &rgb, VIPS_INTERPRETATION_sRGB, NULL) != 0 ||
        !vimage_settle(&rgb))
        return vfault_take(reterr, ERR_INTERNAL, "warm-up");
    return ERR_OK;
}

static enum err make_picture(VipsImage **ret, struct fault *reterr)
{
    AUTO(vimage_drop) VipsImage *black = NULL;

    if (vips_black(&black, SIDE, SIDE, "bands", 3, NULL) != 0 ||
        vips_copy(black, ret, "interpretation", VIPS_INTERPRETATION_sRGB, NULL) != 0)
        return vfault_take(reterr, ERR_INTERNAL, "warm-up");
    return ERR_OK;
}

enum err warmup_codecs(bool svg, struct fault *reterr)
{
    static const enum image_format formats[] = {IMAGE_JPEG, IMAGE_PNG, IMAGE_WEBP,
                                                IMAGE_AVIF, IMAGE_GIF, IMAGE_TIFF};
    AUTO(vimage_drop) VipsImage *im = NULL;
    enum err e = make_picture(&im, reterr);

    for (size_t i = 0; i < COUNT_OF(formats) && e == ERR_OK; i++)
        e = round_trip(im, formats[i], reterr);
    if (e == ERR_OK)
        e = decode_back(tiny_gif, sizeof tiny_gif - 1, reterr);
    if (e == ERR_OK && svg)
        e = decode_back(tiny_svg, sizeof tiny_svg - 1, reterr);
    if (e == ERR_OK)
        e = warm_colours(im, reterr);
    return e;
}
