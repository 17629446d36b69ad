/* sse: what a job's stream of events says (text/event-stream), and in which order.
 *
 * An event's id is <attempt>.<rank>. Within an attempt: 1 running, 2..102 progress, 110 scheduled or retrying,
 * 111 queued, 112 cancelled and not recorded yet, 120 the end; attempt 0 is what comes before the first one.
 * So ids only grow, and a client that comes back with the last one it has seen gets what is behind it. */
#ifndef API_SSE_H
#define API_SSE_H

#include "queue/inspect.h"
#include "queue/ledger.h"

struct sse_place {
    uint32_t attempt, rank;
};

/* "3.42"; false: it is none. */
MUST_USE bool sse_place_parse(struct slice text, struct sse_place *ret);
/* Where a live job stands. */
struct sse_place sse_place_of(const struct live_job *job);
bool sse_is_behind(struct sse_place place, struct sse_place last);
/* Whether attempts between last and the job's were ended unseen, so that their record has to be read first. */
bool sse_has_gap(struct sse_place last, const struct live_job *job);

/* Nothing before that attempt is told any more. */
void sse_skip_to(uint32_t attempt, struct sse_place *last);

/* Each adds the events that are behind *last, and moves *last on. */
/* How the job stands: a state, or its progress. */
void sse_add_live(const struct live_job *job, struct sse_place *last, struct buf *out);
/* Attempts that have ended, before the one given. */
void sse_add_attempts(const struct ledger_parts *parts, uint32_t before, struct sse_place *last,
                      struct buf *out);
/* The attempts, and the end with the whole record. */
void sse_add_end(const struct ledger_row *row, const struct ledger_parts *parts,
                 struct sse_place *last, struct buf *out);

#endif
