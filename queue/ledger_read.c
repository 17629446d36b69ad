/* Reading by key. Results come in binary, so that an item arrives as it is; times are made Unix
 * ms by the server.
 *
 * A job, its attempts and its outputs come with one statement, as rows of one shape: the column
 * `part` tells which they are, and a part's own columns lie in those of a job (below). */
#include "queue/ledger_internal.h"
#include "shared/hash.h"

enum part { PART_JOB, PART_ATTEMPT, PART_OUTPUT };

enum column {
    COL_PART,
    COL_ID,
    COL_PARENT,
    COL_STATE, /* attempt: outcome */
    COL_PRIORITY,
    COL_ATTEMPT,      /* output: width */
    COL_MAX_ATTEMPTS, /* output: height */
    COL_ENQUEUED,     /* output: bytes */
    COL_STARTED,
    COL_FINISHED,
    COL_NEXT_ATTEMPT,
    COL_QUEUE,  /* output: name */
    COL_TYPE,   /* output: format */
    COL_WORKER, /* output: file */
    COL_ERROR,
    COL_BATCH,
    COL_REDRIVES,
    COL_EXCUSED,
    COL_ERROR_TEXT,
    COL_ITEM, /* output: sha256 */
    COL_RESULT
};

#define OUTPUT_ROW                                                                    \
    "2::int2, NULL::uuid, NULL::uuid, NULL::int2, NULL::int2, width, height, bytes, " \
    "NULL::int8, NULL::int8, NULL::int8, name, format, file, NULL::text, NULL::uuid," \
    " NULL::int4, NULL::int4, NULL::text, sha256, NULL::text FROM outputs WHERE job_id = $1"

/* More attempts than this are not shown. */
#define ATTEMPTS_SHOWN "200"

/* clang-format off */
const char ledger_job_sql[] =
    "SELECT " LEDGER_LISTED ", error_text, item, result::text FROM jobs AS j WHERE id = $1"
    " UNION ALL (SELECT 1::int2, NULL::uuid, NULL::uuid, outcome, NULL::int2, attempt, NULL::int4,"
    " NULL::int8, " LEDGER_MS("started_at") ", " LEDGER_MS("finished_at") ", NULL::int8, NULL::text,"
    " NULL::text, worker, error, NULL::uuid, NULL::int4, NULL::int4, error_text, NULL::bytea, NULL::text"
    " FROM attempts WHERE job_id = $1 ORDER BY attempt LIMIT " ATTEMPTS_SHOWN ")"
    " UNION ALL (SELECT " OUTPUT_ROW " ORDER BY name)";
/* clang-format on */

const char ledger_output_sql[] = "SELECT " OUTPUT_ROW " AND name = $2";

/* --- values ------------------------------------------------------------------------------------ */

struct row_at {
    const PGresult *res;
    int row;
};

static struct slice get_bytes(struct row_at at, enum column col)
{
    return slice_of(PQgetvalue(at.res, at.row, (int)col),
                    (size_t)PQgetlength(at.res, at.row, (int)col));
}

static bool is_null(struct row_at at, enum column col)
{
    return PQgetisnull(at.res, at.row, (int)col) != 0;
}

/* An integer of any width; NULL: 0. None that is stored is negative. */
static uint64_t get_uint(struct row_at at, enum column col)
{
    struct slice bytes = get_bytes(at, col);
    uint64_t n = 0;

    for (size_t i = 0; i < bytes.len; i++)
        n = n << 8 | (uint8_t)bytes.ptr[i];
    return n;
}

static struct uuid get_uuid(struct row_at at, enum column col)
{
    struct slice bytes = get_bytes(at, col);
    struct uuid id = {{0}};

    if (bytes.len == UUID_LEN)
        memcpy(id.bytes, bytes.ptr, UUID_LEN);
    return id;
}

