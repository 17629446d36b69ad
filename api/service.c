#include "api/service.h"

#include <sys/resource.h>
#include <unistd.h>

#include "api/api.h"
#include "api/recipes.h"
#include "api/server.h"
#include "api/upload_store.h"
#include "api/watch.h"
#include "queue/ledger.h"

#define SCHEMA_AGAIN_MS 2000

struct service {
    struct api api;
    struct upload_sweeper *sweeper;
    uv_timer_t schema;
    bool asking, closing;
    uint64_t drain_ms;
    size_t part;
    bool waiting;
    void (*on_closed)(void *arg);
    void *arg;
};

/* --- closing: one part after the other ----------------------------------------------------------- */

static void close_next(struct service *s);

static void on_part_closed(void *arg)
{
    struct service *s = arg;

    s->waiting = false;
    close_next(s);
}

/* Until it is gone, endpoints may still ask it. */
static void on_server_closed(void *arg)
{
    struct service *s = arg;

    s->api.server = NULL;
    on_part_closed(s);
}

static void close_server(struct service *s)
{
    s->waiting = s->api.server != NULL;
    if (s->api.watch != NULL)
        watch_hub_drain(s->api.watch); /* else the server would wait for those who wait */
    if (s->waiting)
        server_drain(s->api.server, s->drain_ms, on_server_closed, s);
}

static void close_sweeper(struct service *s)
{
    s->waiting = s->sweeper != NULL;
    if (s->waiting)
        upload_sweeper_close(&s->sweeper, on_part_closed, s);
}

static void close_watch(struct service *s)
{
    s->waiting = s->api.watch != NULL;
    if (s->waiting)
        watch_hub_close(&s->api.watch, on_part_closed, s);
}

static void close_producer(struct service *s)
{
    s->waiting = s->api.producer != NULL;
    if (s->waiting)
        producer_close(&s->api.producer, on_part_closed, s);
}

static void close_redis(struct service *s)
{
    s->waiting = s->api.redis != NULL;
    if (s->waiting)
        redis_close(&s->api.redis, on_part_closed, s);
}

static void close_pg(struct service *s)
{
    s->waiting = s->api.pg != NULL;
    if (s->waiting)
        pg_close(&s->api.pg, on_part_closed, s);
}

static void (*const parts[])(struct service *) = {close_server,   close_watch, close_sweeper,
                                                  close_producer, close_redis, close_pg};

static void on_timer_closed(uv_handle_t *h)
{
    struct service *s = h->data;
    void (*on_closed)(void *) = s->on_closed;
    void *arg = s->arg;

    metrics_free(&s->api.metrics);
    recipes_free(&s->api.recipes);
    free(s);
    on_closed(arg);
}

static void close_next(struct service *s)
{
    while (s->part < COUNT_OF(parts)) {
        parts[s->part++](s);
        if (s->waiting)
            return;
    }
    uv_close((uv_handle_t *)&s->schema, on_timer_closed);
}

void service_drain(struct service **p, uint64_t drain_ms, void (*on_closed)(void *arg),
                   void *arg)
{
    struct service *s = *p;

    *p = NULL;
    s->closing = true;
    s->drain_ms = drain_ms;
    s->on_closed = on_closed;
    s->arg = arg;
    (void)uv_timer_stop(&s->schema);
    close_next(s);
}

/* --- connections ---------------------------------------------------------------------------------- */

static void on_redis(void *arg, bool up, const char *why)
{
    struct service *s = arg;

    if (up)
        log_info(&s->api.log, "redis.up", LOG_S("where", redis_where(s->api.redis)));
    else
        log_warn(&s->api.log, "redis.down", LOG_S("where", redis_where(s->api.redis)),
                 LOG_S("why", why));
}

static void ask_schema(struct service *s);

static void on_schema_timer(uv_timer_t *t)
{
    ask_schema(t->data);
}

static void on_schema(void *arg, enum err e, unsigned version)
{
    struct service *s = arg;

    s->asking = false;
    if (s->closing)
        return;
    if (e == ERR_OK && version != ledger_version_wanted() &&
        (!s->api.schema_known || version != s->api.schema_version))
        log_error(&s->api.log, "schema.wrong", LOG_U("has", version),
                  LOG_U("wants", ledger_version_wanted()),
                  LOG_S("do", "run: millrace migrate"));
    if (e == ERR_OK) {
        s->api.schema_known = true;
        s->api.schema_version = version;
    }
    if (e != ERR_OK || version != ledger_version_wanted())
        must(uv_timer_start(&s->schema, on_schema_timer, SCHEMA_AGAIN_MS, 0) == 0);
}

static void ask_schema(struct service *s)
{
    if (s->closing || s->asking)
        return;
    s->asking = ledger_version(s->api.pg, on_schema, s) == ERR_OK;
    if (!s->asking)
        must(uv_timer_start(&s->schema, on_schema_timer, SCHEMA_AGAIN_MS, 0) == 0);
}

