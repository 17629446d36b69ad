/* icc: whether a colour profile is sRGB by another name. Most photographs carry one, and a
 * transform from sRGB to sRGB costs as much as the whole resize and changes nothing. */
#ifndef WORKER_RENDER_CHILD_ICC_H
#define WORKER_RENDER_CHILD_ICC_H

#include "shared/slice.h"

/* By its description, which must be one of those that the makers of sRGB profiles give. */
bool icc_is_srgb(struct slice profile);

#endif