static void get_listed(struct row_at at, struct ledger_row *ret)
{
    *ret = (struct ledger_row){
        .id = get_uuid(at, COL_ID),
        .parent = get_uuid(at, COL_PARENT),
        .has_parent = !is_null(at, COL_PARENT),
        .batch = get_uuid(at, COL_BATCH),
        .has_batch = !is_null(at, COL_BATCH),
        .redrives = (uint32_t)get_uint(at, COL_REDRIVES),
        .excused = (uint32_t)get_uint(at, COL_EXCUSED),
        .state = (enum job_state)get_uint(at, COL_STATE),
        .priority = (enum job_priority)get_uint(at, COL_PRIORITY),
        .attempt = (uint32_t)get_uint(at, COL_ATTEMPT),
        .max_attempts = (uint32_t)get_uint(at, COL_MAX_ATTEMPTS),
        .enqueued_ms = get_uint(at, COL_ENQUEUED),
        .started_ms = get_uint(at, COL_STARTED),
        .finished_ms = get_uint(at, COL_FINISHED),
        .next_attempt_ms = get_uint(at, COL_NEXT_ATTEMPT),
        .queue = get_bytes(at, COL_QUEUE),
        .type = get_bytes(at, COL_TYPE),
        .worker = get_bytes(at, COL_WORKER),
        .error = get_bytes(at, COL_ERROR),
        .error_text = SLICE_LIT(""),
        .result_json = SLICE_LIT(""),
        .item = SLICE_LIT(""),
    };
}

static void get_attempt(struct row_at at, struct ledger_attempt_row *ret)
{
    *ret = (struct ledger_attempt_row){
        .attempt = (uint32_t)get_uint(at, COL_ATTEMPT),
        .outcome = slice_str(job_state_name((enum job_state)get_uint(at, COL_STATE))),
        .worker = get_bytes(at, COL_WORKER),
        .error = get_bytes(at, COL_ERROR),
        .error_text = get_bytes(at, COL_ERROR_TEXT),
        .started_ms = get_uint(at, COL_STARTED),
        .finished_ms = get_uint(at, COL_FINISHED),
    };
}

static void get_output(struct row_at at, struct ledger_output_row *ret)
{
    struct slice sha256 = get_bytes(at, COL_ITEM);

    *ret = (struct ledger_output_row){
        .name = get_bytes(at, COL_QUEUE),
        .file = get_bytes(at, COL_WORKER),
        .format = get_bytes(at, COL_TYPE),
        .width = (uint32_t)get_uint(at, COL_ATTEMPT),
        .height = (uint32_t)get_uint(at, COL_MAX_ATTEMPTS),
        .bytes = get_uint(at, COL_ENQUEUED),
    };
    if (sha256.len == HASH_LEN)
        (void)hex_text((const void *)sha256.ptr, sha256.len, ret->sha256);
}

/* --- questions --------------------------------------------------------------------------------- */

struct read {
    union {
        ledger_job_fn *job;
        ledger_output_fn *output;
        ledger_list_fn *list;
    } cb;
    void *arg;
    unsigned limit;
};

/* Takes rd (NULL: there was no memory for it). */
static enum err read_start(struct pg *pg, const struct pg_query *q, pg_result_fn *cb,
                           struct read *rd)
{
    enum err e = rd == NULL ? ERR_NOMEM : pg_query(pg, q, cb, rd);

    if (e != ERR_OK)
        free(rd);
    return e;
}

static struct read *read_new(struct read with)
{
    struct read *rd = malloc(sizeof *rd);

    if (rd != NULL)
        *rd = with;
    return rd;
}

/* --- one job ----------------------------------------------------------------------------------- */

struct job_parts {
    struct ledger_row row;
    bool found;
    struct ledger_attempt_row *attempts;
    struct ledger_output_row *outputs;
    size_t n_attempts, n_outputs;
};

static void take_part(struct row_at at, struct job_parts *parts)
{
    switch ((enum part)get_uint(at, COL_PART)) {
    case PART_JOB:
        parts->found = true;
        get_listed(at, &parts->row);
        parts->row.error_text = get_bytes(at, COL_ERROR_TEXT);
        parts->row.item = get_bytes(at, COL_ITEM);
        parts->row.result_json = get_bytes(at, COL_RESULT);
        break;
    case PART_ATTEMPT:
        get_attempt(at, &parts->attempts[parts->n_attempts++]);
        break;
    case PART_OUTPUT:
        get_output(at, &parts->outputs[parts->n_outputs++]);
        break;
    }
}

