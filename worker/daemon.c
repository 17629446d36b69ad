#include "worker/daemon_internal.h"

#include "shared/clock.h"

#define TICK_MS         50 /* deadlines and waits of slots; runs only while there are slots */
#define FLIGHT_TICK_MS  500
#define SCHEMA_AGAIN_MS 2000
#define ROOM_AHEAD      64 /* results that may be on their way beside those of the held jobs */

/* --- rooms: who may claim how much --------------------------------------------------------------- */

size_t daemon_held(const struct daemon *d)
{
    size_t n = 0;

    for (size_t i = 0; i < d->n_lanes; i++)
        n += d->lanes[i].held;
    return n;
}

static struct lane_load load_of(const struct daemon *d)
{
    return (struct lane_load){.rendering = d->rendering,
                              .renderers = render_pool_size(d->sv.pool),
                              .slow = render_pool_slow(d->sv.pool),
                              .slow_waiting = d->sv.opt->slow_waiting,
                              .closed =
                                  d->draining || !d->schema_ok ||
                                  !ledger_has_room(d->sv.ledger, daemon_held(d) + ROOM_AHEAD)};
}

/* A queue that had nothing to do has saved nothing up. */
static void come_back(struct daemon *d, struct lane *lane, bool dry)
{
    if (lane->was_dry && !dry && lane->pass < d->pass)
        lane->pass = d->pass;
    lane->was_dry = dry;
}

static void share_rooms(struct daemon *d, struct share *shares)
{
    struct lane_load load = load_of(d);
    size_t held = daemon_held(d), total = d->sv.opt->concurrency;

    for (size_t i = 0; i < d->n_lanes; i++) {
        struct lane *lane = &d->lanes[i];
        struct consumer_look look = consumer_look(lane->consumer);

        come_back(d, lane, look.dry);
        shares[i] = (struct share){.bound = lane_room(lane, &load),
                                   .asked = look.asked,
                                   .dry = look.dry,
                                   .weight = lane->weight,
                                   .pass = lane->pass};
    }
    share_out(d->sv.opt->queue_order, shares, d->n_lanes, total > held ? total - held : 0);
}

static void set_rooms(void *arg)
{
    struct daemon *d = arg;
    struct share shares[LANES_MAX];

    if (d->closing)
        return;
    share_rooms(d, shares);
    for (size_t i = 0; i < d->n_lanes; i++)
        consumer_set_room(d->lanes[i].consumer, shares[i].room);
}

static void rooms_changed(struct daemon *d)
{
    if (!d->closing)
        loop_later(d->sv.loop, &d->rooms, set_rooms, d);
}

static void on_pool_idle(void *arg)
{
    rooms_changed(arg);
}

/* --- slots ----------------------------------------------------------------------------------------- */

static void count_rendering(struct daemon *d, struct slot *s, bool counts)
{
    d->rendering += counts;
    d->rendering -= s->counted;
    s->counted = counts;
}

static void on_running(void *arg, struct slot *s)
{
    struct lane *lane = arg;
    struct daemon *d = lane->owner;

    count_rendering(d, s, slot_uses_renderer(s));
    lane->pixels |= s->counted;
    histogram_add_us(lane->wait, s->claim.claimed_ms > uuid_time_ms(&s->claim.id) &&
                                         uuid_time_ms(&s->claim.id) > 0
                                     ? (s->claim.claimed_ms - uuid_time_ms(&s->claim.id)) * 1000
                                     : 0);
}

static void on_rest(void *arg, struct slot *s, bool rests)
{
    struct lane *lane = arg;
    struct daemon *d = lane->owner;

    count_rendering(d, s, !rests && slot_uses_renderer(s));
    rooms_changed(d);
}

static void on_idle(void *arg, struct slot *s)
{
    struct lane *lane = arg;
    struct daemon *d = lane->owner;

    count_rendering(d, s, false);
    histogram_add_us(lane->run, clock_now_us() - s->started_us);
    rooms_changed(d);
}

static void on_ended(void *arg, struct slot *s)
{
    struct lane *lane = arg;
    struct daemon *d = lane->owner;
    enum job_state state = s->release ? JOB_QUEUED : s->state;

    if (s->stop != SLOT_STOP_LOST && lane->ended[state] != NULL && !s->stale)
        counter_add(lane->ended[state], 1);
    flight_end(d->flight, s->flight);
    lane_remove(lane, s);
    if (daemon_held(d) == 0)
        (void)uv_timer_stop(&d->tick);
    rooms_changed(d);
    daemon_close_if_drained(d);
}

void daemon_tick(struct daemon *d, uint64_t now_ms)
{
    for (size_t i = 0; i < d->n_lanes; i++) {
        for (struct slot *s = d->lanes[i].list, *next; s != NULL; s = next) {
            next = s->next;
            slot_tick(s, now_ms);
        }
    }
}

