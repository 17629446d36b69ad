/* summary: what a small picture comes to in a few bytes. Pure arithmetic on at most 100 x 100 pixels
 * of RGBA, 8 bits a sample, not premultiplied.
 *
 * BlurHash: the format of github.com/woltapp/blurhash, Algorithm.md; 4 x 3 components, over white.
 * ThumbHash: the format of evanw.github.io/thumbhash, as its reference encoder writes it; in base64.
 * dHash: 64 bits of "brighter than its left neighbour" of 9 x 8 greys (N. Krawetz, "Kind of Like
 *   That", 2013). pHash: the signs against the median of the 8 x 8 lowest terms of the DCT-II of
 *   32 x 32 greys (C. Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions",
 *   2010, as the Python package imagehash has it). Both in hexadecimal, the upper left bit first;
 *   pictures that look alike differ in few bits. Greys are Rec. 601 luma, over white.
 * Dominant colours: bins of 16 levels a band; the fullest gives its mean, takes what lies within
 *   DISTANCE of it, and so on. */
#ifndef WORKER_RENDER_CHILD_SUMMARY_H
#define WORKER_RENDER_CHILD_SUMMARY_H

#include "worker/render/wire_info.h"

#define SUMMARY_SIDE 100 /* at most */

struct summary_picture {
    const uint8_t *rgba;
    unsigned width, height;
};

void summary_blurhash(const struct summary_picture *p, char ret[48]);
void summary_thumbhash(const struct summary_picture *p, char ret[48]);
void summary_dhash(const struct summary_picture *p, char ret[17]);
void summary_phash(const struct summary_picture *p, char ret[17]);
size_t summary_colours(const struct summary_picture *p,
                       struct wire_colour ret[WIRE_COLOURS_MAX]);

#endif
