#include "worker/daemon.h"

#include "queue/reaper.h"
#include "shared/clock.h"
#include "worker/handler.h"
#include "worker/instance.h"
#include "worker/lane.h"

#define TICK_MS         50 /* deadlines and waits of slots; runs only while there are slots */
#define SCHEMA_AGAIN_MS 2000
#define GRACE_MS        3000 /* after DRAIN: for what was stopped to be written and settled */

struct daemon {
    struct services sv;
    struct instance instance;
    struct lane lanes[LANES_MAX];
    const char *queues[LANES_MAX];
    size_t n_lanes, rendering;
    struct reaper *reaper;
    uv_timer_t tick, schema, drain;
    bool schema_ok, asking, draining, closing;
    struct loop_later rooms;
    size_t part,
        waiting; /* of the parts that are being closed: the next, and how many callbacks it owes */
    void (*on_closed)(void *arg);
    void *closed_arg;
};

/* --- rooms: who may claim how much --------------------------------------------------------------- */

static size_t held(const struct daemon *d)
{
    size_t n = 0;

    for (size_t i = 0; i < d->n_lanes; i++)
        n += d->lanes[i].held;
    return n;
}

static void set_rooms(void *arg)
{
    struct daemon *d = arg;
    struct lane_load load = {
        .closed = d->draining || !d->schema_ok || !ledger_has_room(d->sv.ledger, held(d) + 64),
        .renderers = render_pool_size(d->sv.pool),
        .rendering = d->rendering,
    };

    if (d->closing)
        return;
    for (size_t i = 0; i < d->n_lanes; i++)
        consumer_set_room(d->lanes[i].consumer, lane_room(&d->lanes[i], &load));
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

/* --- closing: one part after the other, each waits for its callbacks ------------------------------- */

static void close_next(struct daemon *d);

static void on_part_closed(void *arg)
{
    struct daemon *d = arg;

    must(d->waiting > 0);
    if (--d->waiting == 0)
        close_next(d);
}

static void close_timer(struct daemon *d, uv_timer_t *t)
{
    (void)uv_timer_stop(t);
    uv_close((uv_handle_t *)t, NULL);
    (void)d;
}

static void close_consumers(struct daemon *d)
{
    for (size_t i = 0; i < d->n_lanes; i++) {
        if (d->lanes[i].consumer == NULL)
            continue;
        d->waiting++;
        consumer_close(&d->lanes[i].consumer, on_part_closed, d);
    }
}

#define CLOSE_PART(name, field)                    \
    static void close_##name(struct daemon *d)     \
    {                                              \
        if ((field) == NULL)                       \
            return;                                \
        d->waiting++;                              \
        name##_close(&(field), on_part_closed, d); \
    }
CLOSE_PART(reaper, d->reaper)
CLOSE_PART(producer, d->sv.producer)
CLOSE_PART(ledger, d->sv.ledger)
CLOSE_PART(render_pool, d->sv.pool)
CLOSE_PART(http_client, d->sv.http)
CLOSE_PART(redis, d->sv.redis)
CLOSE_PART(pg, d->sv.pg)

/* The ledger and the producer first: a job that still waits for them (PostgreSQL or Redis is away) ends then, and
 * closing its consumer gives it back. */
static void (*const parts[])(struct daemon *) = {
    close_ledger,      close_producer,    close_consumers, close_reaper,
    close_render_pool, close_http_client, close_redis,     close_pg};

static void close_last(struct daemon *d)
{
    void (*on_closed)(void *) = d->on_closed;
    void *arg = d->closed_arg;

    must(held(d) == 0);
    netguard_free(&d->sv.guard);
    metrics_free(&d->sv.metrics);
    instance_close(&d->instance);
    free(d);
    on_closed(arg);
}

static void on_timer_closed(uv_handle_t *h)
{
    close_last(h->data);
}

static void close_next(struct daemon *d)
{
    while (d->part < COUNT_OF(parts)) {
        parts[d->part++](d);
        if (d->waiting > 0)
            return;
    }
    close_timer(d, &d->tick);
    close_timer(d, &d->schema);
    d->drain.data = d; /* closed last, in this order */
    uv_close((uv_handle_t *)&d->drain, on_timer_closed);
}

static void close_if_drained(struct daemon *d)
{
    if (!d->draining || d->closing || held(d) > 0)
        return;
    d->closing = true;
    log_info(&d->sv.log, "worker.drained");
    close_next(d);
}

/* --- slots ----------------------------------------------------------------------------------------- */

static void on_running(void *arg, struct slot *s)
{
    struct lane *lane = arg;
    struct daemon *d = lane->owner;

    s->counted = slot_uses_renderer(s);
    d->rendering += s->counted;
    lane->pixels |= s->counted;
    histogram_add_us(lane->wait, s->claim.claimed_ms > uuid_time_ms(&s->claim.id) &&
                                         uuid_time_ms(&s->claim.id) > 0
                                     ? (s->claim.claimed_ms - uuid_time_ms(&s->claim.id)) * 1000
                                     : 0);
}

static void on_idle(void *arg, struct slot *s)
{
    struct lane *lane = arg;
    struct daemon *d = lane->owner;

    d->rendering -= s->counted;
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
    lane_remove(lane, s);
    if (held(d) == 0)
        (void)uv_timer_stop(&d->tick);
    rooms_changed(d);
    close_if_drained(d);
}

static void tick_all(struct daemon *d, uint64_t now_ms)
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
    tick_all(t->data, clock_now_ms());
}

