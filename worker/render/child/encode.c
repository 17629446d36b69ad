#include "worker/render/child/encode.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "worker/render/child/vfault.h"

#if VIMAGE_815
#define KEEP(how) \
    "keep", (how)->profile.len > 0 ? VIPS_FOREIGN_KEEP_ICC : VIPS_FOREIGN_KEEP_NONE
#else
#define KEEP(how) "strip", (how)->profile.len > 0 ? FALSE : TRUE
#endif

/* What a codec may spend on size. Measured at 1280 px: WebP effort 2 costs half of the usual
 * 4 for 4 % more bytes; AVIF effort 2 a sixth of 4 for none; a palette of effort 6 two thirds of the
 * usual 7 for 1 % more, of 4 a sixth for 15 %. */
#define WEBP_EFFORT     2
#define AVIF_EFFORT     2
#define GIF_EFFORT      4
#define PALETTE_EFFORT  6
#define PNG_COMPRESSION 6

static const unsigned qualities[IMAGE_FORMATS] = {
    [IMAGE_JPEG] = 80, [IMAGE_WEBP] = 80, [IMAGE_AVIF] = 50, [IMAGE_TIFF] = 80};

static bool is_lossless(const struct encode_how *how)
{
    const struct image_coding *c = how->coding;

    switch (how->format) {
    case IMAGE_WEBP:
        return c->lossless || c->near_lossless > 0;
    case IMAGE_AVIF:
        return c->lossless;
    case IMAGE_TIFF:
        return c->squeeze != IMAGE_SQUEEZE_JPEG;
    case IMAGE_PNG:
    case IMAGE_GIF:
        return true;
    case IMAGE_JPEG:
    case IMAGE_HEIF:
    case IMAGE_SVG:
        break;
    }
    return false;
}

unsigned encode_quality(const struct encode_how *how)
{
    if (is_lossless(how))
        return 0;
    if (how->quality > 0)
        return how->quality;
    return how->coding->quality > 0 ? how->coding->quality : qualities[how->format];
}

static int effort_of(const struct encode_how *how, int otherwise)
{
    return how->coding->effort == IMAGE_UNSET ? otherwise : (int)how->coding->effort;
}

static VipsForeignSubsample subsample_of(const struct encode_how *how)
{
    static const VipsForeignSubsample modes[] = {
        [IMAGE_CHROMA_AUTO] = VIPS_FOREIGN_SUBSAMPLE_AUTO,
        [IMAGE_CHROMA_420] = VIPS_FOREIGN_SUBSAMPLE_ON,
        [IMAGE_CHROMA_444] = VIPS_FOREIGN_SUBSAMPLE_OFF};

    return modes[how->coding->chroma];
}

/* Bits that hold so many colours: 1, 2, 4 or 8. */
static int palette_bits(uint32_t colours)
{
    return colours <= 2 ? 1 : colours <= 4 ? 2 : colours <= 16 ? 4 : 8;
}

/* --- one function a format ----------------------------------------------------------------- */

typedef int save_fn(VipsImage *im, const struct encode_how *how, int q, VipsTarget *to);

static int save_jpeg(VipsImage *im, const struct encode_how *how, int q, VipsTarget *to)
{
    const struct image_coding *c = how->coding;

    return vips_jpegsave_target(
        im, to, "Q", q, "optimize_coding", TRUE, "interlace", c->progressive || c->optimise,
        "subsample_mode", subsample_of(how), "trellis_quant", c->optimise,
        "overshoot_deringing", c->optimise, "optimize_scans", c->optimise, "quant_table",
        c->optimise ? 3 : 0, KEEP(how), NULL);
}

static int save_png(VipsImage *im, const struct encode_how *how, int q, VipsTarget *to)
{
    const struct image_coding *c = how->coding;
    int compression = c->compression == IMAGE_UNSET ? PNG_COMPRESSION : (int)c->compression;

    (void)q;
    if (c->palette)
        return vips_pngsave_target(im, to, "compression", compression, "interlace",
                                   c->progressive, "palette", TRUE, "bitdepth",
                                   palette_bits(c->colours), "dither", c->dither, "effort",
                                   effort_of(how, PALETTE_EFFORT), KEEP(how), NULL);
    return vips_pngsave_target(im, to, "compression", compression, "interlace", c->progressive,
                               KEEP(how), NULL);
}

