#include "worker/render/pool_metrics.h"

/* What an order can end with; anything else counts as INTERNAL. */
static const struct {
    enum err err;
    const char *labels;
} results[] = {
    {ERR_OK, "result=\"ok\""},
    {ERR_NOMEM, "result=\"nomem\""},
    {ERR_TIMEOUT, "result=\"timeout\""},
    {ERR_CANCELED, "result=\"canceled\""},
    {ERR_MALFORMED, "result=\"malformed\""},
    {ERR_TOO_BIG, "result=\"too_big\""},
    {ERR_UNSUPPORTED, "result=\"unsupported\""},
    {ERR_NOT_FOUND, "result=\"not_found\""},
    {ERR_IO, "result=\"io\""},
    {ERR_CRASHED, "result=\"crashed\""},
    {ERR_INTERNAL, "result=\"internal\""},
};
static const char *const causes[POOL_DEATHS] = {
    [POOL_DEATH_TIMEOUT] = "cause=\"timeout\"",
    [POOL_DEATH_CANCEL] = "cause=\"cancel\"",
    [POOL_DEATH_CRASH] = "cause=\"crash\"",
    [POOL_DEATH_BAD_REPORT] = "cause=\"bad_report\"",
    [POOL_DEATH_START] = "cause=\"start\"",
};

static void init_orders(struct pool_metrics *pm, struct metrics *m)
{
    for (size_t i = 0; i < COUNT_OF(results); i++)
        pm->orders[-results[i].err] =
            metrics_counter(m, "millrace_render_orders_total", results[i].labels,
                            "Image orders ended, by result");
}

bool pool_metrics_init(struct pool_metrics *pm, struct metrics *m)
{
    *pm = (struct pool_metrics){0};
    if (m == NULL)
        m = pm->own = metrics_new();
    if (m == NULL)
        return false;
    init_orders(pm, m);
    for (size_t i = 0; i < POOL_DEATHS; i++)
        pm->deaths[i] = metrics_counter(m, "millrace_renderer_deaths_total", causes[i],
                                        "Renderers that died or were killed, by cause");
    pm->spawned =
        metrics_counter(m, "millrace_renderers_spawned_total", NULL, "Renderers started");
    pm->retired = metrics_counter(m, "millrace_renderers_retired_total", NULL,
                                  "Renderers dismissed for their age or size");
    pm->busy = metrics_gauge(m, "millrace_renderers", "state=\"busy\"", "Renderers, by state");
    pm->idle = metrics_gauge(m, "millrace_renderers", "state=\"idle\"", "Renderers, by state");
    pm->waiting =
        metrics_gauge(m, "millrace_render_waiting", NULL, "Orders in line for a renderer");
    pm->slow = metrics_gauge(m, "millrace_render_slow", NULL,
                             "Orders predicted to be slow, under way or in line");
    pm->wall =
        metrics_histogram(m, "millrace_render_seconds", NULL, "Time from order to report");
    pm->cpu = metrics_histogram(m, "millrace_render_cpu_seconds", NULL,
                                "Processor time of an order in its renderer");
    return true;
}

void pool_metrics_done(struct pool_metrics *pm)
{
    metrics_free(&pm->own);
}

void pool_metrics_order(struct pool_metrics *pm, enum err e)
{
    struct counter *c = -e < (int)COUNT_OF(pm->orders) ? pm->orders[-e] : NULL;

    counter_add(c == NULL ? pm->orders[-ERR_INTERNAL] : c, 1);
}
