/* send: a job put on its queue, as often as asked for. */
#ifndef CLI_SEND_H
#define CLI_SEND_H

#include "cli/client.h"
#include "queue/idem.h"
#include "queue/submission.h"

struct send_order {
    struct client *client; /* connected to Redis */
    struct submission *job;
    uint64_t count;          /* each gets an id of its own, the first has the job's */
    const struct idem *once; /* NULL: it may be enqueued again */
    bool quiet;              /* tell nothing of what was taken */
};

/* Tells in call->text what Redis confirmed, also where the rest failed. ret_none: for certain no
 * job was taken. */
MUST_USE enum cli_exit send_jobs(struct call *call, const struct send_order *order,
                                 bool *ret_none);

/* Tells of a job that was enqueued before as if it were now. */
void send_tell(struct call *call, const struct send_order *order);

#endif
