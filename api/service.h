/* service: the API put together: connections to Redis and PostgreSQL, the server, and how it ends.
 *
 *     new --start--> serving --drain--> draining --no connection left--> closing --> on_closed          */
#ifndef API_SERVICE_H
#define API_SERVICE_H

#include "api/options.h"
#include "shared/loop.h"

struct service;

/* Borrows loop and opt. */
MUST_USE enum err service_new(struct loop *loop, const struct api_options *opt,
                              struct service **ret, struct fault *reterr);
/* Listens, connects, tells systemd. */
MUST_USE enum err service_start(struct service *s, struct fault *reterr);
/* Answers under way may go on for drain_ms, then everything is closed in order. Takes *s; copes with half-built ones. */
void service_drain(struct service **p, uint64_t drain_ms, void (*on_closed)(void *arg),
                   void *arg);

#endif