static void give_job(const struct read *rd, const PGresult *res)
{
    size_t n = (size_t)PQntuples(res);
    struct job_parts parts = {.attempts = calloc(n + 1, sizeof *parts.attempts),
                              .outputs = calloc(n + 1, sizeof *parts.outputs)};
    bool has_room = parts.attempts != NULL && parts.outputs != NULL;
    struct ledger_parts all;

    for (size_t i = 0; has_room && i < n; i++)
        take_part((struct row_at){res, (int)i}, &parts);
    all =
        (struct ledger_parts){parts.outputs, parts.n_outputs, parts.attempts, parts.n_attempts};
    if (!has_room)
        rd->cb.job(rd->arg, ERR_NOMEM, NULL, NULL);
    else
        rd->cb.job(rd->arg, parts.found ? ERR_OK : ERR_NOT_FOUND,
                   parts.found ? &parts.row : NULL, &all);
    free(parts.attempts);
    free(parts.outputs);
}

static void on_job(void *arg, enum err e, const PGresult *res, const struct fault *why)
{
    struct read *rd = arg;

    (void)why;
    if (e == ERR_OK)
        give_job(rd, res);
    else
        rd->cb.job(rd->arg, e, NULL, NULL);
    free(rd);
}

static const Oid key_types[] = {PG_OID_UUID, PG_OID_TEXT};

enum err ledger_job(struct pg *pg, const struct uuid *id, ledger_job_fn *cb, void *arg)
{
    char text[UUID_TEXT_SIZE];
    const char *values[] = {uuid_text(id, text)};
    const struct pg_query q = {.name = "ledger_job",
                               .sql = ledger_job_sql,
                               .n = 1,
                               .types = key_types,
                               .values = values,
                               .result_format = 1};

    return read_start(pg, &q, on_job, read_new((struct read){.cb.job = cb, .arg = arg}));
}

/* --- one output -------------------------------------------------------------------------------- */

static void on_output(void *arg, enum err e, const PGresult *res, const struct fault *why)
{
    struct read *rd = arg;
    struct ledger_output_row row;

    (void)why;
    if (e == ERR_OK && PQntuples(res) == 0)
        e = ERR_NOT_FOUND;
    if (e == ERR_OK)
        get_output((struct row_at){res, 0}, &row);
    rd->cb.output(rd->arg, e, e == ERR_OK ? &row : NULL);
    free(rd);
}

enum err ledger_output(struct pg *pg, const struct uuid *id, const char *name,
                       ledger_output_fn *cb, void *arg)
{
    char text[UUID_TEXT_SIZE];
    const char *values[] = {uuid_text(id, text), name};
    const struct pg_query q = {.name = "ledger_output",
                               .sql = ledger_output_sql,
                               .n = 2,
                               .types = key_types,
                               .values = values,
                               .result_format = 1};

    return read_start(pg, &q, on_output, read_new((struct read){.cb.output = cb, .arg = arg}));
}

/* --- lists ------------------------------------------------------------------------------------- */

static void add_condition(struct buf *out, int *n, const char *column, const char *value)
{
    if (value != NULL)
        buf_addf(out, " AND %s $%d", column, ++*n);
}

enum err ledger_where(const struct ledger_filter *f, struct buf *out)
{
    enum job_state state = JOB_QUEUED;
    int n = 0;

    if (f->state != NULL && !job_state_parse(slice_str(f->state), &state))
        return ERR_MALFORMED;
    add_condition(out, &n, "queue =", f->queue);
    add_condition(out, &n, "type =", f->type);
    if (f->state != NULL)
        buf_addf(out, " AND state = %d", (int)state);
    add_condition(out, &n, "error =", f->error);
    add_condition(out, &n, "id <", f->has_before ? "" : NULL);
    add_condition(out, &n, "id >", f->has_after ? "" : NULL);
    add_condition(out, &n, "batch =", f->has_batch ? "" : NULL);
    return ERR_OK;
}

