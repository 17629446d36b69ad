/* vfault: the one place where libvips' texts become errors of ours. It has no codes: what
 * went wrong is a line in one buffer for the whole process. */
#ifndef WORKER_RENDER_CHILD_VFAULT_H
#define WORKER_RENDER_CHILD_VFAULT_H

#include "shared/err.h"

/* Takes what stands in libvips' buffer and empties it. fallback: the error when no pattern fits
 * (MALFORMED while decoding, INTERNAL while encoding). what: "decode", "output card". */
enum err vfault_take(struct fault *reterr, enum err fallback, const char *what);
/* The same for a text at hand. */
enum err vfault_classify(const char *text, enum err fallback);

#endif
