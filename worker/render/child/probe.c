#include "worker/render/child/probe.h"

#include "worker/render/child/probe_svg.h"
#include "worker/render/child/probe_walk.h"

struct magic {
    size_t at;
    const char *bytes;
    size_t len;
    const char *name;
};
#define MAGIC(at, bytes, name)                   \
    {                                            \
        (at), (bytes), sizeof(bytes) - 1, (name) \
    }

/* Seen often enough in uploads to deserve their name in the answer. */
/* clang-format off */
static const struct magic strangers[] = {
    MAGIC(0, "II+\0", "BigTIFF"),              MAGIC(0, "MM\0+", "BigTIFF"),
    MAGIC(0, "%PDF", "PDF"),                   MAGIC(0, "%!PS", "PostScript"),
    MAGIC(0, "<?xml", "XML"),                  MAGIC(0, "\xef\xbb\xbf<?xml", "XML"),
    MAGIC(0, "\xff\xfe<\0", "UTF-16"),         MAGIC(0, "\xfe\xff\0<", "UTF-16"),
    MAGIC(0, "\0\0\0\x0cJXL \r\n", "JPEG XL"), MAGIC(0, "\xff\x0a", "JPEG XL"),
    MAGIC(0, "\0\0\0\x0cjP  \r\n", "JPEG 2000"), MAGIC(0, "\xff\x4f\xff\x51", "JPEG 2000"),
    MAGIC(0, "8BPS", "Photoshop"),             MAGIC(0, "\0\0\1\0", "ICO"),
    MAGIC(0, "PK\3\4", "ZIP"),                 MAGIC(0, "\x1f\x8b", "gzip (or SVGZ)"),
    MAGIC(0, "\x76\x2f\x31\x01", "OpenEXR"),   MAGIC(0, "#?RADIANCE", "Radiance HDR"),
    MAGIC(0, "SIMPLE  =", "FITS"),             MAGIC(0, "gimp xcf", "GIMP"),
    MAGIC(0, "\x1a\x45\xdf\xa3", "Matroska"),  MAGIC(0, "qoif", "QOI"),
    MAGIC(0, "<!DOCTYPE", "HTML or XML"),            MAGIC(0, "<!doctype", "HTML"),
    MAGIC(0, "<html", "HTML"),                 MAGIC(0, "<HTML", "HTML"),
    MAGIC(0, "push graphic-context", "MVG"),   MAGIC(0, "\x08\x99\x22\xb6", "libvips"),
    MAGIC(8, "WAVE", "WAV"),                   MAGIC(8, "AVI ", "AVI"),
    MAGIC(4, "ftypqt  ", "QuickTime"),         MAGIC(4, "ftyp", "MP4"),
    MAGIC(0, "BM", "BMP"),
};
/* clang-format on */

/* Whether one of the brands of the ftyp box is among these; avif may stand behind mif1 or miaf. */
static bool has_brand(struct slice f, const char *const *brands, size_t n)
{
    size_t end;

    if (!probe_is(f, 4, "ftyp") || f.len < 16)
        return false;
    end = probe_be(f, 0, 4);
    if (end > f.len)
        end = f.len;
    for (size_t at = 8; at + 4 <= end && at < 512; at += 4) {
        for (size_t i = 0; i < n && at != 12; i++) {
            if (probe_is(f, at, brands[i]))
                return true;
        }
    }
    return false;
}

static bool is_avif(struct slice f)
{
    static const char *const brands[] = {"avif", "avis"};

    return has_brand(f, brands, COUNT_OF(brands));
}

static bool is_heif(struct slice f)
{
    static const char *const brands[] = {"heic", "heix", "heim", "heis", "hevc", "mif1"};

    return has_brand(f, brands, COUNT_OF(brands));
}

