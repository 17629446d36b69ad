/* watch_internal: what the sources of the hub share. Nobody else includes this.
 *
 *     watch.c        watchers, the jobs that they watch, looks, the sweep
 *     watch_queue.c  queues that are listened to */
#ifndef API_WATCH_INTERNAL_H
#define API_WATCH_INTERNAL_H

#include "api/watch.h"
#include "queue/keys.h"
#include "shared/redis_sub.h"

#define WATCH_BUCKETS 1024

/* A queue is open while it is certain that no change of its jobs goes unheard. */
struct watch_queue {
    struct watch_hub *hub;
    struct watch_queue *next;
    struct queue_keys keys;
    struct redis_sub_channel *channel;
    size_t subjects;
    bool setting;     /* the key that asks for messages is being set */
    bool set;         /* it was, since the channel is listened to */
    uint64_t keep_ms; /* when to set it again */
    uint64_t idle_ms; /* since when it has no subjects */
};

struct watch_subject {
    struct watch_hub *hub;
    struct watch_subject *next; /* in its bucket */
    struct watch_queue *queue;
    struct watcher *watchers, *cursor; /* cursor: whom tell() comes to next */
    struct uuid id;
    bool looking, again, telling;
    unsigned misses;
    uint64_t look_ms; /* when to look again by itself; 0: not */
};

struct watch_hub {
    unsigned magic;
    struct api *api;
    struct redis_sub *sub;
    struct watch_queue *queues;
    struct watch_subject *buckets[WATCH_BUCKETS];
    size_t watchers, looks; /* looks: questions on their way */
    uv_timer_t sweep;
    bool draining, closing;
    struct gauge *gauge;
    void (*on_closed)(void *arg);
    void *closed_arg;
};

/* --- watch.c --- */

void watch_look_at(struct watch_hub *h, const struct uuid *id);
void watch_look_at_all(struct watch_queue *q);
/* Goes on with closing. Last: h may be gone. */
void watch_hub_finish(struct watch_hub *h);

/* --- watch_queue.c --- */

/* NULL: no memory, or no queue can have this name. */
struct watch_queue *watch_queue_of(struct watch_hub *h, const char *queue);
bool watch_queue_is_open(const struct watch_queue *q);
/* Sets the key again when it is time, and then looks at all. */
void watch_queue_keep(struct watch_queue *q, uint64_t now_ms);
void watch_queue_drop(struct watch_queue *q);

#endif
