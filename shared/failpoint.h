/* failpoint: places where a test may strike. Release builds hold none of it.
 *
 *     FAILPOINT("worker.claimed");
 *
 * MILLRACE_FAILPOINTS="worker.claimed=kill,worker.row=3*pause,render.run=abort" chooses: kill
 * (SIGKILL self), abort, segv, exit, pause (SIGSTOP self), spin (busy for ever), hog (allocate
 * until refused), error (FAILPOINT_ERR only: gives ERR_IO). "3*" strikes at the third pass only;
 * without it at every pass. An order that cannot be read aborts.
 * Names are dotted constants: grep FAILPOINT for the list. Any thread may pass them. */
#ifndef SHARED_FAILPOINT_H
#define SHARED_FAILPOINT_H

#include "shared/err.h"

#ifdef MILLRACE_FAILPOINTS
enum err failpoint_hit(const char *name);
/* Tests only: instead of the variable, and with all passes forgotten; NULL: none strikes. */
void failpoint_arm(const char *orders);
#define FAILPOINT(name)     ((void)failpoint_hit(name))
#define FAILPOINT_ERR(name) failpoint_hit(name)
#else
#define FAILPOINT(name)     ((void)0)
#define FAILPOINT_ERR(name) ERR_OK
#endif

#endif
