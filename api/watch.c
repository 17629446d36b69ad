#include "api/watch_internal.h"

#include "shared/clock.h"

#define HUB_MAGIC 0x57415448u
#define SWEEP_MS  50
#define AGAIN_MS  500   /* between looks that cannot be made, or that contradict themselves */
#define LOOKS_MAX 5     /* how often it may live no more and have no row, before it is lost */
#define IDLE_MS   30000 /* how long a queue is listened to after its last watcher */

static void look(struct watch_subject *s);

static struct watch_hub *hub_of(void *p)
{
    struct watch_hub *h = p;

    must(h != NULL && h->magic == HUB_MAGIC);
    return h;
}

/* --- subjects -------------------------------------------------------------------------------- */

static struct watch_subject **bucket_of(struct watch_hub *h, const struct uuid *id)
{
    uint64_t hash;

    memcpy(&hash, id->bytes + UUID_LEN - sizeof hash, sizeof hash);
    return &h->buckets[hash & (WATCH_BUCKETS - 1)];
}

static struct watch_subject *find(struct watch_hub *h, const struct uuid *id)
{
    struct watch_subject *s = *bucket_of(h, id);

    while (s != NULL && !uuid_eq(&s->id, id))
        s = s->next;
    return s;
}

static void free_if_unused(struct watch_subject *s)
{
    struct watch_subject **at = bucket_of(s->hub, &s->id);

    if (s->watchers != NULL || s->looking || s->telling)
        return;
    while (*at != s)
        at = &(*at)->next;
    *at = s->next;
    s->queue->subjects--;
    s->queue->idle_ms = clock_now_ms();
    free(s);
}

static struct watch_subject *subject_of(struct watch_hub *h, const char *queue,
                                        const struct uuid *id)
{
    struct watch_subject *s = find(h, id), **bucket = bucket_of(h, id);
    struct watch_queue *q = watch_queue_of(h, queue);

    if (s != NULL || q == NULL)
        return s;
    s = calloc(1, sizeof *s);
    if (s == NULL)
        return NULL;
    s->hub = h;
    s->id = *id;
    s->queue = q;
    q->subjects++;
    s->next = *bucket;
    *bucket = s;
    return s;
}

/* --- telling --------------------------------------------------------------------------------- */

/* A watcher that ends itself, or its neighbour, moves the cursor. */
static void tell(struct watch_subject *s, const struct watch_news *news)
{
    must(!s->telling);
    s->telling = true;
    for (struct watcher *w = s->watchers; w != NULL; w = s->cursor) {
        s->cursor = w->next;
        w->on_news(w, news);
    }
    s->cursor = NULL;
    s->telling = false;
}

/* Last: s may be gone. */
static void tell_last(struct watch_subject *s, const struct watch_news *news)
{
    tell(s, news);
    free_if_unused(s);
}

/* --- looking --------------------------------------------------------------------------------- */

static void look_later(struct watch_subject *s)
{
    s->look_ms = clock_now_ms() + AGAIN_MS;
}

/* A look has come to an end: true if its answer is worth telling. */
static bool looked(struct watch_subject *s)
{
    struct watch_hub *h = s->hub;

    s->looking = false;
    h->looks--;
    if (s->watchers == NULL) {
        free_if_unused(s);
        watch_hub_finish(h);
        return false;
    }
    return true;
}

/* Something happened while the answer was on its way. */
static void look_again_if_asked(struct watch_subject *s)
{
    if (s->again)
        look(s);
}

static void contradicted(struct watch_subject *s)
{
    if (++s->misses < LOOKS_MAX) {
        look_later(s);
        return;
    }
    s->misses = 0;
    tell_last(s, &(struct watch_news){.err = ERR_NOT_FOUND});
}

static void on_row(void *arg, enum err e, const struct ledger_row *row,
                   const struct ledger_parts *parts)
{
    struct watch_subject *s = arg;

    if (!looked(s))
        return;
    s->again = false;
    if (e == ERR_OK && job_state_is_terminal(row->state))
        tell_last(s, &(struct watch_news){.row = row, .parts = parts});
    else if (e == ERR_OK || e == ERR_NOT_FOUND)
        contradicted(s);
    else
        look_later(s);
}

