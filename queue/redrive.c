#include "queue/redrive.h"

#include "queue/inspect.h"
#include "queue/spec/job.h"
#include "shared/clock.h"
#include "shared/flow.h"

#define PAGE 200 /* jobs a statement */

enum err redrive_edit_parse(msgpack_object *o, struct recipe_book *book, msgpack_zone *z,
                            struct redrive_edit *ret, struct spec_fault *reterr)
{
    struct place at = place_root("");
    enum err e;

    ret->only_image = false;
    e = recipe_expand_edit(o, book, z, &ret->only_image, reterr);
    return e == ERR_OK ? spec_job_parse(o, SPEC_EDIT, &at, &ret->job, reterr) : e;
}

/* --- the envelope ---------------------------------------------------------------------------- */

struct edited {
    struct buf item, args, then, retry, chain;
};

static void edited_done(struct edited *e)
{
    buf_done(&e->item);
    buf_done(&e->args);
    buf_done(&e->then);
    buf_done(&e->retry);
    buf_done(&e->chain);
}

static void replace(struct slice *what, const msgpack_object *with, struct buf *packed)
{
    msgpack_packer pk;

    if (with == NULL)
        return;
    mp_packer(&pk, packed);
    msgpack_pack_object(&pk, *with);
    *what = buf_slice(packed);
}

static void apply(const struct spec_job *edit, struct job *job, struct edited *e)
{
    replace(&job->args, edit->args, &e->args);
    replace(&job->then, edit->then, &e->then);
    replace(&job->retry, edit->retry, &e->retry);
    replace(&job->chain, edit->chain, &e->chain);
    if (edit->max_attempts > 0)
        job->max_attempts = edit->max_attempts;
    if (edit->timeout_ms > 0)
        job->timeout_ms = edit->timeout_ms;
    if (edit->key.len > 0)
        job->key = edit->key;
    job->expires_ms =
        edit->expires_in_ms > 0 ? clock_wall_ms() + edit->expires_in_ms : edit->expires_at_ms;
}

static bool edited_failed(const struct edited *e)
{
    return buf_failed(&e->item) || buf_failed(&e->args) || buf_failed(&e->then) ||
           buf_failed(&e->retry) || buf_failed(&e->chain);
}

static enum err decodes(const struct buf *item)
{
    struct job job;

    return job_decode(buf_slice(item), &job, NULL) == ERR_OK ? ERR_OK : ERR_TOO_BIG;
}

/* Items that never decoded stay as they are: they will end as they ended. What was edited and what stayed may be too much
 * together for one that did. */
static enum err edit_item(struct slice item, const struct spec_job *edit, struct edited *ret)
{
    struct job job;
    bool known = job_decode(item, &job, NULL) == ERR_OK;

    if (!known) {
        buf_add_slice(&ret->item, item);
    } else {
        job.expires_ms = 0;
        if (edit != NULL)
            apply(edit, &job, ret);
        job_encode(&job, &ret->item);
    }
    if (edited_failed(ret))
        return ERR_NOMEM;
    if (ret->item.len > JOB_ITEM_MAX)
        return ERR_TOO_BIG;
    return known && edit != NULL ? decodes(&ret->item) : ERR_OK;
}

/* --- into its queue -------------------------------------------------------------------------- */

enum err redrive_enqueue(struct producer *p, const struct ledger_row *row, producer_fn *cb,
                         void *arg)
{
    struct edited item = {.item = {0}};
    char queue[JOB_NAME_MAX + 1], type[JOB_NAME_MAX + 1];
    enum err e = ERR_MALFORMED;

    if (slice_to_cstr(row->queue, queue, sizeof queue) &&
        slice_to_cstr(row->type, type, sizeof type))
        e = row->redrives > 0 ? edit_item(row->item, NULL, &item) : ERR_OK;
    if (e == ERR_OK)
        e = producer_enqueue(p,
                             &(struct producer_job){
                                 .queue = queue,
                                 .priority = row->priority,
                                 .due_ms = row->next_attempt_ms,
                                 .id = row->id,
                                 .type = type,
                                 .item = row->redrives > 0 ? buf_slice(&item.item) : row->item,
                                 .attempts_before = row->attempt,
                                 .attempts_excused = row->excused,
                             },
                             cb, arg);
    edited_done(&item);
    return e;
}

/* --- one job --------------------------------------------------------------------------------- */

struct redrive {
    struct flow flow;
    struct redrive_parts parts;
    struct uuid id;
    const struct spec_job *edit;
    bool only_image;
    redrive_fn *cb;
    void *arg;
    struct redrive_result result;
    struct edited item;
    enum job_priority priority;
    char type[JOB_NAME_MAX + 1];
    enum job_state was;
};

static step_fn look, recall, claim_row, enqueue, finish;
static const struct step S_LOOK = {"look", look}, S_RECALL = {"recall", recall},
                         S_CLAIM_ROW = {"claim_row", claim_row},
                         S_ENQUEUE = {"enqueue", enqueue}, S_FINISH = {"finish", finish};

