/* One statement writes a batch. What it does with a row that is there already:
 *
 *     the row says                     the outcome                      then
 *     retrying, attempt n              attempt n or later               the row is replaced
 *     any state, attempt n             the same state, attempt n        a repeat: nothing changes, yet it counts as applied
 *     all else                                                          nothing changes, not applied
 *
 * A repeat is told from the row as it is now, not as it was when the statement began: its first
 * try may have committed in between, on a connection that was given up. So it is an UPDATE that
 * writes what is there. What never changes after the first attempt is not written again. */
#include "queue/ledger_internal.h"

/* $1..$18: one array per column of jobs; $19..$27: of outputs. Rows stand in the order of their
 * ids, so that two batches lock them in the same order. */
#define WHEN_OPEN(column) \
    column " = CASE WHEN j.state > 4 THEN j." column " ELSE excluded." column " END"

const char ledger_write_sql[] =
    "WITH written AS ("
    "INSERT INTO jobs AS j (id, parent, state, priority, attempt, max_attempts, enqueued_at,"
    " started_at, finished_at, next_attempt_at, queue, type, worker, error, error_text, item,"
    " result, batch)"
    " SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::int2[], $4::int2[], $5::int4[],"
    " $6::int4[], $7::timestamptz[], $8::timestamptz[], $9::timestamptz[], $10::timestamptz[],"
    " $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::bytea[],"
    " $17::jsonb[], $18::uuid[])"
    " ON CONFLICT (id) DO UPDATE SET state = excluded.state, attempt = excluded.attempt,"
    " enqueued_at = coalesce(j.enqueued_at, excluded.enqueued_at),"
    /* clang-format off */
    " " WHEN_OPEN("started_at") ", " WHEN_OPEN("finished_at") ", " WHEN_OPEN("next_attempt_at") ","
    " " WHEN_OPEN("worker") ", " WHEN_OPEN("error") ", " WHEN_OPEN("error_text") ", " WHEN_OPEN("result")
    /* clang-format on */
    " WHERE (j.state = 4 AND j.attempt <= excluded.attempt)"
    " OR (j.attempt = excluded.attempt AND j.state = excluded.state)"
    " RETURNING id, attempt, state, started_at, finished_at, worker, error, error_text),"
    " tried AS ("
    "INSERT INTO attempts (job_id, attempt, outcome, started_at, finished_at, worker, error,"
    " error_text)"
    " SELECT id, attempt, state, started_at, finished_at, worker, error, error_text"
    " FROM written WHERE attempt > 0"
    " ON CONFLICT (job_id, attempt) DO NOTHING),"
    " made AS ("
    "INSERT INTO outputs AS o (job_id, attempt, width, height, bytes, name, format, file, "
    "sha256)"
    " SELECT n.* FROM unnest($19::uuid[], $20::int4[], $21::int4[], $22::int4[], $23::int8[],"
    " $24::text[], $25::text[], $26::text[], $27::bytea[]) AS n (job_id)"
    " JOIN written ON id = job_id"
    " ON CONFLICT (job_id, name) DO UPDATE SET attempt = excluded.attempt,"
    " width = excluded.width, height = excluded.height, bytes = excluded.bytes,"
    " format = excluded.format, file = excluded.file, sha256 = excluded.sha256"
    " WHERE o.attempt < excluded.attempt)"
    " SELECT id FROM written";

/* --- columns ----------------------------------------------------------------------------------- */

enum column {
    COL_ID,
    COL_PARENT,
    COL_STATE,
    COL_PRIORITY,
    COL_ATTEMPT,
    COL_MAX_ATTEMPTS,
    COL_ENQUEUED,
    COL_STARTED,
    COL_FINISHED,
    COL_NEXT_ATTEMPT,
    COL_QUEUE,
    COL_TYPE,
    COL_WORKER,
    COL_ERROR,
    COL_ERROR_TEXT,
    COL_ITEM,
    COL_RESULT,
    COL_BATCH,
    OUT_JOB_ID,
    OUT_ATTEMPT,
    OUT_WIDTH,
    OUT_HEIGHT,
    OUT_BYTES,
    OUT_NAME,
    OUT_FORMAT,
    OUT_FILE,
    OUT_SHA256,
    COLUMNS
};