static void recall(struct watch_subject *s)
{
    struct pg *pg = s->hub->api->pg;

    if (!pg_is_up(pg) || ledger_job(pg, &s->id, on_row, s) != ERR_OK) {
        look_later(s);
        return;
    }
    s->looking = true;
    s->hub->looks++;
}

static void on_live(void *arg, enum err e, const struct live_job *job)
{
    struct watch_subject *s = arg;

    if (!looked(s))
        return;
    if (e == ERR_NOT_FOUND) {
        recall(s);
    } else if (e != ERR_OK) {
        look_later(s);
    } else {
        s->misses = 0;
        s->looking = true; /* so that it outlives what is told */
        tell(s, &(struct watch_news){.live = job});
        s->looking = false;
        if (s->watchers == NULL)
            free_if_unused(s);
        else
            look_again_if_asked(s);
    }
}

static void look(struct watch_subject *s)
{
    s->again = s->looking;
    if (s->looking)
        return;
    s->look_ms = 0;
    if (!watch_queue_is_open(s->queue))
        return; /* when it is, all its subjects are looked at */
    if (inspect_job_in(s->hub->api->redis, s->queue->keys.queue, &s->id, on_live, s) !=
        ERR_OK) {
        look_later(s);
        return;
    }
    s->looking = true;
    s->hub->looks++;
}

void watch_look_at(struct watch_hub *h, const struct uuid *id)
{
    struct watch_subject *s = find(h, id);

    if (s != NULL)
        look(s);
}

void watch_look_at_all(struct watch_queue *q)
{
    for (size_t i = 0; i < WATCH_BUCKETS; i++) {
        for (struct watch_subject *s = q->hub->buckets[i]; s != NULL; s = s->next) {
            if (s->queue == q)
                look(s);
        }
    }
}

/* --- the sweep ------------------------------------------------------------------------------- */

static void wake_watchers(struct watch_subject *s, uint64_t now_ms)
{
    s->telling = true;
    for (struct watcher *w = s->watchers; w != NULL; w = s->cursor) {
        s->cursor = w->next;
        if (w->wake_ms == 0 || now_ms < w->wake_ms)
            continue;
        w->wake_ms = 0;
        w->on_news(w, &(struct watch_news){.err = ERR_TIMEOUT});
    }
    s->cursor = NULL;
    s->telling = false;
}

static void sweep_subjects(struct watch_hub *h, uint64_t now_ms)
{
    for (size_t i = 0; i < WATCH_BUCKETS; i++) {
        for (struct watch_subject *s = h->buckets[i], *next; s != NULL; s = next) {
            next = s->next;
            wake_watchers(s, now_ms);
            if (s->look_ms != 0 && now_ms >= s->look_ms)
                look(s);
            free_if_unused(s);
        }
    }
}

static void sweep_queues(struct watch_hub *h, uint64_t now_ms)
{
    for (struct watch_queue *q = h->queues, *next; q != NULL; q = next) {
        next = q->next;
        watch_queue_keep(q, now_ms);
        if (q->subjects == 0 && !q->setting && now_ms > q->idle_ms + IDLE_MS)
            watch_queue_drop(q);
    }
    if (h->queues == NULL)
        (void)uv_timer_stop(&h->sweep);
}

static void on_sweep(uv_timer_t *t)
{
    struct watch_hub *h = hub_of(t->data);
    uint64_t now_ms = clock_now_ms();

    if (h->watchers > 0)
        sweep_subjects(h, now_ms);
    sweep_queues(h, now_ms);
}

/* --- watchers -------------------------------------------------------------------------------- */

bool watch_has_room(const struct watch_hub *h)
{
    return !h->draining && h->watchers < h->api->opt->watchers;
}

static void count(struct watch_hub *h, int by)
{
    h->watchers += (size_t)by;
    gauge_set(h->gauge, (int64_t)h->watchers);
}

