/* consumer_ride: a beat that goes along with another call of its queue: an idle worker sends one command instead of two.
 * For reaper.h alone.
 *
 *     consumer_ride --true, the call was sent--> consumer_ride_sent --> consumer_rode */
#ifndef QUEUE_CONSUMER_RIDE_H
#define QUEUE_CONSUMER_RIDE_H

#include "queue/consumer.h"

#define CONSUMER_RIDE_ARGS 2 /* what the script takes for it */

/* False: no beat is due, or none can be sent. Else ret is borrowed until the call is made. */
MUST_USE bool consumer_ride(struct consumer *c, struct slice ret[CONSUMER_RIDE_ARGS]);
void consumer_ride_sent(struct consumer *c);
/* Exactly once after that, whatever became of the call; the consumer is there until then, and may be gone after. beat: what the
 * script says of it; NULL: nothing. */
void consumer_rode(struct consumer *c, const redisReply *beat);

#endif
