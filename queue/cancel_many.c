#include "queue/cancel_many.h"

#include "queue/cancel.h"
#include "queue/inspect.h"

#define PAGE CANCEL_BATCH_MAX

/*  page --found--> cancel --answers--> page ... --none left, limit--> (cb) */
struct many {
    struct redis *redis;
    struct cancel_many what;
    cancel_many_fn *cb;
    void *arg;
    struct cancel_many_result result;
    size_t offset, page_n;
    bool page_more;
};

static enum err ask_page(struct many *m);

static void end(struct many *m, enum err e)
{
    m->result.err = e;
    m->cb(m->arg, &m->result);
    free(m);
}

/* moved: so many of the page are not where they were found any more. */
static void page_over(struct many *m, size_t moved)
{
    enum err e;

    m->offset += m->page_n - moved;
    m->result.more = m->page_more && m->result.matched >= m->what.limit;
    if (!m->page_more || m->result.matched >= m->what.limit) {
        end(m, ERR_OK);
        return;
    }
    e = ask_page(m);
    if (e != ERR_OK)
        end(m, e);
}

static void on_cancelled(void *arg, enum err e, const enum cancel_answer *answers, size_t n)
{
    struct many *m = arg;
    size_t gone = 0;

    if (e != ERR_OK) {
        end(m, e);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        m->result.done += answers[i] == CANCEL_DONE;
        m->result.requested += answers[i] == CANCEL_REQUESTED;
        gone += answers[i] == CANCEL_DONE || answers[i] == CANCEL_UNKNOWN;
    }
    /* What waits in a list keeps its place there; what waits for a time leaves. */
    page_over(m, m->what.state == JOB_SCHEDULED || m->what.state == JOB_RETRYING ? gone : 0);
}

static bool fits(const struct many *m, const struct live_job *job)
{
    return job->state != JOB_CANCELLED &&
           (m->what.type == NULL || strcmp(job->type, m->what.type) == 0);
}

static void on_page(void *arg, enum err e, const struct live_job *jobs, size_t n, bool more)
{
    struct many *m = arg;
    struct uuid ids[PAGE];
    struct cancel_order order = {.queue = m->what.queue, .ids = ids};

    if (e != ERR_OK) {
        end(m, e);
        return;
    }
    m->page_n = n;
    m->page_more = more && n > 0;
    for (size_t i = 0; i < n && m->result.matched < m->what.limit; i++) {
        if (!fits(m, &jobs[i]))
            continue;
        ids[order.n++] = jobs[i].id;
        m->result.matched++;
    }
    if (m->what.dry_run || order.n == 0) {
        page_over(m, 0);
        return;
    }
    e = cancel_jobs(m->redis, &order, on_cancelled, m);
    if (e != ERR_OK)
        end(m, e);
}

static enum err ask_page(struct many *m)
{
    return inspect_list(m->redis, m->what.queue, m->what.state, m->offset, PAGE, on_page, m);
}

static bool is_live(enum job_state s)
{
    return s == JOB_QUEUED || s == JOB_SCHEDULED || s == JOB_RETRYING || s == JOB_RUNNING;
}

enum err cancel_many(struct redis *r, const struct cancel_many *what, cancel_many_fn *cb,
                     void *arg)
{
    struct many *m;
    enum err e;

    if (!is_live(what->state) || !job_name_is_valid(slice_str(what->queue)))
        return ERR_MALFORMED;
    m = calloc(1, sizeof *m);
    if (m == NULL)
        return ERR_NOMEM;
    m->redis = r;
    m->what = *what;
    m->cb = cb;
    m->arg = arg;
    e = ask_page(m);
    if (e != ERR_OK)
        free(m);
    return e;
}