static struct redrive *redrive_of(struct flow *f)
{
    return CONTAINER(f, struct redrive, flow);
}

static enum err refuse(struct redrive *r, enum err e, const char *text, const char *what)
{
    r->result.err = e;
    return fault_set(&r->result.why, e, 0, "%s%s", text, what);
}

/* A job that is live has not ended, or its end is not settled yet. */
static void on_live(void *arg, enum err e, const struct live_job *job)
{
    struct redrive *r = arg;

    if (e == ERR_OK) {
        r->result.state = job->state;
        e = refuse(r, ERR_STALE, "the job is ", job_state_name(job->state));
    } else if (e == ERR_NOT_FOUND) {
        e = ERR_OK;
    }
    flow_wake(&r->flow, e);
}

static const struct step *look(struct flow *f)
{
    struct redrive *r = redrive_of(f);

    return flow_await(f, inspect_job(r->parts.redis, &r->id, on_live, r), &S_RECALL);
}

static enum err check_edit(struct redrive *r)
{
    const struct spec_type *type = spec_find(r->type);
    struct spec_fault why;

    if (r->only_image && strcmp(r->type, "image") != 0) {
        (void)snprintf(r->result.pointer, sizeof r->result.pointer, "/args/recipe");
        return refuse(r, ERR_MALFORMED, "", "is for image jobs alone");
    }
    if (r->edit == NULL || r->edit->args == NULL || type == NULL ||
        type->check(r->edit->args, "/args", &why) == ERR_OK)
        return ERR_OK;
    (void)snprintf(r->result.pointer, sizeof r->result.pointer, "%s", why.pointer);
    return refuse(r, ERR_MALFORMED, "", why.text);
}

static enum err take_row(struct redrive *r, const struct ledger_row *row)
{
    enum err e;

    r->was = row->state;
    r->result.state = row->state;
    r->result.attempt = row->attempt;
    r->priority = r->edit != NULL && r->edit->has_priority ? r->edit->priority : row->priority;
    (void)slice_to_cstr(row->type, r->type, sizeof r->type);
    (void)slice_to_cstr(row->queue, r->result.queue, sizeof r->result.queue);
    if (r->edit != NULL && r->edit->queue[0] != '\0')
        memcpy(r->result.queue, r->edit->queue, sizeof r->result.queue);
    if (!job_state_is_terminal(row->state))
        return refuse(r, ERR_STALE, "the job is ", job_state_name(row->state));
    if (row->state == JOB_SUCCEEDED)
        return refuse(r, ERR_STALE, "the job has ", job_state_name(row->state));
    e = check_edit(r);
    if (e == ERR_OK)
        e = edit_item(row->item, r->edit, &r->item);
    if (e == ERR_TOO_BIG)
        return refuse(r, ERR_MALFORMED, "", "the edited job is too big");
    return e;
}

static void on_row(void *arg, enum err e, const struct ledger_row *row,
                   const struct ledger_parts *parts)
{
    struct redrive *r = arg;

    (void)parts;
    if (e == ERR_OK)
        e = take_row(r, row);
    flow_wake(&r->flow, e);
}

static const struct step *recall(struct flow *f)
{
    struct redrive *r = redrive_of(f);

    return flow_await(f, ledger_job(r->parts.pg, &r->id, on_row, r), &S_CLAIM_ROW);
}

static uint64_t due_ms(const struct redrive *r)
{
    if (r->edit == NULL)
        return 0;
    return r->edit->delay_ms > 0 ? clock_wall_ms() + r->edit->delay_ms : r->edit->run_at_ms;
}

static void on_claimed(void *arg, enum err e, bool applied)
{
    struct redrive *r = arg;

    if (e == ERR_OK && !applied)
        e = refuse(r, ERR_BUSY, "", "the job has changed meanwhile");
    flow_wake(&r->flow, e);
}

static const struct step *claim_row(struct flow *f)
{
    struct redrive *r = redrive_of(f);

    return flow_await(
        f,
        ledger_redrive(r->parts.pg,
                       &(struct ledger_redrive){
                           .id = r->id,
                           .state = r->was,
                           .attempt = r->result.attempt,
                           .queue = r->result.queue,
                           .priority = r->priority,
                           .max_attempts = r->edit != NULL ? r->edit->max_attempts : 0,
                           .due_ms = due_ms(r),
                           .item = buf_slice(&r->item.item),
                       },
                       on_claimed, r),
        &S_ENQUEUE);
}

static void on_enqueued(void *arg, enum err e, const struct fault *why)
{
    struct redrive *r = arg;

    if (e != ERR_OK && why != NULL)
        r->result.why = *why;
    flow_wake(&r->flow, e);
}

