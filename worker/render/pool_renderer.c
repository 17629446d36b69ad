#include "worker/render/pool_renderer.h"

#include <signal.h>
#include <string.h>

#include "shared/clock.h"
#include "worker/render/pool_dir.h"
#include "worker/render/pool_verdict.h"

#define MAGIC      0x72656e64u
#define DISMISS_MS 2000

static const char *const state_names[] = {
    [RENDERER_SPAWNING] = "spawning", [RENDERER_IDLE] = "idle",     [RENDERER_BUSY] = "busy",
    [RENDERER_RETIRING] = "retiring", [RENDERER_KILLED] = "killed", [RENDERER_DEAD] = "dead",
};
/* From each state, a bit for each that may follow. */
#define TO(s) (1u << RENDERER_##s)
static const unsigned moves[] = {
    [RENDERER_SPAWNING] = TO(IDLE) | TO(KILLED) | TO(DEAD),
    [RENDERER_IDLE] = TO(BUSY) | TO(RETIRING) | TO(KILLED) | TO(DEAD),
    [RENDERER_BUSY] = TO(IDLE) | TO(RETIRING) | TO(KILLED) | TO(DEAD),
    [RENDERER_RETIRING] = TO(KILLED) | TO(DEAD),
    [RENDERER_KILLED] = TO(DEAD),
    [RENDERER_DEAD] = 0,
};

static struct renderer *renderer_of(const uv_handle_t *h)
{
    struct renderer *r = h->data;

    must(r != NULL && r->magic == MAGIC);
    return r;
}

void renderer_set_state(struct renderer *r, enum renderer_state s)
{
    struct render_pool *p = r->pool;

    must((moves[r->state] & 1u << s) != 0);
    log_debug(p->log, "renderer.state", LOG_U("renderer", r->k),
              LOG_S("from", state_names[r->state]), LOG_S("to", state_names[s]));
    p->count[r->state]--;
    p->count[s]++;
    r->state = s;
    gauge_set(p->metrics.busy, p->count[RENDERER_BUSY]);
    gauge_set(p->metrics.idle, p->count[RENDERER_IDLE]);
}

/* --- end of an order ------------------------------------------------------------------------- */

static struct render_ticket *let_go(struct renderer *r)
{
    struct render_ticket *t = r->ticket;

    must(t != NULL);
    (void)uv_timer_stop(&r->timer);
    r->ticket = NULL;
    t->renderer = NULL;
    r->pool->running--;
    r->pool->running_slow -= t->slow && t->wide;
    pool_dir_clear(r->dir, t->n_marks, t->n_wants);
    return t;
}

void renderer_end_order(struct renderer *r, enum err e, const struct fault *why)
{
    struct render_ticket *t = let_go(r);

    histogram_add_us(r->pool->metrics.wall, clock_now_us() - t->began_us);
    pool_end_ticket(r->pool, t, e, why);
}

static void retire(struct renderer *r, const char *why, uint64_t value)
{
    log_info(r->pool->log, "renderer.retired", LOG_U("renderer", r->k), LOG_S("why", why),
             LOG_U("value", value));
    counter_add(r->pool->metrics.retired, 1);
    renderer_set_state(r, RENDERER_RETIRING);
    pool_child_dismiss(r->child);
}

static void on_timer(uv_timer_t *timer);

/* After an order that left the renderer in order. */
static void rest(struct renderer *r, uint64_t rss)
{
    struct render_pool *p = r->pool;

    r->jobs++;
    if (r->jobs >= p->recycle_jobs)
        retire(r, "orders", r->jobs);
    else if (rss > p->recycle_rss)
        retire(r, "memory", rss);
    else
        renderer_set_state(r, RENDERER_IDLE);
    if (r->state == RENDERER_RETIRING)
        (void)uv_timer_start(&r->timer, on_timer, DISMISS_MS, 0);
    pool_turn(p);
}

void renderer_kill(struct renderer *r, enum err e, const char *fmt, ...)
{
    char text[sizeof r->verdict.text];
    va_list ap;

    if (r->state == RENDERER_KILLED || r->state == RENDERER_DEAD)
        return;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    (void)fault_set(&r->verdict, e, e == ERR_CRASHED ? SIGKILL : 0, "%s", text);
    renderer_set_state(r, RENDERER_KILLED);
    (void)uv_timer_stop(&r->timer);
    pool_child_kill(r->child);
}

/* --- end of the process ---------------------------------------------------------------------- */

void renderer_free_if_gone(struct renderer *r)
{
    struct render_pool *p = r->pool;

    if (r->handles > 0 || r->copying)
        return;
    if (r->dir != NULL)
        pool_dir_remove(r->dir);
    p->count[r->state]--;
    *r->back = r->next;
    if (r->next != NULL)
        r->next->back = r->back;
    free(r->dir);
    r->magic = 0;
    free(r);
    pool_on_renderer_gone(p);
}

