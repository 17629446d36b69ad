#include "worker/render/pool.h"

#include <string.h>

#include "shared/backoff.h"
#include "worker/render/pool_dir.h"
#include "worker/render/pool_renderer.h"

#define MAGIC          0x72706f6cu
#define LINE_MAX_LEN   1000
#define SPARE          1 /* renderers more than may work: one that dies is replaced at once */
#define RESPAWN_MS     100
#define RESPAWN_CAP_MS 5000
#define FAILURES_MAX   3 /* starts; then waiting orders are given back */

static struct render_pool *pool_of(const uv_handle_t *h)
{
    struct render_pool *p = h->data;

    must(p != NULL && p->magic == MAGIC);
    return p;
}

/* --- calling back ---------------------------------------------------------------------------- */

static void close_if_over(struct render_pool *p);

static void tell_idle(struct render_pool *p)
{
    p->tell_idle = false;
    if (p->on_idle != NULL && !p->closing)
        p->on_idle(p->idle_arg);
}

/* All callbacks come from here: never from inside a call of ours, and in any state of a
 * renderer. */
static void on_soon(uv_idle_t *idle)
{
    struct render_pool *p = pool_of((uv_handle_t *)idle);

    /* No more than there are now: what these add waits for the next turn. */
    for (size_t n = p->ended.n; n > 0; n--) {
        struct render_ticket *t = ticket_list_take(&p->ended);

        ticket_deliver(&t);
    }
    if (p->tell_idle)
        tell_idle(p);
    if (p->ended.n == 0 && !p->tell_idle)
        (void)uv_idle_stop(idle);
    close_if_over(p);
}

static void call_back_soon(struct render_pool *p)
{
    (void)uv_idle_start(&p->soon, on_soon);
}

void pool_end_ticket(struct render_pool *p, struct render_ticket *t, enum err e,
                     const struct fault *why)
{
    t->err = e;
    if (e != ERR_OK)
        t->why = *why;
    t->ended = true;
    p->slow -= t->slow;
    gauge_set(p->metrics.slow, (int64_t)p->slow);
    pool_metrics_order(&p->metrics, e);
    ticket_list_add(&p->ended, t);
    call_back_soon(p);
}

/* --- handing out ----------------------------------------------------------------------------- */

/* The one that has worked most: its memory is warm, and the spare one stays small. */
static struct renderer *find_idle(const struct render_pool *p)
{
    struct renderer *best = NULL;

    for (struct renderer *r = p->renderers; r != NULL; r = r->next) {
        if (r->state == RENDERER_IDLE && (best == NULL || r->jobs > best->jobs))
            best = r;
    }
    return best;
}

/* Where slow ones have it all, there is one renderer more. */
static unsigned count_places(const struct render_pool *p)
{
    return p->slots + (p->running_slow >= p->slots ? SPARE : 0);
}

/* The oldest that may begin. What is not known to be slow is tried on the spare renderer. */
static struct render_ticket *find_order(const struct render_pool *p)
{
    struct render_ticket *t = p->line.first;

    if (p->running < p->slots)
        return t;
    if (p->running >= count_places(p))
        return NULL;
    while (t != NULL && t->slow)
        t = t->next;
    return t;
}

static void hand_out(struct render_pool *p)
{
    while (!p->closing) {
        struct render_ticket *t = find_order(p);
        struct renderer *r = t == NULL ? NULL : find_idle(p);

        if (r == NULL)
            return;
        ticket_list_remove(&p->line, t);
        t->wide = p->running < p->slots;
        renderer_begin(r, t);
    }
}

static void wish_orders(struct render_pool *p)
{
    p->tell_idle = true;
    call_back_soon(p);
}

void pool_mark_slow(struct render_pool *p, struct render_ticket *t)
{
    t->slow = true;
    p->slow++;
    gauge_set(p->metrics.slow, (int64_t)p->slow);
    wish_orders(p); /* there is room for quick ones beside it */
}

static unsigned count_alive(const struct render_pool *p)
{
    return p->count[RENDERER_SPAWNING] + p->count[RENDERER_IDLE] + p->count[RENDERER_BUSY];
}