static void stop_all(struct lane *lane, enum slot_stop why)
{
    for (struct slot *s = lane->list, *next; s != NULL; s = next) {
        next = s->next;
        slot_stop(s, why);
    }
}

/* --- consumer events --------------------------------------------------------------------------------- */

static void on_claim(void *arg, const struct claim *claim)
{
    struct lane *lane = arg;
    struct daemon *d = lane->owner;
    struct slot_events ev = {
        .arg = lane, .on_running = on_running, .on_idle = on_idle, .on_ended = on_ended};
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
    if (!uv_is_active((uv_handle_t *)&d->tick))
        must(uv_timer_start(&d->tick, on_tick, TICK_MS, TICK_MS) == 0);
    if (d->draining)
        slot_stop(s, SLOT_STOP_DRAIN);
    slot_start(s);
    rooms_changed(d);
}

static void on_lost(void *arg)
{
    struct lane *lane = arg;

    log_error(
        &lane->log, "consumer.lost", LOG_U("jobs", lane->held),
        LOG_S("why", "its lease ended: stopped or cut off; the jobs belong to others now"));
    stop_all(lane, SLOT_STOP_LOST);
}

static void on_consumer_state(void *arg, bool ready, const char *why)
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

static void on_reaped(void *arg, const char *queue, const char *consumer, size_t jobs)
{
    struct daemon *d = arg;

    log_warn(&d->sv.log, "consumer.reaped", LOG_S("queue", queue), LOG_S("name", consumer),
             LOG_U("jobs", jobs));
}

/* --- connections ------------------------------------------------------------------------------------- */

static void on_redis(void *arg, bool up, const char *why)
{
    struct daemon *d = arg;

    if (up)
        log_info(&d->sv.log, "redis.up", LOG_S("where", redis_where(d->sv.redis)));
    else
        log_warn(&d->sv.log, "redis.down", LOG_S("where", redis_where(d->sv.redis)),
                 LOG_S("why", why));
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

    if (up)
        log_info(&d->sv.log, "postgres.up");
    else
        log_warn(&d->sv.log, "postgres.down", LOG_S("why", why),
                 LOG_U("results_held", ledger_held(d->sv.ledger)));
    if (up)
        ask_schema(d);
}

/* --- building ---------------------------------------------------------------------------------------- */

static enum err parse_secrets(struct services *sv, struct fault *reterr)
{
    struct slice rest = slice_str(sv->opt->webhook_secrets);

    while (rest.len > 0) {
        const char *comma = memchr(rest.ptr, ',', rest.len);
        size_t n = comma == NULL ? rest.len : (size_t)(comma - rest.ptr);
        AUTO(buf_done) struct buf one = {0};

        buf_add(&one, rest.ptr, n);
        if (sv->n_secrets == WEBHOOK_SECRETS_MAX)
            return fault_set(reterr, ERR_TOO_BIG, 0, "WEBHOOK_SECRETS: more than %d keys",
                             WEBHOOK_SECRETS_MAX);
        if (webhook_secret_parse(buf_cstr(&one), &sv->secrets[sv->n_secrets], reterr) != ERR_OK)
            return reterr->err;
        sv->n_secrets++;
        n += comma != NULL;
        rest = slice_of(rest.ptr + n, rest.len - n);
    }
    return ERR_OK;
}

static enum err build_connections(struct daemon *d, struct fault *reterr)
{
    struct services *sv = &d->sv;
    const struct worker_options *opt = sv->opt;
    uv_loop_t *uv = loop_uv(sv->loop);
    enum err e =
        redis_new(uv,
                  &(struct redis_options){
                      .url = opt->redis_url, .name = "millrace-worker", .log = &sv->log},
                  &sv->redis, reterr);

