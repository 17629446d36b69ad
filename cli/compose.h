/* compose: a job out of the command line's words and flags, checked. */
#ifndef CLI_COMPOSE_H
#define CLI_COMPOSE_H

#include "cli/call.h"
#include "queue/submission.h"

/* Of the words TYPE [ARGS] and the flags. upload: what args.source is to name; NULL: args stay as
 * they are. Recipes that they name are looked up in PostgreSQL.
 * submission_done() if it gives CLI_DONE. */
MUST_USE enum cli_exit compose_job(const struct call *call, const struct uuid *upload,
                                   struct submission *ret);
/* word: JSON, @FILE, or - for standard input; what: in the words of whoever typed it. Compact JSON is appended to out. */
MUST_USE enum cli_exit compose_json_text(const struct call *call, const char *what,
                                         const char *word, struct buf *out);
/* The same job as JSON, not checked; to be freed. */
MUST_USE enum cli_exit compose_text(const struct call *call, const struct uuid *upload,
                                    char **ret);

#endif
