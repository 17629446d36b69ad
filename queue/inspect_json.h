/* inspect_json: queues and workers as the API and the command line tell them. */
#ifndef QUEUE_INSPECT_JSON_H
#define QUEUE_INSPECT_JSON_H

#include "queue/inspect.h"

void inspect_json_queue(const struct queue_info *q, struct buf *out);
void inspect_json_worker(const struct worker_info *w, struct buf *out);

#endif
