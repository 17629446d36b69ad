#include <inttypes.h>

#include "queue/consumer_internal.h"
#include "shared/failpoint.h"

#define SETTLE_FIELDS 5 /* id, attempt, kind, delay, error */
#define NEWS_FIELDS   4 /* id, attempt, progress, note */
#define NEWS_MS       100
#define NUMBER_SIZE   24

/* What settle.lua says of a job that it left alone. */
enum leave { LEAVE_NONE = 0, LEAVE_STALE = 1, LEAVE_GONE = 2, LEAVE_SAME = 3 };

/* The jobs of one call, in its order. */
struct settle_call {
    struct consumer *c;
    unsigned epoch;
    size_t n;
    struct {
        struct uuid id;
        uint32_t attempt;
        uint8_t leave;
    } job[CONSUMER_BATCH];
};

/* --- replies --------------------------------------------------------------------------------- */

static void end_job(struct consumer *c, struct held_job *job, enum err e)
{
    settle_fn *cb = job->cb;
    void *arg = job->arg;

    held_remove(&c->held, job);
    if (cb != NULL)
        cb(arg, e);
}

void consumer_drop_held(struct consumer *c, enum err e)
{
    for (struct held_job *job = held_any(&c->held); job != NULL; job = held_any(&c->held))
        end_job(c, job, e);
}

/* A settlement that was sent before may have been carried out then, its reply lost. */
static enum err verdict(const struct held_job *job, uint8_t leave)
{
    switch ((enum leave)leave) {
    case LEAVE_NONE:
        return ERR_OK;
    case LEAVE_GONE:
        return job->resent && job->kind == SETTLE_DONE ? ERR_OK : ERR_STALE;
    case LEAVE_SAME:
        return job->resent && job->kind != SETTLE_DONE ? ERR_OK : ERR_STALE;
    case LEAVE_STALE:
        return ERR_STALE;
    }
    return ERR_STALE;
}

static struct held_job *find_sent(const struct settle_call *call, size_t i)
{
    struct held_job *job = held_find(&call->c->held, &call->job[i].id);

    return job != NULL && job->attempt == call->job[i].attempt && job->state == HELD_SENT
               ? job
               : NULL;
}

static void read_leaves(struct settle_call *call, const redisReply *reply)
{
    for (size_t i = 0; i + 2 <= reply->elements; i += 2) {
        const redisReply *at = reply->element[i], *code = reply->element[i + 1];

        if (at->type == REDIS_REPLY_INTEGER && code->type == REDIS_REPLY_INTEGER &&
            at->integer >= 1 && (size_t)at->integer <= call->n)
            call->job[at->integer - 1].leave = (uint8_t)code->integer;
    }
}

/* Not certain: they go out again. unknown: Redis may have carried it out. */
static void put_back(struct settle_call *call, bool unknown)
{
    struct consumer *c = call->c;

    for (size_t i = 0; i < call->n; i++) {
        struct held_job *job = find_sent(call, i);

        if (job == NULL)
            continue;
        job->resent = job->resent || unknown;
        held_line_add(&c->held, job);
    }
    if (c->state == CONSUMER_CLOSING)
        c->settle_failed = true;
    else
        consumer_later(c, CONSUMER_RETRY_MS);
}

static void on_settled(void *arg, enum err e, const redisReply *reply)
{
    struct settle_call *call = arg;
    struct consumer *c = consumer_of(call->c);

    consumer_called(c);
    if (call->epoch != c->epoch) {
        /* the lease was lost meanwhile: all were told so */
    } else if (e != ERR_OK || reply->type != REDIS_REPLY_ARRAY) {
        put_back(call, e != ERR_BUSY);
    } else {
        read_leaves(call, reply);
        for (size_t i = 0; i < call->n; i++) {
            struct held_job *job = find_sent(call, i);

            if (job != NULL)
                end_job(c, job, verdict(job, call->job[i].leave));
        }
    }
    free(call);
    consumer_close_step(c);
}

/* --- sending --------------------------------------------------------------------------------- */

