#include "worker/sweeper.h"

#include "queue/blob_sweep.h"
#include "queue/keys.h"
#include "queue/turn.h"
#include "shared/backoff.h"
#include "shared/clock.h"

#define REST_MS 50 /* between two pages of files */

struct sweeper {
    struct sweeper_options opt;
    uv_timer_t timer;
    struct blob_sweep *round;
    uint64_t began_ms;
    struct counter *files, *bytes, *failed;
    bool busy, closing;
    void (*on_closed)(void *arg);
    void *closed_arg;
};

static void on_timer(uv_timer_t *t);

static void on_timer_closed(uv_handle_t *h)
{
    struct sweeper *s = h->data;
    void (*on_closed)(void *) = s->on_closed;
    void *arg = s->closed_arg;

    free(s);
    on_closed(arg);
}

static void rest(struct sweeper *s)
{
    s->busy = false;
    if (s->closing)
        uv_close((uv_handle_t *)&s->timer, on_timer_closed);
    else
        must(uv_timer_start(&s->timer, on_timer, backoff_jitter(s->opt.every_ms, 20), 0) == 0);
}

static void tell(const struct sweeper *s, const struct blob_sweep_counts *n)
{
    uint64_t ms = clock_now_ms() - s->began_ms;

    if (n->removed + n->put_back > 0)
        log_info(s->opt.log, "blobs.swept", LOG_U("looked", n->looked),
                 LOG_U("removed", n->removed), LOG_U("bytes", n->bytes),
                 LOG_U("put_back", n->put_back), LOG_U("ms", ms));
    else
        log_debug(s->opt.log, "blobs.clean", LOG_U("looked", n->looked), LOG_U("ms", ms));
}

static void on_swept(void *arg, enum err e, const struct blob_sweep_counts *n,
                     const struct fault *why)
{
    struct sweeper *s = arg;

    s->round = NULL;
    counter_add(s->files, n->removed);
    counter_add(s->bytes, n->bytes);
    tell(s, n);
    if (e != ERR_OK && e != ERR_CANCELED) {
        counter_add(s->failed, 1);
        log_warn(s->opt.log, "blobs.unswept", LOG_S("why", why->text));
    }
    rest(s);
}

static enum err sweep(struct sweeper *s)
{
    s->began_ms = clock_now_ms();
    return blob_sweep_start(s->timer.loop,
                            &(struct blob_sweep_options){.pg = s->opt.pg,
                                                         .dir = s->opt.dir,
                                                         .grace_ms = s->opt.grace_ms,
                                                         .rest_ms = REST_MS},
                            on_swept, s, &s->round);
}

static bool can_ask(const struct sweeper *s)
{
    return *s->opt.pg != NULL && pg_is_up(*s->opt.pg);
}

static void on_turn(void *arg, enum err e, const redisReply *reply)
{
    struct sweeper *s = arg;

    if (!turn_is_ours(e, reply) || s->closing || !can_ask(s) || sweep(s) != ERR_OK)
        rest(s);
}

static void on_timer(uv_timer_t *t)
{
    struct sweeper *s = t->data;

    s->busy = true;
    if (turn_ask(s->opt.redis, SLICE_LIT(KEYS_SWEEP), s->opt.every_ms / 2 + 1, on_turn, s) !=
        ERR_OK)
        rest(s);
}

enum err sweeper_new(uv_loop_t *loop, const struct sweeper_options *opt, struct sweeper **ret,
                     struct fault *reterr)
{
    struct sweeper *s = calloc(1, sizeof *s);

    if (s == NULL)
        return fault_set(reterr, ERR_NOMEM, 0, "no memory for the sweeper");
    s->opt = *opt;
    s->files = metrics_counter(opt->metrics, "millrace_blobs_swept_total", NULL,
                               "Files without a row that this worker has removed");
    s->bytes = metrics_counter(opt->metrics, "millrace_blobs_swept_bytes_total", NULL,
                               "Bytes of these");
    s->failed = metrics_counter(opt->metrics, "millrace_blob_sweeps_failed_total", NULL,
                                "Sweeps that ended before they were through");
    must(uv_timer_init(loop, &s->timer) == 0);
    s->timer.data = s;
    *ret = s;
    return ERR_OK;
}

void sweeper_start(struct sweeper *s)
{
    rest(s);
}

void sweeper_close(struct sweeper **p, void (*on_closed)(void *arg), void *arg)
{
    struct sweeper *s = *p;

    *p = NULL;
    s->closing = true;
    s->on_closed = on_closed;
    s->closed_arg = arg;
    (void)uv_timer_stop(&s->timer);
    if (s->round != NULL)
        blob_sweep_cancel(s->round);
    if (!s->busy)
        uv_close((uv_handle_t *)&s->timer, on_timer_closed);
}
