#include "worker/render/child/encode.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "worker/render/child/vfault.h"

#if VIMAGE_815
#define NO_METADATA "keep", VIPS_FOREIGN_KEEP_NONE
#else
#define NO_METADATA "strip", TRUE
#endif

/* What a codec may spend on size. Measured at 1280 px: WebP effort 2 costs half of the usual
 * 4 for 4 % more bytes; AVIF effort 2 a sixth of 4 for none. */
#define WEBP_EFFORT     2
#define AVIF_EFFORT     2
#define PNG_COMPRESSION 6

static const unsigned qualities[] = {
    [IMAGE_JPEG] = 80, [IMAGE_PNG] = 0, [IMAGE_WEBP] = 80, [IMAGE_AVIF] = 50, [IMAGE_GIF] = 0,
};

static int save(VipsImage *im, enum image_format f, int q, VipsTarget *to)
{
    switch (f) {
    case IMAGE_JPEG:
        return vips_jpegsave_target(im, to, "Q", q, "optimize_coding", TRUE, NO_METADATA, NULL);
    case IMAGE_PNG:
        return vips_pngsave_target(im, to, "compression", PNG_COMPRESSION, NO_METADATA, NULL);
    case IMAGE_WEBP:
        return vips_webpsave_target(im, to, "Q", q, "effort", WEBP_EFFORT, NO_METADATA, NULL);
    case IMAGE_AVIF:
        return vips_heifsave_target(im, to, "Q", q, "effort", AVIF_EFFORT, "bitdepth", 8,
                                    "compression", VIPS_FOREIGN_HEIF_COMPRESSION_AV1,
                                    NO_METADATA, NULL);
    case IMAGE_GIF:
        vips_error("encode", "%s", "GIF is not supported as an output");
        return -1;
    }
    return -1;
}

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

enum err encode_target(VipsImage *im, enum image_format f, unsigned quality, VipsTarget *to,
                       struct fault *reterr)
{
    int q = (int)(quality == 0 ? qualities[f] : quality);
    AUTO(vimage_drop) VipsImage *bare = without_metadata(im);

    if (bare == NULL)
        return vfault_take(reterr, ERR_NOMEM, "encode");
    return save(bare, f, q, to) == 0 ? ERR_OK : failed(reterr);
}

enum err encode_file(VipsImage *im, enum image_format f, unsigned quality, const char *path,
                     uint64_t *ret_bytes, struct fault *reterr)
{
    VipsTarget *to = vips_target_new_to_file(path);
    struct stat st;
    enum err e;

    if (to == NULL)
        return vfault_take(reterr, ERR_IO, "encode");
    e = encode_target(im, f, quality, to, reterr);
    g_object_unref(to);
    if (e != ERR_OK)
        return e;
    if (stat(path, &st) != 0)
        return fault_set(reterr, ERR_IO, errno, "encode: %s", err_errno(errno));
    *ret_bytes = (uint64_t)st.st_size;
    return ERR_OK;
}
