#include <inttypes.h>

#include "worker/daemon_internal.h"
#include "worker/notify/mime.h"
#include "worker/result_memory.h"

#define LOOK_MS 60000 /* for ticks; the reaper tells of them much sooner */

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

/* What would otherwise be found out by the first mail. */
static enum err check_mail(const struct worker_options *opt, struct fault *reterr)
{
    char address[MIME_ADDRESS_SIZE];
    struct fault why;

    if (opt->mail_from != NULL &&
        mime_address(slice_str(opt->mail_from), address, &why) != ERR_OK)
        return fault_set(reterr, ERR_MALFORMED, 0, "MAIL_FROM: %.150s", why.text);
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
        e = redis_sub_new(uv,
                          &(struct redis_sub_options){.url = opt->redis_url,
                                                      .name = "millrace-control",
                                                      .log = &sv->log},
                          &d->control, reterr);
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
        e = producer_new(uv, sv->redis,
                         &(struct producer_options){.skip_known = true, .over_limit = true},
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

    return render_pool_new(
        loop_uv(d->sv.loop),
        &(struct render_pool_options){
            .program = d->instance.render_program,
            .spool_dir = d->instance.spool,
            .renderers = (unsigned)opt->renderers,
            .recycle_jobs = (unsigned)opt->recycle_jobs,
            .recycle_rss = opt->recycle_rss,
            .slow_us = opt->slow_ms * 1000,
            .limits = {.source_bytes = opt->source_bytes,
                       .pixels = opt->source_pixels,
                       .output_pixels = opt->output_pixels,
                       .output_bytes = opt->output_bytes,
                       .frames = opt->source_frames,
                       .svg_bytes = opt->source_svg ? opt->source_svg_bytes : 0,
                       .cpu_ms = opt->render_cpu_ms,
                       .memory_bytes = opt->render_memory},
            .fonts = opt->render_fonts,
            .metrics = d->sv.metrics,
            .log = &d->sv.log,
        },
        &d->sv.pool, reterr);
}

static enum err build_memory(struct daemon *d, struct fault *reterr)
{
    const struct worker_options *opt = d->sv.opt;

    if (!opt->result_memory)
        return ERR_OK;
    return result_memory_new(
        &(struct result_memory_options){.loop = d->sv.loop,
                                        .pg = &d->sv.pg,
                                        .blob_dir = opt->blob_dir,
                                        .engine_file = d->instance.render_program,
                                        .svg = opt->source_svg,
                                        .max_age_ms = opt->result_age_ms,
                                        .metrics = d->sv.metrics},
        &d->sv.memory, reterr);
}

static void build_lane_metrics(struct daemon *d, struct lane *lane)
{
    static const enum job_state shown[] = {JOB_QUEUED, JOB_RETRYING,  JOB_SUCCEEDED,
                                           JOB_DEAD,   JOB_CANCELLED, JOB_EXPIRED};
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
    struct consumer_events ev = {.arg = lane,
                                 .on_claim = daemon_on_claim,
                                 .on_want = daemon_on_want,
                                 .on_looked = daemon_on_looked,
                                 .on_lost = daemon_on_lost,
                                 .on_cancel = daemon_on_cancel,
                                 .on_state = daemon_on_consumer};

    lane->owner = d;
    log_ctx_init(&lane->log, &d->sv.log, "queue", lane->queue);
    build_lane_metrics(d, lane);
    return consumer_new(loop_uv(d->sv.loop), d->sv.redis,
                        &(struct consumer_options){.queue = lane->queue,
                                                   .host = d->instance.host,
                                                   .instance = d->instance.name,
                                                   .redis_url = opt->redis_url,
                                                   .sub = d->control,
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
    uint64_t slots = opt->queue_order == SHARE_SEPARATE ? opt->slots : opt->concurrency;
    enum err e = lanes_parse(opt->queues, slots, d->lanes, &d->n_lanes, reterr);

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
                                               .on_reaped = daemon_on_reaped,
                                               .consumer_of = daemon_consumer_of,
                                               .on_tick = daemon_on_next_tick,
                                               .arg = d},
                      &d->reaper, reterr);
}

static void on_crash(void *arg, const struct flight_crash *crash)
{
    struct daemon *d = arg;
    struct daemon_crash *c = calloc(1, sizeof *c);
    char id[UUID_TEXT_SIZE];

    log_warn(&d->sv.log, "worker.died_before", LOG_S("job", uuid_text(&crash->id, id)),
             LOG_U("attempt", crash->attempt), LOG_S("why", crash->text));
    if (c == NULL)
        return;
    c->id = crash->id;
    c->attempt = crash->attempt;
    (void)slice_to_cstr(slice_str(crash->queue), c->queue, sizeof c->queue);
    (void)slice_to_cstr(slice_str(crash->text), c->text, sizeof c->text);
    c->next = d->crashes;
    d->crashes = c;
}

static enum err build_flight(struct daemon *d, struct fault *reterr)
{
    char path[PATH_MAX];

