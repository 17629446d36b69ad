/* Running again what has ended, finding what Redis lost, and noting attempts that nobody recorded. */
#include <inttypes.h>

#include "queue/ledger_internal.h"

#define NUMBER_SIZE 32

/* The row as the caller saw it, so that of two who ask at once one does it. */
const char ledger_redrive_sql[] =
    "UPDATE jobs SET state = 4, redrives = redrives + 1, redriven_at = now(), excused = "
    "attempt,"
    " next_attempt_at = to_timestamp($6::float8 / 1000), queue = $4, priority = $5::int2,"
    " max_attempts = CASE WHEN $7::int4 > 0 THEN $7::int4 ELSE max_attempts END, item = $8"
    " WHERE id = $1 AND state = $2::int2 AND state > 5 AND attempt = $3::int4";

const char ledger_strays_sql[] =
    "SELECT " LEDGER_LISTED ", NULL::text, item FROM jobs AS j WHERE state = 4 AND id > $1"
    " AND next_attempt_at < to_timestamp($2::float8 / 1000) ORDER BY id LIMIT $3::int4";

/* --- one ------------------------------------------------------------------------------------- */

struct ask {
    union {
        ledger_redriven_fn *redriven;
        ledger_noted_fn *noted;
        ledger_list_fn *list;
    } cb;
    void *arg;
    unsigned limit;
};

static void on_redriven(void *arg, enum err e, const PGresult *res, const struct fault *why)
{
    struct ask *a = arg;

    (void)why;
    a->cb.redriven(a->arg, e,
                   e == ERR_OK && strcmp(PQcmdTuples((PGresult *)(uintptr_t)res), "1") == 0);
    free(a);
}

static const char *number(uint64_t n, char dst[NUMBER_SIZE])
{
    (void)snprintf(dst, NUMBER_SIZE, "%" PRIu64, n);
    return dst;
}

enum err ledger_redrive(struct pg *pg, const struct ledger_redrive *r, ledger_redriven_fn *cb,
                        void *arg)
{
    static const Oid types[] = {PG_OID_UUID, PG_OID_INT2,   PG_OID_INT4, PG_OID_TEXT,
                                PG_OID_INT2, PG_OID_FLOAT8, PG_OID_INT4, PG_OID_BYTEA};
    char id[UUID_TEXT_SIZE], n[5][NUMBER_SIZE];
    const char *values[] = {uuid_text(&r->id, id),
                            number((uint64_t)r->state, n[0]),
                            number(r->attempt, n[1]),
                            r->queue,
                            number((uint64_t)r->priority, n[2]),
                            r->due_ms == 0 ? NULL : number(r->due_ms, n[3]),
                            number(r->max_attempts, n[4]),
                            r->item.ptr};
    const int lengths[] = {0, 0, 0, 0, 0, 0, 0, (int)r->item.len};
    static const int formats[] = {0, 0, 0, 0, 0, 0, 0, 1};

    return ledger_ask(pg,
                      &(struct pg_query){.name = "ledger_redrive",
                                         .sql = ledger_redrive_sql,
                                         .n = COUNT_OF(values),
                                         .types = types,
                                         .values = values,
                                         .lengths = lengths,
                                         .formats = formats},
                      on_redriven, &(struct ask){.cb.redriven = cb, .arg = arg},
                      sizeof(struct ask));
}

/* --- many ------------------------------------------------------------------------------------ */

static void on_rows(void *arg, enum err e, const PGresult *res, const struct fault *why)
{
    struct ask *a = arg;

    (void)why;
    if (e == ERR_OK)
        ledger_give_rows(res, a->limit, a->cb.list, a->arg);
    else
        a->cb.list(a->arg, e, NULL, 0, false);
    free(a);
}

static unsigned limit_of(unsigned asked)
{
    return asked < 1 || asked > LEDGER_LIMIT_MAX ? LEDGER_LIMIT_MAX : asked;
}

/* One more than the limit is looked at, and left as it is, to know whether there are more. */
static void add_update(const struct ledger_redrive_many *r, unsigned limit, struct buf *out)
{
    buf_addf(
        out,
        ", numbered AS (SELECT id, row_number() OVER (ORDER BY id) - 1 AS nth FROM picked),"
        " changed AS (UPDATE jobs AS j SET state = 4, redrives = redrives + 1,"
        " redriven_at = now(), excused = attempt, next_attempt_at = to_timestamp((%" PRIu64
        " + nth * %.3f) / 1000.0)"
        " FROM numbered AS p WHERE j.id = p.id AND nth < %u"
        " RETURNING " LEDGER_LISTED ", NULL::text, item)"
        " SELECT * FROM changed UNION ALL SELECT " LEDGER_LISTED ", NULL::text, item"
        " FROM jobs AS j JOIN numbered AS p ON j.id = p.id WHERE nth >= %u ORDER BY part, 2",
        r->first_due_ms, r->spacing_ms, limit, limit);
}