static void on_timer_closed(uv_handle_t *h)
{
    struct renderer *r = renderer_of(h);

    r->handles--;
    renderer_free_if_gone(r);
}

static void on_child_closed(void *arg)
{
    struct renderer *r = arg;

    r->handles--;
    renderer_free_if_gone(r);
}

static void close_renderer(struct renderer *r)
{
    uv_close((uv_handle_t *)&r->timer, on_timer_closed);
    if (r->child != NULL)
        pool_child_close(&r->child, on_child_closed, r);
}

static enum pool_death death_of(const struct renderer *r)
{
    if (!r->greeted)
        return POOL_DEATH_START;
    if (r->verdict.err == ERR_OK)
        return POOL_DEATH_CRASH;
    if (r->verdict.err == ERR_TIMEOUT)
        return POOL_DEATH_TIMEOUT;
    return r->verdict.err == ERR_CANCELED ? POOL_DEATH_CANCEL : POOL_DEATH_BAD_REPORT;
}

static void log_death(const struct renderer *r, const struct fault *why, const char *tail)
{
    char job[UUID_TEXT_SIZE] = "";

    if (r->ticket != NULL)
        (void)uuid_text(&r->ticket->job, job);
    if (why->err == ERR_CANCELED)
        log_info(r->pool->log, "renderer.killed", LOG_U("renderer", r->k),
                 LOG_S("why", why->text), LOG_S("job", job));
    else
        log_warn(r->pool->log, "renderer.died", LOG_U("renderer", r->k),
                 LOG_S("why", why->text), LOG_S("job", job), LOG_S("stderr", tail));
}

static void on_end(void *arg, const struct pool_child_end *end)
{
    struct renderer *r = arg;
    struct render_pool *p = r->pool;
    bool dismissed =
        r->state == RENDERER_RETIRING || (r->state == RENDERER_KILLED && p->closing);
    struct fault why;

    (void)pool_verdict(end, p->limits.memory_bytes, &why);
    if (r->verdict.err != ERR_OK)
        why = r->verdict;
    (void)uv_timer_stop(&r->timer);
    renderer_set_state(r, RENDERER_DEAD);
    if (!dismissed) {
        log_death(r, &why, end->tail);
        counter_add(p->metrics.deaths[death_of(r)], 1);
    }
    if (r->ticket != NULL)
        renderer_end_order(r, why.err, &why);
    if (!r->greeted && !p->closing)
        pool_on_start_failed(p, r->round, why.text);
    close_renderer(r);
    pool_turn(p);
}

/* --- what it says ---------------------------------------------------------------------------- */

static void take_hello(struct renderer *r, const struct wire_hello *m)
{
    struct render_pool *p = r->pool;

    if (m->version != WIRE_VERSION) {
        renderer_kill(r, ERR_CRASHED, "the renderer speaks version %u and the worker %u",
                      m->version, WIRE_VERSION);
        return;
    }
    (void)uv_timer_stop(&r->timer);
    r->greeted = true;
    renderer_set_state(r, RENDERER_IDLE);
    log_debug(p->log, "renderer.ready", LOG_U("renderer", r->k),
              LOG_I("pid", pool_child_pid(r->child)), LOG_S("vips", m->vips),
              LOG_U("landlock", m->landlock));
    if (m->landlock == 0 && !p->told_of_landlock)
        log_warn(p->log, "renderer.no_landlock",
                 LOG_S("text", "no Landlock, by the kernel or by an outer filter of calls: "
                               "renderers could open any file of their user"));
    p->told_of_landlock = true;
    pool_on_hello(p);
    pool_turn(p);
}

/* A renderer may name these; others would be lies, or decide for the worker. */
static enum err believable(enum err e)
{
    bool known = e == ERR_MALFORMED || e == ERR_TOO_BIG || e == ERR_UNSUPPORTED ||
                 e == ERR_NOMEM || e == ERR_IO;

    return known ? e : ERR_INTERNAL;
}

static void take_report(struct renderer *r, const struct wire_report *m)
{
    struct render_pool *p = r->pool;
    struct fault why = {0};
    enum err e;

    histogram_add_us(p->metrics.cpu, m->cpu_us);
    if (m->err != ERR_OK) {
        e = fault_set(&why, believable(m->err), 0, "%s", m->text);
    } else {
        e = ticket_take_report(r->ticket, m, r->dir, p->spool, p->limits.output_pixels, &why);
        if (e == ERR_CRASHED) {
            renderer_kill(r, ERR_CRASHED, "%s", why.text);
            return;
        }
    }
    renderer_end_order(r, e, &why);
    rest(r, m->rss);
}

