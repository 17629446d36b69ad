/* probe: what a file is by its first bytes, and how large it claims to be, before any
 * decoder sees it.
 *
 * The lengths inside the file are walked (PNG chunks, JPEG segments, GIF blocks, RIFF
 * chunks, boxes of AVIF and HEIF,
 * directories of TIFF) and held against the length of the file, since a decoder may allocate
 * what they promise: a PNG of 44 bytes with a chunk of 2 GiB costs its reader 2 GiB. Nothing
 * is allocated here, and every byte is read at most a few times. Pure: bytes in, verdict
 * out. SVG is another matter: probe_svg.h. */
#ifndef WORKER_RENDER_CHILD_PROBE_H
#define WORKER_RENDER_CHILD_PROBE_H

#include "queue/spec.h"

struct probe {
    enum image_format format;
    /* The largest width and height that the headers claim; a canvas and a frame may differ. An SVG may
     * claim nothing: 0. */
    uint32_t width, height;
};

struct probe_limits {
    uint64_t pixels;
    uint64_t svg_bytes; /* of a file that is SVG; 0: none is taken */
};

/* UNSUPPORTED names what was seen instead; MALFORMED: cut off, or lengths that lie; TOO_BIG:
 * over a limit by its own header. */
MUST_USE enum err probe_bytes(struct slice file, const struct probe_limits *limits,
                              struct probe *ret, struct fault *reterr);
/* The same check for sizes that are learned later, times pages. */
MUST_USE enum err probe_check_pixels(uint32_t width, uint32_t height, uint32_t pages,
                                     uint64_t max_pixels, struct fault *reterr);

#endif
