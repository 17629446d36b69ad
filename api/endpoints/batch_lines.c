/* The NDJSON form of POST /v1/jobs/batch: a job a line in, a verdict a line out, both streamed.
 *
 *     bytes --> lines --> submissions --> producer (at most WINDOW_JOBS, WINDOW_BYTES on their way) --> verdict lines
 *                  \--a recipe that is not at hand--> fetch --> once more
 *
 * Nothing is read while Redis, or a client that does not take its verdicts, is slow: so memory is bounded however
 * long the stream is. Verdicts come as they are known, each with its line's number; the last line sums up. When the queue
 * cannot be reached the stream stops there, and the sum says so. A client that goes away leaves what it was told.
 * With an Idempotency-Key each line's job is taken once, by the key and the line's number: a stream that was cut off
 * is sent again from its beginning, and what had been taken is answered as before. */
#include "api/api.h"
#include "api/conn.h"
#include "api/endpoints/batch.h"
#include "api/idempotency.h"
#include "api/recipe_flow.h"
#include "api/reply.h"
#include "api/verdict_reply.h"
#include "shared/ndjson.h"

#define WINDOW_JOBS  1024
#define WINDOW_BYTES ((size_t)1 << 20)
#define OUT_MAX      ((size_t)64 * 1024) /* verdicts that the client has not taken */
#define AGAIN_MS     10                  /* after the producer was full of others' jobs */

struct stream {
    struct request *rq; /* NULL once the client is gone */
    struct api *api;
    struct idempotency idem;
    struct ndjson in;
    struct buf out;             /* verdict lines for the next write */
    struct line *held;          /* judged good, and not taken by the producer yet */
    struct recipe_flow recipes; /* of the line that is checked */
    struct checked_line {
        struct line *line; /* NULL: none is */
        struct slice text; /* in the stream's input; in `kept` once it has to wait */
        struct buf kept;
        struct spec_fault why;
    } now;
    uv_timer_t again;
    size_t in_flight, bytes, counted; /* counted: in api->bodies */
    uint64_t accepted, rejected;
    enum err stopped; /* not ERR_OK: why no more lines are taken */
    bool waiting_for_key, braked, whole, writing, close, busy, finished;
    bool parsing; /* the connection's parser is on the stack: no answer may end now */
};

struct line {
    struct stream *stream;
    struct submission job;
    uint64_t number;
    uint8_t print[HASH_LEN];
};

static void go_on(struct stream *s);

/* --- the end ------------------------------------------------------------------------------------ */

static void line_free(struct line *l)
{
    if (l == NULL)
        return;
    submission_done(&l->job);
    free(l);
}

static void on_timer_closed(uv_handle_t *h)
{
    struct stream *s = h->data;

    ndjson_done(&s->in);
    buf_done(&s->out);
    buf_done(&s->now.kept);
    recipe_flow_done(&s->recipes);
    line_free(s->held);
    free(s);
}

static void count_memory(struct stream *s)
{
    size_t now = s->in.in.cap + s->out.cap + s->now.kept.cap;

    if (s->rq == NULL)
        return;
    s->api->bodies += (uint64_t)now - s->counted;
    s->counted = now;
}

static void forget_memory(struct stream *s)
{
    s->api->bodies -= s->counted;
    s->counted = 0;
}

/* Once nothing calls back any more. */
static void free_if_done(struct stream *s)
{
    if (s->finished || s->rq != NULL || s->in_flight > 0 || s->writing || s->waiting_for_key ||
        s->now.line != NULL || s->busy)
        return;
    s->finished = true;
    uv_close((uv_handle_t *)&s->again, on_timer_closed);
}

/* --- answering ---------------------------------------------------------------------------------- */

static void start_answer(struct stream *s)
{
    struct request *rq = s->rq;
    struct buf *out = conn_out(rq->conn);

    s->close = conn_ends(rq->conn) || rq->http10;
    reply_start(rq, 200, s->close);
    buf_add_str(out, "content-type: application/x-ndjson\r\nx-accel-buffering: no\r\n");
    buf_add_str(out, rq->http10 ? "\r\n" : "transfer-encoding: chunked\r\n\r\n");
}

static void move_out(struct stream *s)
{
    struct buf *out = conn_out(s->rq->conn);

    if (!s->rq->started)
        start_answer(s);
    if (!s->rq->http10)
        buf_addf(out, "%zx\r\n", s->out.len);
    buf_add_slice(out, buf_slice(&s->out));
    if (!s->rq->http10)
        buf_add_str(out, "\r\n");
    out->failed |= buf_failed(&s->out);
    buf_clear(&s->out);
}

static void on_out(void *arg, bool gone)
{
    struct stream *s = arg;

    (void)gone; /* on_abort() tells */
    s->writing = false;
    go_on(s);
}

static void flush(struct stream *s)
{
    if (s->writing || s->out.len == 0)
        return;
    move_out(s);
    s->writing = true;
    conn_flush(s->rq->conn, on_out, s);
}

