#include "queue/ledger_results.h"

#include <inttypes.h>

#include "queue/ledger_internal.h"

/* A memory that does not answer soon is worth less than the work. */
#define DEADLINE_MS 2000

struct ask {
    union {
        ledger_result_fn *found;
        ledger_result_kept_fn *kept;
    } cb;
    void *arg;
};

const char ledger_result_find_sql[] =
    "SELECT result FROM image_results WHERE key = $1"
    " AND made_at > now() - $2::float8 * interval '1 millisecond'";

const char ledger_result_keep_sql[] =
    "WITH gone AS (DELETE FROM image_results WHERE key IN (SELECT key FROM image_results"
    " WHERE made_at < now() - $2::float8 * interval '1 millisecond' AND key <> $1"
    " ORDER BY made_at LIMIT 8 FOR UPDATE SKIP LOCKED))"
    " INSERT INTO image_results (key, result) VALUES ($1, $3)"
    " ON CONFLICT (key) DO UPDATE SET result = excluded.result, made_at = excluded.made_at";

static void on_found(void *arg, enum err e, const PGresult *res, const struct fault *why)
{
    struct ask ask = *(struct ask *)arg;
    struct slice result = SLICE_LIT("");

    (void)why;
    free(arg);
    if (e == ERR_OK && PQntuples(res) == 0)
        e = ERR_NOT_FOUND;
    if (e == ERR_OK)
        result = slice_of(PQgetvalue(res, 0, 0), (size_t)PQgetlength(res, 0, 0));
    ask.cb.found(ask.arg, e, result);
}

static void on_kept(void *arg, enum err e, const PGresult *res, const struct fault *why)
{
    struct ask ask = *(struct ask *)arg;

    (void)res, (void)why;
    free(arg);
    ask.cb.kept(ask.arg, e);
}

static const Oid types[] = {PG_OID_BYTEA, PG_OID_FLOAT8, PG_OID_BYTEA};
static const int formats[] = {1, 0, 1};

enum err ledger_result_find(struct pg *pg, const uint8_t key[LEDGER_RESULT_KEY],
                            uint64_t max_age_ms, ledger_result_fn *cb, void *arg)
{
    char age[24];
    const char *values[] = {(const char *)key, age};
    static const int lengths[] = {LEDGER_RESULT_KEY, 0};

    (void)snprintf(age, sizeof age, "%" PRIu64, max_age_ms);
    return ledger_ask(pg,
                      &(struct pg_query){.name = "ledger_result_find",
                                         .sql = ledger_result_find_sql,
                                         .n = COUNT_OF(values),
                                         .types = types,
                                         .values = values,
                                         .lengths = lengths,
                                         .formats = formats,
                                         .result_format = 1,
                                         .deadline_ms = DEADLINE_MS},
                      on_found, &(struct ask){.cb.found = cb, .arg = arg}, sizeof(struct ask));
}

enum err ledger_result_keep(struct pg *pg, const uint8_t key[LEDGER_RESULT_KEY],
                            struct slice result, uint64_t max_age_ms, ledger_result_kept_fn *cb,
                            void *arg)
{
    char age[24];
    const char *values[] = {(const char *)key, age, result.ptr};
    const int lengths[] = {LEDGER_RESULT_KEY, 0, (int)result.len};

    (void)snprintf(age, sizeof age, "%" PRIu64, max_age_ms);
    return ledger_ask(pg,
                      &(struct pg_query){.name = "ledger_result_keep",
                                         .sql = ledger_result_keep_sql,
                                         .n = COUNT_OF(values),
                                         .types = types,
                                         .values = values,
                                         .lengths = lengths,
                                         .formats = formats,
                                         .deadline_ms = DEADLINE_MS},
                      on_kept, &(struct ask){.cb.kept = cb, .arg = arg}, sizeof(struct ask));
}
