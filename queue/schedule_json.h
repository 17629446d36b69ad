/* schedule_json: a schedule as the API and the command line tell it. */
#ifndef QUEUE_SCHEDULE_JSON_H
#define QUEUE_SCHEDULE_JSON_H

#include "queue/schedules.h"

#define SCHEDULE_JSON_TICKS 5

/* One of a list: without its job. */
void schedule_json_brief(const struct schedule_view *v, struct buf *out);
/* With its job and the next SCHEDULE_JSON_TICKS ticks. */
void schedule_json_whole(const struct schedule_view *v, struct buf *out);
/* Those ticks; gives how many there are. */
size_t schedule_json_ticks(const struct schedule_view *v, uint64_t ret[SCHEDULE_JSON_TICKS]);

#endif
