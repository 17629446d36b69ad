#include "worker/render/child/describe.h"

#include <string.h>

#include "shared/utf8.h"
#include "worker/render/child/ops_kit.h"
#include "worker/render/child/summary.h"
#include "worker/render/child/vfault.h"

/* --- EXIF ---------------------------------------------------------------------------------- */

/* libvips names a field "exif-ifd<n>-<Tag>"; 1 is the thumbnail, 3 the place. */
static const char *tag_of(const char *field, bool gps)
{
    static const char prefix[] = "exif-ifd";
    size_t n = sizeof prefix - 1;

    if (strncmp(field, prefix, n) != 0 || field[n] == '\0' || field[n + 1] != '-')
        return NULL;
    if (field[n] == '1' || (field[n] == '3' && !gps))
        return NULL;
    /* A pointer to the place, and blocks of the maker's own. */
    if (strcmp(field + n + 2, "GPSInfoIFDPointer") == 0 ||
        strcmp(field + n + 2, "MakerNote") == 0 || strcmp(field + n + 2, "UserComment") == 0)
        return NULL;
    return field + n + 2;
}

/* The last time that part stands in text. */
static const char *find_last(const char *text, const char *part)
{
    const char *last = NULL;

    for (const char *at = strstr(text, part); at != NULL; at = strstr(at + 1, part))
        last = at;
    return last;
}

/* "value (value for people, type, n components, n bytes)"; a text stands there twice. */
static size_t value_len(const char *text)
{
    const char *tail = find_last(text, ", ASCII, ");
    const char *open = strstr(text, " (");

    if (tail != NULL && tail - text >= 2)
        return (size_t)(tail - text - 2) / 2;
    return open == NULL ? strlen(text) : (size_t)(open - text);
}

static bool is_known(const struct wire_info *m, const char *name)
{
    for (size_t i = 0; i < m->n_exif; i++) {
        if (strcmp(m->exif[i].name, name) == 0)
            return true;
    }
    return false;
}

static void add_exif(const char *tag, const char *text, struct wire_info *m)
{
    struct slice value = slice_of(text, value_len(text));
    struct wire_exif *e = &m->exif[m->n_exif];

    while (value.len > 0 && value.ptr[value.len - 1] == ' ')
        value.len--;
    if (m->n_exif == WIRE_EXIF_MAX || is_known(m, tag) || value.len == 0 ||
        value.len >= sizeof e->value || !utf8_is_text(value) ||
        !slice_to_cstr(slice_str(tag), e->name, sizeof e->name))
        return;
    (void)slice_to_cstr(value, e->value, sizeof e->value);
    m->n_exif++;
}

static void read_exif(VipsImage *header, bool gps, struct wire_info *m)
{
    gchar **fields = vips_image_get_fields(header);

    for (size_t i = 0; fields != NULL && fields[i] != NULL; i++) {
        const char *tag = tag_of(fields[i], gps);
        const char *text = NULL;

        if (tag != NULL && vips_image_get_string(header, fields[i], &text) == 0)
            add_exif(tag, text, m);
    }
    g_strfreev(fields);
}

/* --- header -------------------------------------------------------------------------------- */

static uint32_t bits_of(const VipsImage *im)
{
    return (uint32_t)(8 * vips_format_sizeof(im->BandFmt));
}

void describe_header(const struct decode *d, bool gps, struct wire_info *ret)
{
    VipsImage *im = d->header;
    const char *space = vips_enum_nick(VIPS_TYPE_INTERPRETATION, im->Type);

    ret->pages = d->pages;
    ret->orientation = d->orientation;
    ret->bits = bits_of(im);
    ret->has_alpha = vips_image_hasalpha(im);
    ret->has_profile = vips_image_get_typeof(im, VIPS_META_ICC_NAME) != 0;
    (void)snprintf(ret->space, sizeof ret->space, "%s", space == NULL ? "unknown" : space);
    ret->n_exif = 0;
    read_exif(im, gps, ret);
}

/* --- pixels -------------------------------------------------------------------------------- */

static enum err to_rgba(VipsImage *small, VipsImage **ret, struct fault *reterr)
{
    g_object_ref(small);
    *ret = small;
    if (ops_to_rgb(ret) != 0 || ops_add_alpha(ret) != 0 || ops_to_bytes(ret) != 0 ||
        !vimage_settle(ret))
        return vfault_take(reterr, ERR_MALFORMED, "describe");
    return ERR_OK;
}

enum err describe_pixels(VipsImage *small, struct wire_info *ret, struct fault *reterr)
{
    AUTO(vimage_drop) VipsImage *rgba = NULL;
    struct summary_picture p;
    enum err e = to_rgba(small, &rgba, reterr);

    if (e != ERR_OK)
        return e;
    must(rgba->Xsize <= SUMMARY_SIDE && rgba->Ysize <= SUMMARY_SIDE && rgba->Bands == 4);
    p = (struct summary_picture){(const uint8_t *)VIPS_IMAGE_ADDR(rgba, 0, 0),
                                 (unsigned)rgba->Xsize, (unsigned)rgba->Ysize};
    summary_blurhash(&p, ret->blurhash);
    summary_thumbhash(&p, ret->thumbhash);
    summary_dhash(&p, ret->dhash);
    summary_phash(&p, ret->phash);
    ret->n_colours = summary_colours(&p, ret->colours);
    return ERR_OK;
}
