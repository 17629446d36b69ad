/* daemon_internal: what the sources of the daemon share. Nobody else includes this.
 *
 *     daemon.c        who may claim how much, what consumers and connections tell
 *     daemon_build.c  the parts made and put together
 *     daemon_close.c  draining, and the parts taken apart */
#ifndef WORKER_DAEMON_INTERNAL_H
#define WORKER_DAEMON_INTERNAL_H

#include "queue/reaper.h"
#include "queue/salvage.h"
#include "queue/ticker.h"
#include "worker/blob_keep.h"
#include "worker/daemon.h"
#include "worker/flight.h"
#include "worker/instance.h"
#include "worker/lane.h"
#include "worker/metrics_listener.h"
#include "worker/share.h"
#include "worker/sweeper.h"

struct daemon_crash {
    struct daemon_crash *next;
    struct uuid id;
    uint32_t attempt;
    char queue[JOB_NAME_MAX + 1], text[CRASH_TEXT_MAX + 1];
};

/* What became of the ticks of schedules. */
enum daemon_tick { DAEMON_TICK_FIRED, DAEMON_TICK_MISSED, DAEMON_TICK_SKIPPED, DAEMON_TICKS };

struct daemon {
    struct services sv;
    struct instance instance;
    struct flight *flight;
    uint64_t flight_tick_ms;
    struct daemon_crash
        *crashes; /* of the predecessor's jobs; told to Redis when it is first up */
    struct lane lanes[LANES_MAX];
    const char *queues[LANES_MAX];
    size_t n_lanes, rendering;
    double pass; /* of the lane that brought a job last: where one that had nothing starts */
    struct reaper *reaper;
    struct ticker *ticker;
    struct counter *ticks[DAEMON_TICKS];
    struct salvage *salvage;
    struct sweeper *sweeper; /* NULL: it does not sweep */
    struct blob_keep *keep;
    struct redis_sub *control;
    struct metrics_listener *listener;
    uv_timer_t tick, schema, drain;
    bool started, schema_ok, asking, draining, closing;
    struct loop_later rooms;
    size_t part,
        waiting; /* of the parts that are being closed: the next, and how many callbacks it owes */
    void (*on_closed)(void *arg);
    void *closed_arg;
};

/* --- daemon.c --- */

/* Claimed jobs that have not ended, over all lanes. */
size_t daemon_held(const struct daemon *d);
/* Lets every job act whose time has come. */
void daemon_tick(struct daemon *d, uint64_t now_ms);
void daemon_stop_jobs(struct daemon *d, enum slot_stop why);
void daemon_on_claim(void *arg, const struct claim *claim);
size_t daemon_on_want(void *arg, size_t want);
void daemon_on_looked(void *arg);
void daemon_on_lost(void *arg);
void daemon_on_cancel(void *arg, const struct uuid *id);
void daemon_on_consumer(void *arg, bool ready, const char *why);
void daemon_on_reaped(void *arg, const char *queue, const char *consumer, size_t jobs);
struct consumer *daemon_consumer_of(void *arg, size_t queue);
void daemon_on_next_tick(void *arg, size_t queue, uint64_t wait_ms);
void daemon_on_tick(void *arg, const struct ticker_event *ev);
void daemon_on_keep(void *arg, struct blob_keep *k);

/* Forgets the predecessor's crashes; with redis, they are told first. */
void daemon_drop_crashes(struct daemon *d, struct redis *redis);

/* --- daemon_close.c --- */

/* A job has ended: perhaps it was the last one that closing waits for. */
void daemon_close_if_drained(struct daemon *d);

#endif
