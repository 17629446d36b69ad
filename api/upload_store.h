/* upload_store: the directory of uploads: where one is written, and when old ones go.
 *
 * An upload grows as <blob_dir>/uploads/<id>.part, locked (flock) by the process that writes it,
 * and gets its name <id> when it is whole and synced. A sweep removes .part files whose lock is free (their
 * writer died) and uploads older than their time to live. */
#ifndef API_UPLOAD_STORE_H
#define API_UPLOAD_STORE_H

#include <uv.h>

#include "api/api.h"

struct upload_sweeper;
/* Makes the directories that are missing. */
MUST_USE enum err upload_store_prepare(const char *blob_dir, struct fault *reterr);
/* Paths; false: too long. */
bool upload_part_path(const char *blob_dir, const char *id, char *dst, size_t cap);
bool upload_final_path(const char *blob_dir, const char *id, char *dst, size_t cap);

/* Sweeps at once and then every few minutes, on a pool thread. Borrows api. */
MUST_USE enum err upload_sweeper_new(struct api *api, struct upload_sweeper **ret,
                                     struct fault *reterr);
void upload_sweeper_close(struct upload_sweeper **p, void (*closed)(void *arg), void *arg);

#endif