    (void)snprintf(path, sizeof path, "%s.flight", d->instance.spool);
    return flight_open(path, on_crash, d, &d->flight, reterr);
}

static enum err build_ticker(struct daemon *d, struct fault *reterr)
{
    static const char *const outcomes[] = {[DAEMON_TICK_FIRED] = "outcome=\"fired\"",
                                           [DAEMON_TICK_MISSED] = "outcome=\"missed\"",
                                           [DAEMON_TICK_SKIPPED] = "outcome=\"skipped\""};

    for (size_t i = 0; i < DAEMON_TICKS; i++)
        d->ticks[i] =
            metrics_counter(d->sv.metrics, "millrace_schedule_ticks_total", outcomes[i],
                            "Ticks of schedules that this worker took, by outcome");
    return ticker_new(
        loop_uv(d->sv.loop), d->sv.redis,
        &(struct ticker_options){.queues = d->queues,
                                 .n_queues = d->n_lanes,
                                 .look_ms = LOOK_MS,
                                 .grace_ms = (uint32_t)d->sv.opt->schedule_grace_ms,
                                 .on_tick = daemon_on_tick,
                                 .arg = d},
        &d->ticker, reterr);
}

static enum err build_salvage(struct daemon *d, struct fault *reterr)
{
    const struct worker_options *opt = d->sv.opt;

    return salvage_new(loop_uv(d->sv.loop),
                       &(struct salvage_options){.redis = d->sv.redis,
                                                 .pg = d->sv.pg,
                                                 .producer = d->sv.producer,
                                                 .look_ms = (uint32_t)opt->salvage_look_ms,
                                                 .grace_ms = (uint32_t)opt->salvage_grace_ms,
                                                 .log = &d->sv.log},
                       &d->salvage, reterr);
}

static enum err build_sweeper(struct daemon *d, struct fault *reterr)
{
    const struct worker_options *opt = d->sv.opt;
    uv_loop_t *uv = loop_uv(d->sv.loop);
    enum err e = blob_keep_new(uv,
                               &(struct blob_keep_options){.dir = opt->blob_dir,
                                                           .every_ms = opt->blob_keep_ms,
                                                           .ask = daemon_on_keep,
                                                           .arg = d},
                               &d->keep, reterr);

    if (e != ERR_OK || opt->sweep_every_ms == 0)
        return e;
    return sweeper_new(uv,
                       &(struct sweeper_options){.redis = d->sv.redis,
                                                 .pg = &d->sv.pg,
                                                 .dir = opt->blob_dir,
                                                 .every_ms = opt->sweep_every_ms,
                                                 .grace_ms = opt->blob_grace_ms,
                                                 .metrics = d->sv.metrics,
                                                 .log = &d->sv.log},
                       &d->sweeper, reterr);
}

static enum err build(struct daemon *d, struct fault *reterr)
{
    const struct worker_options *opt = d->sv.opt;
    enum err e;

    if (opt->lease_ms < 3 * opt->beat_ms)
        return fault_set(reterr, ERR_MALFORMED, 0,
                         "LEASE: %" PRIu64
                         "ms is out of range, at least three times BEAT, %" PRIu64 "ms",
                         opt->lease_ms, 3 * opt->beat_ms);
    e = instance_open(opt, &d->instance, reterr);
    d->sv.spool = d->instance.spool;
    if (e == ERR_OK)
        e = build_flight(d, reterr);
    if (e == ERR_OK)
        e = parse_secrets(&d->sv, reterr);
    if (e == ERR_OK)
        e = check_mail(opt, reterr);
    if (e == ERR_OK)
        e = build_connections(d, reterr);
    if (e == ERR_OK)
        e = build_pool(d, reterr);
    if (e == ERR_OK)
        e = build_memory(d, reterr);
    if (e == ERR_OK)
        e = build_lanes(d, reterr);
    if (e == ERR_OK)
        e = build_ticker(d, reterr);
    if (e == ERR_OK)
        e = build_salvage(d, reterr);
    if (e == ERR_OK)
        e = build_sweeper(d, reterr);
    if (e == ERR_OK && opt->metrics_listen != NULL)
        e = metrics_listener_new(loop_uv(d->sv.loop), opt->metrics_listen, d->sv.metrics,
                                 &d->sv.log, &d->listener, reterr);
    return e;
}

static void on_unmade(void *arg)
{
    bool *unmade = arg;

    *unmade = true;
}

/* The loop does not run yet, so it is turned here. */
static void unmake(struct daemon *d)
{
    uv_loop_t *uv = loop_uv(d->sv.loop);
    bool unmade = false;

    daemon_drain(&d, 0, on_unmade, &unmade);
    while (!unmade)
        (void)uv_run(uv, UV_RUN_ONCE);
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
        unmake(d);
    return e;
}
