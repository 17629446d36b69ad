/* schedule_body: a schedule as a user writes it in JSON, for the API and the command line alike.
 *
 *     {"cron": "0 3 * * *", "timezone"?: "Europe/Berlin"  |  "every_ms": 60000,
 *      "queue"?, "missed"?: "skip" | "one" | "all", "overlap"?: "allow" | "skip", "paused"?, "start_at"?, "end_at"?,
 *      "job": {a submission (submission.h) without delay_ms, run_at, expires_at and unique}}
 *
 * Everything is checked here, the job too; a fault names the field by JSON pointer. */
#ifndef QUEUE_SCHEDULE_BODY_H
#define QUEUE_SCHEDULE_BODY_H

#include "queue/recipe.h"
#include "queue/schedule.h"
#include "queue/spec.h"

struct schedule_body {
    struct schedule
        s; /* name, times of creation and change, anchor and revision are for others to set */
    struct buf job; /* the submission, as JSON; freed by schedule_body_done() */
};

/* max_depth is that of the job. Recipes that it names are put in their places now, from the book (NULL: it may name none): a
 * tick is to need neither PostgreSQL nor a recipe that may be gone by then. ERR_MALFORMED: the JSON or a field; ERR_TOO_BIG: the
 * job; ERR_NOMEM, ERR_IO; ERR_NOT_FOUND: as submission_parse_with(). On failure nothing is left to free. */
MUST_USE enum err schedule_body_parse(struct slice json, unsigned max_depth,
                                      struct recipe_book *book, struct schedule_body *ret,
                                      struct spec_fault *reterr);
void schedule_body_done(struct schedule_body *b);

#endif
