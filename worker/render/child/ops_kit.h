/* ops_kit: what the operations are made of. Pictures are 8 bits a sample, grey or RGB, perhaps with
 * alpha as the last band. Functions that give int do as libvips does: 0, or -1 with a text in its
 * buffer. */
#ifndef WORKER_RENDER_CHILD_OPS_KIT_H
#define WORKER_RENDER_CHILD_OPS_KIT_H

#include "worker/render/child/ops.h"

static inline struct plan_size ops_size_of(const VipsImage *im)
{
    return (struct plan_size){(uint32_t)im->Xsize, (uint32_t)im->Ysize};
}

int ops_to_space(VipsImage **im, VipsInterpretation space);
int ops_add_alpha(VipsImage **im);
/* Grey becomes RGB if it is to hold colours. */
int ops_to_rgb(VipsImage **im);
/* Takes the alpha band away; *ret is it, or NULL. Put back by ops_join_alpha, which drops it. */
int ops_split_alpha(VipsImage **im, VipsImage **ret);
int ops_join_alpha(VipsImage **im, VipsImage **alpha);
/* An alpha band that hides nothing only costs. Of a picture in memory (vimage_settle); what is left is
 * read from there. */
int ops_drop_idle_alpha(VipsImage **im);
/* Back to 8 bits. */
int ops_to_bytes(VipsImage **im);
/* A colour as the picture's bands have it; the picture may become RGB for it. To be unreffed.
 * alpha: NULL, or what the last band gets. */
int ops_match_colour(VipsImage **im, const double rgb[3], const double *alpha,
                     VipsArrayDouble **ret);
/* What a colour is over white. */
void ops_over_white(const struct image_colour *c, double ret_rgb[3]);
/* A picture of one colour, with alpha. */
int ops_solid(struct plan_size s, const uint8_t rgba[4], VipsImage **ret);
/* Lays over on *im at x, y (which may lie outside). *im is RGB afterwards; it has alpha only if it
 * had before. */
int ops_lay(VipsImage **im, VipsImage *over, int x, int y);
/* Puts a colour, perhaps a translucent one, behind the picture. */
int ops_back(VipsImage **im, const uint8_t rgba[4]);
/* A larger canvas. What is not picture becomes the colour: transparent if none is given, or white
 * where the file holds no alpha. */
int ops_canvas(VipsImage **im, const struct plan_area *area, const struct image_colour *c,
               bool alpha_fits);
/* Transparent parts show the colour; without one they stay, or become white where the file holds no
 * alpha. */
int ops_behind(VipsImage **im, const struct image_colour *c, bool alpha_fits);
/* Cuts out a part, by gravity. The picture must be in memory. place: kept for the next frame. */
int ops_cut(VipsImage **im, struct plan_size out, const struct image_anchor *g,
            struct ops_memo *memo);
struct ops_point {
    int x, y;
};
/* Where something of that size is laid over, moved inwards from its edge. */
struct ops_point ops_anchor(struct plan_size outer, struct plan_size inner,
                            const struct image_anchor *g, struct ops_point offset);

#endif
