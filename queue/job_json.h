/* job_json: a job as the API and the command line tell it: live (from Redis) or recorded (from
 * PostgreSQL). */
#ifndef QUEUE_JOB_JSON_H
#define QUEUE_JOB_JSON_H

#include "queue/inspect.h"
#include "queue/ledger.h"

void job_json_live(const struct live_job *job, struct buf *out);
void job_json_recorded(const struct ledger_row *row, const struct ledger_parts *parts,
                       struct buf *out);

#endif
