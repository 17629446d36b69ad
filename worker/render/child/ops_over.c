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

/* --- both ---------------------------------------------------------------------------------- */

/* Takes alpha times opacity; a picture that has none stays. */
static int fade(VipsImage **im, double opacity)
{
    VipsImage *alpha = NULL;
    VipsImage *next = NULL;
    int rc;

    if (opacity >= 1)
        return 0;
    if (ops_split_alpha(im, &alpha) != 0)
        return -1;
    if (alpha == NULL)
        return 0;
    rc = vips_linear1(alpha, &next, opacity, 0.5, "uchar", TRUE, NULL);
    if (rc == 0) {
        vimage_replace(&alpha, next);
        rc = ops_join_alpha(im, &alpha);
    }
    vimage_drop(&alpha);
    return rc;
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

/* With its colour in it, since some letters (emoji) bring colours of their own. */
static void write_markup(const struct image_text *t, struct buf *ret)
{
    const uint8_t *c = t->colour.rgba;

    buf_addf(ret, "<span foreground=\"#%02x%02x%02x\">", c[0], c[1], c[2]);
    escape(t->text, ret);
    buf_add_str(ret, "</span>");
    buf_add_char(ret, '\0');
}

/* At 72 dots an inch, a point is a pixel. A word that is longer than the line is broken. */
static int set_type(const char *markup, const char *font, VipsAlign align, uint32_t wrap,
                    VipsImage **ret)
{
    if (wrap == 0)
        return vips_text(ret, markup, "font", font, "dpi", 72, "align", align, "rgba", TRUE,
                         NULL);
    return vips_text(ret, markup, "font", font, "dpi", 72, "align", align, "rgba", TRUE,
                     "width", (int)wrap, "wrap", VIPS_TEXT_WRAP_WORD_CHAR, NULL);
}

static int draw_letters(const struct image_text *t, uint32_t wrap, VipsImage **ret)
{
    static const VipsAlign aligns[] = {[IMAGE_ALIGN_LEFT] = VIPS_ALIGN_LOW,
                                       [IMAGE_ALIGN_CENTER] = VIPS_ALIGN_CENTRE,
                                       [IMAGE_ALIGN_RIGHT] = VIPS_ALIGN_HIGH};
    struct buf markup = {0};
    struct buf font = {0};
    int rc = -1;

    write_markup(t, &markup);
    describe_font(t, &font);
    if (buf_failed(&markup) || buf_failed(&font))
        vips_error("text", "out of memory");
    else
        rc = set_type(markup.data, font.data, aligns[t->align], wrap, ret);
    buf_done(&markup);
    buf_done(&font);
    return rc == 0 && !vimage_settle(ret) ? -1 : rc;
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
static int paint(VipsImage *shape, const uint8_t rgba[4], VipsImage **ret)
{
    VipsImage *solid = NULL;
    VipsImage *rgb = NULL;
    VipsImage *alpha = NULL;
    VipsImage *joined = NULL;
    int rc = ops_solid(ops_size_of(shape), rgba, &solid);

    if (rc == 0)
        rc = vips_extract_band(solid, &rgb, 0, "n", 3, NULL);
    if (rc == 0)
        rc = vips_linear1(shape, &alpha, rgba[3] / 255.0, 0.5, "uchar", TRUE, NULL);
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

/* What lies below the letters. */
static int draw_stroke(const struct image_text *t, VipsImage *letters, VipsImage **ret)
{
    VipsImage *shape = NULL;
    VipsImage *thick = NULL;
    int rc = vips_extract_band(letters, &shape, 3, NULL);

    if (rc == 0)
        rc = thicken(shape, (int)t->stroke, &thick);
    if (rc == 0)
        rc = paint(thick, t->stroke_colour.rgba, ret);
    vimage_drop(&shape);
    vimage_drop(&thick);
    return rc;
}

/* Letters and stroke are laid together first and then fade as one: else the stroke would be seen
 * through the letters. */
static int draw_text(const struct image_text *t, uint32_t wrap, VipsImage **ret)
{
    VipsImage *under = NULL;
    VipsImage *letters = NULL;
    int r = (int)t->stroke;
    int rc = draw_letters(t, wrap, &letters);

    if (rc == 0 && r > 0)
        rc = draw_stroke(t, letters, &under);
    if (rc == 0)
        rc = fade(&letters, t->colour.rgba[3] / 255.0);
    if (rc == 0 && r > 0)
        rc = ops_lay(&under, letters, r, r);
    if (rc == 0 && r > 0) {
        vimage_replace(&letters, under);
        under = NULL;
    }
    if (rc == 0)
        rc = fade(&letters, t->opacity);
    if (rc == 0 && !vimage_settle(&letters))
        rc = -1;
    vimage_drop(&under);
    *ret = letters;
    if (rc != 0)
        vimage_drop(ret);
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

/* How far into a pattern of that step the picture begins, if the pattern is shifted by offset. */
static int phase(int offset, int step)
{
    int over = offset % step;

    return over > 0 ? step - over : -over;
}

/* Covers the picture, beginning at its upper left corner, shifted by x and y. */
static int tile(VipsImage **mark, const struct image_watermark *w, struct plan_size pic)
{
    int step_x = (*mark)->Xsize + (int)w->spacing;
    int step_y = (*mark)->Ysize + (int)w->spacing;
    VipsImage *t[3] = {NULL, NULL, NULL};
    int rc = vips_embed(*mark, &t[0], 0, 0, step_x, step_y, NULL);

    if (rc == 0)
        rc = vips_replicate(t[0], &t[1], (int)pic.width / step_x + 2,
                            (int)pic.height / step_y + 2, NULL);
    if (rc == 0)
        rc = vips_extract_area(t[1], &t[2], phase(w->x, step_x), phase(w->y, step_y),
                               (int)pic.width, (int)pic.height, NULL);
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