/* The renderer of an order that is not wide has dropped it by itself. */
static void take_slow(struct renderer *r)
{
    struct render_pool *p = r->pool;
    struct render_ticket *t = r->ticket;

    if (!t->wide) {
        t = let_go(r);
        ticket_list_put_back(&p->line, t);
        renderer_set_state(r, RENDERER_IDLE);
    } else {
        p->running_slow++;
    }
    pool_mark_slow(p, t);
    pool_turn(p);
}

static void on_message(void *arg, const struct wire_msg *msg)
{
    struct renderer *r = arg;
    bool busy = r->state == RENDERER_BUSY && !r->copying;

    if (r->state == RENDERER_SPAWNING && msg->kind == WIRE_HELLO) {
        take_hello(r, &msg->u.hello);
    } else if (busy && msg->kind == WIRE_SLOW && msg->u.slow.id == r->ticket->id &&
               !r->ticket->slow && r->pool->slow_us > 0) {
        take_slow(r);
    } else if (busy && msg->kind == WIRE_PROGRESS && msg->u.progress.id == r->ticket->id) {
        if (r->ticket->on_progress != NULL)
            r->ticket->on_progress(r->ticket->arg, msg->u.progress.pct);
    } else if (busy && msg->kind == WIRE_REPORT && msg->u.report.id == r->ticket->id) {
        take_report(r, &msg->u.report);
    } else {
        renderer_kill(r, ERR_CRASHED, "the renderer sent a message out of turn");
    }
}

static void on_garbage(void *arg, const struct fault *why)
{
    renderer_kill(arg, ERR_CRASHED, "the renderer sent %s", why->text);
}

/* --- an order -------------------------------------------------------------------------------- */

void renderer_begin(struct renderer *r, struct render_ticket *t)
{
    struct render_pool *p = r->pool;

    renderer_set_state(r, RENDERER_BUSY);
    r->ticket = t;
    t->renderer = r;
    t->id = ++p->next_id;
    t->began_us = clock_now_us();
    p->running++;
    p->running_slow += t->slow && t->wide;
    (void)uv_timer_start(&r->timer, on_timer, t->timeout_ms, 0);
    r->next_file = 0;
    renderer_feed(r);
}

/* --- start ----------------------------------------------------------------------------------- */

static void on_timer(uv_timer_t *timer)
{
    struct renderer *r = renderer_of((uv_handle_t *)timer);

    if (r->state == RENDERER_BUSY)
        renderer_kill(r, ERR_TIMEOUT, "the renderer was killed after %u ms",
                      r->ticket->timeout_ms);
    else if (r->state == RENDERER_SPAWNING)
        renderer_kill(r, ERR_CRASHED, "the renderer was not ready after %u ms",
                      r->pool->hello_ms);
    else
        renderer_kill(r, ERR_CANCELED, "the renderer did not leave when dismissed");
}

static struct renderer *renderer_new(struct render_pool *p)
{
    struct renderer *r = calloc(1, sizeof *r);

    if (r == NULL)
        return NULL;
    r->magic = MAGIC;
    r->pool = p;
    r->k = p->next_k++;
    r->round = p->round;
    r->state = RENDERER_SPAWNING;
    p->count[RENDERER_SPAWNING]++;
    (void)uv_timer_init(p->loop, &r->timer);
    r->timer.data = r;
    r->handles = 1;
    r->next = p->renderers;
    r->back = &p->renderers;
    if (r->next != NULL)
        r->next->back = &r->next;
    p->renderers = r;
    return r;
}

static enum err start_child(struct renderer *r, struct fault *reterr)
{
    static const struct pool_child_events events = {
        .on_message = on_message, .on_garbage = on_garbage, .on_end = on_end};
    struct render_pool *p = r->pool;
    enum err e = pool_dir_make(p->spool, r->k, &r->dir, reterr);

    if (e == ERR_OK)
        e = pool_child_new(p->loop, &events, r, &r->child, reterr);
    if (e != ERR_OK)
        return e;
    r->handles++;
    return pool_child_start(
        r->child,
        &(struct pool_child_options){.program = p->program,
                                     .dir = r->dir,
                                     .fonts = p->fonts,
                                     .svg = p->limits.svg_bytes > 0,
                                     .memory_bytes = p->limits.memory_bytes},
        reterr);
}

void renderer_spawn(struct render_pool *p)
{
    struct renderer *r = renderer_new(p);
    struct fault why;

    if (r == NULL) {
        pool_on_start_failed(p, p->round, "no memory");
        return;
    }
    counter_add(p->metrics.spawned, 1);
    if (start_child(r, &why) == ERR_OK) {
        (void)uv_timer_start(&r->timer, on_timer, p->hello_ms, 0);
        return;
    }
    renderer_set_state(r, RENDERER_DEAD);
    counter_add(p->metrics.deaths[POOL_DEATH_START], 1);
    close_renderer(r);
    pool_on_start_failed(p, r->round, why.text);
}
