/* describe: what is told about a source: its header, its EXIF, and a small picture's summary. */
#ifndef WORKER_RENDER_CHILD_DESCRIBE_H
#define WORKER_RENDER_CHILD_DESCRIBE_H

#include "worker/render/child/decode.h"
#include "worker/render/wire_info.h"

/* From the header alone. gps: with the EXIF that says where. */
void describe_header(const struct decode *d, bool gps, struct wire_info *ret);
/* small: of at most SUMMARY_SIDE pixels a side (summary.h). */
MUST_USE enum err describe_pixels(VipsImage *small, struct wire_info *ret,
                                  struct fault *reterr);

#endif