static void add_sum(struct stream *s)
{
    buf_addf(&s->out, "{\"done\":%s,\"lines\":%llu,\"accepted\":%llu,\"rejected\":%llu",
             s->stopped == ERR_OK ? "true" : "false", (unsigned long long)s->in.line,
             (unsigned long long)s->accepted, (unsigned long long)s->rejected);
    if (s->stopped != ERR_OK)
        buf_addf(&s->out,
                 ",\"error\":{\"detail\":\"the queue cannot be reached: %s; lines without a "
                 "verdict were not taken\"}",
                 err_text(s->stopped));
    buf_add_str(&s->out, "}\n");
}

static void finish(struct stream *s)
{
    struct request *rq = s->rq;

    add_sum(s);
    move_out(s);
    if (!rq->http10)
        buf_add_str(conn_out(rq->conn), "0\r\n\r\n");
    idempotency_undone(rq, &s->idem, false); /* open for whoever comes with it again */
    s->rq = NULL;
    forget_memory(s);
    conn_answered(rq->conn, s->close);
}

/* --- a line ------------------------------------------------------------------------------------- */

static void tell(struct stream *s, uint64_t number, const struct fate *f)
{
    if (fate_status(f) < 300)
        s->accepted++;
    else
        s->rejected++;
    buf_addf(&s->out, "{\"line\":%llu,", (unsigned long long)number);
    fate_add_members(f, &s->out);
    buf_add_str(&s->out, "}\n");
}

static void on_judged(void *arg, enum err e, const struct producer_verdict *v,
                      const struct fault *why)
{
    struct line *l = arg;
    struct stream *s = l->stream;
    const struct fate f = {.job = &l->job, .err = e, .verdict = v};

    (void)why;
    s->in_flight--;
    s->bytes -= l->job.item.len;
    if (e != ERR_OK && v == NULL && s->stopped == ERR_OK)
        s->stopped = e;
    tell(s, l->number, &f);
    line_free(l);
    go_on(s);
}

/* Gives false when the producer has no room now; the line waits. */
static bool submit(struct stream *s, struct line *l)
{
    struct producer_job job = submission_job(&l->job);
    enum err e;

    if (s->idem.used) {
        job.once_ms = s->api->opt->idempotency_ms;
        job.match = slice_of(l->print, HASH_LEN);
    }
    e = producer_submit(s->api->producer, &job, on_judged, l);
    if (e == ERR_BUSY) {
        s->held = l;
        return false;
    }
    if (e == ERR_OK) {
        s->in_flight++;
        s->bytes += l->job.item.len;
        return true;
    }
    s->stopped = e;
    tell(s, l->number, &(struct fate){.job = &l->job, .err = e});
    line_free(l);
    return true;
}

static void name_line(struct stream *s, struct line *l, struct slice text)
{
    struct uuid id;

    if (!s->idem.used)
        return;
    id = uuid_derive(&s->idem.idem.id, (uint32_t)l->number);
    submission_rename(&l->job, &id);
    hash_sha256(text.ptr, text.len, l->print);
}

/* The text does not stay while a recipe is fetched: more is fed behind it. */
static enum err keep_text(struct checked_line *now)
{
    if (now->kept.len > 0)
        return ERR_NOT_FOUND;
    buf_add_slice(&now->kept, now->text);
    if (buf_failed(&now->kept)) {
        (void)spec_fault_set(&now->why, "", "no memory for the job");
        return ERR_NOMEM;
    }
    now->text = buf_slice(&now->kept);
    return ERR_NOT_FOUND;
}

static enum err check(void *arg, struct recipe_book *book)
{
    struct stream *s = arg;
    enum err e = submission_parse_with(s->now.text, (unsigned)s->api->opt->depth_max, book,
                                       &s->now.line->job, &s->now.why);

    return e == ERR_NOT_FOUND ? keep_text(&s->now) : e;
}

/* Nobody waits for its verdict once the client is gone, or the stream has stopped. */
static void end_check(struct stream *s, enum err e)
{
    struct line *l = s->now.line;
    bool awaited = s->rq != NULL && s->stopped == ERR_OK;

    s->now.line = NULL;
    recipe_flow_reset(&s->recipes);
    if (awaited && e == ERR_OK) {
        name_line(s, l, s->now.text);
        (void)submit(s, l);
    } else {
        if (awaited)
            tell(s, l->number, &(struct fate){.err = e, .fault = &s->now.why});
        line_free(l);
    }
    buf_done(&s->now.kept);
    go_on(s);
}

static void on_checked(void *arg, enum err e)
{
    end_check(arg, e);
}

/* The others may go on: not each of them names a recipe. */
static void on_away(void *arg, enum err e)
{
    struct stream *s = arg;

    (void)spec_fault_set(&s->now.why, "", RECIPE_FLOW_AWAY ": %s; try again in a moment",
                         err_text(e));
    end_check(s, ERR_UNREACHABLE);
}

