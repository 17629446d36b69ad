#include "queue/consumer_internal.h"

void consumer_cancelled(struct consumer *c, const char id[UUID_LEN])
{
    struct held_job *job;
    struct uuid wanted;

    memcpy(wanted.bytes, id, UUID_LEN);
    job = held_find(&c->held, &wanted);
    if (job == NULL) {
        c->cancel_missed = c->cancel_missed || c->claiming;
        return;
    }
    if (job->state == HELD_RUNNING && c->ev.on_cancel != NULL)
        c->ev.on_cancel(c->ev.arg, &wanted);
}

static void on_control(void *arg, struct slice ids)
{
    struct consumer *c = consumer_of(arg);

    for (size_t at = 0; at + UUID_LEN <= ids.len && c->state != CONSUMER_CLOSING;
         at += UUID_LEN)
        consumer_cancelled(c, ids.ptr + at);
}

static void ask(struct consumer *c)
{
    if (c->state == CONSUMER_READY || c->state == CONSUMER_CHECKING)
        consumer_send_beat(c);
}

/* Messages may have passed while nobody listened. */
static void on_fresh(void *arg)
{
    ask(consumer_of(arg));
}

void consumer_ask_missed(struct consumer *c)
{
    if (!c->cancel_missed || c->claiming || c->beating)
        return; /* when that is over */
    c->cancel_missed = false;
    ask(c);
}

void consumer_listen(struct consumer *c)
{
    char channel[QUEUE_KEY_SIZE];
    const struct redis_sub_ear ear = {.channel = keys_control(&c->keys, channel),
                                      .on_message = on_control,
                                      .on_fresh = on_fresh,
                                      .arg = c};

    if (c->sub != NULL && redis_sub_add(c->sub, &ear, &c->control) != ERR_OK)
        log_debug(c->log, "consumer.deaf", LOG_S("queue", c->keys.queue));
}
