/* text and watermark: what is laid over a picture. */
#include <math.h>
#include <string.h>

#include "shared/buf.h"
#include "worker/render/child/ops_kit.h"
#include "worker/render/child/vfault.h"

static enum err failed(struct fault *reterr, const char *what)
{
    return vfault_take(reterr, ERR_INTERNAL, what);
}

/* --- text: its shape ----------------------------------------------------------------------- */

/* Pango reads markup, so what customers write is escaped; control characters but line ends and tabs
 * are no text. */
static void escape(struct slice text, struct buf *ret)
{
    static const char *const names[128] = {
        ['&'] = "&amp;", ['<'] = "&lt;", ['>'] = "&gt;", ['"'] = "&quot;", ['\''] = "&#39;"};

    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = (uint8_t)text.ptr[i];

        if (c < 128 && names[c] != NULL)
            buf_add_str(ret, names[c]);
        else if ((c >= ' ' && c != 127) || c == '\n' || c == '\t')
            buf_add_char(ret, (char)c);
    }
    buf_add_char(ret, '\0');
}

/* The name holds letters, spaces and dashes alone (queue/spec/image_over.c). */
static void describe_font(const struct image_text *t, struct buf *ret)
{
    char tail[48];

    (void)snprintf(tail, sizeof tail, "%s%s %u", t->bold ? " bold" : "",
                   t->italic ? " italic" : "", t->size);
    buf_add_slice(ret, t->font);
    buf_add_str(ret, tail);
    buf_add_char(ret, '\0');
}

static size_t count_characters(struct slice s)
{
    size_t n = 0;

    for (size_t i = 0; i < s.len; i++)
        n += ((uint8_t)s.ptr[i] & 0xc0) != 0x80;
    return n;
}

static int draw_shape(const struct image_text *t, uint32_t wrap, VipsImage **ret)
{
    static const VipsAlign aligns[] = {[IMAGE_ALIGN_LEFT] = VIPS_ALIGN_LOW,
                                       [IMAGE_ALIGN_CENTER] = VIPS_ALIGN_CENTRE,
                                       [IMAGE_ALIGN_RIGHT] = VIPS_ALIGN_HIGH};
    struct buf markup = {0};
    struct buf font = {0};
    int rc = -1;

    escape(t->text, &markup);
    describe_font(t, &font);
    /* At 72 dots an inch, a point is a pixel. */
    if (buf_failed(&markup) || buf_failed(&font))
        vips_error("text", "out of memory");
    else if (wrap > 0)
        rc = vips_text(ret, markup.data, "font", font.data, "dpi", 72, "align",
                       aligns[t->align], "width", (int)wrap, NULL);
    else
        rc = vips_text(ret, markup.data, "font", font.data, "dpi", 72, "align",
                       aligns[t->align], NULL);
    buf_done(&markup);
    buf_done(&font);
    return rc;
}

/* The shape, thicker by r on all sides: a sum over a disc, which ends at white. */
static int thicken(VipsImage *shape, int r, VipsImage **ret)
{
    int side = 2 * r + 1;
    VipsImage *disc = vips_image_new_matrix(side, side);
    VipsImage *room = NULL;
    int rc;

    if (disc == NULL)
        return -1;
    for (int y = 0; y < side; y++) {
        for (int x = 0; x < side; x++)
            *VIPS_MATRIX(disc, x, y) = hypot(x - r, y - r) <= r + 0.25 ? 1 : 0;
    }
    rc = vips_embed(shape, &room, r, r, shape->Xsize + 2 * r, shape->Ysize + 2 * r, NULL);
    if (rc == 0)
        rc = vips_conv(room, ret, disc, "precision", VIPS_PRECISION_INTEGER, NULL);
    vimage_drop(&disc);
    vimage_drop(&room);
    return rc;
}

/* --- text: its colours --------------------------------------------------------------------- */

/* A colour seen through a shape. */
static int paint(VipsImage *shape, const uint8_t rgba[4], double opacity, VipsImage **ret)
{
    VipsImage *solid = NULL;
    VipsImage *rgb = NULL;
    VipsImage *alpha = NULL;
    VipsImage *joined = NULL;
    int rc = ops_solid(ops_size_of(shape), rgba, &solid);

    if (rc == 0)
        rc = vips_extract_band(solid, &rgb, 0, "n", 3, NULL);
    if (rc == 0)
        rc = vips_linear1(shape, &alpha, opacity * rgba[3] / 255, 0.5, "uchar", TRUE, NULL);
    if (rc == 0)
        rc = vips_bandjoin2(rgb, alpha, &joined, NULL);
    if (rc == 0)
        rc = vips_copy(joined, ret, "interpretation", VIPS_INTERPRETATION_sRGB, NULL);
    vimage_drop(&solid);
    vimage_drop(&rgb);
    vimage_drop(&alpha);
    vimage_drop(&joined);
    return rc;
}

static int add_stroke(const struct image_text *t, VipsImage *shape, VipsImage **text)
{
    VipsImage *thick = NULL;
    VipsImage *under = NULL;
    int r = (int)t->stroke;
    int rc = thicken(shape, r, &thick);

    if (rc == 0)
        rc = paint(thick, t->stroke_colour.rgba, t->opacity, &under);
    if (rc == 0)
        rc = ops_lay(&under, *text, r, r);
    vimage_drop(&thick);
    if (rc == 0)
        vimage_replace(text, under);
    else
        vimage_drop(&under);
    return rc;
}

