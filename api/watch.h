/* watch: who wants to know what becomes of live jobs, and is told when it may have changed.
 *
 *     begin --> (news)* --> ended, lost, or the API drains        any time: watch_end()
 *
 * Watchers of one job share its looks: at its state in Redis, and once it lives no more at its row.
 * A look follows each message that names the job (queue/keys.h: events), the (re)connection of the
 * channel, and every five seconds, so that a lost message costs time only. While Redis or PostgreSQL is
 * away watchers stay, and the look is made up for. The scripts publish only while a key says that
 * somebody watches the queue: this module keeps it fresh as long as that is so.
 * Loop thread only. new -> start -> drain -> close. */
#ifndef API_WATCH_H
#define API_WATCH_H

#include "api/api.h"
#include "queue/inspect.h"
#include "queue/ledger.h"

struct watch_subject;
struct watcher;

/* One of:
 *   ERR_OK         live is set; or row and parts, once, when the job has ended
 *   ERR_NOT_FOUND  it lives no more and no row says how it ended
 *   ERR_TIMEOUT    wake_ms has come
 *   ERR_CANCELED   the API ends: come to an end soon
 * Pointers are borrowed for the call. */
struct watch_news {
    enum err err;
    const struct live_job *live;
    const struct ledger_row *row;
    const struct ledger_parts *parts;
};
typedef void watch_fn(struct watcher *w, const struct watch_news *news);

/* Embedded by its owner, zeroed before the first use. */
struct watcher {
    struct watch_subject *subject; /* NULL: it watches nothing */
    struct watcher *next, **prev;  /* of the same job */
    watch_fn *on_news; /* from the loop, never from inside a call; may call watch_end() */
    uint64_t wake_ms;  /* monotonic; 0: never; the owner sets it anew at will */
};

MUST_USE enum err watch_hub_new(struct api *api, struct watch_hub **ret, struct fault *reterr);
void watch_hub_start(struct watch_hub *h);
/* Tells all; takes nobody any more. */
void watch_hub_drain(struct watch_hub *h);
/* Nobody watches any more. on_closed runs last. */
void watch_hub_close(struct watch_hub **p, void (*on_closed)(void *arg), void *arg);

/* Whether one more would be taken. */
bool watch_has_room(const struct watch_hub *h);
/* The first news comes soon. queue: where the job lives. ERR_BUSY: WATCHERS is reached; ERR_CANCELED: draining. */
MUST_USE enum err watch_begin(struct watch_hub *h, struct watcher *w, const char *queue,
                              const struct uuid *id);
/* What came could not be used: it comes again. */
void watch_again(struct watcher *w);
/* Copes with one that watches nothing. */
void watch_end(struct watcher *w);

#endif