static int save_webp(VipsImage *im, const struct encode_how *how, int q, VipsTarget *to)
{
    const struct image_coding *c = how->coding;

    if (c->near_lossless > 0)
        return vips_webpsave_target(im, to, "Q", (int)c->near_lossless, "near_lossless", TRUE,
                                    "effort", effort_of(how, WEBP_EFFORT), KEEP(how), NULL);
    if (c->lossless)
        return vips_webpsave_target(im, to, "lossless", TRUE, "effort",
                                    effort_of(how, WEBP_EFFORT), KEEP(how), NULL);
    return vips_webpsave_target(im, to, "Q", q, "effort", effort_of(how, WEBP_EFFORT),
                                KEEP(how), NULL);
}

static int save_avif(VipsImage *im, const struct encode_how *how, int q, VipsTarget *to)
{
    bool lossless = how->coding->lossless;

    return vips_heifsave_target(im, to, "Q", lossless ? 100 : q, "lossless", lossless, "effort",
                                effort_of(how, AVIF_EFFORT), "bitdepth", 8, "compression",
                                VIPS_FOREIGN_HEIF_COMPRESSION_AV1, "subsample_mode",
                                subsample_of(how), KEEP(how), NULL);
}

static int save_gif(VipsImage *im, const struct encode_how *how, int q, VipsTarget *to)
{
    int effort = effort_of(how, GIF_EFFORT);

    (void)q;
    return vips_gifsave_target(im, to, "effort", effort < 1 ? 1 : effort, "dither",
                               how->coding->dither, "bitdepth",
                               palette_bits(how->coding->colours), KEEP(how), NULL);
}

static int save_tiff(VipsImage *im, const struct encode_how *how, int q, VipsTarget *to)
{
    static const VipsForeignTiffCompression ways[] = {
        [IMAGE_SQUEEZE_DEFLATE] = VIPS_FOREIGN_TIFF_COMPRESSION_DEFLATE,
        [IMAGE_SQUEEZE_LZW] = VIPS_FOREIGN_TIFF_COMPRESSION_LZW,
        [IMAGE_SQUEEZE_JPEG] = VIPS_FOREIGN_TIFF_COMPRESSION_JPEG,
        [IMAGE_SQUEEZE_NONE] = VIPS_FOREIGN_TIFF_COMPRESSION_NONE};

    return vips_tiffsave_target(im, to, "compression", ways[how->coding->squeeze], "Q",
                                q == 0 ? 75 : q, KEEP(how), NULL);
}

static save_fn *const savers[IMAGE_FORMATS] = {
    [IMAGE_JPEG] = save_jpeg, [IMAGE_PNG] = save_png, [IMAGE_WEBP] = save_webp,
    [IMAGE_AVIF] = save_avif, [IMAGE_GIF] = save_gif, [IMAGE_TIFF] = save_tiff};

/* The decoder works while the encoder asks, so what fails here may be the source: then the
 * first line, which is the deepest, does not speak of saving. */
static enum err failed(struct fault *reterr)
{
    const char *text = vips_error_buffer();
    size_t n = strcspn(text, "\n");
    bool saver = memmem(text, n, "save", 4) != NULL || memmem(text, n, "target", 6) != NULL;

    return vfault_take(reterr, saver ? ERR_INTERNAL : ERR_MALFORMED,
                       saver ? "encode" : "decode");
}

/* The savers are told to keep nothing; 8.14's for WebP writes EXIF all the same, with
 * whatever it finds. So nothing is left to be found (but the sizes, of which it still makes
 * a block). */
