/* source_path: which local files a job may name. */
#ifndef WORKER_SOURCE_PATH_H
#define WORKER_SOURCE_PATH_H

#include "shared/err.h"
#include "shared/slice.h"

/* roots: directories, colon-separated, or NULL: none. The path is resolved (symbolic links and
 * ..) before it is compared, so a link inside a root cannot lead out of it. ret holds PATH_MAX. at: the
 * JSON pointer with which faults begin. */
MUST_USE enum err source_path_resolve(const char *roots, struct slice path, const char *at,
                                      char *ret, struct fault *reterr);

#endif
