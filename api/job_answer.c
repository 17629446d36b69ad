#include "api/job_answer.h"

#include "api/job_wait.h"
#include "api/reply.h"
#include "queue/job_json.h"

struct look {
    struct request *rq;
    struct uuid id;
    bool posted; /* it was just taken: its place is told, and it cannot be unknown */
    bool waited;
    bool unsure;     /* Redis could not say whether the job lives */
    struct buf live; /* how it stands, unless the record has the last word */
};

static void look_free(struct look *l)
{
    buf_done(&l->live);
    free(l);
}

/* --- answers --------------------------------------------------------------------------------- */

static void reply_job(const struct look *l, unsigned status, const struct buf *body)
{
    char id[UUID_TEXT_SIZE], location[UUID_TEXT_SIZE + 16];
    struct reply r = {
        .status = status, .content_type = "application/json", .body = buf_slice(body)};

    (void)snprintf(location, sizeof location, "/v1/jobs/%s", uuid_text(&l->id, id));
    if (l->posted)
        r.headers[r.n_headers++] = (struct reply_header){"location", location};
    if (l->waited)
        r.headers[r.n_headers++] = (struct reply_header){"preference-applied", "wait"};
    if (buf_failed(body))
        reply_problem(l->rq, 503, NULL, "no memory for the answer");
    else
        reply_send(l->rq, &r);
}

/* It was taken, whatever cannot be learned about it now. */
static void reply_taken(const struct look *l)
{
    AUTO(buf_done) struct buf out = {0};
    char id[UUID_TEXT_SIZE];

    (void)uuid_text(&l->id, id);
    buf_addf(&out, "{\"id\":\"%s\",\"url\":\"/v1/jobs/%s\"}", id, id);
    reply_job(l, 202, &out);
}

static void reply_unknown(const struct look *l, enum err e)
{
    if (l->posted)
        reply_taken(l);
    else if (e != ERR_OK)
        reply_unavailable(l->rq, "the record of jobs cannot be read", e);
    else if (l->unsure)
        reply_unavailable(l->rq, "the queue cannot be asked for live jobs", ERR_UNREACHABLE);
    else
        reply_problem(l->rq, 404, NULL, "there is no such job");
}

static void reply_recorded(const struct look *l, const struct ledger_row *row,
                           const struct ledger_parts *parts)
{
    AUTO(buf_done) struct buf out = {0};

    job_json_recorded(row, parts, &out);
    reply_job(l, l->posted && !job_state_is_terminal(row->state) ? 202 : 200, &out);
}

static void reply_live(const struct look *l)
{
    reply_job(l, l->posted ? 202 : 200, &l->live);
}

/* --- looking --------------------------------------------------------------------------------- */

static void on_row(void *arg, enum err e, const struct ledger_row *row,
                   const struct ledger_parts *parts)
{
    struct look *l = arg;

    if (e == ERR_OK && !(l->unsure && !job_state_is_terminal(row->state)))
        reply_recorded(l, row, parts);
    else
        reply_unknown(l, e == ERR_NOT_FOUND ? ERR_OK : e);
    look_free(l);
}

static void recall(struct look *l)
{
    struct pg *pg = l->rq->api->pg;
    /* A query waits for a connection until its deadline; a client had better come again. */
    enum err e = pg_is_up(pg) ? ledger_job(pg, &l->id, on_row, l) : ERR_UNREACHABLE;

    if (e == ERR_OK)
        return;
    reply_unknown(l, e);
    look_free(l);
}

static void look_live(struct look *l);

static void on_waited(void *arg, const struct ledger_row *row, const struct ledger_parts *parts)
{
    struct look *l = arg;

    l->waited = true;
    if (row == NULL) {
        look_live(l);
        return;
    }
    reply_recorded(l, row, parts);
    look_free(l);
}

static void on_last_word(void *arg, enum err e, const struct ledger_row *row,
                         const struct ledger_parts *parts)
{
    struct look *l = arg;

    if (e == ERR_OK && job_state_is_terminal(row->state))
        reply_recorded(l, row, parts);
    else
        reply_live(l);
    look_free(l);
}

/* What waits as cancelled after an attempt may have ended in that one: its worker died before Redis knew. Then it
 * was never cancelled, and nobody may be told so. */
static bool asks_for_last_word(struct look *l, const struct live_job *job)
{
    struct pg *pg = l->rq->api->pg;

    return job->state == JOB_CANCELLED && job->attempt > 0 && pg_is_up(pg) &&
           ledger_job(pg, &l->id, on_last_word, l) == ERR_OK;
}

static void on_live(void *arg, enum err e, const struct live_job *job)
{
    struct look *l = arg;

    if (e != ERR_OK) {
        l->unsure = e != ERR_NOT_FOUND;
        recall(l);
        return;
    }
    if (!l->waited && !l->posted && job_wait_start(l->rq, job->queue, &l->id, on_waited, l))
        return;
    buf_clear(&l->live);
    job_json_live(job, &l->live);
    if (asks_for_last_word(l, job))
        return;
    reply_live(l);
    look_free(l);
}

static void look_live(struct look *l)
{
    l->unsure = inspect_job(l->rq->api->redis, &l->id, on_live, l) != ERR_OK;
    if (l->unsure)
        recall(l);
}

static struct look *look_new(struct request *rq, const struct uuid *id)
{
    struct look *l = calloc(1, sizeof *l);

    if (l != NULL) {
        l->rq = rq;
        l->id = *id;
    }
    return l;
}

void job_answer(struct request *rq, const struct uuid *id)
{
    struct look *l = look_new(rq, id);

    if (l == NULL)
        reply_problem(rq, 503, NULL, "no memory for the answer");
    else
        look_live(l);
}

bool job_answer_posted(struct request *rq, const char *queue, const struct uuid *id)
{
    struct look *l = look_new(rq, id);

    if (l == NULL)
        return false;
    l->posted = true;
    if (job_wait_start(rq, queue, id, on_waited, l))
        return true;
    free(l);
    return false;
}