static const struct step *enqueue(struct flow *f)
{
    struct redrive *r = redrive_of(f);
    uint64_t due = due_ms(r);

    r->result.state = due > clock_wall_ms() ? JOB_SCHEDULED : JOB_QUEUED;
    return flow_await(f,
                      producer_enqueue(r->parts.producer,
                                       &(struct producer_job){
                                           .queue = r->result.queue,
                                           .priority = r->priority,
                                           .due_ms = due,
                                           .id = r->id,
                                           .type = r->type,
                                           .item = buf_slice(&r->item.item),
                                           .attempts_before = r->result.attempt,
                                           .attempts_excused = r->result.attempt,
                                       },
                                       on_enqueued, r),
                      &S_FINISH);
}

static const struct step *finish(struct flow *f)
{
    struct redrive *r = redrive_of(f);

    if (r->result.err == ERR_OK && f->err != ERR_OK) {
        r->result.err = f->err;
        if (r->result.why.text[0] == '\0')
            (void)fault_set(&r->result.why, f->err, 0, "%s", err_text(f->err));
    }
    return flow_end(f);
}

static void ended(struct flow *f)
{
    struct redrive *r = redrive_of(f);

    r->cb(r->arg, &r->result);
    edited_done(&r->item);
    free(r);
}

enum err redrive_job(const struct redrive_parts *p, const struct uuid *id,
                     const struct redrive_edit *edit, redrive_fn *cb, void *arg)
{
    struct redrive *r;

    if (!redis_is_up(p->redis) || !pg_is_up(p->pg))
        return ERR_UNREACHABLE;
    r = calloc(1, sizeof *r);
    if (r == NULL)
        return ERR_NOMEM;
    r->parts = *p;
    r->id = *id;
    r->edit = edit != NULL ? &edit->job : NULL;
    r->only_image = edit != NULL && edit->only_image;
    r->cb = cb;
    r->arg = arg;
    r->flow = (struct flow){.on_fail = &S_FINISH, .ended = ended};
    flow_start(&r->flow, &S_LOOK);
    return ERR_OK;
}

/* --- many ------------------------------------------------------------------------------------ */

struct many {
    struct redrive_parts parts;
    struct redrive_many what;
    uint64_t began_ms;
    redrive_many_fn *cb;
    void *arg;
    struct redrive_many_result result;
    size_t waiting; /* of this page's jobs, for the producer */
    bool page_more;
};

static void many_end(struct many *m)
{
    m->cb(m->arg, &m->result);
    free(m);
}

static enum err ask_page(struct many *m);

static void page_over(struct many *m)
{
    enum err e;

    if (--m->waiting > 0)
        return;
    m->result.more = m->page_more;
    if (m->result.err != ERR_OK || !m->page_more || m->result.n >= m->what.limit) {
        many_end(m);
        return;
    }
    e = ask_page(m);
    if (e == ERR_OK)
        return;
    m->result.err = e;
    many_end(m);
}

/* A row whose job could not be enqueued now is found by its next attempt's time later. */
static void on_one(void *arg, enum err e, const struct fault *why)
{
    struct many *m = arg;

    (void)why;
    if (e != ERR_OK)
        m->result.err = e;
    page_over(m);
}

static void on_page(void *arg, enum err e, const struct ledger_row *rows, size_t n, bool more)
{
    struct many *m = arg;

    m->page_more = more;
    m->result.n += n;
    m->result.err = e;
    m->waiting = 1;
    for (size_t i = 0; i < n; i++) {
        enum err one = ERR_OK;

        m->what.filter.after = rows[i].id;
        m->what.filter.has_after = true;
        if (!m->what.dry_run)
            one = redrive_enqueue(m->parts.producer, &rows[i], on_one, m);
        m->waiting += !m->what.dry_run && one == ERR_OK;
        if (one != ERR_OK)
            m->result.err = one;
    }
    page_over(m);
}

static enum err ask_page(struct many *m)
{
    double spacing = m->what.per_second > 0 ? 1000 / m->what.per_second : 0;
    struct ledger_redrive_many page = {
        .filter = m->what.filter,
        .spacing_ms = spacing,
        .first_due_ms = m->began_ms + (uint64_t)(spacing * (double)m->result.n),
        .dry_run = m->what.dry_run,
    };
    size_t left = m->what.limit - m->result.n;

    page.filter.limit = (unsigned)(left < PAGE ? left : PAGE);
    return ledger_redrive_many(m->parts.pg, &page, on_page, m);
}

enum err redrive_many(const struct redrive_parts *p, const struct redrive_many *what,
                      redrive_many_fn *cb, void *arg)
{
    struct many *m;
    enum err e;

    if (!redis_is_up(p->redis) || !pg_is_up(p->pg))
        return ERR_UNREACHABLE;
    m = calloc(1, sizeof *m);
    if (m == NULL)
        return ERR_NOMEM;
    m->parts = *p;
    m->what = *what;
    m->began_ms = clock_wall_ms();
    m->cb = cb;
    m->arg = arg;
    e = ask_page(m);
    if (e != ERR_OK)
        free(m);
    return e;
}
