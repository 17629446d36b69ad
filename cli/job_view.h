/* job_view: one job told whole: as JSON, or as a page for people. */
#ifndef CLI_JOB_VIEW_H
#define CLI_JOB_VIEW_H

#include "cli/call.h"
#include "queue/job_json.h"

void job_view_live(struct call *call, const struct live_job *job);
void job_view_recorded(struct call *call, const struct ledger_row *row,
                       const struct ledger_parts *parts);

#endif
