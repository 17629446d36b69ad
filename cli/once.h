/* once: --idempotency-key: the same command with the same key enqueues one job, however often it is run. */
#ifndef CLI_ONCE_H
#define CLI_ONCE_H

#include "cli/client.h"
#include "queue/idem.h"
#include "queue/submission.h"

struct once {
    struct call *call;
    struct client *client;
    struct redis *redis;
    struct idem idem;
    bool used,
        answered; /* answered: an earlier run has enqueued it; the job's id is that one's */
    enum idem_verdict verdict;
    char location[64];
};

/* Without the flag nothing happens. Else the job gets the id that goes with the key. */
MUST_USE enum cli_exit once_begin(struct once *o, struct submission *job);
/* sent: it was enqueued. refused: for certain it was not. */
void once_end(struct once *o, const struct submission *job, bool sent, bool refused);

#define ONCE_KEEP_MS 86400000u

#endif