static void on_pg(void *arg, bool up, const char *why)
{
    struct service *s = arg;

    if (up) {
        log_info(&s->api.log, "postgres.up");
        ask_schema(s);
    } else {
        log_warn(&s->api.log, "postgres.down", LOG_S("why", why));
    }
}

/* --- building --------------------------------------------------------------------------------------- */

static void build_metrics(struct api *api)
{
    static const char *const labels[] = {NULL,           "code=\"1xx\"", "code=\"2xx\"",
                                         "code=\"3xx\"", "code=\"4xx\"", "code=\"5xx\""};

    for (size_t i = 1; i < COUNT_OF(labels); i++)
        api->requests[i] = metrics_counter(api->metrics, "millrace_http_requests_total",
                                           labels[i], "Requests answered, by class of status");
    api->latency = metrics_histogram(api->metrics, "millrace_http_request_seconds", NULL,
                                     "From a request's head to its answer");
    api->body_bytes = metrics_gauge(api->metrics, "millrace_http_body_bytes", NULL,
                                    "Bytes of request bodies held in memory now");
    api->redis_up = metrics_gauge(api->metrics, "millrace_redis_up", NULL,
                                  "1 while this process is connected to Redis");
    api->pg_up = metrics_gauge(api->metrics, "millrace_postgres_up", NULL,
                               "1 while this process is connected to PostgreSQL");
}

static enum err build(struct service *s, struct fault *reterr)
{
    struct api *api = &s->api;
    const struct api_options *opt = api->opt;
    uv_loop_t *uv = loop_uv(api->loop);
    enum err e = upload_store_prepare(opt->blob_dir, reterr);

    api->recipes = recipes_new(opt->recipe_age_ms);
    if (e == ERR_OK && api->recipes == NULL)
        e = fault_set(reterr, ERR_NOMEM, 0, "no memory for recipes");

    if (e == ERR_OK)
        e = redis_new(uv,
                      &(struct redis_options){.url = opt->redis_url,
                                              .name = "millrace-api",
                                              .command_ms = (uint32_t)opt->redis_ms,
                                              .log = &api->log},
                      &api->redis, reterr);
    if (e == ERR_OK)
        e = pg_new(uv,
                   &(struct pg_options){.url = opt->pg_url,
                                        .application = "millrace-api",
                                        .connections = (unsigned)opt->pg_connections,
                                        .unprepared = !opt->pg_prepared,
                                        .log = &api->log},
                   &api->pg, reterr);
    if (e == ERR_OK)
        e = producer_new(uv, api->redis,
                         &(struct producer_options){.max_pending = opt->pending_jobs,
                                                    .deadline_ms = (uint32_t)opt->redis_ms,
                                                    .caps = true},
                         &api->producer, reterr);
    if (e == ERR_OK)
        e = watch_hub_new(api, &api->watch, reterr);
    if (e == ERR_OK)
        e = server_new(api, &api->server, reterr);
    return e;
}

static void ignore(void *arg)
{
    (void)arg;
}

enum err service_new(struct loop *loop, const struct api_options *opt, struct service **ret,
                     struct fault *reterr)
{
    struct service *s = calloc(1, sizeof *s);
    char pid[16];
    enum err e;

    if (s == NULL)
        return fault_set(reterr, ERR_NOMEM, 0, "no memory for the API");
    s->api.loop = loop;
    s->api.opt = opt;
    (void)snprintf(pid, sizeof pid, "%d", (int)getpid());
    log_ctx_init(&s->api.log, NULL, "pid", pid); /* several API processes may share a log */
    must(uv_timer_init(loop_uv(loop), &s->schema) == 0);
    s->schema.data = s;
    s->api.metrics = metrics_new();
    if (s->api.metrics == NULL) {
        e = fault_set(reterr, ERR_NOMEM, 0, "no memory for metrics");
    } else {
        build_metrics(&s->api);
        e = build(s, reterr);
    }
    if (e == ERR_OK)
        *ret = s;
    else
        service_drain(&s, 0, ignore, NULL);
    return e;
}

/* Every connection needs a descriptor; take what the hard limit gives. */
static void raise_descriptor_limit(struct service *s)
{
    struct rlimit lim;

    if (getrlimit(RLIMIT_NOFILE, &lim) != 0)
        return;
    lim.rlim_cur = lim.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &lim) == 0 && lim.rlim_cur < s->api.opt->connections + 100)
        log_warn(&s->api.log, "limits.descriptors", LOG_U("have", lim.rlim_cur),
                 LOG_U("connections", s->api.opt->connections));
}

enum err service_start(struct service *s, struct fault *reterr)
{
    enum err e;

    raise_descriptor_limit(s);
    e = upload_sweeper_new(&s->api, &s->sweeper, reterr);
    if (e == ERR_OK)
        e = server_listen(s->api.server, reterr);
    if (e != ERR_OK)
        return e;
    redis_start(s->api.redis, on_redis, s);
    watch_hub_start(s->api.watch);
    pg_start(s->api.pg, on_pg, s);
    loop_ready(s->api.loop, "taking requests");
    return ERR_OK;
}
