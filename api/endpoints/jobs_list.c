/* GET /v1/jobs: jobs by state, queue, type and error, a page at a time.
 *
 * Ended attempts (retrying, succeeded, dead, cancelled, expired; or no state at all) come from
 * PostgreSQL, newest first, by keyset: the cursor is the last id. Live states (queued, scheduled, running)
 * come from Redis, one queue after the other; their cursor is queue:offset, and since live jobs move, a
 * page may repeat or skip some. */
#include "api/api.h"
#include "api/endpoints/endpoints.h"
#include "api/reply.h"
#include "queue/job_json.h"
#include "shared/json.h"

#define LIMIT_DEFAULT 50
#define LIMIT_MAX     200
/* Live jobs come with their args, which may be large: so many are fetched at a time, and a page ends early
 * when it has grown to so many bytes, or when so many jobs were looked at. */
#define FETCH_MAX  20
#define PAGE_BYTES ((size_t)1 << 20)
#define LOOK_MAX   200

struct list {
    struct request *rq;
    char state[16], queue[JOB_NAME_MAX + 1], type[JOB_NAME_MAX + 1], error[32],
        cursor[JOB_NAME_MAX + 24];
    struct uuid batch;
    bool has_batch;
    enum job_state live; /* 0: recorded */
    unsigned limit;
    struct buf out;
    size_t count;
    /* live */
    char (*queues)[JOB_NAME_MAX + 1];
    size_t n_queues, at, offset, looked;
};

static void free_list(struct list *l)
{
    buf_done(&l->out);
    free(l->queues);
    free(l);
}

static void finish(struct list *l, const char *next)
{
    buf_add_str(&l->out, "],\"next_cursor\":");
    if (next != NULL)
        json_quote(slice_str(next), &l->out);
    else
        buf_add_str(&l->out, "null");
    buf_add_char(&l->out, '}');
    reply_json(l->rq, 200, &l->out);
    free_list(l);
}

static void next_item(struct list *l)
{
    if (l->count++ > 0)
        buf_add_char(&l->out, ',');
}

/* --- recorded --------------------------------------------------------------------------------------- */

static void on_rows(void *arg, enum err e, const struct ledger_row *rows, size_t n, bool more)
{
    struct list *l = arg;
    char last[UUID_TEXT_SIZE];

    if (e != ERR_OK) {
        reply_unavailable(l->rq, "the record of jobs cannot be read", e);
        free_list(l);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        next_item(l);
        job_json_recorded(&rows[i], NULL, &l->out);
    }
    finish(l, more ? uuid_text(&rows[n - 1].id, last) : NULL);
}

static const char *or_null(const char *s)
{
    return s[0] == '\0' ? NULL : s;
}

static void list_recorded(struct list *l)
{
    struct ledger_filter f = {.queue = or_null(l->queue),
                              .type = or_null(l->type),
                              .state = or_null(l->state),
                              .error = or_null(l->error),
                              .has_batch = l->has_batch,
                              .batch = l->batch,
                              .limit = l->limit};
    enum err e;

    f.has_before = l->cursor[0] != '\0';
    if (f.has_before && !uuid_parse(slice_str(l->cursor), &f.before)) {
        reply_problem(l->rq, 400, NULL,
                      "cursor: must be next_cursor of an earlier answer to the same question");
        free_list(l);
        return;
    }
    e = pg_is_up(l->rq->api->pg) ? ledger_list(l->rq->api->pg, &f, on_rows, l)
                                 : ERR_UNREACHABLE;
    if (e == ERR_OK)
        return;
    reply_unavailable(l->rq, "the record of jobs cannot be read", e);
    free_list(l);
}

/* --- live ------------------------------------------------------------------------------------------- */

static void next_live(struct list *l);

static void fail_live(struct list *l, enum err e)
{
    reply_unavailable(l->rq, "the queue cannot be read", e);
    free_list(l);
}

static bool type_fits(const struct list *l, const struct live_job *job)
{
    return l->type[0] == '\0' || strcmp(l->type, job->type) == 0;
}

static bool page_is_full(const struct list *l)
{
    return l->count >= l->limit || l->looked >= LOOK_MAX || l->out.len >= PAGE_BYTES;
}

static void on_live(void *arg, enum err e, const struct live_job *jobs, size_t n, bool more)
{
    struct list *l = arg;

    if (e != ERR_OK) {
        fail_live(l, e);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        if (!type_fits(l, &jobs[i]))
            continue;
        next_item(l);
        job_json_live(&jobs[i], &l->out);
    }
    l->offset += n;
    l->looked += n;
    if (!more || n == 0) {
        l->at++;
        l->offset = 0;
    }
    next_live(l);
}

