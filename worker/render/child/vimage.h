/* vimage: owning libvips' images: AUTO(vimage_drop) VipsImage *im = NULL; */
#ifndef WORKER_RENDER_CHILD_VIMAGE_H
#define WORKER_RENDER_CHILD_VIMAGE_H

#include <vips/vips.h>

#include "shared/base.h"

/* From 8.15: metadata is kept by kind, and vectors come from Highway instead of ORC. */
#define VIMAGE_815 (VIPS_MAJOR_VERSION > 8 || VIPS_MINOR_VERSION >= 15)

static inline void vimage_drop(VipsImage **im)
{
    if (*im != NULL)
        g_object_unref(*im);
    *im = NULL;
}

/* Takes next in the place of *im, which goes. */
static inline void vimage_replace(VipsImage **im, VipsImage *next)
{
    must(next != NULL);
    vimage_drop(im);
    *im = next;
}

/* Puts all pixels into memory. Gives false if a decoder or memory failed. */
static inline bool vimage_settle(VipsImage **im)
{
    VipsImage *m = vips_image_copy_memory(*im);

    if (m == NULL)
        return false;
    vimage_replace(im, m);
    return true;
}

static inline bool vimage_is_grey(const VipsImage *im)
{
    return im->Bands < 3;
}

#endif