/* The text that the arguments point to; it does not move. */
struct settle_text {
    char attempt[CONSUMER_BATCH][4];
    char delay[CONSUMER_BATCH][NUMBER_SIZE];
    char number[NUMBER_SIZE];
};

static size_t take_line(struct consumer *c, struct settle_call *call, struct held_job **jobs)
{
    struct held_job *others[CONSUMER_BATCH];
    size_t n_others = 0, n_done;

    while (call->n + n_others < CONSUMER_BATCH && c->held.line != NULL) {
        struct held_job *job = held_line_take(&c->held);

        if (job->kind == SETTLE_DONE)
            jobs[call->n++] = job;
        else
            others[n_others++] = job;
    }
    n_done = call->n;
    for (size_t i = 0; i < n_others; i++)
        jobs[call->n++] = others[i];
    for (size_t i = 0; i < call->n; i++) {
        call->job[i].id = jobs[i]->id;
        call->job[i].attempt = jobs[i]->attempt;
        call->job[i].leave = LEAVE_NONE;
    }
    return n_done;
}

static size_t build_done(struct held_job *const *jobs, size_t n, struct settle_text *text,
                         struct slice *args)
{
    (void)snprintf(text->number, sizeof text->number, "%zu", n);
    args[1] = slice_str(text->number);
    for (size_t i = 0; i < n; i++) {
        state_put_u32(jobs[i]->attempt, text->attempt[i]);
        args[2 + i] = slice_of(jobs[i]->id.bytes, UUID_LEN);
        args[2 + n + i] = slice_of(text->attempt[i], 4);
    }
    return 2 + 2 * n;
}

static void build_other(const struct held_job *job, size_t i, struct settle_text *text,
                        struct slice *args)
{
    state_put_u32(job->attempt, text->attempt[i]);
    (void)snprintf(text->delay[i], sizeof text->delay[i], "%" PRIu64, job->delay_ms);
    args[0] = slice_of(job->id.bytes, UUID_LEN);
    args[1] = slice_of(text->attempt[i], 4);
    args[2] = job->kind == SETTLE_RETRY ? SLICE_LIT("retry") : SLICE_LIT("release");
    args[3] = slice_str(text->delay[i]);
}

/* The errors as msgpack, one behind the other in scratch; false: no memory. */
static bool build_errors(struct consumer *c, struct held_job *const *jobs, size_t n,
                         struct slice *args)
{
    size_t at = 0;

    buf_clear(&c->scratch);
    for (size_t i = 0; i < n; i++)
        state_add_str(slice_of(jobs[i]->error, jobs[i]->error_len), STATE_TEXT_MAX,
                      &c->scratch);
    for (size_t i = 0; i < n && !buf_failed(&c->scratch); i++) {
        size_t len = 2 + (size_t)(unsigned char)c->scratch.data[at + 1];

        args[SETTLE_FIELDS * i + 4] = slice_of(c->scratch.data + at, len);
        at += len;
    }
    return !buf_failed(&c->scratch);
}

static enum err send_settle(struct consumer *c, struct settle_call *call)
{
    struct held_job *jobs[CONSUMER_BATCH];
    struct slice args[2 + CONSUMER_BATCH * SETTLE_FIELDS];
    struct settle_text text;
    size_t n_done = take_line(c, call, jobs), at;

    args[0] = slice_str(c->name);
    at = build_done(jobs, n_done, &text, args);
    if (!build_errors(c, jobs + n_done, call->n - n_done, args + at))
        return ERR_NOMEM;
    for (size_t i = n_done; i < call->n; i++, at += SETTLE_FIELDS)
        build_other(jobs[i], i, &text, args + at);
    FAILPOINT("consumer.settle");
    return consumer_call(
        c,
        &(struct consumer_call){
            .script = QUEUE_SETTLE, .args = args, .n_args = at, .cb = on_settled, .arg = call});
}

static bool can_send(const struct consumer *c)
{
    return c->registered && redis_is_up(c->redis);
}

