/* schedule_view: one schedule told whole: as JSON, or as a page for people. */
#ifndef CLI_SCHEDULE_VIEW_H
#define CLI_SCHEDULE_VIEW_H

#include "cli/call.h"
#include "queue/schedules.h"

void schedule_view(struct call *call, const struct schedule_view *v);

#endif
