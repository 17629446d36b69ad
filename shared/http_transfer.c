#include "shared/http_transfer.h"

#define TRANSFER_MAGIC 0x78666572U

static struct http_transfer *checked(struct http_transfer *t)
{
    must(t != NULL && t->magic == TRANSFER_MAGIC);
    return t;
}

static void free_if_idle(struct http_transfer *t)
{
    struct http_transfers *all = t->all;

    if (!t->answered || t->timer_open || t->held > 0)
        return;
    t->magic = 0;
    t->kind->free(t);
    all->n--;
    all->on_freed(all->arg);
}

static void on_timer_closed(uv_handle_t *h)
{
    struct http_transfer *t = checked(h->data);

    t->timer_open = false;
    free_if_idle(t);
}

static void unlink_transfer(struct http_transfer *t)
{
    if (t->prev != NULL)
        t->prev->next = t->next;
    else
        t->all->first = t->next;
    if (t->next != NULL)
        t->next->prev = t->prev;
    t->prev = t->next = NULL;
}

void http_transfer_drop(struct http_transfer *t)
{
    t->answered = true;
    unlink_transfer(t);
    uv_close((uv_handle_t *)&t->timer, on_timer_closed);
}

void http_transfer_end(struct http_transfer *t, enum err e, const struct http_answer *answer,
                       const struct fault *why)
{
    static const struct http_answer none = {.retry_after_ms = -1, .body = {"", 0}, .peer = ""};
    static const struct fault fine = {.err = ERR_OK};

    must(!checked(t)->answered);
    t->answered = true; /* so that the callback cannot cancel what has ended */
    unlink_transfer(t);
    t->kind->stop(t);
    t->cb(t->arg, e, answer == NULL ? &none : answer, e == ERR_OK ? &fine : why);
    uv_close((uv_handle_t *)&t->timer, on_timer_closed);
}

static void on_timer(uv_timer_t *h)
{
    struct http_transfer *t = checked(h->data);
    struct fault why = t->fate;

    http_transfer_end(t, why.err, NULL, &why);
}

void http_transfer_fail_soon(struct http_transfer *t, const struct fault *why)
{
    if (t->answered)
        return;
    t->fate = *why;
    (void)uv_timer_start(&t->timer, on_timer, 0, 0);
}

void http_transfer_init(struct http_transfer *t, const struct http_transfer_kind *kind,
                        struct http_transfers *all, uv_loop_t *loop)
{
    t->magic = TRANSFER_MAGIC;
    t->kind = kind;
    t->all = all;
    t->timer.data = t;
    (void)uv_timer_init(loop, &t->timer);
    t->timer_open = true;
    t->next = all->first;
    if (t->next != NULL)
        t->next->prev = t;
    all->first = t;
    all->n++;
}

void http_transfer_start(struct http_transfer *t, uint32_t deadline_ms, http_answer_fn *cb,
                         void *arg)
{
    t->cb = cb;
    t->arg = arg;
    (void)fault_set(&t->fate, ERR_TIMEOUT, 0, "%.120s: no answer in %u ms", t->what,
                    deadline_ms);
    uv_update_time(t->timer.loop); /* or work done earlier in this turn would count */
    (void)uv_timer_start(&t->timer, on_timer, deadline_ms, 0);
}

void http_client_cancel(struct http_transfer *t)
{
    struct fault why;

    (void)fault_set(&why, ERR_CANCELED, 0, "%.120s: canceled", checked(t)->what);
    http_transfer_fail_soon(t, &why);
}

void http_transfer_hold(struct http_transfer *t)
{
    t->held++;
}

void http_transfer_release(struct http_transfer *t)
{
    must(t->held > 0);
    t->held--;
    free_if_idle(t);
}