struct oids {
    Oid element, array;
};
#define OIDS(name)                           \
    {                                        \
        PG_OID_##name, PG_OID_##name##_ARRAY \
    }

static const struct oids column_oids[COLUMNS] = {
    [COL_ID] = OIDS(UUID),
    [COL_PARENT] = OIDS(UUID),
    [COL_STATE] = OIDS(INT2),
    [COL_PRIORITY] = OIDS(INT2),
    [COL_ATTEMPT] = OIDS(INT4),
    [COL_MAX_ATTEMPTS] = OIDS(INT4),
    [COL_ENQUEUED] = OIDS(TIMESTAMPTZ),
    [COL_STARTED] = OIDS(TIMESTAMPTZ),
    [COL_FINISHED] = OIDS(TIMESTAMPTZ),
    [COL_NEXT_ATTEMPT] = OIDS(TIMESTAMPTZ),
    [COL_QUEUE] = OIDS(TEXT),
    [COL_TYPE] = OIDS(TEXT),
    [COL_WORKER] = OIDS(TEXT),
    [COL_ERROR] = OIDS(TEXT),
    [COL_ERROR_TEXT] = OIDS(TEXT),
    [COL_ITEM] = OIDS(BYTEA),
    [COL_RESULT] = OIDS(JSONB),
    [COL_BATCH] = OIDS(UUID),
    [OUT_JOB_ID] = OIDS(UUID),
    [OUT_ATTEMPT] = OIDS(INT4),
    [OUT_WIDTH] = OIDS(INT4),
    [OUT_HEIGHT] = OIDS(INT4),
    [OUT_BYTES] = OIDS(INT8),
    [OUT_NAME] = OIDS(TEXT),
    [OUT_FORMAT] = OIDS(TEXT),
    [OUT_FILE] = OIDS(TEXT),
    [OUT_SHA256] = OIDS(BYTEA),
};

static void add_text(struct pg_array *a, const char *s)
{
    if (s == NULL)
        pg_array_null(a);
    else
        pg_array_bytes(a, s, strlen(s));
}

static void add_result(struct pg_array *a, struct slice json)
{
    if (json.len == 0)
        pg_array_null(a);
    else
        pg_array_jsonb(a, json.ptr, json.len);
}

static void add_uuid(struct pg_array *a, bool is_set, const struct uuid *id)
{
    if (is_set)
        pg_array_bytes(a, id->bytes, UUID_LEN);
    else
        pg_array_null(a);
}

static void add_outcome(struct pg_array a[COLUMNS], const struct ledger_outcome *o)
{
    pg_array_bytes(&a[COL_ID], o->id.bytes, UUID_LEN);
    add_uuid(&a[COL_PARENT], o->has_parent, &o->parent);
    pg_array_i16(&a[COL_STATE], (int16_t)o->state);
    pg_array_i16(&a[COL_PRIORITY], (int16_t)o->priority);
    pg_array_i32(&a[COL_ATTEMPT], (int32_t)o->attempt);
    pg_array_i32(&a[COL_MAX_ATTEMPTS], (int32_t)o->max_attempts);
    pg_array_wall_ms(&a[COL_ENQUEUED], o->enqueued_ms);
    pg_array_wall_ms(&a[COL_STARTED], o->started_ms);
    pg_array_wall_ms(&a[COL_FINISHED], o->finished_ms);
    pg_array_wall_ms(&a[COL_NEXT_ATTEMPT], o->next_attempt_ms);
    add_text(&a[COL_QUEUE], o->queue);
    add_text(&a[COL_TYPE], o->type);
    add_text(&a[COL_WORKER], o->worker);
    add_text(&a[COL_ERROR], o->error);
    add_text(&a[COL_ERROR_TEXT], o->error_text.len == 0 ? NULL : o->error_text.ptr);
    pg_array_bytes(&a[COL_ITEM], o->item.ptr, o->item.len);
    add_result(&a[COL_RESULT], o->result_json);
    add_uuid(&a[COL_BATCH], o->has_batch, &o->batch);
}