static void take_line(struct stream *s, struct slice text)
{
    static const struct recipe_user user = {check, on_checked, on_away};
    struct spec_fault why = {"", "no memory for the job"};
    struct line *l = calloc(1, sizeof *l);

    if (l == NULL) {
        tell(s, s->in.line, &(struct fate){.err = ERR_NOMEM, .fault = &why});
        return;
    }
    l->stream = s;
    l->number = s->in.line;
    s->now.line = l;
    s->now.text = text;
    recipe_flow_run(&s->recipes, &user, s);
}

static void refuse_long(struct stream *s)
{
    struct spec_fault why;

    (void)spec_fault_set(&why, "", "the line is longer than LINE_MAX");
    tell(s, s->in.line, &(struct fate){.err = ERR_TOO_BIG, .fault = &why});
}

/* --- the stream --------------------------------------------------------------------------------- */

static bool has_room(const struct stream *s)
{
    return s->rq != NULL && s->stopped == ERR_OK && !s->waiting_for_key && s->held == NULL &&
           s->now.line == NULL && s->in_flight < WINDOW_JOBS && s->bytes < WINDOW_BYTES &&
           s->out.len < OUT_MAX;
}

static void retry_held(struct stream *s)
{
    struct line *l = s->held;

    s->held = NULL;
    if (l != NULL)
        (void)submit(s, l);
}

static void on_again(uv_timer_t *t)
{
    go_on(t->data);
}

/* Gives true when all that was fed has been taken. */
static bool take_lines(struct stream *s)
{
    struct slice text;

    retry_held(s);
    while (has_room(s)) {
        switch (ndjson_next(&s->in, &text)) {
        case NDJSON_MORE:
            return true;
        case NDJSON_LINE:
            take_line(s, text);
            break;
        case NDJSON_TOO_LONG:
            refuse_long(s);
            break;
        }
    }
    if (s->held != NULL && s->in_flight == 0)
        (void)uv_timer_start(&s->again, on_again, AGAIN_MS, 0);
    return false;
}

static bool is_over(const struct stream *s, bool taken)
{
    return s->rq != NULL && !s->parsing && s->in_flight == 0 && s->held == NULL &&
           s->now.line == NULL && !s->writing && ((s->whole && taken) || s->stopped != ERR_OK);
}

/* Whatever has happened: takes on what there is room for, writes, reads on, or ends. */
static void go_on(struct stream *s)
{
    bool taken = false;

    if (s->busy)
        return;
    s->busy = true;
    do {
        taken = s->rq != NULL && take_lines(s);
        if (s->rq != NULL && (s->in_flight == 0 || s->out.len >= OUT_MAX / 4))
            flush(s);
        count_memory(s);
    } while (!taken && has_room(s)); /* what was written at once has made room */
    s->busy = false;
    if (is_over(s, taken)) {
        finish(s);
    } else if (s->rq != NULL && taken && s->braked && !s->whole && !s->parsing) {
        s->braked = false;
        request_resume(s->rq);
    }
    free_if_done(s);
}

static void on_key(void *arg, bool go)
{
    struct stream *s = arg;

    s->waiting_for_key = false;
    if (!go) {
        s->rq = NULL; /* answered */
        forget_memory(s);
    }
    go_on(s);
}

/* The body is not known yet: the lines are compared by themselves. */
static bool begin_key(struct stream *s)
{
    struct uuid base = uuid_v7();

    if (!idempotency_read(s->rq, SLICE_LIT("lines"), &s->idem))
        return false;
    s->waiting_for_key = s->idem.used;
    if (s->idem.used)
        idempotency_begin(s->rq, &s->idem, &base, on_key, s);
    return true;
}

void batch_lines_begin(struct request *rq)
{
    struct stream *s = calloc(1, sizeof *s);

    if (s == NULL) {
        reply_problem(rq, 503, NULL, "no memory for the batch");
        return;
    }
    s->rq = rq;
    s->api = rq->api;
    s->in.max = rq->api->opt->line_max;
    recipe_flow_init(&s->recipes, rq->api, RECIPES_PER_JOB);
    must(uv_timer_init(loop_uv(rq->api->loop), &s->again) == 0);
    s->again.data = s;
    rq->work = s;
    s->busy = true;
    if (!begin_key(s))
        s->rq = NULL;
    s->busy = false;
    free_if_done(s);
}

bool batch_lines_body(struct request *rq, struct slice piece)
{
    struct stream *s = rq->work;

    if (s->stopped != ERR_OK)
        return true;
    if (!ndjson_feed(&s->in, piece))
        s->stopped = ERR_NOMEM;
    s->parsing = true;
    go_on(s);
    s->parsing = false;
    s->braked = !ndjson_is_drained(&s->in);
    if (s->stopped != ERR_OK)
        (void)uv_timer_start(&s->again, on_again, 0, 0);
    return !s->braked;
}

void batch_lines_end(struct request *rq)
{
    struct stream *s = rq->work;

    ndjson_end(&s->in);
    s->whole = true;
    go_on(s);
}

void batch_lines_abort(struct request *rq)
{
    struct stream *s = rq->work;

    idempotency_undone(rq, &s->idem, false);
    idempotency_forget(&s->idem);
    s->rq = NULL;
    forget_memory(s);
    (void)uv_timer_stop(&s->again);
    free_if_done(s);
}