static void on_tick(uv_timer_t *t)
{
    struct daemon *d = t->data;
    uint64_t now_ms = clock_now_ms();

    if (now_ms - d->flight_tick_ms >= FLIGHT_TICK_MS) {
        d->flight_tick_ms = now_ms;
        flight_tick(d->flight);
    }
    daemon_tick(d, now_ms);
}

static void stop_lane(struct lane *lane, enum slot_stop why)
{
    for (struct slot *s = lane->list, *next; s != NULL; s = next) {
        next = s->next;
        slot_stop(s, why);
    }
}

void daemon_stop_jobs(struct daemon *d, enum slot_stop why)
{
    for (size_t i = 0; i < d->n_lanes; i++)
        stop_lane(&d->lanes[i], why);
}

/* Rooms overlap where queues wait side by side; what a claim asks for does not. */
size_t daemon_on_want(void *arg, size_t want)
{
    struct lane *lane = arg;
    struct daemon *d = lane->owner;
    struct share shares[LANES_MAX];
    size_t room;

    if (d->sv.opt->queue_order == SHARE_SEPARATE)
        return want;
    if (d->closing)
        return 0;
    share_rooms(d, shares);
    room = shares[lane - d->lanes].room;
    return want < room ? want : room;
}

void daemon_on_looked(void *arg)
{
    struct lane *lane = arg;
    struct daemon *d = lane->owner;

    if (d->sv.opt->queue_order != SHARE_SEPARATE)
        rooms_changed(d);
}

/* --- consumer events --------------------------------------------------------------------------------- */

void daemon_on_claim(void *arg, const struct claim *claim)
{
    struct lane *lane = arg;
    struct daemon *d = lane->owner;
    struct slot_events ev = {.arg = lane,
                             .on_running = on_running,
                             .on_rest = on_rest,
                             .on_idle = on_idle,
                             .on_ended = on_ended};
    struct slot *s = slot_new(&d->sv, lane->consumer, lane->queue, claim, &ev);

    if (s == NULL) {
        log_error(&lane->log, "job.no_memory");
        (void)!consumer_settle(lane->consumer,
                               &(struct settlement){.id = claim->id,
                                                    .attempt = claim->attempt,
                                                    .kind = SETTLE_RELEASE},
                               NULL, NULL);
        return;
    }
    lane_add(lane, s);
    s->flight = flight_begin(d->flight, lane->queue, &claim->id, claim->attempt);
    d->pass = lane->pass;
    lane->pass = share_pass(lane->pass, lane->weight, 1);
    count_rendering(d, s, lane->pixels && !claim->cancelled); /* until it is known better */
    if (!uv_is_active((uv_handle_t *)&d->tick))
        must(uv_timer_start(&d->tick, on_tick, TICK_MS, TICK_MS) == 0);
    if (d->draining)
        slot_stop(s, SLOT_STOP_DRAIN);
    slot_start(s);
    rooms_changed(d);
}

void daemon_on_lost(void *arg)
{
    struct lane *lane = arg;

    log_error(
        &lane->log, "consumer.lost", LOG_U("jobs", lane->held),
        LOG_S("why", "its lease ended: stopped or cut off; the jobs belong to others now"));
    stop_lane(lane, SLOT_STOP_LOST);
}

void daemon_on_cancel(void *arg, const struct uuid *id)
{
    struct lane *lane = arg;

    for (struct slot *s = lane->list; s != NULL; s = s->next) {
        if (!uuid_eq(&s->claim.id, id))
            continue;
        slot_stop(s, SLOT_STOP_CANCEL);
        return;
    }
}

void daemon_on_consumer(void *arg, bool ready, const char *why)
{
    struct lane *lane = arg;

    if (ready && !lane->ready)
        log_info(&lane->log, "consumer.ready", LOG_S("name", consumer_name(lane->consumer)),
                 LOG_U("slots", lane->slots));
    else if (!ready && lane->ready)
        log_warn(&lane->log, "consumer.away", LOG_S("why", why));
    lane->ready = ready;
    rooms_changed(lane->owner);
}

void daemon_on_reaped(void *arg, const char *queue, const char *consumer, size_t jobs)
{
    struct daemon *d = arg;

    log_warn(&d->sv.log, "consumer.reaped", LOG_S("queue", queue), LOG_S("name", consumer),
             LOG_U("jobs", jobs));
    instance_sweep(&d->instance, consumer);
}

struct consumer *daemon_consumer_of(void *arg, size_t queue)
{
    struct daemon *d = arg;

    return d->lanes[queue].consumer;
}

void daemon_on_next_tick(void *arg, size_t queue, uint64_t wait_ms)
{
    struct daemon *d = arg;

    if (d->ticker != NULL)
        ticker_expect(d->ticker, queue, wait_ms);
}

