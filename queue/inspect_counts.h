/* inspect_counts: how the reply of counts.lua is read. Nobody but inspect includes this. */
#ifndef QUEUE_INSPECT_COUNTS_H
#define QUEUE_INSPECT_COUNTS_H

#include "queue/inspect.h"

/* False: it is not such a reply. */
MUST_USE bool inspect_read_counts(const redisReply *reply, const char *queue,
                                  struct queue_info *ret);

#endif