static void next_live(struct list *l)
{
    char cursor[sizeof l->cursor];
    size_t room = l->limit - l->count;
    enum err e;

    if (l->at == l->n_queues) {
        finish(l, NULL);
        return;
    }
    if (page_is_full(l)) {
        (void)snprintf(cursor, sizeof cursor, "%s:%zu", l->queues[l->at], l->offset);
        finish(l, cursor);
        return;
    }
    e = inspect_list(l->rq->api->redis, l->queues[l->at], l->live, l->offset,
                     room < FETCH_MAX ? room : FETCH_MAX, on_live, l);
    if (e != ERR_OK)
        fail_live(l, e);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* A cursor names the queue to go on with and how many of its jobs were told. */
static bool apply_cursor(struct list *l)
{
    char *colon = strrchr(l->cursor, ':'), *end;

    if (l->cursor[0] == '\0')
        return true;
    if (colon == NULL || colon[1] < '0' || colon[1] > '9')
        return false;
    *colon = '\0';
    l->offset = strtoul(colon + 1, &end, 10);
    while (l->at < l->n_queues && strcmp(l->queues[l->at], l->cursor) < 0)
        l->at++;
    if (l->at == l->n_queues || strcmp(l->queues[l->at], l->cursor) != 0)
        l->offset = 0; /* that queue is not known any more: the next one from its beginning */
    return *end == '\0';
}

static void on_queues(void *arg, enum err e, const struct queue_info *queues, size_t n)
{
    struct list *l = arg;

    l->queues = e == ERR_OK ? calloc(n + 1, sizeof *l->queues) : NULL;
    if (l->queues == NULL) {
        fail_live(l, e == ERR_OK ? ERR_NOMEM : e);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        if (l->queue[0] == '\0' || strcmp(l->queue, queues[i].name) == 0)
            (void)slice_to_cstr(slice_str(queues[i].name), l->queues[l->n_queues++],
                                sizeof l->queues[0]);
    }
    qsort(l->queues, l->n_queues, sizeof l->queues[0], by_name);
    if (apply_cursor(l)) {
        next_live(l);
        return;
    }
    reply_problem(l->rq, 400, NULL,
                  "cursor: must be next_cursor of an earlier answer to the same question");
    free_list(l);
}

/* --- the question ----------------------------------------------------------------------------------- */

static bool take(struct request *rq, const char *name, char *dst, size_t cap)
{
    if (request_decode(request_query(rq, name), dst, cap) == ERR_OK)
        return true;
    reply_problem(rq, 400, NULL, "%s: is too long or badly escaped", name);
    return false;
}

static bool take_limit(struct list *l)
{
    char text[8], *end;
    unsigned long n;

    if (!take(l->rq, "limit", text, sizeof text))
        return false;
    n = text[0] == '\0' ? LIMIT_DEFAULT : strtoul(text, &end, 10);
    if (text[0] != '\0' &&
        (*end != '\0' || n < 1 || n > LIMIT_MAX || text[0] < '0' || text[0] > '9')) {
        reply_problem(l->rq, 400, NULL, "limit: must be an integer from 1 to %d", LIMIT_MAX);
        return false;
    }
    l->limit = (unsigned)n;
    return true;
}

static bool take_state(struct list *l)
{
    enum job_state s;

    if (!take(l->rq, "state", l->state, sizeof l->state))
        return false;
    if (l->state[0] == '\0')
        return true;
    if (!job_state_parse(slice_str(l->state), &s)) {
        reply_problem(l->rq, 400, NULL,
                      "state: must be one of queued, scheduled, running, retrying, succeeded, "
                      "dead, cancelled, expired");
        return false;
    }
    if (s == JOB_QUEUED || s == JOB_SCHEDULED || s == JOB_RUNNING)
        l->live = s;
    return true;
}

static bool take_batch(struct list *l)
{
    char text[UUID_TEXT_SIZE];

    if (!take(l->rq, "batch", text, sizeof text))
        return false;
    l->has_batch = text[0] != '\0';
    if (l->has_batch && !uuid_parse(slice_str(text), &l->batch)) {
        reply_problem(l->rq, 400, NULL, "batch: must be a UUID");
        return false;
    }
    if (l->has_batch && l->live != 0) {
        reply_problem(l->rq, 400, NULL, "batch: only recorded jobs are found by it");
        return false;
    }
    return true;
}

static bool take_all(struct list *l)
{
    static const char *const known[] = {"state", "queue", "type",   "error",
                                        "batch", "limit", "cursor", NULL};
    struct slice unknown = request_unknown_query(l->rq, known);
    struct slice repeated = request_repeated_query(l->rq);

    if (unknown.ptr != NULL) {
        reply_problem(
            l->rq, 400, NULL,
            SLICE_FMT
            ": is not a known parameter; known here: state, queue, type, error, batch, limit, "
            "cursor",
            SLICE_ARG(unknown));
        return false;
    }
    if (repeated.ptr != NULL) {
        reply_problem(l->rq, 400, NULL, SLICE_FMT ": is given twice", SLICE_ARG(repeated));
        return false;
    }
    return take_limit(l) && take_state(l) && take_batch(l) &&
           take(l->rq, "queue", l->queue, sizeof l->queue) &&
           take(l->rq, "type", l->type, sizeof l->type) &&
           take(l->rq, "error", l->error, sizeof l->error) &&
           take(l->rq, "cursor", l->cursor, sizeof l->cursor);
}

static void on_end(struct request *rq)
{
    struct list *l = calloc(1, sizeof *l);
    enum err e;

    if (l == NULL) {
        reply_problem(rq, 503, NULL, "no memory for the answer");
        return;
    }
    l->rq = rq;
    if (!take_all(l)) {
        free_list(l);
        return;
    }
    buf_add_str(&l->out, "{\"jobs\":[");
    if (l->live == 0) {
        list_recorded(l);
        return;
    }
    e = inspect_queues(rq->api->redis, on_queues, l);
    if (e != ERR_OK)
        fail_live(l, e);
}

const struct endpoint endpoint_jobs_list = {
    .method = "GET", .pattern = "/v1/jobs", .on_end = on_end};