void daemon_on_tick(void *arg, const struct ticker_event *ev)
{
    struct daemon *d = arg;

    counter_add(d->ticks[DAEMON_TICK_FIRED], ev->jobs);
    counter_add(d->ticks[DAEMON_TICK_MISSED], ev->missed);
    counter_add(d->ticks[DAEMON_TICK_SKIPPED], ev->skipped);
    if (ev->fault != NULL)
        log_error(&d->sv.log, "schedule.failed", LOG_S("queue", ev->queue),
                  LOG_S("name", ev->name), LOG_S("why", ev->fault));
    else if (ev->missed > 0)
        log_warn(&d->sv.log, "schedule.missed", LOG_S("queue", ev->queue),
                 LOG_S("name", ev->name), LOG_U("ticks", ev->missed), LOG_U("jobs", ev->jobs));
    else
        log_debug(&d->sv.log, "schedule.tick", LOG_S("queue", ev->queue),
                  LOG_S("name", ev->name), LOG_U("jobs", ev->jobs),
                  LOG_U("skipped", ev->skipped), LOG_U("late_ms", ev->late_ms));
}

static void keep_slot(const struct slot *s, struct blob_keep *k)
{
    for (size_t i = 0; i < s->n_outputs; i++) {
        if (s->outputs[i].file != NULL)
            blob_keep_add(k, s->outputs[i].file);
    }
}

void daemon_on_keep(void *arg, struct blob_keep *k)
{
    struct daemon *d = arg;

    for (size_t i = 0; i < d->n_lanes; i++) {
        for (const struct slot *s = d->lanes[i].list; s != NULL; s = s->next)
            keep_slot(s, k);
    }
}

/* --- connections ------------------------------------------------------------------------------------- */

void daemon_drop_crashes(struct daemon *d, struct redis *redis)
{
    struct daemon_crash *c;

    while ((c = d->crashes) != NULL) {
        d->crashes = c->next;
        if (redis != NULL)
            crash_note_put(redis, c->queue, &c->id, c->attempt, c->text);
        free(c);
    }
}

static void on_redis(void *arg, bool up, const char *why)
{
    struct daemon *d = arg;

    if (up)
        log_info(&d->sv.log, "redis.up", LOG_S("where", redis_where(d->sv.redis)));
    else
        log_warn(&d->sv.log, "redis.down", LOG_S("where", redis_where(d->sv.redis)),
                 LOG_S("why", why));
    if (up)
        daemon_drop_crashes(d, d->sv.redis); /* before the consumers take back what it held */
    for (size_t i = 0; i < d->n_lanes; i++) {
        if (d->lanes[i].consumer != NULL)
            consumer_on_redis(d->lanes[i].consumer, up);
    }
}

static void ask_schema(struct daemon *d);

static void on_schema_timer(uv_timer_t *t)
{
    ask_schema(t->data);
}

static void on_schema(void *arg, enum err e, unsigned version)
{
    struct daemon *d = arg;
    bool ok = e == ERR_OK && version == ledger_version_wanted();

    d->asking = false;
    if (d->closing)
        return;
    if (e == ERR_OK && !ok)
        log_error(&d->sv.log, "schema.wrong", LOG_U("has", version),
                  LOG_U("wants", ledger_version_wanted()),
                  LOG_S("do", version < ledger_version_wanted() ? "run: millrace migrate"
                                                                : "run the newer programs"));
    if (ok && !d->schema_ok)
        log_info(&d->sv.log, "schema.ok", LOG_U("version", version));
    d->schema_ok = ok;
    if (!ok)
        must(uv_timer_start(&d->schema, on_schema_timer, SCHEMA_AGAIN_MS, 0) == 0);
    rooms_changed(d);
}

static void ask_schema(struct daemon *d)
{
    if (d->closing || d->asking || d->schema_ok)
        return;
    d->asking = ledger_version(d->sv.pg, on_schema, d) == ERR_OK;
    if (!d->asking)
        must(uv_timer_start(&d->schema, on_schema_timer, SCHEMA_AGAIN_MS, 0) == 0);
}

static void on_pg(void *arg, bool up, const char *why)
{
    struct daemon *d = arg;

    if (d->closing)
        return;
    if (up)
        log_info(&d->sv.log, "postgres.up");
    else
        log_warn(&d->sv.log, "postgres.down", LOG_S("why", why),
                 LOG_U("results_held", ledger_held(d->sv.ledger)));
    if (up)
        ask_schema(d);
}

/* --- start ---------------------------------------------------------------------------------------------- */

void daemon_start(struct daemon *d)
{
    d->started = true;
    redis_start(d->sv.redis, on_redis, d);
    pg_start(d->sv.pg, on_pg, d);
    render_pool_start(d->sv.pool, on_pool_idle, d);
    redis_sub_start(d->control);
    for (size_t i = 0; i < d->n_lanes; i++)
        consumer_start(d->lanes[i].consumer);
    reaper_start(d->reaper);
    ticker_start(d->ticker);
    salvage_start(d->salvage);
    if (d->sweeper != NULL)
        sweeper_start(d->sweeper);
    loop_ready(d->sv.loop, "taking jobs");
}
