/* pool_dir: the files of the renderers, in the spool directory:
 *
 *     r<k>/in/source    what renderer k reads; a hard link where that can be
 *     r<k>/in/mark<i>   what it lays over, file i of the watermarks
 *     r<k>/out/<i>      what it writes, output i of its order
 *     out/<job>-<attempt>-<i>   what it has handed over; the worker's now
 *
 * Calls are short ones on a local disk and are made on the loop, but for copying a source,
 * which the caller does. */
#ifndef WORKER_RENDER_POOL_DIR_H
#define WORKER_RENDER_POOL_DIR_H

#include "queue/spec.h"

#define POOL_OUTPUT_MAX (512ull << 20) /* bytes of one output */

/* Removes what earlier runs have left in spool (r<digits>, and the files in out), and makes
 * out. */
MUST_USE enum err pool_dir_prepare(const char *spool, struct fault *reterr);
/* *ret_path is to be freed. */
MUST_USE enum err pool_dir_make(const char *spool, unsigned k, char **ret_path,
                                struct fault *reterr);
/* The directory and what is in it, whatever its renderer has put there. */
void pool_dir_remove(const char *dir);

/* Links source into dir as file i of an order: 0 is the source, then come the marks. ERR_UNSUPPORTED: it has to be copied, to *ret_copy_to, which is to be
 * freed. ERR_TOO_BIG over max_bytes; ERR_IO, ERR_NOT_FOUND, ERR_MALFORMED (no regular file). */
MUST_USE enum err pool_dir_put(const char *dir, const char *source, size_t i,
                               uint64_t max_bytes, char **ret_copy_to, struct fault *reterr);
/* Removes the source, so many marks, and the first n outputs. */
void pool_dir_clear(const char *dir, size_t n_marks, size_t n);

struct pool_dir_take {
    const char *dir, *spool;
    const struct uuid *job;
    uint32_t attempt, index;
    enum image_format format; /* the file must begin as this does */
    uint64_t bytes;           /* and be as long */
};
/* Moves an output out of the renderer's reach, then looks whether it is what the report
 * says. *ret_path is to be freed; after an error the file is gone. */
MUST_USE enum err pool_dir_take(const struct pool_dir_take *t, char **ret_path,
                                struct fault *reterr);

#endif
