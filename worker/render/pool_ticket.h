/* pool_ticket: one order on its way through the pool, and what its end will be. */
#ifndef WORKER_RENDER_POOL_TICKET_H
#define WORKER_RENDER_POOL_TICKET_H

#include "worker/render/pool.h"
#include "worker/render/wire.h"

#define TICKET_MAGIC 0x7274636bu

struct renderer;
/* What the order asked for, to hold a report against. */
struct ticket_want {
    char name[JOB_NAME_MAX + 1];
    enum image_format format;
    bool has_format;
};
struct render_ticket {
    uint32_t magic;
    struct render_pool *pool;
    struct renderer *renderer; /* NULL: waits in line, or has ended */
    struct render_ticket *next,
        **back;       /* in the line, or in the list of the ended; back NULL: in neither */
    uint64_t id, seq; /* seq: in the order of arrival */
    bool slow, wide;  /* known to take long; may take long where it is */
    struct uuid job;
    uint32_t attempt, timeout_ms;
    char *source;
    char *marks[SPEC_IMAGE_MARKS_MAX];
    char marks_at[SPEC_IMAGE_MARKS_MAX][SPEC_IMAGE_POINTER_MAX]; /* where the args name them */
    size_t n_marks;
    struct buf args;
    struct ticket_want *wants;
    size_t n_wants;
    uint64_t began_us;
    render_progress_fn *on_progress;
    render_done_fn *on_done;
    void *arg;
    /* The end. */
    bool ended;
    enum err err;
    struct fault why;
    struct render_report report;
    struct wire_info info;
};

/* Checks and copies the order. */
MUST_USE enum err ticket_new(const struct render_order *order, struct render_ticket **ret,
                             struct fault *reterr);
/* Frees; files that nobody was told of are removed. */
void ticket_free(struct render_ticket **t);
/* Fills t->report from what the renderer in dir says, moving the files. Any contradiction is
 * ERR_CRASHED: nothing that the renderer says is believed any more. */
MUST_USE enum err ticket_take_report(struct render_ticket *t, const struct wire_report *r,
                                     const char *dir, const char *spool, uint64_t output_pixels,
                                     struct fault *reterr);
/* Calls on_done and frees. */
void ticket_deliver(struct render_ticket **t);

struct ticket_list {
    struct render_ticket *first, **last; /* last: where the next one is hung */
    size_t n;
};
void ticket_list_init(struct ticket_list *l);
void ticket_list_add(struct ticket_list *l, struct render_ticket *t);
/* Back to where it came from, by seq. */
void ticket_list_put_back(struct ticket_list *l, struct render_ticket *t);
struct render_ticket *ticket_list_take(struct ticket_list *l); /* the first, or NULL */
void ticket_list_remove(struct ticket_list *l, struct render_ticket *t);

#endif
