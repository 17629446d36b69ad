#include "queue/blob_sweep.h"

#include "queue/blob_files.h"
#include "queue/ledger_files.h"
#include "shared/failpoint.h"
#include "shared/flow.h"

#define PAGE LEDGER_FILES_MAX

struct blob_sweep {
    struct flow flow;
    struct blob_sweep_options opt;
    uv_loop_t *loop;
    uv_work_t work;
    uv_timer_t timer;
    struct blob_walk walk;
    struct blob_file page[PAGE];
    size_t n;
    struct blob_sweep_counts counts;
    bool canceled, resting;
    enum err err; /* why it ends */
    struct fault why;
    blob_swept_fn *cb;
    void *arg;
};

static step_fn look, ask, set_aside, ask_again, remove_page, rest, put_back, give_up;
static const struct step S_LOOK = {"look", look}, S_ASK = {"ask", ask},
                         S_SET_ASIDE = {"set_aside", set_aside},
                         S_ASK_AGAIN = {"ask_again", ask_again},
                         S_REMOVE = {"remove", remove_page}, S_REST = {"rest", rest},
                         S_PUT_BACK = {"put_back", put_back}, S_GIVE_UP = {"give_up", give_up};

static struct blob_sweep *sweep_of(struct flow *f)
{
    return CONTAINER(f, struct blob_sweep, flow);
}

/* Keeps those for which it is so. */
static void keep_only(struct blob_sweep *s, bool (*is_kept)(const struct blob_file *))
{
    size_t kept = 0;

    for (size_t i = 0; i < s->n; i++) {
        if (is_kept(&s->page[i]))
            s->page[kept++] = s->page[i];
    }
    s->n = kept;
}

/* --- pool threads ----------------------------------------------------------------------------- */

static void on_worked(uv_work_t *work, int status)
{
    struct blob_sweep *s = CONTAINER(work, struct blob_sweep, work);

    flow_wake(&s->flow, status == 0 ? s->why.err : ERR_CANCELED);
}

static const struct step *work(struct blob_sweep *s, uv_work_cb fn, const struct step *next)
{
    bool queued = uv_queue_work(s->loop, &s->work, fn, on_worked) == 0;

    return flow_await(&s->flow, queued ? ERR_OK : ERR_INTERNAL, next);
}

/* --- look ------------------------------------------------------------------------------------- */

static void look_on_thread(uv_work_t *work)
{
    struct blob_sweep *s = CONTAINER(work, struct blob_sweep, work);

    s->why.err = blob_walk_next(&s->walk, s->page, PAGE, &s->n, &s->why);
}

static const struct step *look(struct flow *f)
{
    struct blob_sweep *s = sweep_of(f);

    return work(s, look_on_thread, &S_ASK);
}

/* --- ask -------------------------------------------------------------------------------------- */

static void on_used(void *arg, enum err e, const bool *used)
{
    struct blob_sweep *s = arg;

    for (size_t i = 0; e == ERR_OK && i < s->n; i++)
        s->page[i].wanted = used[i];
    if (e == ERR_UNSUPPORTED)
        (void)fault_set(&s->why, e, 0,
                        "PG_URL leads to a replica, which may not have the newest rows");
    else if (e != ERR_OK)
        (void)fault_set(&s->why, e, 0, "PostgreSQL does not say which files have rows: %s",
                        err_text(e));
    flow_wake(&s->flow, e);
}

static const struct step *ask_rows(struct blob_sweep *s, const struct step *next)
{
    uint8_t keys[PAGE][LEDGER_FILE_KEY];
    enum err e = s->canceled ? ERR_CANCELED : ERR_OK;

    for (size_t i = 0; i < s->n; i++)
        memcpy(keys[i], s->page[i].sha256, sizeof keys[i]);
    if (e == ERR_OK && (*s->opt.pg == NULL || !pg_is_up(*s->opt.pg)))
        e = fault_set(&s->why, ERR_UNREACHABLE, 0, "PostgreSQL is not reachable");
    if (e == ERR_OK)
        e = ledger_files_used(*s->opt.pg, (const uint8_t(*)[LEDGER_FILE_KEY])keys, s->n,
                              on_used, s);
    return flow_await(&s->flow, e, next);
}

static const struct step *ask(struct flow *f)
{
    struct blob_sweep *s = sweep_of(f);

    return s->n == 0 ? &S_REST : ask_rows(s, &S_SET_ASIDE);
}

/* --- set aside -------------------------------------------------------------------------------- */

static bool is_for_removal(const struct blob_file *f)
{
    return f->aside || !f->wanted; /* what was left aside and is wanted goes back */
}

static void set_aside_on_thread(uv_work_t *work)
{
    struct blob_sweep *s = CONTAINER(work, struct blob_sweep, work);

    for (size_t i = 0; i < s->n; i++) {
        if (!s->page[i].aside)
            blob_set_aside(&s->walk, &s->page[i]);
    }
    FAILPOINT("sweep.aside");
}