enum err ledger_redrive_many_sql(const struct ledger_redrive_many *r, struct buf *out)
{
    unsigned limit = limit_of(r->filter.limit);
    enum job_state state;

    if (r->filter.state == NULL || !job_state_parse(slice_str(r->filter.state), &state) ||
        state <= JOB_SUCCEEDED || r->filter.has_before)
        return ERR_MALFORMED;
    buf_add_str(out, "WITH picked AS (SELECT id FROM jobs WHERE true");
    if (ledger_where(&r->filter, out) != ERR_OK)
        return ERR_MALFORMED;
    buf_addf(out, " ORDER BY id LIMIT %u%s)", limit + 1,
             r->dry_run ? "" : " FOR UPDATE SKIP LOCKED");
    if (r->dry_run)
        buf_add_str(out, " SELECT " LEDGER_LISTED
                         " FROM jobs AS j JOIN picked USING (id) ORDER BY j.id");
    else
        add_update(r, limit, out);
    return buf_failed(out) ? ERR_NOMEM : ERR_OK;
}

enum err ledger_redrive_many(struct pg *pg, const struct ledger_redrive_many *r,
                             ledger_list_fn *cb, void *arg)
{
    AUTO(buf_done) struct buf sql = {0};
    struct ledger_values v;
    enum err e = ledger_redrive_many_sql(r, &sql);

    if (e != ERR_OK)
        return e;
    ledger_values(&r->filter, &v);
    return ledger_ask(
        pg,
        &(struct pg_query){.sql = buf_cstr(&sql),
                           .n = v.n,
                           .types = v.types,
                           .values = v.values,
                           .result_format = 1},
        on_rows, &(struct ask){.cb.list = cb, .arg = arg, .limit = limit_of(r->filter.limit)},
        sizeof(struct ask));
}

/* --- strays ---------------------------------------------------------------------------------- */

enum err ledger_strays(struct pg *pg, const struct ledger_strays *s, ledger_list_fn *cb,
                       void *arg)
{
    static const Oid types[] = {PG_OID_UUID, PG_OID_FLOAT8, PG_OID_INT4};
    unsigned limit = limit_of(s->limit);
    char after[UUID_TEXT_SIZE], n[2][NUMBER_SIZE];
    const char *values[] = {uuid_text(&s->after, after), number(s->due_before_ms, n[0]),
                            number(limit + 1, n[1])};

    return ledger_ask(pg,
                      &(struct pg_query){.name = "ledger_strays",
                                         .sql = ledger_strays_sql,
                                         .n = COUNT_OF(values),
                                         .types = types,
                                         .values = values,
                                         .result_format = 1},
                      on_rows, &(struct ask){.cb.list = cb, .arg = arg, .limit = limit},
                      sizeof(struct ask));
}

/* --- attempts that died with their worker ---------------------------------------------------- */

const char ledger_lost_sql[] =
    "INSERT INTO attempts (job_id, attempt, outcome, finished_at, worker, error, error_text)"
    " VALUES ($1, $2::int4, 4, to_timestamp($3::float8 / 1000), '', 'LOST', $4)"
    " ON CONFLICT (job_id, attempt) DO NOTHING";

static void on_noted(void *arg, enum err e, const PGresult *res, const struct fault *why)
{
    struct ask *a = arg;

    (void)res, (void)why;
    a->cb.noted(a->arg, e);
    free(a);
}

enum err ledger_note_lost(struct pg *pg, const struct ledger_lost *lost, ledger_noted_fn *cb,
                          void *arg)
{
    static const Oid types[] = {PG_OID_UUID, PG_OID_INT4, PG_OID_FLOAT8, PG_OID_TEXT};
    char id[UUID_TEXT_SIZE], n[2][NUMBER_SIZE];
    const char *values[] = {uuid_text(&lost->id, id), number(lost->attempt, n[0]),
                            number(lost->noticed_ms, n[1]), lost->text};

    return ledger_ask(pg,
                      &(struct pg_query){.name = "ledger_lost",
                                         .sql = ledger_lost_sql,
                                         .n = COUNT_OF(values),
                                         .types = types,
                                         .values = values},
                      on_noted, &(struct ask){.cb.noted = cb, .arg = arg}, sizeof(struct ask));
}
