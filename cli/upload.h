/* upload: a file copied to where image jobs find uploads: BLOB_DIR/uploads/<id>.
 *
 * As POST /v1/uploads does it: written as <id>.part under a lock, synced, renamed. So a part that
 * nobody writes any more is told from one that grows, and what has its name is whole. Blocking. */
#ifndef CLI_UPLOAD_H
#define CLI_UPLOAD_H

#include "shared/err.h"
#include "shared/uuid.h"

/* The fault says which file and why. ERR_MALFORMED: it is empty, or no plain file. */
MUST_USE enum err upload_copy(const char *from, const char *blob_dir, const struct uuid *id,
                              struct fault *reterr);
/* Takes a copy back. */
void upload_remove(const char *blob_dir, const struct uuid *id);

#endif
