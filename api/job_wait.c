#include "api/job_wait.h"

#include "api/conn.h"
#include "api/prefer.h"
#include "shared/clock.h"

struct job_wait {
    struct watcher watcher;
    struct request *rq;
    uint64_t began_us;
    job_wait_fn *fn;
    void *arg;
};

static void finish(struct job_wait *w, const struct ledger_row *row,
                   const struct ledger_parts *parts)
{
    job_wait_fn *fn = w->fn;
    void *arg = w->arg;

    watch_end(&w->watcher);
    w->rq->on_leave = NULL;
    w->rq->work = NULL;
    w->rq->began_us +=
        clock_now_us() - w->began_us; /* what the job took is not the answer's time */
    free(w);
    fn(arg, row, parts);
}

static void on_news(struct watcher *watcher, const struct watch_news *news)
{
    struct job_wait *w = CONTAINER(watcher, struct job_wait, watcher);

    if (news->err != ERR_OK || news->row != NULL)
        finish(w, news->row, news->parts);
}

static void on_leave(struct request *rq)
{
    finish(rq->work, NULL, NULL);
}

bool job_wait_start(struct request *rq, const char *queue, const struct uuid *id,
                    job_wait_fn *fn, void *arg)
{
    uint64_t ms = prefer_wait(rq) * 1000, max_ms = rq->api->opt->wait_max_ms;
    struct job_wait *w;

    if (ms > max_ms)
        ms = max_ms;
    if (ms == 0 || conn_is_left(rq->conn))
        return false;
    w = calloc(1, sizeof *w);
    if (w == NULL)
        return false;
    w->rq = rq;
    w->began_us = clock_now_us();
    w->fn = fn;
    w->arg = arg;
    w->watcher.on_news = on_news;
    w->watcher.wake_ms = clock_now_ms() + ms;
    if (watch_begin(rq->api->watch, &w->watcher, queue, id) != ERR_OK) {
        free(w);
        return false;
    }
    rq->work = w;
    rq->on_leave = on_leave;
    rq->api->bodies -= rq->body.cap; /* nobody reads it any more */
    buf_done(&rq->body);
    return true;
}
