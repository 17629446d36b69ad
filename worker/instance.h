/* instance: who this worker is on its host, and the directory that is its alone.
 *
 * A lock file in SPOOL_DIR refuses a second worker of the same name: two would fence each other
 * for ever. The kernel drops the lock when the process dies, however it dies. What a dead one has left in
 * its directory is removed at its next start, and by any other worker of this host that starts later or gives
 * its jobs back. */
#ifndef WORKER_INSTANCE_H
#define WORKER_INSTANCE_H

#include <limits.h>

#include "worker/options.h"

struct instance {
    char host[65], name[65];
    char place[PATH_MAX - 128]; /* SPOOL_DIR */
    char spool[PATH_MAX - 64];  /* SPOOL_DIR/<name> */
    char render_program[PATH_MAX];
    int lock_fd;
};

/* Makes the directories that are missing (SPOOL_DIR, BLOB_DIR and below). */
MUST_USE enum err instance_open(const struct worker_options *opt, struct instance *ret,
                                struct fault *reterr);
/* consumer: "host:instance:boot" of one that was reaped. Empties its directory if it was of this host and is dead. */
void instance_sweep(const struct instance *in, const char *consumer);
void instance_close(struct instance *in);

#endif
