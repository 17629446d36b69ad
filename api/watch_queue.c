#include "api/watch_internal.h"
#include "queue/events.h"
#include "shared/clock.h"

#define AGAIN_MS 200

bool watch_queue_is_open(const struct watch_queue *q)
{
    return q->set && redis_sub_is_fresh(q->channel);
}

static void on_id(void *arg, const struct uuid *id)
{
    watch_look_at(arg, id);
}

static void on_message(void *arg, struct slice message)
{
    const struct watch_queue *q = arg;

    events_read(message, on_id, q->hub);
}

static void on_set(void *arg, enum err e, const redisReply *reply)
{
    struct watch_queue *q = arg;
    struct watch_hub *h = q->hub;

    (void)reply;
    q->setting = false;
    if (h->closing) {
        watch_hub_finish(h);
        return;
    }
    q->keep_ms = clock_now_ms() + (e == ERR_OK ? EVENTS_ASK_MS : AGAIN_MS);
    if (e != ERR_OK)
        return;
    q->set = true;
    watch_look_at_all(q);
}

static void set_key(struct watch_queue *q)
{
    if (q->setting)
        return;
    q->setting = events_ask(q->hub->api->redis, &q->keys, on_set, q) == ERR_OK;
    q->keep_ms = q->setting ? UINT64_MAX : clock_now_ms() + AGAIN_MS;
}

void watch_queue_keep(struct watch_queue *q, uint64_t now_ms)
{
    if (now_ms >= q->keep_ms && redis_sub_is_fresh(q->channel) && q->subjects > 0)
        set_key(q);
}

/* What was set before the gap may have expired in it. */
static void on_fresh(void *arg)
{
    struct watch_queue *q = arg;

    q->set = false;
    q->keep_ms = 0;
    set_key(q);
}

static enum err open_queue(struct watch_queue *q, const char *queue)
{
    char channel[QUEUE_KEY_SIZE];
    enum err e = keys_init(&q->keys, queue, NULL);

    if (e != ERR_OK)
        return e;
    return redis_sub_add(q->hub->sub,
                         &(struct redis_sub_ear){.channel = keys_events(&q->keys, channel),
                                                 .on_message = on_message,
                                                 .on_fresh = on_fresh,
                                                 .arg = q},
                         &q->channel);
}

struct watch_queue *watch_queue_of(struct watch_hub *h, const char *queue)
{
    struct watch_queue *q = h->queues;

    while (q != NULL && strcmp(q->keys.queue, queue) != 0)
        q = q->next;
    if (q != NULL) {
        /* It was idle: the key may have expired. */
        if (q->subjects == 0 && clock_now_ms() >= q->keep_ms) {
            q->set = false;
            if (redis_sub_is_fresh(q->channel))
                set_key(q);
        }
        return q;
    }
    q = calloc(1, sizeof *q);
    if (q == NULL)
        return NULL;
    q->hub = h;
    q->idle_ms = clock_now_ms();
    if (open_queue(q, queue) != ERR_OK) {
        free(q);
        return NULL;
    }
    q->next = h->queues;
    h->queues = q;
    return q;
}

void watch_queue_drop(struct watch_queue *q)
{
    struct watch_queue **at = &q->hub->queues;

    while (*at != q)
        at = &(*at)->next;
    *at = q->next;
    redis_sub_remove(&q->channel);
    free(q);
}
