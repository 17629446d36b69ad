/* blob_files: finished files below the blob directory: the old ones found, set aside, removed.
 *
 *     <dir>/ab/<64 hex>.<ext> --set aside--> <dir>/ab/<64 hex>.<ext>.swept --remove--> (gone)
 *            ^                                        |
 *            +----- put back: has a row, is young ----+
 *
 * Whoever is about to write a row that names a file makes it young first: by a rename onto its name (worker/blob_store.h)
 * or by setting its time (worker/result_memory.c, worker/blob_keep.h). A file that is set aside has no
 * name that such a one could find, and what was done to it before shows in its time: so nobody can come between the last look
 * and the removal. docs/decisions/0017 has every order of events.
 * Any other name is left alone. What is young is told by the file system's own clock. Blocking: pool threads and
 * the command line only. */
#ifndef QUEUE_BLOB_FILES_H
#define QUEUE_BLOB_FILES_H

#include <dirent.h>
#include <limits.h>

#include "shared/hash.h"

#define BLOB_FILE_SIZE 80   /* "ab/<64 hex>.<ext>" with the NUL */
#define BLOB_LOOKS_MAX 4096 /* directory entries looked at in one call */

struct blob_file {
    char name[BLOB_FILE_SIZE]; /* below the directory, without .swept */
    uint8_t sha256[HASH_LEN];  /* as its name says */
    uint64_t bytes;
    bool aside;  /* it is set aside */
    bool ours;   /* by this sweep; else it is a leftover of one that died */
    bool wanted; /* by the caller: it has a row, or nobody knows */
};

/* One walk over all of the directory, a piece at a time. Zeroed but for dir and grace_ms to begin with. */
struct blob_walk {
    const char *dir; /* borrowed */
    uint64_t grace_ms;
    unsigned next; /* of the 256 directories */
    DIR *open;
    uint64_t looked;
    uint64_t old_ms; /* what was last touched before is old */
    bool over;
};
/* Finds at most cap files that are old or set aside. None and not over: call again. */
MUST_USE enum err blob_walk_next(struct blob_walk *w, struct blob_file *ret, size_t cap,
                                 size_t *ret_n, struct fault *reterr);
void blob_walk_done(struct blob_walk *w);

/* Unless it has become young, or is gone. */
void blob_set_aside(const struct blob_walk *w, struct blob_file *f);
enum blob_end { BLOB_REMOVED, BLOB_PUT_BACK, BLOB_LEFT };
/* Removes what is set aside, unless it is wanted or was young when it was; then it is put back. LEFT: somebody else has done so. */
enum blob_end blob_remove(const struct blob_walk *w, const struct blob_file *f);

#endif
