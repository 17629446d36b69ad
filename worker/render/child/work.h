/* work: one order from a source file to output files; the steps that decode, plan, ops and
 * encode know. */
#ifndef WORKER_RENDER_CHILD_WORK_H
#define WORKER_RENDER_CHILD_WORK_H

#include "worker/render/wire.h"

#define WORK_SOURCE "in/source"
#define WORK_MARK   "in/mark" /* and a number */
#define WORK_OUT    "out"

typedef void work_progress_fn(void *arg, unsigned pct);

/* Reads <cwd>/in/source, and in/mark<k> for watermarks; writes <cwd>/out/<index>. Fills report, fault or not. on_progress:
 * at most every 100 ms, never going back. */
void work_run(const struct wire_order *order, work_progress_fn *on_progress, void *arg,
              struct wire_report *report);

#endif
