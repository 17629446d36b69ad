#include "worker/blob_keep.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "shared/buf.h"

struct blob_keep {
    uv_timer_t timer;
    uv_work_t work;
    struct blob_keep_options opt;
    struct buf names; /* each with its NUL */
    bool working, closing;
    void (*on_closed)(void *arg);
    void *closed_arg;
};

static void on_timer_closed(uv_handle_t *h)
{
    struct blob_keep *k = h->data;
    void (*on_closed)(void *) = k->on_closed;
    void *arg = k->closed_arg;

    buf_done(&k->names);
    free(k);
    on_closed(arg);
}

/* One that is gone shows when it is asked for; nothing can be done about it here. */
static void touch_on_thread(uv_work_t *work)
{
    struct blob_keep *k = CONTAINER(work, struct blob_keep, work);
    const char *end = k->names.data + k->names.len;
    char path[PATH_MAX];

    for (const char *name = k->names.data; name < end; name += strlen(name) + 1) {
        (void)snprintf(path, sizeof path, "%s/%s", k->opt.dir, name);
        (void)utimensat(AT_FDCWD, path, NULL, AT_SYMLINK_NOFOLLOW);
    }
}

static void on_touched(uv_work_t *work, int status)
{
    struct blob_keep *k = CONTAINER(work, struct blob_keep, work);

    (void)status;
    k->working = false;
    if (k->closing)
        uv_close((uv_handle_t *)&k->timer, on_timer_closed);
}

void blob_keep_add(struct blob_keep *k, const char *file)
{
    buf_add(&k->names, file, strlen(file) + 1);
}

static void on_timer(uv_timer_t *t)
{
    struct blob_keep *k = t->data;

    if (k->working)
        return;
    buf_done(&k->names);
    k->opt.ask(k->opt.arg, k);
    if (k->names.len > 0)
        k->working = uv_queue_work(t->loop, &k->work, touch_on_thread, on_touched) == 0;
}

enum err blob_keep_new(uv_loop_t *loop, const struct blob_keep_options *opt,
                       struct blob_keep **ret, struct fault *reterr)
{
    struct blob_keep *k = calloc(1, sizeof *k);

    if (k == NULL)
        return fault_set(reterr, ERR_NOMEM, 0, "no memory to keep files");
    k->opt = *opt;
    must(uv_timer_init(loop, &k->timer) == 0);
    k->timer.data = k;
    must(uv_timer_start(&k->timer, on_timer, opt->every_ms, opt->every_ms) == 0);
    *ret = k;
    return ERR_OK;
}

void blob_keep_close(struct blob_keep **p, void (*on_closed)(void *arg), void *arg)
{
    struct blob_keep *k = *p;

    *p = NULL;
    k->closing = true;
    k->on_closed = on_closed;
    k->closed_arg = arg;
    (void)uv_timer_stop(&k->timer);
    if (!k->working)
        uv_close((uv_handle_t *)&k->timer, on_timer_closed);
}
