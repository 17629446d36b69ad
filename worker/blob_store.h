/* blob_store: finished files under names made of their content, written once, never changed.
 *
 * A file comes to <dir>/<2 hex>/<64 hex of SHA-256>.<ext> by hash, fsync, rename, fsync of the directory, on a
 * pool thread. Doing it twice leaves one file, which is young again (queue/blob_files.h). The source must be on the same file system. */
#ifndef WORKER_BLOB_STORE_H
#define WORKER_BLOB_STORE_H

#include <uv.h>

#include "shared/err.h"

#define BLOB_NAME_SIZE 80 /* "ab/<64 hex>.<ext>" with the NUL */

struct blob_item {
    char *path;      /* heap; the file that is moved. Emptied (freed, NULL) when it is stored */
    const char *ext; /* "webp" */
    char name[BLOB_NAME_SIZE]; /* out: relative to dir */
    uint8_t sha256[32];        /* out */
    uint64_t bytes;            /* out */
};
typedef void blob_stored_fn(void *arg, enum err e, const struct fault *why);

/* items and dir are borrowed until the callback. All or, on an error, some are stored: harmless, as names are
 * content. */
MUST_USE enum err blob_store(uv_loop_t *loop, const char *dir, struct blob_item *items,
                             size_t n, blob_stored_fn *cb, void *arg);
/* The paths where what is uploaded and what is stored lives. buf must hold PATH_MAX. */
bool blob_upload_path(const char *dir, const char *upload_id, char *dst, size_t cap);
/* Unlinks and frees what is not stored. */
void blob_items_discard(struct blob_item *items, size_t n);

#endif
