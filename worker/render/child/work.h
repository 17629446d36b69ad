/* work: one order from a source file to output files; the steps that decode, plan, ops and
 * encode know. */
#ifndef WORKER_RENDER_CHILD_WORK_H
#define WORKER_RENDER_CHILD_WORK_H

#include "worker/render/wire.h"

#define WORK_SOURCE "in/source"
#define WORK_MARK   "in/mark" /* and a number */
#define WORK_OUT    "out"

struct work_events {
    void *arg;
    /* At most every 100 ms, never going back. */
    void (*on_progress)(void *arg, unsigned pct);
    /* Before any pixel is touched: it will take that many microseconds, which is slow. */
    void (*on_slow)(void *arg, uint64_t us);
};

/* Reads <cwd>/in/source, and in/mark<k> for watermarks; writes <cwd>/out/<index>. Fills report, fault or not. An
 * order that is slow and not wide ends after on_slow, with ERR_BUSY. */
void work_run(const struct wire_order *order, const struct work_events *ev,
              struct wire_report *report);

#endif
