/* crash_notes: what a restarted worker knows of how its predecessor died, kept in Redis for whoever
 * claims the jobs next. mr:{q}:crashes, a HASH of id -> attempt (be32) and text, forgotten after a day. */
#ifndef QUEUE_CRASH_NOTES_H
#define QUEUE_CRASH_NOTES_H

#include "queue/job.h"
#include "shared/redis.h"

#define CRASH_TEXT_MAX 200

/* Best effort: nothing hangs on it. */
void crash_note_put(struct redis *r, const char *queue, const struct uuid *id, uint32_t attempt,
                    const char *text);
/* text: "" when nothing is known of that attempt. Borrowed for the call. */
typedef void crash_note_fn(void *arg, const char *text);
MUST_USE enum err crash_note_get(struct redis *r, const char *queue, const struct uuid *id,
                                 uint32_t attempt, crash_note_fn *cb, void *arg);

#endif