    if (e == ERR_OK)
        e = pg_new(uv,
                   &(struct pg_options){.url = opt->pg_url,
                                        .application = "millrace-worker",
                                        .connections = (unsigned)opt->pg_connections,
                                        .unprepared = !opt->pg_prepared,
                                        .log = &sv->log},
                   &sv->pg, reterr);
    if (e == ERR_OK)
        e = ledger_new(uv, sv->pg,
                       &(struct ledger_options){.max_held = opt->ledger_held, .log = &sv->log},
                       &sv->ledger, reterr);
    if (e == ERR_OK)
        e = producer_new(uv, sv->redis, &(struct producer_options){.skip_known = true},
                         &sv->producer, reterr);
    if (e == ERR_OK)
        e = netguard_new(opt->outgoing_allow, &sv->guard, reterr);
    if (e == ERR_OK)
        e = http_client_new(
            uv,
            &(struct http_client_options){.guard = sv->guard,
                                          .user_agent = "millrace/" MILLRACE_VERSION,
                                          .ca_file = opt->ca_file,
                                          .log = &sv->log},
            &sv->http, reterr);
    return e;
}

static enum err build_pool(struct daemon *d, struct fault *reterr)
{
    const struct worker_options *opt = d->sv.opt;

    return render_pool_new(loop_uv(d->sv.loop),
                           &(struct render_pool_options){
                               .program = d->instance.render_program,
                               .spool_dir = d->instance.spool,
                               .renderers = (unsigned)opt->renderers,
                               .recycle_jobs = (unsigned)opt->recycle_jobs,
                               .recycle_rss = opt->recycle_rss,
                               .limits = {.source_bytes = opt->source_bytes,
                                          .pixels = opt->source_pixels,
                                          .output_pixels = opt->output_pixels,
                                          .memory_bytes = opt->render_memory},
                               .metrics = d->sv.metrics,
                               .log = &d->sv.log,
                           },
                           &d->sv.pool, reterr);
}

static void build_lane_metrics(struct daemon *d, struct lane *lane)
{
    static const enum job_state shown[] = {JOB_QUEUED, JOB_RETRYING, JOB_SUCCEEDED, JOB_DEAD};
    struct metrics *m = d->sv.metrics;
    char labels[160];

    for (size_t i = 0; i < COUNT_OF(shown); i++) {
        (void)snprintf(labels, sizeof labels, "queue=\"%s\",outcome=\"%s\"", lane->queue,
                       shown[i] == JOB_QUEUED ? "released" : job_state_name(shown[i]));
        lane->ended[shown[i]] =
            metrics_counter(m, "millrace_attempts_total", labels, "Attempts ended, by outcome");
    }
    (void)snprintf(labels, sizeof labels, "queue=\"%s\"", lane->queue);
    lane->wait = metrics_histogram(m, "millrace_job_wait_seconds", labels,
                                   "From the job's creation to its claim");
    lane->run = metrics_histogram(m, "millrace_job_run_seconds", labels,
                                  "From the claim to the end of the attempt");
}

static enum err build_lane(struct daemon *d, struct lane *lane, struct fault *reterr)
{
    const struct worker_options *opt = d->sv.opt;
    struct consumer_events ev = {
        .arg = lane, .on_claim = on_claim, .on_lost = on_lost, .on_state = on_consumer_state};

    lane->owner = d;
    log_ctx_init(&lane->log, &d->sv.log, "queue", lane->queue);
    build_lane_metrics(d, lane);
    return consumer_new(loop_uv(d->sv.loop), d->sv.redis,
                        &(struct consumer_options){.queue = lane->queue,
                                                   .host = d->instance.host,
                                                   .instance = d->instance.name,
                                                   .redis_url = opt->redis_url,
                                                   .beat_ms = (uint32_t)opt->beat_ms,
                                                   .lease_ms = (uint32_t)opt->lease_ms,
                                                   .info_slots = (uint32_t)lane->slots,
                                                   .info_version = MILLRACE_VERSION,
                                                   .log = &lane->log},
                        &ev, &lane->consumer, reterr);
}

static enum err build_lanes(struct daemon *d, struct fault *reterr)
{
    const struct worker_options *opt = d->sv.opt;
    enum err e = lanes_parse(opt->queues, opt->slots, d->lanes, &d->n_lanes, reterr);

