/* GET /v1/jobs/{id}/events: what becomes of a job, as server-sent events (sse.h), until its end.
 *
 *     look (Redis) --lives--> stream --(news: events)*--> end --> closed
 *        \--not live--> recall (PostgreSQL) --row--> end           any: the client leaves, the API drains, lost --> closed
 *
 * Nothing waits for a client that reads slowly but the newest news: what it missed is read from the
 * record when it has caught up. One that takes nothing for WRITE_TIMEOUT is dropped. */
#include "api/by_id.h"
#include "api/conn.h"
#include "api/endpoints/endpoints.h"
#include "api/reply.h"
#include "api/sse.h"
#include "api/watch.h"
#include "shared/clock.h"

struct stream {
    struct watcher watcher;
    struct request *rq;
    struct loop_later bury;
    struct uuid id;
    struct sse_place last;
    uint64_t answer_us; /* from the request to the first byte of the answer */
    uint32_t gap_to;    /* the attempt before which the record is read */
    bool placed;        /* last means something: the client was told it, or has told it */
    bool writing;       /* until the client has taken what was written */
    bool behind;        /* there was news while it did not */
    bool asking;        /* the record of ended attempts is being read */
    bool leaving;       /* it ends as soon as nothing is being written or read */
    bool over;
    bool unsure; /* Redis could not say whether the job lives */
};

/* --- the end --------------------------------------------------------------------------------- */

static void bury(void *arg)
{
    free(arg);
}

/* What lies in conn_out() goes out with it. The stream is freed at the end of the loop turn, because this may have been
 * called from inside a write. */
static void finish(struct stream *st)
{
    if (st->over)
        return;
    if (st->writing || st->asking) {
        st->leaving = true;
        return;
    }
    st->over = true;
    watch_end(&st->watcher);
    st->rq->on_leave = NULL;
    st->rq->began_us = clock_now_us() - st->answer_us;
    loop_later(st->rq->api->loop, &st->bury, bury, st);
    conn_answered(st->rq->conn, true);
}

/* --- writing --------------------------------------------------------------------------------- */

static void on_out(void *arg, bool gone)
{
    struct stream *st = arg;

    st->writing = false;
    if (gone || st->leaving) {
        finish(st);
    } else if (st->behind) {
        st->behind = false;
        watch_again(&st->watcher);
    }
}

static void write_out(struct stream *st)
{
    st->writing = true;
    st->watcher.wake_ms = clock_now_ms() + st->rq->api->opt->heartbeat_ms;
    conn_flush(st->rq->conn, on_out, st);
}

static void write_if_any(struct stream *st)
{
    if (conn_out(st->rq->conn)->len > 0)
        write_out(st);
}

static void start(struct stream *st)
{
    struct request *rq = st->rq;
    struct buf *out = conn_out(rq->conn);

    st->answer_us = clock_now_us() - rq->began_us;
    reply_start(rq, 200, true);
    buf_add_str(out, "content-type: text/event-stream\r\n"
                     "cache-control: no-store\r\n"
                     "x-accel-buffering: no\r\n\r\n"); /* the last: nginx holds nothing back */
}

/* --- news ------------------------------------------------------------------------------------ */

/* Attempts that were over before anybody looked. */
static void on_attempts(void *arg, enum err e, const struct ledger_row *row,
                        const struct ledger_parts *parts)
{
    struct stream *st = arg;

    (void)row;
    st->asking = false;
    if (st->leaving || st->rq->gone) {
        finish(st);
        return;
    }
    if (e == ERR_OK)
        sse_add_attempts(parts, st->gap_to, &st->last, conn_out(st->rq->conn));
    sse_skip_to(st->gap_to,
                &st->last); /* whatever the record said, it is asked once for these */
    write_if_any(st);
    if (st->writing)
        st->behind = true;
    else if (!st->over)
        watch_again(&st->watcher);
}

static bool ask_attempts(struct stream *st)
{
    struct pg *pg = st->rq->api->pg;

    st->asking = pg_is_up(pg) && ledger_job(pg, &st->id, on_attempts, st) == ERR_OK;
    return st->asking;
}

/* Without the record, what there is is told. */
static void tell_live(struct stream *st, const struct live_job *job)
{
    struct sse_place here = sse_place_of(job);

    if (st->placed && sse_has_gap(st->last, job)) {
        st->gap_to = job->attempt;
        if (ask_attempts(st))
            return;
    }
    if (!st->placed)
        st->last = (struct sse_place){here.attempt, 0};
    st->placed = true;
    sse_add_live(job, &st->last, conn_out(st->rq->conn));
    write_if_any(st);
}

