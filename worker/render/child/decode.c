#include "worker/render/child/decode.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "worker/render/child/icc.h"
#include "worker/render/child/vfault.h"

/* Whatever else the library was built with (ImageMagick, PDF, ...) can no longer be
 * called. */
void decode_allow_list(bool svg)
{
    static const char *const ours[] = {
        "VipsForeignLoadJpeg",  "VipsForeignLoadPng",  "VipsForeignLoadWebp",
        "VipsForeignLoadNsgif", "VipsForeignLoadHeif", "VipsForeignLoadTiff",
    };

    vips_operation_block_set("VipsForeignLoad", TRUE);
    for (size_t i = 0; i < COUNT_OF(ours); i++)
        vips_operation_block_set(ours[i], FALSE);
    if (svg)
        vips_operation_block_set("VipsForeignLoadSvg", FALSE);
}

/* --- opening ------------------------------------------------------------------------------- */

#define COMMON "access", VIPS_ACCESS_SEQUENTIAL, "fail_on", VIPS_FAIL_ON_ERROR

/* n: pages from there on; -1: all. */
struct part {
    int page, n;
};

/* Only a JPEG is shrunk, by whole factors; a WebP may be scaled down, and an SVG to any size. */
struct reduce {
    int shrink;
    double scale;
};
static const struct reduce whole = {1, 1};

static int load(VipsSource *src, enum image_format f, struct reduce by, struct part p,
                VipsImage **ret)
{
    switch (f) {
    case IMAGE_JPEG:
        return vips_jpegload_source(src, ret, COMMON, "shrink", by.shrink, NULL);
    case IMAGE_WEBP:
        return vips_webpload_source(src, ret, COMMON, "scale", by.scale, "page", p.page, "n",
                                    p.n, NULL);
    case IMAGE_PNG:
        return vips_pngload_source(src, ret, COMMON, NULL);
    case IMAGE_GIF:
        return vips_gifload_source(src, ret, COMMON, "page", p.page, "n", p.n, NULL);
    case IMAGE_AVIF:
    case IMAGE_HEIF:
        return vips_heifload_source(src, ret, COMMON, "page", p.page, NULL);
    case IMAGE_TIFF:
        return vips_tiffload_source(src, ret, COMMON, "page", p.page, NULL);
    case IMAGE_SVG:
        return vips_svgload_source(src, ret, COMMON, "scale", by.scale, NULL);
    }
    return -1;
}

/* Without a size, it has that of what it shows; and where that is nothing, none. */
static enum err svg_fault(struct fault *reterr)
{
    bool empty = strstr(vips_error_buffer(), "bad dimensions") != NULL ||
                 strstr(vips_error_buffer(), "zero-sized image") != NULL;
    enum err e = vfault_take(reterr, ERR_MALFORMED, "decode");

    return empty ? fault_set(reterr, ERR_MALFORMED, 0,
                             "broken svg: it has no size, or none that could be drawn")
                 : e;
}

static enum err open_image(const struct decode *d, struct reduce by, struct part p,
                           VipsImage **ret, struct fault *reterr)
{
    VipsSource *src = vips_source_new_from_memory(d->file.ptr, d->file.len);
    int rc;

    if (src == NULL)
        return vfault_take(reterr, ERR_NOMEM, "decode");
    rc = load(src, d->format, by, p, ret);
    g_object_unref(src);
    if (rc != 0)
        return d->format == IMAGE_SVG ? svg_fault(reterr)
                                      : vfault_take(reterr, ERR_MALFORMED, "decode");
    return ERR_OK;
}

static void read_header(struct decode *d)
{
    int pages;

    must(d->header != NULL);
    pages = vips_image_get_n_pages(d->header);
    d->width = (uint32_t)d->header->Xsize;
    d->height = (uint32_t)d->header->Ysize;
    d->orientation = (unsigned)vips_image_get_orientation(d->header);
    if (d->orientation < 1 || d->orientation > 8)
        d->orientation = 1;
    d->pages = pages < 1 ? 1 : (uint32_t)pages;
}

/* A file that has no such page is refused by its first, which all have. */
static enum err open_page(struct decode *d, uint32_t page, struct fault *reterr)
{
    enum err e = open_image(d, whole, (struct part){0, 1}, &d->header, reterr);

