/* events: what a watcher of live jobs asks of a queue, and hears.
 *
 * The scripts publish the ids of jobs that changed on the queue's channel (keys_events()), but only while
 * a key says that somebody watches. It expires by itself, so that a watcher that died costs nothing for long. */
#ifndef QUEUE_EVENTS_H
#define QUEUE_EVENTS_H

#include "queue/keys.h"
#include "shared/redis.h"

#define EVENTS_ASK_MS 5000 /* ask again after this time; the key outlives a few lost rounds */

MUST_USE enum err events_ask(struct redis *r, const struct queue_keys *keys, redis_reply_fn *cb,
                             void *arg);
/* Calls fn for each job that a message names. */
void events_read(struct slice message, void (*fn)(void *arg, const struct uuid *id), void *arg);

#endif