static bool find_format(struct slice f, enum image_format *ret, probe_walk_fn **walk)
{
    if (f.len >= 8 && memcmp(f.ptr, "\x89PNG\r\n\x1a\n", 8) == 0) {
        *ret = IMAGE_PNG;
        *walk = probe_walk_png;
    } else if (f.len >= 3 && memcmp(f.ptr, "\xff\xd8\xff", 3) == 0) {
        *ret = IMAGE_JPEG;
        *walk = probe_walk_jpeg;
    } else if (slice_starts(f, "GIF87a") || slice_starts(f, "GIF89a")) {
        *ret = IMAGE_GIF;
        *walk = probe_walk_gif;
    } else if (probe_is(f, 0, "RIFF") && probe_is(f, 8, "WEBP")) {
        *ret = IMAGE_WEBP;
        *walk = probe_walk_webp;
    } else if (is_avif(f)) {
        *ret = IMAGE_AVIF;
        *walk = probe_walk_avif;
    } else if (is_heif(f)) {
        *ret = IMAGE_HEIF;
        *walk = probe_walk_avif;
    } else if (f.len >= 4 &&
               (memcmp(f.ptr, "II*\0", 4) == 0 || memcmp(f.ptr, "MM\0*", 4) == 0)) {
        *ret = IMAGE_TIFF;
        *walk = probe_walk_tiff;
    } else {
        return false;
    }
    return true;
}

static enum err refuse_stranger(struct slice f, struct fault *reterr)
{
    char hex[3 * 8 + 1] = "";
    size_t n = f.len < 8 ? f.len : 8;

    for (size_t i = 0; i < COUNT_OF(strangers); i++) {
        const struct magic *m = &strangers[i];

        if (m->at + m->len <= f.len && memcmp(f.ptr + m->at, m->bytes, m->len) == 0)
            return fault_set(reterr, ERR_UNSUPPORTED, 0,
                             "the source is %s; JPEG, PNG, WebP, AVIF, HEIF, GIF and TIFF are "
                             "taken",
                             m->name);
    }
    for (size_t i = 0; i < n; i++)
        (void)snprintf(hex + 3 * i, sizeof hex - 3 * i, " %02x", (uint8_t)f.ptr[i]);
    return fault_set(reterr, ERR_UNSUPPORTED, 0,
                     "the source is no image that is known: it begins with%s", hex);
}

enum err probe_check_pixels(uint32_t width, uint32_t height, uint32_t pages,
                            uint64_t max_pixels, struct fault *reterr)
{
    uint64_t frame = (uint64_t)width * height;

    /* Divided, since three 32-bit numbers do not fit one of 64. */
    if (pages == 0 || frame <= max_pixels / pages)
        return ERR_OK;
    if (pages == 1)
        return fault_set(reterr, ERR_TOO_BIG, 0,
                         "the source is %u x %u = %llu pixels, the limit is %llu "
                         "(SOURCE_PIXELS)",
                         width, height, (unsigned long long)frame,
                         (unsigned long long)max_pixels);
    return fault_set(
        reterr, ERR_TOO_BIG, 0,
        "the source is %u x %u pixels in %u pages, the limit is %llu in all (SOURCE_PIXELS)",
        width, height, pages, (unsigned long long)max_pixels);
}

enum err probe_bytes(struct slice file, const struct probe_limits *limits, struct probe *ret,
                     struct fault *reterr)
{
    struct probe p = {0};
    probe_walk_fn *walk;
    const char *wrong;

    if (file.len == 0)
        return fault_set(reterr, ERR_MALFORMED, 0, "the source is empty");
    if (!find_format(file, &p.format, &walk))
        return probe_is_svg(file) ? probe_svg(file, limits, ret, reterr)
                                  : refuse_stranger(file, reterr);
    wrong = walk(file, &p);
    if (wrong != NULL)
        return fault_set(reterr, ERR_MALFORMED, 0, "broken %s: %s", image_format_name(p.format),
                         wrong);
    if (p.width == 0 || p.height == 0)
        return fault_set(reterr, ERR_MALFORMED, 0, "broken %s: it has no size",
                         image_format_name(p.format));
    *ret = p;
    return probe_check_pixels(p.width, p.height, 1, limits->pixels, reterr);
}