static bool wants_renderer(const struct render_pool *p)
{
    if (!p->started || p->closing || uv_is_active((const uv_handle_t *)&p->respawn))
        return false;
    if (p->failures > 0 && p->count[RENDERER_SPAWNING] > 0)
        return false; /* one at a time, until it is known to work */
    return count_alive(p) < p->slots + SPARE;
}

void pool_turn(struct render_pool *p)
{
    hand_out(p);
    while (wants_renderer(p))
        renderer_spawn(p);
    gauge_set(p->metrics.waiting, (int64_t)p->line.n);
    if (find_order(p) == NULL && p->count[RENDERER_IDLE] > 0 && p->running < count_places(p) &&
        !p->closing)
        wish_orders(p);
}

/* --- starts that fail ------------------------------------------------------------------------ */

static void on_respawn(uv_timer_t *t)
{
    pool_turn(pool_of((uv_handle_t *)t));
}

static void give_back_line(struct render_pool *p, const char *why)
{
    struct render_ticket *t;
    struct fault fault;

    (void)fault_set(&fault, ERR_CRASHED, 0, "renderers do not start: %s", why);
    while ((t = ticket_list_take(&p->line)) != NULL)
        pool_end_ticket(p, t, ERR_CRASHED, &fault);
}

void pool_on_start_failed(struct render_pool *p, unsigned round, const char *why)
{
    uint64_t wait;

    if (p->closing || round != p->round)
        return;
    p->round++;
    wait = backoff_ms(RESPAWN_MS, RESPAWN_CAP_MS, p->failures++);
    log_error(p->log, "renderer.start_failed", LOG_S("why", why),
              LOG_U("failures", p->failures), LOG_U("retry_ms", wait));
    (void)uv_timer_start(&p->respawn, on_respawn, wait, 0);
    if (p->failures >= FAILURES_MAX && p->count[RENDERER_IDLE] + p->count[RENDERER_BUSY] == 0)
        give_back_line(p, why);
}

void pool_on_hello(struct render_pool *p)
{
    p->failures = 0;
    (void)uv_timer_stop(&p->respawn);
}

/* --- life ------------------------------------------------------------------------------------ */

static unsigned count_cores(void)
{
    unsigned n = uv_available_parallelism();

    return n == 0 ? 1 : n;
}

static uint64_t or_default(uint64_t value, uint64_t otherwise)
{
    return value == 0 ? otherwise : value;
}

static void take_options(struct render_pool *p, const struct render_pool_options *o)
{
    p->slots = o->renderers == 0 ? count_cores() : o->renderers;
    p->recycle_jobs = (unsigned)or_default(o->recycle_jobs, 1000);
    p->recycle_rss = or_default(o->recycle_rss, 512ull << 20);
    p->hello_ms = (uint32_t)or_default(o->hello_ms, 10000);
    p->slow_us = o->slow_us;
    p->limits.source_bytes = or_default(o->limits.source_bytes, 64ull << 20);
    p->limits.pixels = or_default(o->limits.pixels, 100000000);
    p->limits.output_pixels = or_default(o->limits.output_pixels, 100000000);
    p->limits.output_bytes = or_default(o->limits.output_bytes, 128ull << 20);
    p->limits.frames = or_default(o->limits.frames, 500);
    p->limits.svg_bytes = o->limits.svg_bytes;
    p->limits.cpu_ms = or_default(o->limits.cpu_ms, 120000);
    p->limits.memory_bytes = or_default(o->limits.memory_bytes, 2ull << 30);
    p->log = o->log;
    p->program = strdup(o->program);
    p->spool = strdup(o->spool_dir);
    p->fonts = strdup(o->fonts == NULL ? "" : o->fonts);
}

static void free_pool(struct render_pool *p)
{
    pool_metrics_done(&p->metrics);
    free(p->program);
    free(p->spool);
    free(p->fonts);
    p->magic = 0;
    free(p);
}

static void add_handle(struct render_pool *p, uv_handle_t *h)
{
    h->data = p;
    p->handles++;
}

enum err render_pool_new(uv_loop_t *loop, const struct render_pool_options *opt,
                         struct render_pool **ret, struct fault *reterr)
{
    struct render_pool *p = calloc(1, sizeof *p);
    enum err e;