static void add_output(struct pg_array a[COLUMNS], const struct ledger_outcome *o,
                       const struct ledger_output *made)
{
    pg_array_bytes(&a[OUT_JOB_ID], o->id.bytes, UUID_LEN);
    pg_array_i32(&a[OUT_ATTEMPT], (int32_t)o->attempt);
    pg_array_i32(&a[OUT_WIDTH], (int32_t)made->width);
    pg_array_i32(&a[OUT_HEIGHT], (int32_t)made->height);
    pg_array_i64(&a[OUT_BYTES], (int64_t)made->bytes);
    add_text(&a[OUT_NAME], made->name);
    add_text(&a[OUT_FORMAT], made->format);
    add_text(&a[OUT_FILE], made->file);
    pg_array_bytes(&a[OUT_SHA256], made->sha256, sizeof made->sha256);
}

/* --- the batch ---------------------------------------------------------------------------------- */

struct batch *batch_new(struct ledger *l, size_t n)
{
    struct batch *b = malloc(sizeof *b + n * sizeof(struct held *));

    if (b != NULL)
        *b = (struct batch){.ledger = l};
    return b;
}

static int compare_rows(const void *a, const void *b)
{
    const struct held *const *x = a;
    const struct held *const *y = b;

    return memcmp((*x)->o.id.bytes, (*y)->o.id.bytes, UUID_LEN);
}

void batch_sort(struct batch *b)
{
    qsort(b->rows, b->n, sizeof(struct held *), compare_rows);
}

static enum err send_arrays(struct pg_array a[COLUMNS], struct pg *pg, pg_result_fn *cb,
                            void *arg)
{
    const char *values[COLUMNS];
    int lengths[COLUMNS];
    int formats[COLUMNS];
    Oid types[COLUMNS];
    struct pg_query q = {.name = "ledger_write",
                         .sql = ledger_write_sql,
                         .n = COLUMNS,
                         .types = types,
                         .values = values,
                         .lengths = lengths,
                         .formats = formats,
                         .result_format = 1};

    for (size_t i = 0; i < COLUMNS; i++) {
        struct slice bytes = pg_array_end(&a[i]);

        values[i] = bytes.ptr;
        lengths[i] = (int)bytes.len;
        formats[i] = 1;
        types[i] = column_oids[i].array;
    }
    return pg_query(pg, &q, cb, arg);
}

enum err batch_send(const struct batch *b, struct pg *pg, pg_result_fn *cb, void *arg)
{
    struct pg_array a[COLUMNS];
    enum err e;

    for (size_t i = 0; i < COLUMNS; i++)
        pg_array_init(&a[i], column_oids[i].element);
    for (size_t i = 0; i < b->n; i++) {
        const struct ledger_outcome *o = &b->rows[i]->o;

        add_outcome(a, o);
        for (size_t k = 0; k < o->n_outputs; k++)
            add_output(a, o, &o->outputs[k]);
    }
    e = send_arrays(a, pg, cb, arg);
    for (size_t i = 0; i < COLUMNS; i++)
        pg_array_done(&a[i]);
    return e;
}

void batch_read(const struct batch *b, const PGresult *res)
{
    for (int i = 0; i < PQntuples(res); i++) {
        struct held key;
        const struct held *want = &key;
        struct held *const *found;

        if (PQgetlength(res, i, 0) != UUID_LEN)
            continue;
        memcpy(key.o.id.bytes, PQgetvalue(res, i, 0), UUID_LEN);
        found = bsearch(&want, b->rows, b->n, sizeof(struct held *), compare_rows);
        if (found != NULL)
            (*found)->applied = true;
    }
}
