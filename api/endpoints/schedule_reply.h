/* schedule_reply: how the endpoints of schedules answer. */
#ifndef API_ENDPOINTS_SCHEDULE_REPLY_H
#define API_ENDPOINTS_SCHEDULE_REPLY_H

#include "api/request.h"
#include "queue/schedules.h"

/* The schedule, whole. */
void schedule_reply(struct request *rq, unsigned status, const struct schedule_view *v);
/* What schedules.h gives in place of one; why may be NULL. */
void schedule_reply_failure(struct request *rq, enum err e, const struct fault *why);

#endif
