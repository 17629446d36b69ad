#include "api/batch_group.h"

#include "queue/spec.h"

#define CLOSER "noop" /* the job that tells of the end when nobody else is left to */

enum err batch_group_read(struct batch_group *g, const msgpack_object *then,
                          struct spec_fault *reterr)
{
    msgpack_packer pk;

    g->used = then != NULL;
    if (!g->used)
        return ERR_OK;
    if (spec_follow_ups(then, NULL, NULL, reterr) != ERR_OK)
        return ERR_MALFORMED;
    g->id = uuid_v7();
    mp_packer(&pk, &g->then);
    msgpack_pack_object(&pk, *then);
    if (!buf_failed(&g->then))
        return ERR_OK;
    (void)spec_fault_set(reterr, "", "no memory for the batch");
    return ERR_NOMEM;
}

enum err batch_group_add(struct batch_group *g, struct submission *job)
{
    struct uuid *more;

    if (!g->used)
        return ERR_OK;
    more = realloc(g->jobs, (g->n_jobs + 1) * sizeof *more);
    if (more == NULL)
        return ERR_NOMEM;
    g->jobs = more;
    g->jobs[g->n_jobs++] = job->id;
    return submission_join(job, &g->id);
}

static void on_opened(void *arg, enum err e)
{
    struct batch_group *g = arg;

    g->on_open(g->arg, e);
}

void batch_group_open(struct batch_group *g, struct api *api,
                      void (*on_open)(void *arg, enum err e), void *arg)
{
    const struct batch_new what = {.id = g->id,
                                   .jobs = g->jobs,
                                   .n_jobs = g->n_jobs,
                                   .then = buf_slice(&g->then),
                                   .priority = JOB_PRIORITY_NORMAL};
    enum err e;

    g->api = api;
    g->on_open = on_open;
    g->arg = arg;
    if (!g->used || g->n_jobs == 0) {
        on_open(arg, ERR_OK);
        return;
    }
    e = batch_open(api->redis, &what, on_opened, g);
    if (e != ERR_OK)
        on_open(arg, e);
}

void batch_group_gone(struct batch_group *g, const struct uuid *job)
{
    if (g->used && g->n_gone < g->n_jobs)
        g->jobs[g->n_gone++] = *job; /* what stood there has been told to Redis */
}

static void over(struct batch_group *g)
{
    g->on_over(g->arg);
}

static void on_closer(void *arg, enum err e, const struct fault *why)
{
    (void)e, (void)why; /* best effort: it is tried once */
    over(arg);
}

/* All that were taken have ended before the others left: a job of its own tells of the end. */
static enum err enqueue_closer(struct batch_group *g)
{
    static const char empty_map[] = "\x80";
    AUTO(buf_done) struct buf item = {0};
    struct job job = {.id = batch_closer_id(&g->id),
                      .type = CLOSER,
                      .args = slice_of(empty_map, 1),
                      .has_batch = true,
                      .batch = g->id};

    job_encode(&job, &item);
    if (buf_failed(&item))
        return ERR_NOMEM;
    return producer_enqueue(g->api->producer,
                            &(struct producer_job){.queue = spec_find(CLOSER)->default_queue,
                                                   .priority = JOB_PRIORITY_NORMAL,
                                                   .id = job.id,
                                                   .type = CLOSER,
                                                   .item = buf_slice(&item)},
                            on_closer, g);
}

static void on_left(void *arg, enum err e, uint64_t left)
{
    struct batch_group *g = arg;

    if (e != ERR_OK || left > 0 || g->n_gone == g->n_jobs || enqueue_closer(g) != ERR_OK)
        over(g);
}

void batch_group_over(struct batch_group *g, void (*on_over)(void *arg), void *arg)
{
    g->on_over = on_over;
    g->arg = arg;
    if (!g->used || g->n_gone == 0 ||
        batch_drop(g->api->redis, &g->id, g->jobs, g->n_gone, on_left, g) != ERR_OK)
        over(g);
}

void batch_group_done(struct batch_group *g)
{
    buf_done(&g->then);
    free(g->jobs);
}