    if (p == NULL)
        return fault_set(reterr, ERR_NOMEM, 0, "no memory for the renderers");
    p->magic = MAGIC;
    p->loop = loop;
    take_options(p, opt);
    e = p->program != NULL && p->spool != NULL && p->fonts != NULL &&
                pool_metrics_init(&p->metrics, opt->metrics)
            ? pool_dir_prepare(p->spool, reterr)
            : fault_set(reterr, ERR_NOMEM, 0, "no memory for the renderers");
    if (e != ERR_OK) {
        free_pool(p);
        return e;
    }
    ticket_list_init(&p->line);
    ticket_list_init(&p->ended);
    (void)uv_timer_init(loop, &p->respawn);
    add_handle(p, (uv_handle_t *)&p->respawn);
    (void)uv_idle_init(loop, &p->soon);
    add_handle(p, (uv_handle_t *)&p->soon);
    *ret = p;
    return ERR_OK;
}

void render_pool_start(struct render_pool *p, void (*on_idle)(void *arg), void *arg)
{
    p->on_idle = on_idle;
    p->idle_arg = arg;
    p->started = true;
    pool_turn(p);
}

size_t render_pool_size(const struct render_pool *p)
{
    return p->slots;
}

size_t render_pool_slow(const struct render_pool *p)
{
    return p->slow;
}

/* NOLINTNEXTLINE(readability-function-size): seven things are needed, each of another kind */
enum err render_pool_run(struct render_pool *p, const struct render_order *order,
                         render_progress_fn *on_progress, render_done_fn *on_done, void *arg,
                         struct render_ticket **ret, struct fault *reterr)
{
    struct render_ticket *t = NULL;
    enum err e;

    must(p->magic == MAGIC && !p->closing);
    if (p->line.n >= LINE_MAX_LEN)
        return fault_set(reterr, ERR_BUSY, 0, "%zu orders wait for a renderer", p->line.n);
    e = ticket_new(order, &t, reterr);
    if (e != ERR_OK)
        return e;
    t->pool = p;
    t->seq = p->next_seq++;
    t->on_progress = on_progress;
    t->on_done = on_done;
    t->arg = arg;
    *ret = t;
    ticket_list_add(&p->line, t);
    pool_turn(p);
    return ERR_OK;
}

void render_pool_cancel(struct render_ticket *t)
{
    struct fault why;

    must(t != NULL && t->magic == TICKET_MAGIC);
    if (t->ended)
        return;
    if (t->renderer != NULL) {
        renderer_kill(t->renderer, ERR_CANCELED, "canceled");
        return;
    }
    ticket_list_remove(&t->pool->line, t);
    pool_end_ticket(t->pool, t, fault_set(&why, ERR_CANCELED, 0, "canceled"), &why);
}

/* --- close ----------------------------------------------------------------------------------- */

static void on_handle_closed(uv_handle_t *h)
{
    struct render_pool *p = pool_of(h);
    render_pool_closed_fn *on_closed = p->on_closed;
    void *arg = p->closed_arg;

    if (--p->handles > 0)
        return;
    free_pool(p);
    if (on_closed != NULL)
        on_closed(arg);
}

static void close_if_over(struct render_pool *p)
{
    if (!p->closing || p->closed || p->renderers != NULL || p->ended.n > 0)
        return;
    p->closed = true;
    uv_close((uv_handle_t *)&p->respawn, on_handle_closed);
    uv_close((uv_handle_t *)&p->soon, on_handle_closed);
}

void pool_on_renderer_gone(struct render_pool *p)
{
    close_if_over(p);
}

void render_pool_close(struct render_pool **pool, render_pool_closed_fn *on_closed, void *arg)
{
    struct render_pool *p = *pool;
    struct render_ticket *t;
    struct fault why;

    if (p == NULL)
        return;
    *pool = NULL;
    p->closing = true;
    p->on_closed = on_closed;
    p->closed_arg = arg;
    (void)uv_timer_stop(&p->respawn);
    (void)fault_set(&why, ERR_CANCELED, 0, "the worker is shutting down");
    while ((t = ticket_list_take(&p->line)) != NULL)
        pool_end_ticket(p, t, ERR_CANCELED, &why);
    for (struct renderer *r = p->renderers; r != NULL; r = r->next)
        renderer_kill(r, ERR_CANCELED, "%s", why.text);
    close_if_over(p);
}
