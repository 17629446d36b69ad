/* slot_internal: what the sources of the slot share. Nobody else includes this.
 *
 *     slot.c         life, recall, run
 *     slot_end.c     judge, record, review, settle
 *     slot_follow.c  follow-ups, chain, batch */
#ifndef WORKER_SLOT_INTERNAL_H
#define WORKER_SLOT_INTERNAL_H

#include "worker/slot.h"

extern const struct step slot_step_judge, slot_step_follow, slot_step_settle,
    slot_step_unrecorded;

struct slot *slot_of(struct flow *f);
/* The attempt failed with e. why may be NULL. */
void slot_failed(struct slot *s, enum err e, const struct fault *why);
/* Tells the owner, once, that the handler has let go. */
void slot_let_go(struct slot *s);
/* Asks the ledger for the job's row and wakes the flow; a terminal row is taken over (from_row).
 * False: it cannot be asked now, and the flow is not to wait. */
MUST_USE bool slot_ask_row(struct slot *s);

/* Something cannot be begun now: the tick wakes the flow soon. */
void slot_wake_later(struct slot *s);
/* The same, as a step. */
const struct step *slot_wait_then(struct slot *s, const struct step *next);

#endif
