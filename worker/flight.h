/* flight: a recorder that outlives its worker: which jobs it was at, and how it ended.
 *
 * A small file beside the instance's directory, mapped, so that what was written last is there
 * however the process died. A fatal signal is noted by its handler before it kills; a process that was killed
 * from outside (SIGKILL, the kernel out of memory, a power cut) leaves a recorder that was never closed. The
 * next start under the same name reads it and tells, for each job that was being worked on, what is known: the
 * signal, the memory peak, how many others there were.
 * One recorder a process. Loop thread only, but for the signal handler. */
#ifndef WORKER_FLIGHT_H
#define WORKER_FLIGHT_H

#include "queue/job.h"

#define FLIGHT_JOBS_MAX 2048 /* more at a time are not recorded */

struct flight;

struct flight_crash {
    const char *queue;
    struct uuid id;
    uint32_t attempt;
    const char *text; /* "the worker died of SIGSEGV ..." */
};
typedef void flight_crash_fn(void *arg, const struct flight_crash *crash);

/* Tells of each job that a predecessor died with, then begins anew. path: the file. */
MUST_USE enum err flight_open(const char *path, flight_crash_fn *tell, void *arg,
                              struct flight **ret, struct fault *reterr);
/* A job was claimed; gives its place, or -1 when there is no room. */
int flight_begin(struct flight *f, const char *queue, const struct uuid *id, uint32_t attempt);
/* It is settled, or was dropped. place may be -1. */
void flight_end(struct flight *f, int place);
/* Now and then: notes the memory peak. */
void flight_tick(struct flight *f);
/* A clean end: the file goes. Copes with NULL inside. */
void flight_close(struct flight **f);

#endif