enum err watch_begin(struct watch_hub *h, struct watcher *w, const char *queue,
                     const struct uuid *id)
{
    struct watch_subject *s;

    must(w->subject == NULL);
    if (!watch_has_room(h))
        return h->draining ? ERR_CANCELED : ERR_BUSY;
    s = subject_of(h, queue, id);
    if (s == NULL)
        return ERR_NOMEM;
    w->subject = s;
    w->next = s->watchers;
    w->prev = &s->watchers;
    if (w->next != NULL)
        w->next->prev = &w->next;
    s->watchers = w;
    count(h, 1);
    if (!uv_is_active((uv_handle_t *)&h->sweep))
        must(uv_timer_start(&h->sweep, on_sweep, SWEEP_MS, SWEEP_MS) == 0);
    look(s);
    return ERR_OK;
}

void watch_again(struct watcher *w)
{
    look(w->subject);
}

void watch_end(struct watcher *w)
{
    struct watch_subject *s = w->subject;

    if (s == NULL)
        return;
    if (s->cursor == w)
        s->cursor = w->next;
    *w->prev = w->next;
    if (w->next != NULL)
        w->next->prev = w->prev;
    w->subject = NULL;
    count(s->hub, -1);
    free_if_unused(s);
}

/* --- life ------------------------------------------------------------------------------------ */

enum err watch_hub_new(struct api *api, struct watch_hub **ret, struct fault *reterr)
{
    struct watch_hub *h = calloc(1, sizeof *h);
    enum err e;

    if (h == NULL)
        return fault_set(reterr, ERR_NOMEM, 0, "no memory for watchers");
    e = redis_sub_new(loop_uv(api->loop),
                      &(struct redis_sub_options){.url = api->opt->redis_url,
                                                  .name = "millrace-events",
                                                  .log = &api->log},
                      &h->sub, reterr);
    if (e != ERR_OK) {
        free(h);
        return e;
    }
    h->magic = HUB_MAGIC;
    h->api = api;
    h->gauge = metrics_gauge(api->metrics, "millrace_http_watchers", NULL,
                             "Clients that read a job's events or wait for its end now");
    must(uv_timer_init(loop_uv(api->loop), &h->sweep) == 0);
    h->sweep.data = h;
    *ret = h;
    return ERR_OK;
}

void watch_hub_start(struct watch_hub *h)
{
    redis_sub_start(h->sub);
}

void watch_hub_drain(struct watch_hub *h)
{
    h->draining = true;
    for (size_t i = 0; i < WATCH_BUCKETS; i++) {
        for (struct watch_subject *s = h->buckets[i], *next; s != NULL; s = next) {
            next = s->next;
            tell_last(s, &(struct watch_news){.err = ERR_CANCELED});
        }
    }
}

static void on_timer_closed(uv_handle_t *t)
{
    struct watch_hub *h = hub_of(t->data);
    void (*on_closed)(void *) = h->on_closed;
    void *arg = h->closed_arg;

    h->magic = 0;
    free(h);
    on_closed(arg);
}

static void on_sub_closed(void *arg)
{
    struct watch_hub *h = hub_of(arg);

    uv_close((uv_handle_t *)&h->sweep, on_timer_closed);
}

/* Looks that are on their way end by their own deadlines. */
void watch_hub_finish(struct watch_hub *h)
{
    if (!h->closing || h->looks > 0 || h->sub == NULL)
        return;
    for (struct watch_queue *q = h->queues, *next; q != NULL; q = next) {
        next = q->next;
        if (q->setting)
            return;
        watch_queue_drop(q);
    }
    redis_sub_close(&h->sub, on_sub_closed, h);
}

void watch_hub_close(struct watch_hub **p, void (*on_closed)(void *arg), void *arg)
{
    struct watch_hub *h = hub_of(*p);

    *p = NULL;
    must(h->watchers == 0);
    h->closing = true;
    h->on_closed = on_closed;
    h->closed_arg = arg;
    (void)uv_timer_stop(&h->sweep);
    watch_hub_finish(h);
}
