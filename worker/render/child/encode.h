/* encode: writes a picture as a file. No metadata goes along (EXIF with its coordinates,
 * XMP); a colour profile only if one is given: else the pixels are sRGB by now. */
#ifndef WORKER_RENDER_CHILD_ENCODE_H
#define WORKER_RENDER_CHILD_ENCODE_H

#include "worker/render/child/vimage.h"

#include "queue/spec.h"

struct encode_how {
    enum image_format format;
    const struct image_coding *coding;
    unsigned quality;     /* 1..100; 0: the coding's, or the format's default */
    struct slice profile; /* len 0: none */
    /* Of a picture that moves: its frames stand one below the other. */
    uint32_t frame_height; /* 0: it does not */
    const int *delays;     /* ms a frame, n_delays of them */
    int n_delays, loop;
};
/* What 0 comes to; 0 for what loses nothing. */
unsigned encode_quality(const struct encode_how *how);
/* The picture must hold no alpha if the format cannot. */
MUST_USE enum err encode_file(VipsImage *im, const struct encode_how *how, const char *path,
                              uint64_t *ret_bytes, struct fault *reterr);
MUST_USE enum err encode_target(VipsImage *im, const struct encode_how *how, VipsTarget *to,
                                struct fault *reterr);
/* *ret is to be unreffed as an area. */
MUST_USE enum err encode_memory(VipsImage *im, const struct encode_how *how, VipsBlob **ret,
                                struct fault *reterr);
/* The highest quality, of at most ENCODE_TRIES, with which the file has no more than max_bytes.
 * *how is left with it. TOO_BIG if the lowest does not do. The picture must be in memory. */
#define ENCODE_TRIES 8
MUST_USE enum err encode_within(VipsImage *im, struct encode_how *how, uint64_t max_bytes,
                                VipsBlob **ret, struct fault *reterr);

#endif
