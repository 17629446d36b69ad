#include "queue/ledger_files.h"

#include "queue/ledger_internal.h"

struct ask {
    ledger_files_fn *cb;
    void *arg;
    size_t n;
};

const char ledger_files_sql[] = "SELECT f.n - 1, pg_is_in_recovery(),"
                                " EXISTS (SELECT FROM outputs AS o WHERE o.sha256 = f.sha256)"
                                " FROM unnest($1::bytea[]) WITH ORDINALITY AS f (sha256, n)";

static bool get_bool(const PGresult *res, int row, int column)
{
    return PQgetvalue(res, row, column)[0] == 't';
}

/* What is not answered for counts as used. */
static enum err read_used(const PGresult *res, size_t n, bool used[LEDGER_FILES_MAX])
{
    memset(used, true, LEDGER_FILES_MAX * sizeof *used);
    for (int i = 0; i < PQntuples(res); i++) {
        size_t place = strtoul(PQgetvalue(res, i, 0), NULL, 10);

        if (get_bool(res, i, 1))
            return ERR_UNSUPPORTED;
        if (place < n)
            used[place] = get_bool(res, i, 2);
    }
    return ERR_OK;
}

static void on_rows(void *arg, enum err e, const PGresult *res, const struct fault *why)
{
    struct ask ask = *(struct ask *)arg;
    bool used[LEDGER_FILES_MAX];

    (void)why;
    free(arg);
    if (e == ERR_OK)
        e = read_used(res, ask.n, used);
    ask.cb(ask.arg, e, e == ERR_OK ? used : NULL);
}

enum err ledger_files_used(struct pg *pg, const uint8_t (*sha256)[LEDGER_FILE_KEY], size_t n,
                           ledger_files_fn *cb, void *arg)
{
    static const Oid types[] = {PG_OID_BYTEA_ARRAY};
    static const int formats[] = {1};
    struct pg_array names;
    struct slice bytes;
    enum err e;

    must(n <= LEDGER_FILES_MAX);
    pg_array_init(&names, PG_OID_BYTEA);
    for (size_t i = 0; i < n; i++)
        pg_array_bytes(&names, sha256[i], LEDGER_FILE_KEY);
    bytes = pg_array_end(&names);
    e = ledger_ask(pg,
                   &(struct pg_query){.name = "ledger_files",
                                      .sql = ledger_files_sql,
                                      .n = 1,
                                      .types = types,
                                      .values = &bytes.ptr,
                                      .lengths = &(int){(int)bytes.len},
                                      .formats = formats},
                   on_rows, &(struct ask){cb, arg, n}, sizeof(struct ask));
    pg_array_done(&names);
    return e;
}