static void tell_end(struct stream *st, const struct ledger_row *row,
                     const struct ledger_parts *parts)
{
    if (!st->placed)
        st->last = (struct sse_place){row->attempt, 100};
    sse_add_end(row, parts, &st->last, conn_out(st->rq->conn));
    finish(st);
}

static void beat(struct stream *st)
{
    buf_add_str(conn_out(st->rq->conn), ":\n\n");
    write_out(st);
}

static void on_news(struct watcher *w, const struct watch_news *news)
{
    struct stream *st = CONTAINER(w, struct stream, watcher);

    if (news->err == ERR_TIMEOUT)
        w->wake_ms = clock_now_ms() + st->rq->api->opt->heartbeat_ms;
    if (news->err == ERR_CANCELED || news->err == ERR_NOT_FOUND)
        finish(st);
    else if (st->writing || st->asking)
        st->behind = st->behind || news->err == ERR_OK;
    else if (news->err == ERR_TIMEOUT)
        beat(st);
    else if (news->row != NULL)
        tell_end(st, news->row, news->parts);
    else
        tell_live(st, news->live);
}

static void on_leave(struct request *rq)
{
    finish(rq->work);
}

/* --- the beginning --------------------------------------------------------------------------- */

static void refuse(struct stream *st, unsigned status, const char *why)
{
    reply_problem(st->rq, status, NULL, "%s", why);
    free(st);
}

static void begin(struct stream *st, const char *queue)
{
    struct request *rq = st->rq;
    enum err e;

    if (slice_is(rq->method, "HEAD")) {
        start(st);
        finish(st);
        return;
    }
    st->watcher.on_news = on_news;
    e = watch_begin(rq->api->watch, &st->watcher, queue, &st->id);
    if (e != ERR_OK) {
        refuse(st, 503,
               e == ERR_BUSY ? "as many clients as WATCHERS allows follow jobs already"
                             : "events cannot be followed now");
        return;
    }
    rq->work = st;
    rq->on_leave = on_leave;
    start(st);
    write_out(st);
    if (!st->over && conn_is_left(rq->conn))
        finish(st);
}

static void on_row(void *arg, enum err e, const struct ledger_row *row,
                   const struct ledger_parts *parts)
{
    struct stream *st = arg;
    struct request *rq = st->rq;

    if (e == ERR_OK && job_state_is_terminal(row->state)) {
        start(st);
        if (!slice_is(rq->method, "HEAD"))
            tell_end(st, row, parts);
        else
            finish(st);
    } else if (e == ERR_NOT_FOUND && !st->unsure) {
        refuse(st, 404, "there is no such job");
    } else {
        reply_unavailable(rq, "it cannot be told how the job stands",
                          e == ERR_OK ? ERR_UNREACHABLE : e);
        free(st);
    }
}

static void recall(struct stream *st)
{
    struct pg *pg = st->rq->api->pg;
    enum err e = pg_is_up(pg) ? ledger_job(pg, &st->id, on_row, st) : ERR_UNREACHABLE;

    if (e == ERR_OK)
        return;
    reply_unavailable(st->rq, "the record of jobs cannot be read", e);
    free(st);
}

static void on_live(void *arg, enum err e, const struct live_job *job)
{
    struct stream *st = arg;

    st->unsure = e != ERR_OK && e != ERR_NOT_FOUND;
    if (e == ERR_OK)
        begin(st, job->queue);
    else
        recall(st);
}

static void on_end(struct request *rq)
{
    struct stream *st;
    struct uuid id;

    if (!by_id_read(rq, "job", &id))
        return;
    st = calloc(1, sizeof *st);
    if (st == NULL) {
        reply_problem(rq, 503, NULL, "no memory for the answer");
        return;
    }
    st->rq = rq;
    st->id = id;
    st->placed = sse_place_parse(request_header(rq, "last-event-id"), &st->last);
    st->unsure = inspect_job(rq->api->redis, &id, on_live, st) != ERR_OK;
    if (st->unsure)
        recall(st);
}

const struct endpoint endpoint_job_events = {
    .method = "GET", .pattern = "/v1/jobs/{id}/events", .on_end = on_end};
