/* probe_walk: one walker for each format; see probe.h. Each gets a whole file that begins
 * with the format's magic bytes, and gives NULL or what is wrong with it. */
#ifndef WORKER_RENDER_CHILD_PROBE_WALK_H
#define WORKER_RENDER_CHILD_PROBE_WALK_H

#include "worker/render/child/probe.h"

typedef const char *probe_walk_fn(struct slice file, struct probe *ret);
probe_walk_fn probe_walk_png, probe_walk_jpeg, probe_walk_gif, probe_walk_webp, probe_walk_avif,
    probe_walk_tiff;

/* Numbers at an offset that the caller has checked. */
static inline uint32_t probe_be(struct slice s, size_t at, unsigned bytes)
{
    uint32_t v = 0;

    for (unsigned i = 0; i < bytes; i++)
        v = v << 8 | (uint8_t)s.ptr[at + i];
    return v;
}

static inline uint32_t probe_le(struct slice s, size_t at, unsigned bytes)
{
    uint32_t v = 0;

    for (unsigned i = bytes; i > 0; i--)
        v = v << 8 | (uint8_t)s.ptr[at + i - 1];
    return v;
}

static inline bool probe_is(struct slice s, size_t at, const char *four)
{
    return at + 4 <= s.len && memcmp(s.ptr + at, four, 4) == 0;
}

/* Keeps the larger of each side: a canvas and its frame are both allocated. */
static inline void probe_grow(struct probe *p, uint32_t width, uint32_t height)
{
    p->width = width > p->width ? width : p->width;
    p->height = height > p->height ? height : p->height;
}

#endif