static void count_removed(struct blob_sweep *s, const struct blob_file *f)
{
    s->counts.removed++;
    s->counts.bytes += f->bytes;
}

static const struct step *set_aside(struct flow *f)
{
    struct blob_sweep *s = sweep_of(f);

    keep_only(s, is_for_removal);
    if (!s->opt.dry_run)
        return work(s, set_aside_on_thread, &S_ASK_AGAIN);
    for (size_t i = 0; i < s->n; i++) {
        if (!s->page[i].wanted)
            count_removed(s, &s->page[i]);
    }
    return &S_REST;
}

static bool is_aside(const struct blob_file *f)
{
    return f->aside;
}

static const struct step *ask_again(struct flow *f)
{
    struct blob_sweep *s = sweep_of(f);

    keep_only(s, is_aside);
    return s->n == 0 ? &S_REST : ask_rows(s, &S_REMOVE);
}

/* --- remove ----------------------------------------------------------------------------------- */

static void remove_on_thread(uv_work_t *work)
{
    struct blob_sweep *s = CONTAINER(work, struct blob_sweep, work);

    for (size_t i = 0; i < s->n; i++) {
        enum blob_end end = blob_remove(&s->walk, &s->page[i]);

        if (end == BLOB_REMOVED)
            count_removed(s, &s->page[i]);
        s->counts.put_back += end == BLOB_PUT_BACK;
    }
}

static const struct step *remove_page(struct flow *f)
{
    struct blob_sweep *s = sweep_of(f);

    return work(s, remove_on_thread, &S_REST);
}

/* --- rest ------------------------------------------------------------------------------------- */

static void on_rested(uv_timer_t *t)
{
    struct blob_sweep *s = t->data;

    s->resting = false;
    flow_wake(&s->flow, ERR_OK);
}

static const struct step *rest(struct flow *f)
{
    struct blob_sweep *s = sweep_of(f);

    s->n = 0;
    if (s->walk.over)
        return flow_end(f);
    if (s->canceled)
        return flow_await(f, ERR_CANCELED, NULL);
    must(uv_timer_start(&s->timer, on_rested, s->opt.rest_ms, 0) == 0);
    s->resting = true;
    return flow_await(f, ERR_OK, &S_LOOK);
}

/* --- trouble ---------------------------------------------------------------------------------- */

static bool is_ours(const struct blob_file *f)
{
    return f->ours && f->aside;
}

static const struct step *put_back(struct flow *f)
{
    struct blob_sweep *s = sweep_of(f);

    s->err = f->err;
    if (s->why.text[0] == '\0')
        (void)fault_set(&s->why, s->err, 0, "%s", err_text(s->err));
    s->why.err = ERR_OK; /* on_worked() is to go on */
    keep_only(s, is_ours);
    for (size_t i = 0; i < s->n; i++)
        s->page[i].wanted = true;
    return s->n == 0 ? &S_GIVE_UP : work(s, remove_on_thread, &S_GIVE_UP);
}

static const struct step *give_up(struct flow *f)
{
    return flow_end(f);
}

/* --- life ------------------------------------------------------------------------------------- */

static void on_timer_closed(uv_handle_t *h)
{
    struct blob_sweep *s = h->data;

    s->cb(s->arg, s->err, &s->counts, s->err == ERR_OK ? NULL : &s->why);
    free(s);
}

static void ended(struct flow *f)
{
    struct blob_sweep *s = sweep_of(f);

    s->counts.looked = s->walk.looked;
    s->why.err = s->err;
    blob_walk_done(&s->walk);
    uv_close((uv_handle_t *)&s->timer, on_timer_closed);
}

enum err blob_sweep_start(uv_loop_t *loop, const struct blob_sweep_options *opt,
                          blob_swept_fn *cb, void *arg, struct blob_sweep **ret)
{
    struct blob_sweep *s = calloc(1, sizeof *s);

    if (s == NULL)
        return ERR_NOMEM;
    s->opt = *opt;
    s->loop = loop;
    s->walk = (struct blob_walk){.dir = opt->dir, .grace_ms = opt->grace_ms};
    s->cb = cb;
    s->arg = arg;
    s->flow = (struct flow){.on_fail = &S_PUT_BACK, .ended = ended};
    must(uv_timer_init(loop, &s->timer) == 0);
    s->timer.data = s;
    *ret = s;
    flow_start(&s->flow, &S_LOOK);
    return ERR_OK;
}

void blob_sweep_cancel(struct blob_sweep *s)
{
    s->canceled = true;
    if (!s->resting)
        return;
    s->resting = false;
    (void)uv_timer_stop(&s->timer);
    flow_wake(&s->flow, ERR_CANCELED);
}
