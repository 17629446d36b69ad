/* send_file: jobs out of a file with one in each line (NDJSON), put on their queues. */
#ifndef CLI_SEND_FILE_H
#define CLI_SEND_FILE_H

#include "cli/client.h"

/* path: "-" is standard input. client: connected to Redis. Tells the ids, or with --json a verdict a line, as they
 * become known; what is refused is told on call->err and makes it CLI_FAILED. */
MUST_USE enum cli_exit send_file(struct call *call, struct client *client, const char *path);

#endif
