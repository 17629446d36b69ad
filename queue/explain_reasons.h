/* explain_reasons: from what was found to what is told. Pure. Nobody but explain includes this. */
#ifndef QUEUE_EXPLAIN_REASONS_H
#define QUEUE_EXPLAIN_REASONS_H

#include "queue/explain.h"
#include "queue/state_codec.h"

/* As explain.lua counts them. */
enum explain_place { PLACE_UNKNOWN, PLACE_READY, PLACE_PARKED, PLACE_DELAYED, PLACE_CLAIMED };

struct explain_facts {
    struct state_value state;
    uint64_t now_ms;
    bool paused;
    struct queue_limits limits;
    uint64_t held, full_ms;        /* claims of the queue; when its bucket is full */
    uint64_t workers, slots, busy; /* living ones; what they could hold, and hold */
    enum explain_place place;
    uint64_t ahead;
    bool exact;
    struct slice item, key;
    uint64_t key_held, key_full_ms;
    uint64_t claims, claims_ms; /* so many in that time, lately */
};
/* Fills all but id and queue. */
void explain_reasons(const struct explain_facts *f, struct explanation *ret);

#endif