static VipsImage *without_metadata(VipsImage *im)
{
    VipsImage *copy = NULL;
    gchar **fields;

    if (vips_copy(im, &copy, NULL) != 0)
        return NULL;
    fields = vips_image_get_fields(copy);
    for (size_t i = 0; fields != NULL && fields[i] != NULL; i++)
        (void)vips_image_remove(copy, fields[i]); /* width, height and their like stay */
    g_strfreev(fields);
    return copy;
}

static void describe(VipsImage *im, const struct encode_how *how)
{
    if (how->profile.len > 0)
        vips_image_set_blob_copy(im, VIPS_META_ICC_NAME, how->profile.ptr, how->profile.len);
    if (how->frame_height == 0)
        return;
    vips_image_set_int(im, VIPS_META_PAGE_HEIGHT, (int)how->frame_height);
    vips_image_set_int(im, "loop", how->loop);
    if (how->n_delays > 0)
        vips_image_set_array_int(im, "delay", how->delays, how->n_delays);
}

enum err encode_target(VipsImage *im, const struct encode_how *how, VipsTarget *to,
                       struct fault *reterr)
{
    AUTO(vimage_drop) VipsImage *bare = without_metadata(im);

    if (bare == NULL)
        return vfault_take(reterr, ERR_NOMEM, "encode");
    must(savers[how->format] != NULL);
    describe(bare, how);
    return savers[how->format](bare, how, (int)encode_quality(how), to) == 0 ? ERR_OK
                                                                             : failed(reterr);
}

enum err encode_file(VipsImage *im, const struct encode_how *how, const char *path,
                     uint64_t *ret_bytes, struct fault *reterr)
{
    VipsTarget *to = vips_target_new_to_file(path);
    struct stat st;
    enum err e;

    if (to == NULL)
        return vfault_take(reterr, ERR_IO, "encode");
    e = encode_target(im, how, to, reterr);
    g_object_unref(to);
    if (e != ERR_OK)
        return e;
    if (stat(path, &st) != 0)
        return fault_set(reterr, ERR_IO, errno, "encode: %s", err_errno(errno));
    *ret_bytes = (uint64_t)st.st_size;
    return ERR_OK;
}

enum err encode_memory(VipsImage *im, const struct encode_how *how, VipsBlob **ret,
                       struct fault *reterr)
{
    VipsTarget *to = vips_target_new_to_memory();
    enum err e;

    if (to == NULL)
        return vfault_take(reterr, ERR_NOMEM, "encode");
    e = encode_target(im, how, to, reterr);
    if (e == ERR_OK)
        g_object_get(to, "blob", ret, NULL);
    g_object_unref(to);
    return e;
}

/* --- within a number of bytes -------------------------------------------------------------- */

static size_t blob_len(VipsBlob *b)
{
    size_t len = 0;

    (void)vips_blob_get(b, &len);
    return len;
}

static void blob_drop(VipsBlob **b)
{
    if (*b != NULL)
        vips_area_unref(VIPS_AREA(*b));
    *b = NULL;
}

/* Halves what lies between the highest quality that fits and the lowest that does not. */
enum err encode_within(VipsImage *im, struct encode_how *how, uint64_t max_bytes,
                       VipsBlob **ret, struct fault *reterr)
{
    unsigned low = 0;
    unsigned high = encode_quality(how) + 1;
    size_t least = 0;
    VipsBlob *best = NULL;

    for (unsigned try = 0; try < ENCODE_TRIES && high - low > 1; try++) {
        unsigned q = try == 0 ? high - 1 : (low + high) / 2;
        VipsBlob *blob = NULL;
        enum err e;

        how->quality = q;
        e = encode_memory(im, how, &blob, reterr);
        if (e != ERR_OK) {
            blob_drop(&best);
            return e;
        }
        least = blob_len(blob);
        if (least <= max_bytes) {
            blob_drop(&best);
            best = blob;
            low = q;
        } else {
            blob_drop(&blob);
            high = q;
        }
    }
    if (best == NULL)
        return fault_set(reterr, ERR_TOO_BIG, 0,
                         "%zu bytes at quality %u, and max_bytes is %llu", least, high,
                         (unsigned long long)max_bytes);
    how->quality = low;
    *ret = best;
    return ERR_OK;
}
