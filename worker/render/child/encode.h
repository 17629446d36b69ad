/* encode: writes a picture as a file. No metadata goes along (EXIF with its coordinates,
 * XMP, colour profiles: the pixels are sRGB by now). */
#ifndef WORKER_RENDER_CHILD_ENCODE_H
#define WORKER_RENDER_CHILD_ENCODE_H

#include "worker/render/child/vimage.h"

#include "queue/spec.h"

/* quality 0: the format's default. The picture must hold no alpha if the format cannot. */
MUST_USE enum err encode_file(VipsImage *im, enum image_format f, unsigned quality,
                              const char *path, uint64_t *ret_bytes, struct fault *reterr);
MUST_USE enum err encode_target(VipsImage *im, enum image_format f, unsigned quality,
                                VipsTarget *to, struct fault *reterr);

#endif