void consumer_flush(struct consumer *c)
{
    while (c->held.line != NULL && can_send(c)) {
        struct settle_call *call = calloc(1, sizeof *call);

        if (call == NULL) {
            consumer_later(c, CONSUMER_RETRY_MS);
            return;
        }
        call->c = c;
        call->epoch = c->epoch;
        if (send_settle(c, call) != ERR_OK) {
            put_back(call, false);
            free(call);
            return;
        }
    }
}

enum err consumer_settle(struct consumer *c, const struct settlement *s, settle_fn *cb,
                         void *arg)
{
    struct held_job *job = held_find(&c->held, &s->id);
    struct slice error = slice_str(s->error);

    if (c->state == CONSUMER_CLOSING)
        return ERR_CANCELED;
    if (job == NULL || job->attempt != s->attempt || job->state != HELD_RUNNING)
        return ERR_STALE;
    job->kind = s->kind;
    job->delay_ms = s->delay_ms;
    job->error_len = state_cut(error, sizeof job->error);
    if (job->error_len > 0)
        memcpy(job->error, error.ptr, job->error_len);
    job->cb = cb;
    job->arg = arg;
    held_line_add(&c->held, job);
    consumer_turn(c);
    return ERR_OK;
}

/* --- progress -------------------------------------------------------------------------------- */

void consumer_progress(struct consumer *c, const struct uuid *id, uint32_t attempt,
                       unsigned pct, const char *note)
{
    struct held_job *job = held_find(&c->held, id);
    struct slice text = slice_str(note);

    if (job == NULL || job->attempt != attempt || job->state != HELD_RUNNING ||
        c->state == CONSUMER_CLOSING)
        return;
    job->progress = pct < 100 ? pct : 100;
    job->note_len = state_cut(text, sizeof job->note);
    if (job->note_len > 0)
        memcpy(job->note, text.ptr, job->note_len);
    held_news_add(&c->held, job);
    if (!uv_is_active((uv_handle_t *)&c->news))
        (void)uv_timer_start(&c->news, consumer_on_news, NEWS_MS, 0);
}

/* id and attempt lie in text; percent and note in scratch, one behind the other. */
struct news_text {
    char id[CONSUMER_BATCH][UUID_LEN];
    char attempt[CONSUMER_BATCH][4];
};

static void send_news(struct consumer *c)
{
    struct slice args[1 + CONSUMER_BATCH * NEWS_FIELDS];
    struct news_text text;
    size_t n = 0, at = 0;

    buf_clear(&c->scratch);
    args[0] = slice_str(c->name);
    for (; n < CONSUMER_BATCH && c->held.news != NULL; n++) {
        const struct held_job *job = held_news_take(&c->held);

        memcpy(text.id[n], job->id.bytes, UUID_LEN);
        state_put_u32(job->attempt, text.attempt[n]);
        buf_add_char(&c->scratch, (char)job->progress);
        state_add_str(slice_of(job->note, job->note_len), STATE_TEXT_MAX, &c->scratch);
    }
    if (buf_failed(&c->scratch))
        return;
    for (size_t i = 0; i < n; i++) {
        size_t len = 2 + (size_t)(unsigned char)c->scratch.data[at + 2];
        struct slice *field = args + 1 + NEWS_FIELDS * i;

        field[0] = slice_of(text.id[i], UUID_LEN);
        field[1] = slice_of(text.attempt[i], 4);
        field[2] = slice_of(c->scratch.data + at, 1);
        field[3] = slice_of(c->scratch.data + at + 1, len);
        at += 1 + len;
    }
    consumer_try(c, QUEUE_PROGRESS, args, 1 + NEWS_FIELDS * n);
}

/* Most jobs end before there is anything to be seen: they cost no call. */
void consumer_on_news(uv_timer_t *t)
{
    struct consumer *c = consumer_of(t->data);

    while (c->held.news != NULL && can_send(c))
        send_news(c);
    if (c->held.news != NULL)
        (void)uv_timer_start(&c->news, consumer_on_news, NEWS_MS, 0);
}