    if (e != ERR_OK)
        return e;
    read_header(d);
    if (page >= d->pages)
        return fault_set(reterr, ERR_MALFORMED, 0, "page %u: the source has %u, the first is 0",
                         page, d->pages);
    if (page == 0)
        return ERR_OK;
    vimage_drop(&d->header);
    d->page = (int)page;
    e = open_image(d, whole, (struct part){d->page, 1}, &d->header, reterr);
    if (e == ERR_OK)
        read_header(d);
    return e;
}

enum err decode_open(struct slice file, uint32_t page, const struct probe_limits *limits,
                     struct decode *ret, struct fault *reterr)
{
    struct probe probe;
    enum err e = probe_bytes(file, limits, &probe, reterr);

    if (e != ERR_OK)
        return e;
    *ret = (struct decode){.file = file, .format = probe.format, .max_pixels = limits->pixels};
    e = open_page(ret, page, reterr);
    if (e == ERR_OK)
        e = probe_check_pixels(ret->width, ret->height, ret->pages, limits->pixels, reterr);
    if (e != ERR_OK)
        decode_done(ret);
    return e;
}

void decode_done(struct decode *d)
{
    vimage_drop(&d->header);
    free(d->profile);
    d->profile = NULL;
}

void decode_pace(const struct decode *d, const int **ret_ms, int *ret_n, int *ret_loop)
{
    int *ms = NULL;
    int n = 0;

    *ret_n = 0;
    *ret_loop = 0;
    if (vips_image_get_typeof(d->header, "delay") != 0 &&
        vips_image_get_array_int(d->header, "delay", &ms, &n) == 0) {
        *ret_ms = ms;
        *ret_n = n;
    }
    if (vips_image_get_typeof(d->header, "loop") != 0)
        (void)vips_image_get_int(d->header, "loop", ret_loop);
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

/* Only RGB and grey stay as they are: ink is turned to light by its profile in any case. */
static bool can_stay(const VipsImage *im)
{
    return im->Type == VIPS_INTERPRETATION_sRGB || im->Type == VIPS_INTERPRETATION_RGB ||
           im->Type == VIPS_INTERPRETATION_B_W || im->Type == VIPS_INTERPRETATION_RGB16 ||
           im->Type == VIPS_INTERPRETATION_GREY16;
}

static int take_profile(struct decode *d, VipsImage *im)
{
    const void *data;
    size_t len;

    if (d->profile != NULL)
        return 0;
    if (vips_image_get_blob(im, VIPS_META_ICC_NAME, &data, &len) != 0)
        return -1;
    d->profile = malloc(len);
    if (d->profile == NULL) {
        vips_error("decode", "out of memory");
        return -1;
    }
    memcpy(d->profile, data, len);
    d->profile_len = len;
    return 0;
}

static int normalise(struct decode *d, VipsImage **im)
{
    bool profile = keeps_profile(*im);

    if (profile && d->keep_profile && can_stay(*im)) {
        if (take_profile(d, *im) != 0)
            return -1;
        profile = false;
    }
    if (!profile && drop_profile(im) != 0)
        return -1;
    return is_plain(*im) ? 0 : convert(im, profile);
}

/* A WebP that moves is put together from parts that lie at whole pixels: only halves keep them
 * there. */
static struct reduce reduce_to(const struct decode *d, struct plan_size least, bool moves)
{
    struct plan_size have = {d->width, d->height};
    unsigned shrink = plan_shrink(have, least);

    return (struct reduce){
        .shrink = d->format == IMAGE_JPEG ? (int)shrink : 1,
        .scale = d->format != IMAGE_WEBP ? 1
                 : moves                 ? 1.0 / shrink
                                         : plan_scale(have, least),
    };
}

void decode_reduction(const struct decode *d, struct plan_size least, bool moves,
                      unsigned *ret_shrink, double *ret_scale)
{
    struct reduce by = reduce_to(d, least, moves);

    *ret_shrink = (unsigned)by.shrink;
    *ret_scale = by.scale;
}

bool decode_is_interlaced(const struct decode *d)
{
    return vips_image_get_typeof(d->header, "interlaced") != 0;
}

/* --- drawings ------------------------------------------------------------------------------ */

#define SCALE_MIN 0.001 /* the loader's own range */
#define SCALE_MAX 100000

/* Never more pixels than a source may have, whatever shape it is stretched to. */
static double scale_within(const struct decode *d, double scale)
{
    double most = sqrt((double)d->max_pixels / ((double)d->width * d->height));

    return fmin(fmax(fmin(scale, most), SCALE_MIN), SCALE_MAX);
}

static bool is_large_enough(const struct decode *d, const VipsImage *im)
{
    return im->Xsize >= (int)d->draw_width && im->Ysize >= (int)d->draw_height;
}

/* Where both sides ask for nearly the same, the smaller gives both exactly, most often. */
static double first_scale(const struct decode *d)
{
    double kw = (double)d->draw_width / d->width;
    double kh = (double)d->draw_height / d->height;
    double least = fmin(kw, kh), shorter = fmin(d->width, d->height);
    bool same_shape = fabs(kw - kh) * shorter <= 1 && least * shorter >= 1;

    return scale_within(d, same_shape ? least : fmax(kw, kh));
}

/* Its own size is rounded to whole pixels, so the first scale may miss by some: then what came of it tells a
 * better one. */
static enum err draw(struct decode *d, VipsImage **ret, struct fault *reterr)
{
    struct reduce by = {1, first_scale(d)};
    struct part p = {0, 1};
    enum err e = open_image(d, by, p, ret, reterr);

    if (e != ERR_OK)
        return e;
    must(*ret != NULL);
    if (is_large_enough(d, *ret) && (*ret)->Xsize <= (int)d->draw_width + 1)
        return ERR_OK;
    by.scale *=
        fmax((double)d->draw_width / (*ret)->Xsize, (double)d->draw_height / (*ret)->Ysize);
    by.scale = scale_within(d, by.scale);
    vimage_drop(ret);
    return open_image(d, by, p, ret, reterr);
}

enum err decode_pixels(struct decode *d, struct plan_size least, VipsImage **ret,
                       struct fault *reterr)
{
    AUTO(vimage_drop) VipsImage *im = NULL;
    struct reduce by = reduce_to(d, least, false);
    enum err e = ERR_OK;

    if (d->format == IMAGE_SVG && d->draw_width > 0) {
        e = draw(d, &im, reterr);
    } else if (by.shrink > 1 || by.scale < 1) {
        e = open_image(d, by, (struct part){d->page, 1}, &im, reterr);
    } else {
        im = d->header;
        g_object_ref(im);
    }
    if (e != ERR_OK)
        return e;
    must(im != NULL);
    if (normalise(d, &im) != 0)
        return vfault_take(reterr, ERR_MALFORMED, "decode");
    *ret = im;
    im = NULL;
    return ERR_OK;
}

enum err decode_frames(struct decode *d, struct plan_size least, VipsImage **ret,
                       uint32_t *ret_height, struct fault *reterr)
{
    AUTO(vimage_drop) VipsImage *im = NULL;
    enum err e = open_image(d, reduce_to(d, least, true), (struct part){0, -1}, &im, reterr);

    if (e != ERR_OK)
        return e;
    must(im != NULL);
    *ret_height = (uint32_t)vips_image_get_page_height(im);
    if (normalise(d, &im) != 0 || !vimage_settle(&im))
        return vfault_take(reterr, ERR_MALFORMED, "decode");
    *ret = im;
    im = NULL;
    return ERR_OK;
}

enum err decode_convert(const struct decode *d, VipsImage **im, struct fault *reterr)
{
    VipsImage *copy = NULL;

    must(d->profile != NULL);
    if (vips_copy(*im, &copy, NULL) != 0)
        return vfault_take(reterr, ERR_NOMEM, "profile");
    vips_image_set_blob_copy(copy, VIPS_META_ICC_NAME, d->profile, d->profile_len);
    vimage_replace(im, copy);
    return convert(im, true) == 0 ? ERR_OK : vfault_take(reterr, ERR_MALFORMED, "profile");
}

uint32_t decode_count_frames(const char *path, enum image_format f)
{
    VipsSource *src = vips_source_new_from_file(path);
    VipsImage *im = NULL;
    uint32_t n = 0;

    if (src != NULL && load(src, f, whole, (struct part){0, 1}, &im) == 0)
        n = (uint32_t)vips_image_get_n_pages(im);
    vimage_drop(&im);
    if (src != NULL)
        g_object_unref(src);
    return n;
}
