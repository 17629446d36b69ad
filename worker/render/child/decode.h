/* decode: from a file's bytes to pixels that the rest can count on: 8 bits a sample, grey or
 * sRGB (or RGB with a profile that the resize converts), with or without alpha; one page, or all
 * frames one below the other.
 *
 * Broken and truncated files fail (fail_on=error); what cameras get slightly wrong is a
 * warning to the codecs and passes. Only the format's own loader is ever called. */
#ifndef WORKER_RENDER_CHILD_DECODE_H
#define WORKER_RENDER_CHILD_DECODE_H

#include "worker/render/child/plan.h"
#include "worker/render/child/probe.h"
#include "worker/render/child/vimage.h"

struct decode {
    struct slice file; /* borrowed; must outlive every image made from it */
    enum image_format format;
    uint32_t width, height; /* as stored */
    unsigned orientation;   /* EXIF, 1..8 */
    uint32_t pages;         /* of the file; frames, if it can move */
    int page;               /* the one that is looked at */
    uint64_t max_pixels;
    /* Of an SVG: the pixels that it is to be drawn in, as near as its shape allows and no fewer; 0: its own. */
    uint32_t draw_width, draw_height;
    bool keep_profile; /* leave the pixels as the profile has them, and give it out */
    void *profile;     /* owned; once there are pixels, NULL if there is none */
    size_t profile_len;
    VipsImage *header;
};

/* Probes, opens the header of that page and checks the limit: costs no pixels. */
MUST_USE enum err decode_open(struct slice file, uint32_t page,
                              const struct probe_limits *limits, struct decode *ret,
                              struct fault *reterr);
/* A lazy image, to be read once from top to bottom. least, as stored: JPEG and WebP may come out
 * smaller than they are, but no smaller than that, which costs less; SVG comes as it is to be drawn;
 * the others give the full size. Once a decode. */
MUST_USE enum err decode_pixels(struct decode *d, struct plan_size least, VipsImage **ret,
                                struct fault *reterr);
/* All frames, one below the other, in memory; each *ret_height high. */
MUST_USE enum err decode_frames(struct decode *d, struct plan_size least, VipsImage **ret,
                                uint32_t *ret_height, struct fault *reterr);
/* How a moving picture moves: milliseconds a frame (borrowed from the header; *ret_n may be 0), and
 * how often; 0: for ever. */
void decode_pace(const struct decode *d, const int **ret_ms, int *ret_n, int *ret_loop);
/* What decode_pixels (decode_frames: moves) will do for least: a JPEG is shrunk by 1, 2, 4 or 8, a WebP
 * scaled by up to 1. */
void decode_reduction(const struct decode *d, struct plan_size least, bool moves,
                      unsigned *ret_shrink, double *ret_scale);
bool decode_is_interlaced(
    const struct decode *d); /* or progressive: all of it is held at once */
/* Pixels that were left as the profile has them become sRGB. */
MUST_USE enum err decode_convert(const struct decode *d, VipsImage **im, struct fault *reterr);
void decode_done(struct decode *d);

/* The frames of a file that was written here; 0 if that cannot be told. */
uint32_t decode_count_frames(const char *path, enum image_format f);

/* Blocks every loader but those that decode.c calls; svg: that one, too. Once, after VIPS_INIT. */
void decode_allow_list(bool svg);

#endif
