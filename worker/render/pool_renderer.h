/* pool_renderer: one renderer's states (the picture is in pool.h), its timers, and its
 * order. Nobody else includes this.
 *
 *     pool_renderer.c  states, timers, what it says, its end
 *     pool_feed.c      how it gets an order: the files, then the message */
#ifndef WORKER_RENDER_POOL_RENDERER_H
#define WORKER_RENDER_POOL_RENDERER_H

#include "worker/render/pool_child.h"
#include "worker/render/pool_metrics.h"
#include "worker/render/pool_ticket.h"

enum renderer_state {
    RENDERER_SPAWNING,
    RENDERER_IDLE,
    RENDERER_BUSY,
    RENDERER_RETIRING,
    RENDERER_KILLED,
    RENDERER_DEAD,
};
#define RENDERER_STATES (RENDERER_DEAD + 1)

struct render_pool {
    uint32_t magic;
    uv_loop_t *loop;
    char *program, *spool, *fonts;
    struct render_limits limits;
    unsigned slots, recycle_jobs;
    uint64_t recycle_rss;
    uint32_t hello_ms;
    const struct log_ctx *log;
    struct pool_metrics metrics;
    struct renderer *renderers;
    unsigned count[RENDERER_STATES];
    unsigned running;      /* orders that a renderer has, alive or just killed */
    unsigned running_slow; /* of these */
    size_t slow;           /* with those in line */
    uint64_t slow_us, next_seq;
    unsigned next_k;
    uint64_t next_id;
    /* Starts that failed in a row. All that begin before the first of them fails count as one. */
    unsigned failures, round;
    bool started, closing, closed, tell_idle, told_of_landlock;
    struct ticket_list line, ended;
    uv_timer_t respawn;
    uv_idle_t soon; /* runs while there is something to call back about */
    unsigned handles;
    void (*on_idle)(void *arg);
    void *idle_arg;
    render_pool_closed_fn *on_closed;
    void *closed_arg;
};

struct renderer {
    uint32_t magic;
    struct render_pool *pool;
    struct renderer *next, **back;
    enum renderer_state state;
    unsigned k, round, jobs;
    bool greeted;
    char *dir;
    struct pool_child *child;
    uv_timer_t
        timer; /* hello, the order's deadline, or how long a dismissed one may take to leave */
    unsigned handles; /* the child (as one) and the timer */
    uv_fs_t copy;
    bool copying;
    size_t next_file; /* of the order: 0 is the source, then come the marks */
    struct render_ticket *ticket;
    struct fault verdict; /* why it was killed; err OK: it was not */
};

/* What pool.c knows that a renderer must tell. */
void pool_end_ticket(struct render_pool *p, struct render_ticket *t, enum err e,
                     const struct fault *why);
void pool_on_hello(struct render_pool *p);
void pool_on_start_failed(struct render_pool *p, unsigned round, const char *why);
/* It is known now that an order takes long. */
void pool_mark_slow(struct render_pool *p, struct render_ticket *t);
/* A renderer has changed its state: hand out orders, spawn what is missing. */
void pool_turn(struct render_pool *p);
void pool_on_renderer_gone(struct render_pool *p);

/* A failure to start is told through pool_on_start_failed, perhaps from inside. */
void renderer_spawn(struct render_pool *p);
void renderer_begin(struct renderer *r,
                    struct render_ticket *t); /* r is idle; t->wide is set */
/* Links the order's files into the renderer's directory, and sends it. What cannot be given ends the order. */
void renderer_feed(struct renderer *r);
/* Between these files. */
void renderer_set_state(struct renderer *r, enum renderer_state s);
void renderer_end_order(struct renderer *r, enum err e, const struct fault *why);
void renderer_free_if_gone(struct renderer *r);
void renderer_kill(struct renderer *r, enum err e, const char *fmt, ...) PRINTF_LIKE(3, 4);

#endif