void ledger_values(const struct ledger_filter *f, struct ledger_values *ret)
{
    const char *all[LEDGER_VALUES] = {f->queue, f->type, f->error, NULL, NULL, NULL};

    if (f->has_before)
        all[3] = uuid_text(&f->before, ret->before);
    if (f->has_after)
        all[4] = uuid_text(&f->after, ret->after);
    if (f->has_batch)
        all[5] = uuid_text(&f->batch, ret->batch);
    ret->n = 0;
    for (size_t i = 0; i < LEDGER_VALUES; i++) {
        if (all[i] == NULL)
            continue;
        ret->values[ret->n] = all[i];
        ret->types[ret->n++] = i < 3 ? PG_OID_TEXT : PG_OID_UUID;
    }
}

/* State and limit stand in the text: the index of what did not succeed can be used only where the planner sees the state, and
 * the size of a page tells it to walk an index instead of sorting. So there are too many texts to keep each prepared. */
enum err ledger_list_sql(const struct ledger_filter *f, struct buf *out)
{
    buf_add_str(out, "SELECT " LEDGER_LISTED " FROM jobs AS j WHERE true");
    if (ledger_where(f, out) != ERR_OK)
        return ERR_MALFORMED;
    buf_addf(out, " ORDER BY id DESC LIMIT %u", f->limit + 1);
    return buf_failed(out) ? ERR_NOMEM : ERR_OK;
}

void ledger_give_rows(const PGresult *res, unsigned limit, ledger_list_fn *cb, void *arg)
{
    bool has_items = PQnfields(res) > COL_ITEM;
    size_t n = (size_t)PQntuples(res);
    bool more = n > limit;
    struct ledger_row *rows = calloc(n + 1, sizeof *rows);

    if (rows == NULL) {
        cb(arg, ERR_NOMEM, NULL, 0, false);
        return;
    }
    if (more)
        n = limit;
    for (size_t i = 0; i < n; i++) {
        struct row_at at = {res, (int)i};

        get_listed(at, &rows[i]);
        if (has_items)
            rows[i].item = get_bytes(at, COL_ITEM);
    }
    cb(arg, ERR_OK, rows, n, more);
    free(rows);
}

static void on_list(void *arg, enum err e, const PGresult *res, const struct fault *why)
{
    struct read *rd = arg;

    (void)why;
    if (e == ERR_OK)
        ledger_give_rows(res, rd->limit, rd->cb.list, rd->arg);
    else
        rd->cb.list(rd->arg, e, NULL, 0, false);
    free(rd);
}

/* Sends sql with the values that the filter has; borrows rd. */
static enum err send_list(struct pg *pg, const struct ledger_filter *f, const char *sql,
                          struct read *rd)
{
    struct ledger_values v;

    ledger_values(f, &v);
    return pg_query(
        pg,
        &(struct pg_query){
            .sql = sql, .n = v.n, .types = v.types, .values = v.values, .result_format = 1},
        on_list, rd);
}

enum err ledger_list(struct pg *pg, const struct ledger_filter *f, ledger_list_fn *cb,
                     void *arg)
{
    struct ledger_filter filter = *f;
    struct buf sql = {.len = 0};
    struct read *rd;
    enum err e;

    if (filter.limit < 1 || filter.limit > LEDGER_LIMIT_MAX)
        filter.limit = LEDGER_LIMIT_MAX;
    rd = read_new((struct read){.cb.list = cb, .arg = arg, .limit = filter.limit});
    if (rd == NULL)
        return ERR_NOMEM;
    e = ledger_list_sql(&filter, &sql);
    if (e == ERR_OK)
        e = send_list(pg, &filter, buf_cstr(&sql), rd);
    buf_done(&sql);
    if (e != ERR_OK)
        free(rd);
    return e;
}
