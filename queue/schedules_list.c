#include "queue/inspect_sweep.h"
#include "queue/schedules.h"
#include "queue/schedules_reply.h"
#include "queue/scripts.h"

#define LIST_HEAD   2 /* now, more */
#define LIST_FIELDS 4 /* name, record, next tick, past */

struct listed {
    struct schedule s;
    uint64_t next_ms, now_ms;
    struct schedule_past past;
};

struct list {
    schedules_list_fn *cb;
    void *arg;
    char queue[JOB_NAME_MAX + 1], after[JOB_NAME_MAX + 1];
    size_t limit;
    bool more;
    struct buf found; /* struct listed, one behind the other */
};

static enum err ask_list(void *arg, struct redis *r, const struct queue_keys *queue,
                         redis_reply_fn *cb, void *cb_arg)
{
    const struct list *l = arg;
    bool wanted = l->queue[0] == '\0' || strcmp(l->queue, queue->queue) == 0;
    char limit[24];
    struct schedule_keys keys;
    struct slice args[2] = {slice_str(l->after)};
    enum err e = keys_init_schedules(&keys, queue->queue, NULL);

    if (e != ERR_OK)
        return e;
    /* Every queue has to answer something. */
    args[1] =
        slice_of(limit, (size_t)snprintf(limit, sizeof limit, "%zu", wanted ? l->limit : 0));
    if (!wanted)
        args[0] = SLICE_LIT("~"); /* behind every name */
    return redis_call(r,
                      &(struct redis_call){.script = queue_script(QUEUE_SCHEDULE_LIST),
                                           .n_keys = SCHEDULE_KEYS,
                                           .keys = keys.key,
                                           .n_args = COUNT_OF(args),
                                           .args = args},
                      cb, cb_arg);
}

static void take_list(void *arg, const char *queue, const redisReply *reply)
{
    struct list *l = arg;

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements % LIST_FIELDS != LIST_HEAD)
        return;
    l->more |= number_of(reply->element[1]) > 0;
    for (size_t i = LIST_HEAD; i < reply->elements; i += LIST_FIELDS) {
        struct listed one = {.now_ms = number_of(reply->element[0])};

        if (!slice_to_cstr(text_of(reply->element[i]), one.s.name, sizeof one.s.name) ||
            schedule_decode(text_of(reply->element[i + 1]), &one.s, NULL) != ERR_OK)
            continue; /* of another version */
        (void)snprintf(one.s.queue, sizeof one.s.queue, "%s", queue);
        one.next_ms = tick_of(reply->element[i + 2]);
        one.past = schedule_past_of(text_of(reply->element[i + 3]));
        buf_add(&l->found, &one, sizeof one);
    }
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct listed *)a)->s.name, ((const struct listed *)b)->s.name);
}

static enum err give_list(struct list *l)
{
    struct listed *all = (struct listed *)(void *)l->found.data;
    size_t n = l->found.len / sizeof *all, shown = n < l->limit ? n : l->limit;
    struct schedule_view *views = calloc(shown + 1, sizeof *views);

    if (views == NULL || buf_failed(&l->found)) {
        free(views);
        return ERR_NOMEM;
    }
    if (n > 0)
        qsort(all, n, sizeof *all, by_name);
    for (size_t i = 0; i < shown; i++)
        views[i] = (struct schedule_view){.s = &all[i].s,
                                          .job = slice_of("", 0),
                                          .next_ms = all[i].next_ms,
                                          .now_ms = all[i].now_ms,
                                          .past = all[i].past};
    l->cb(l->arg, ERR_OK, views, shown, l->more || n > shown);
    free(views);
    return ERR_OK;
}

static void on_list(void *arg, enum err e)
{
    struct list *l = arg;

    if (e == ERR_OK)
        e = give_list(l);
    if (e != ERR_OK)
        l->cb(l->arg, e, NULL, 0, false);
    buf_done(&l->found);
    free(l);
}

enum err schedules_list(struct redis *r, const struct schedules_filter *filter,
                        schedules_list_fn *cb, void *arg)
{
    struct list *l = calloc(1, sizeof *l);
    enum err e;

    if (l == NULL)
        return ERR_NOMEM;
    l->cb = cb;
    l->arg = arg;
    l->limit = filter->limit < SCHEDULES_PAGE_MAX ? filter->limit : SCHEDULES_PAGE_MAX;
    (void)snprintf(l->queue, sizeof l->queue, "%s", filter->queue == NULL ? "" : filter->queue);
    (void)snprintf(l->after, sizeof l->after, "%s", filter->after == NULL ? "" : filter->after);
    e = sweep_start(r, &(struct sweep_plan){
                           .arg = l, .ask = ask_list, .answer = take_list, .done = on_list});
    if (e != ERR_OK)
        free(l);
    return e;
}
