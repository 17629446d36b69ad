/* What the schema is, asked over the pool. Both answers are one number. */
#include "queue/ledger.h"

#define NO_TABLE "42P01" /* SQLSTATE undefined_table */

struct ask {
    union {
        ledger_version_fn *version;
        ledger_partitions_fn *partitions;
    } cb;
    void *arg;
};

static unsigned number_of(const PGresult *res)
{
    return PQntuples(res) == 1 ? (unsigned)strtoul(PQgetvalue(res, 0, 0), NULL, 10) : 0;
}

/* Takes ask. */
static enum err ask_start(struct pg *pg, const struct pg_query *q, pg_result_fn *cb,
                          struct ask *ask)
{
    enum err e;

    if (ask == NULL)
        return ERR_NOMEM;
    e = pg_query(pg, q, cb, ask);
    if (e != ERR_OK)
        free(ask);
    return e;
}

static void on_version(void *arg, enum err e, const PGresult *res, const struct fault *why)
{
    struct ask ask = *(struct ask *)arg;

    free(arg);
    if (e == ERR_OK)
        ask.cb.version(ask.arg, ERR_OK, number_of(res));
    else if (e == ERR_REJECTED && strncmp(why->text, NO_TABLE, strlen(NO_TABLE)) == 0)
        ask.cb.version(ask.arg, ERR_OK, 0);
    else
        ask.cb.version(ask.arg, e, 0);
}

enum err ledger_version(struct pg *pg, ledger_version_fn *cb, void *arg)
{
    static const struct pg_query q = {
        .sql = "SELECT coalesce(max(version), 0) FROM millrace_migrations"};
    struct ask *ask = malloc(sizeof *ask);

    if (ask != NULL)
        *ask = (struct ask){.cb.version = cb, .arg = arg};
    return ask_start(pg, &q, on_version, ask);
}

static void on_partitions(void *arg, enum err e, const PGresult *res, const struct fault *why)
{
    struct ask ask = *(struct ask *)arg;

    (void)why;
    free(arg);
    ask.cb.partitions(ask.arg, e, e == ERR_OK ? number_of(res) : 0);
}

enum err ledger_partitions(struct pg *pg, unsigned months, ledger_partitions_fn *cb, void *arg)
{
    char text[16];
    const char *values[] = {text};
    const struct pg_query q = {
        .sql = "SELECT millrace_ensure_partitions($1)", .n = 1, .values = values};
    struct ask *ask = malloc(sizeof *ask);

    (void)snprintf(text, sizeof text, "%u", months);
    if (ask != NULL)
        *ask = (struct ask){.cb.partitions = cb, .arg = arg};
    return ask_start(pg, &q, on_partitions, ask);
}
