/* schedules: looks at schedules, and changes them: for the API and the command line.
 *
 * A name means one schedule: it is looked for in every known queue, and a schedule is not put into
 * a queue while another one has its name. (Two that are created under one name in two queues at the same
 * moment both stay; removing the name removes both.)
 * A change is made only on what was seen; if somebody else was quicker it is looked at anew, a few
 * times. Every operation is bounded and calls back once; what it hands out is borrowed for the call. */
#ifndef QUEUE_SCHEDULES_H
#define QUEUE_SCHEDULES_H

#include "queue/schedule_body.h"
#include "shared/redis.h"

#define SCHEDULES_PAGE_MAX 200

struct schedule_view {
    const struct schedule *s;
    struct slice job; /* as JSON; empty in lists */
    uint64_t next_ms; /* the next tick; 0: none, because it is paused or has ended */
    uint64_t now_ms;  /* Redis's clock */
    struct schedule_past past;
    bool created; /* by this put */
};

/* ERR_OK and v; or why, v is NULL:
 *   ERR_NOT_FOUND  no schedule has that name
 *   ERR_FORBIDDEN  the queue has as many as it may
 *   ERR_REJECTED   the name is taken in another queue
 *   ERR_MALFORMED  no schedule can have that name; what is kept under it is not known to this version
 *   ERR_BUSY       others keep changing it; or as redis_call() */
typedef void schedules_fn(void *arg, enum err e, const struct schedule_view *v,
                          const struct fault *why);

MUST_USE enum err schedules_get(struct redis *r, const char *name, schedules_fn *cb, void *arg);
/* Creates or replaces. One that keeps its ticks (same cron and zone, or every; same bounds) keeps
 * its anchor and the tick that it waits for, so putting the same again changes nothing. Takes what is in *body. max: schedules that
 * the queue may have. */
MUST_USE enum err schedules_put(struct redis *r, const char *name, struct schedule_body *body,
                                size_t max, schedules_fn *cb, void *arg);
/* Ticks that pass during a pause are not missed; they are not there. */
MUST_USE enum err schedules_pause(struct redis *r, const char *name, bool paused,
                                  schedules_fn *cb, void *arg);
/* One job now, whatever pause, overlap and ticks say: past.job is its id. */
MUST_USE enum err schedules_run(struct redis *r, const char *name, schedules_fn *cb, void *arg);
/* v is NULL also with ERR_OK. Jobs that it made stay. */
MUST_USE enum err schedules_remove(struct redis *r, const char *name, schedules_fn *cb,
                                   void *arg);

/* By name, the first `limit` (at most SCHEDULES_PAGE_MAX) behind `after` (""); of one queue unless it is NULL. */
typedef void schedules_list_fn(void *arg, enum err e, const struct schedule_view *views,
                               size_t n, bool more);
struct schedules_filter {
    const char *queue, *after;
    size_t limit;
};
MUST_USE enum err schedules_list(struct redis *r, const struct schedules_filter *filter,
                                 schedules_list_fn *cb, void *arg);

#endif
