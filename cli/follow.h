/* follow: watches a job until it has ended, and tells it then. */
#ifndef CLI_FOLLOW_H
#define CLI_FOLLOW_H

#include "cli/client.h"

struct follow_job {
    struct client *client;
    struct redis *redis;
    struct pg *pg;
    struct uuid id;
    uint64_t wait_s;
};

/* CLI_DONE only if the job succeeded. State and progress go to call->err (nowhere with --json),
 * the record to call->text. */
MUST_USE enum cli_exit follow_job(struct call *call, const struct follow_job *job);

#endif