    for (size_t i = 0; e == ERR_OK && i < d->n_lanes; i++) {
        d->queues[i] = d->lanes[i].queue;
        e = build_lane(d, &d->lanes[i], reterr);
    }
    if (e != ERR_OK)
        return e;
    return reaper_new(loop_uv(d->sv.loop), d->sv.redis,
                      &(struct reaper_options){.queues = d->queues,
                                               .n_queues = d->n_lanes,
                                               .lease_ms = (uint32_t)opt->lease_ms,
                                               .log = &d->sv.log,
                                               .on_reaped = on_reaped,
                                               .arg = d},
                      &d->reaper, reterr);
}

static enum err build(struct daemon *d, struct fault *reterr)
{
    const struct worker_options *opt = d->sv.opt;
    enum err e;

    if (opt->lease_ms < 3 * opt->beat_ms)
        return fault_set(reterr, ERR_MALFORMED, 0, "LEASE must be at least three times BEAT");
    e = instance_open(opt, &d->instance, reterr);
    if (e == ERR_OK)
        e = parse_secrets(&d->sv, reterr);
    if (e == ERR_OK)
        e = build_connections(d, reterr);
    if (e == ERR_OK)
        e = build_pool(d, reterr);
    if (e == ERR_OK)
        e = build_lanes(d, reterr);
    return e;
}

static void ignore(void *arg)
{
    (void)arg;
}

enum err daemon_new(struct loop *loop, const struct worker_options *opt, struct daemon **ret,
                    struct fault *reterr)
{
    struct daemon *d = calloc(1, sizeof *d);
    uv_timer_t *timers[3];
    enum err e;

    if (d == NULL)
        return fault_set(reterr, ERR_NOMEM, 0, "no memory for the worker");
    d->sv.loop = loop;
    d->sv.opt = opt;
    d->instance.lock_fd = -1;
    log_ctx_init(&d->sv.log, NULL, "worker", opt->instance);
    d->sv.metrics = metrics_new();
    timers[0] = &d->tick;
    timers[1] = &d->schema;
    timers[2] = &d->drain;
    for (size_t i = 0; i < COUNT_OF(timers); i++) {
        must(uv_timer_init(loop_uv(loop), timers[i]) == 0);
        timers[i]->data = d;
    }
    e = d->sv.metrics == NULL ? fault_set(reterr, ERR_NOMEM, 0, "no memory for metrics")
                              : build(d, reterr);
    if (e == ERR_OK)
        *ret = d;
    else
        daemon_drain(&d, 0, ignore, NULL);
    return e;
}

void daemon_start(struct daemon *d)
{
    redis_start(d->sv.redis, on_redis, d);
    pg_start(d->sv.pg, on_pg, d);
    render_pool_start(d->sv.pool, on_pool_idle, d);
    for (size_t i = 0; i < d->n_lanes; i++)
        consumer_start(d->lanes[i].consumer);
    reaper_start(d->reaper);
    loop_ready(d->sv.loop, "taking jobs");
}

/* --- draining ---------------------------------------------------------------------------------------- */

/* What cannot end (its row cannot be written, its settlement not sent) is dropped here and given back. */
static void on_grace_over(uv_timer_t *t)
{
    struct daemon *d = t->data;

    if (d->closing)
        return;
    log_warn(&d->sv.log, "worker.given_up", LOG_U("jobs", held(d)));
    d->closing = true;
    for (size_t i = 0; i < d->n_lanes; i++)
        stop_all(&d->lanes[i], SLOT_STOP_LOST);
    tick_all(d, UINT64_MAX);
    close_next(d);
}

static void on_drain_over(uv_timer_t *t)
{
    struct daemon *d = t->data;

    if (d->closing)
        return;
    log_warn(&d->sv.log, "worker.drain_over", LOG_U("jobs", held(d)));
    must(uv_timer_start(&d->drain, on_grace_over, GRACE_MS, 0) == 0);
    for (size_t i = 0; i < d->n_lanes; i++)
        stop_all(&d->lanes[i], SLOT_STOP_DRAIN);
}

void daemon_drain(struct daemon **p, uint64_t drain_ms, void (*on_closed)(void *arg), void *arg)
{
    struct daemon *d = *p;

    *p = NULL;
    d->draining = true;
    d->on_closed = on_closed;
    d->closed_arg = arg;
    log_info(&d->sv.log, "worker.draining", LOG_U("jobs", held(d)),
             LOG_U("drain_ms", drain_ms));
    for (size_t i = 0; i < d->n_lanes; i++) {
        if (d->lanes[i].consumer != NULL)
            consumer_quiesce(d->lanes[i].consumer);
    }
    must(uv_timer_start(&d->drain, on_drain_over, drain_ms, 0) == 0);
    close_if_drained(d);
}