static int draw_text(const struct image_text *t, uint32_t wrap, VipsImage **ret)
{
    VipsImage *shape = NULL;
    int rc = draw_shape(t, wrap, &shape);

    if (rc == 0 && !vimage_settle(&shape))
        rc = -1;
    if (rc == 0)
        rc = paint(shape, t->colour.rgba, t->opacity, ret);
    if (rc == 0 && t->stroke > 0)
        rc = add_stroke(t, shape, ret);
    if (rc == 0 && !vimage_settle(ret))
        rc = -1;
    vimage_drop(&shape);
    return rc;
}

/* What a text costs, in pixels: a stroke looks at all that lie within its width. */
static uint64_t text_cost(const struct image_text *t)
{
    uint64_t area = (uint64_t)count_characters(t->text) * t->size * t->size;

    return area * (1 + (uint64_t)t->stroke * t->stroke / 4);
}

enum err ops_text(VipsImage **im, const struct image_op *op, const struct ops_job *job,
                  struct ops_memo *memo, struct fault *reterr)
{
    const struct image_text *t = &op->u.text;
    uint64_t area = text_cost(t);
    uint32_t wrap = t->wrap.given ? plan_length(&t->wrap, (uint32_t)(*im)->Xsize) : 0;
    VipsImage *over = NULL;
    struct ops_point at;
    int rc;

    (void)memo;
    if (area > job->max_pixels)
        return fault_set(
            reterr, ERR_TOO_BIG, 0,
            "output %s: a text of about %llu pixels, the limit is %llu (OUTPUT_PIXELS)",
            job->output->name, (unsigned long long)area, (unsigned long long)job->max_pixels);
    vips_error_clear(); /* of what loaders have noted on their way */
    rc = draw_text(t, wrap, &over);
    if (rc == 0) {
        at = ops_anchor(ops_size_of(*im), ops_size_of(over), &t->gravity,
                        (struct ops_point){t->x, t->y});
        rc = ops_lay(im, over, at.x, at.y);
    }
    vimage_drop(&over);
    return rc == 0 ? ERR_OK : vfault_take(reterr, ERR_UNSUPPORTED, "text");
}

/* --- watermark ----------------------------------------------------------------------------- */

struct plan_size ops_mark_size(struct plan_size mark, const struct image_watermark *w,
                               struct plan_size pic)
{
    struct image_op fit = {.kind = IMAGE_OP_RESIZE};
    struct plan_resize r;

    fit.u.resize.width = pic.width;
    fit.u.resize.height = pic.height;
    if (w->scale > 0) {
        fit.u.resize.width = (uint32_t)fmax(1, round(w->scale * pic.width));
        fit.u.resize.enlarge = true;
    }
    plan_resize(mark, &fit, &r);
    return r.scaled;
}

static int fade(VipsImage **mark, double opacity)
{
    VipsImage *alpha = NULL;
    VipsImage *next = NULL;
    int rc;

    if (opacity >= 1)
        return 0;
    if (ops_split_alpha(mark, &alpha) != 0)
        return -1;
    rc = vips_linear1(alpha, &next, opacity, 0.5, "uchar", TRUE, NULL);
    if (rc == 0) {
        vimage_replace(&alpha, next);
        rc = ops_join_alpha(mark, &alpha);
    }
    vimage_drop(&alpha);
    return rc;
}

/* Covers the picture, beginning at its upper left corner. */
static int tile(VipsImage **mark, const struct image_watermark *w, struct plan_size pic)
{
    int step_x = (*mark)->Xsize + (int)w->spacing;
    int step_y = (*mark)->Ysize + (int)w->spacing;
    VipsImage *t[3] = {NULL, NULL, NULL};
    int rc = vips_embed(*mark, &t[0], 0, 0, step_x, step_y, NULL);

    if (rc == 0)
        rc = vips_replicate(t[0], &t[1], ((int)pic.width + step_x - 1) / step_x,
                            ((int)pic.height + step_y - 1) / step_y, NULL);
    if (rc == 0)
        rc = vips_extract_area(t[1], &t[2], 0, 0, (int)pic.width, (int)pic.height, NULL);
    vimage_drop(&t[0]);
    vimage_drop(&t[1]);
    if (rc == 0)
        vimage_replace(mark, t[2]);
    return rc;
}

static enum err make_mark(const struct ops_mark *from, const struct image_watermark *w,
                          struct plan_size pic, VipsImage **ret, struct fault *reterr)
{
    struct ops_scale how = {
        .to = ops_mark_size(from->size, w, pic), .orientation = 1, .settle = true};
    enum err e = ops_scale(from->im, &how, ret, reterr);

    if (e != ERR_OK)
        return e;
    if (fade(ret, w->opacity) != 0 || (w->tile && tile(ret, w, pic) != 0))
        return failed(reterr, "watermark");
    return ERR_OK;
}

enum err ops_watermark(VipsImage **im, const struct image_op *op, const struct ops_job *job,
                       struct ops_memo *memo, struct fault *reterr)
{
    const struct image_watermark *w = &op->u.watermark;
    struct plan_size pic = ops_size_of(*im);
    AUTO(vimage_drop) VipsImage *mark = NULL;
    struct ops_point at = {0, 0};
    enum err e = make_mark(&job->marks[w->mark], w, pic, &mark, reterr);

    (void)memo;
    if (e != ERR_OK)
        return e;
    if (!w->tile)
        at = ops_anchor(pic, ops_size_of(mark), &w->gravity, (struct ops_point){w->x, w->y});
    return ops_lay(im, mark, at.x, at.y) == 0 ? ERR_OK : failed(reterr, "watermark");
}
