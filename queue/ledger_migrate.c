/* The schema, file by file. Blocking: for the command line.
 *
 * Every file is applied in a transaction of its own that begins with an advisory lock, and it is
 * decided under the lock which one is next: of two programs at once one applies a file, the other
 * finds it done. No lock outlives a transaction, so this works through pgbouncer too. */
#include "queue/ledger.h"
#include "shared/hash.h"

#define LOCK_KEY        "778142539" /* any number that is ours */
#define CONNECT_SECONDS "10"
#define LOCK_TIMEOUT    "60s"
#define MONTHS_AHEAD    "2"

static const unsigned char sql_jobs[] = {
#include "queue/sql/0001_jobs.sql.inc"
};
static const unsigned char sql_partitions[] = {
#include "queue/sql/0002_partitions.sql.inc"
};
static const unsigned char sql_redrive[] = {
#include "queue/sql/0003_redrive.sql.inc"
};
static const unsigned char sql_image_results[] = {
#include "queue/sql/0004_image_results.sql.inc"
};
static const unsigned char sql_recipes[] = {
#include "queue/sql/0005_recipes.sql.inc"
};
static const unsigned char sql_by_content[] = {
#include "queue/sql/0006_outputs_by_content.sql.inc"
};

/* The file of version v stands at v - 1. */
static const struct migration {
    const char *name;
    const unsigned char *sql; /* NUL-terminated */
    size_t len;
} migrations[] = {
    {"jobs", sql_jobs, sizeof sql_jobs - 1},
    {"partitions", sql_partitions, sizeof sql_partitions - 1},
    {"redrive", sql_redrive, sizeof sql_redrive - 1},
    {"image_results", sql_image_results, sizeof sql_image_results - 1},
    {"recipes", sql_recipes, sizeof sql_recipes - 1},
    {"outputs_by_content", sql_by_content, sizeof sql_by_content - 1},
};

unsigned ledger_version_wanted(void)
{
    return COUNT_OF(migrations);
}

/* --- libpq ------------------------------------------------------------------------------------- */

static void free_result(PGresult **res)
{
    PQclear(*res);
    *res = NULL;
}

static void close_connection(PGconn **conn)
{
    PQfinish(*conn);
    *conn = NULL;
}

static void ignore_notice(void *arg, const PGresult *res)
{
    (void)arg;
    (void)res;
}

/* libpq's messages end in a newline. */
static int text_len(const char *message)
{
    return (int)strcspn(message, "\n");
}

static enum err open_connection(const char *url, PGconn **ret, struct fault *reterr)
{
    const char *const keys[] = {"connect_timeout", "application_name", "dbname", NULL};
    const char *const values[] = {CONNECT_SECONDS, "millrace migrate", url, NULL};
    PGconn *conn = PQconnectdbParams(keys, values, 1);
    enum err e;

    if (conn == NULL)
        return fault_set(reterr, ERR_NOMEM, 0, "PostgreSQL: out of memory");
    if (PQstatus(conn) != CONNECTION_OK) {
        e = fault_set(reterr, ERR_UNREACHABLE, 0, "PostgreSQL: %.*s",
                      text_len(PQerrorMessage(conn)), PQerrorMessage(conn));
        close_connection(&conn);
        return e;
    }
    (void)PQsetNoticeReceiver(conn, ignore_notice, NULL);
    *ret = conn;
    return ERR_OK;
}

/* doing: what for, in the fault's text. */
static enum err result_of(PGconn *conn, PGresult *res, const char *doing, PGresult **ret,
                          struct fault *reterr)
{
    ExecStatusType status = PQresultStatus(res);

    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) {
        *ret = res;
        return ERR_OK;
    }
    PQclear(res);
    return fault_set(reterr, PQstatus(conn) == CONNECTION_OK ? ERR_REJECTED : ERR_UNREACHABLE,
                     0, "%s: %.*s", doing, text_len(PQerrorMessage(conn)),
                     PQerrorMessage(conn));
}

static enum err ask(PGconn *conn, const char *sql, const char *doing, PGresult **ret,
                    struct fault *reterr)
{
    return result_of(conn, PQexec(conn, sql), doing, ret, reterr);
}

static enum err run(PGconn *conn, const char *sql, const char *doing, struct fault *reterr)
{
    AUTO(free_result) PGresult *res = NULL;

    return ask(conn, sql, doing, &res, reterr);
}

/* --- versions ---------------------------------------------------------------------------------- */

static void checksum(const struct migration *m, char dst[HASH_HEX_SIZE])
{
    uint8_t hash[HASH_LEN];

    hash_sha256(m->sql, m->len, hash);
    (void)hex_text(hash, sizeof hash, dst);
}

/* One row of what is applied. */
static enum err check_applied(const char *version, const char *sum, struct fault *reterr)
{
    unsigned long v = strtoul(version, NULL, 10);
    char ours[HASH_HEX_SIZE];

    if (v < 1 || v > COUNT_OF(migrations))
        return fault_set(reterr, ERR_UNSUPPORTED, 0,
                         "the database is at schema version %s, this program knows up to %zu: "
                         "use the newer program",
                         version, COUNT_OF(migrations));
    checksum(&migrations[v - 1], ours);
    if (strcmp(ours, sum) != 0)
        return fault_set(reterr, ERR_REJECTED, 0,
                         "schema version %lu (%s) was applied from a file that differs from "
                         "this program's: a file that was released must not change",
                         v, migrations[v - 1].name);
    return ERR_OK;
}

/* Gives the lowest version that is missing; 0 when none is. */
static enum err find_next(PGconn *conn, unsigned *ret_next, struct fault *reterr)
{
    AUTO(free_result) PGresult *res = NULL;
    unsigned next = 1;
    enum err e =
        ask(conn, "SELECT version, checksum FROM millrace_migrations ORDER BY version DESC",
            "reading millrace_migrations", &res, reterr);

    for (int i = 0; e == ERR_OK && i < PQntuples(res); i++)
        e = check_applied(PQgetvalue(res, i, 0), PQgetvalue(res, i, 1), reterr);
    if (e != ERR_OK)
        return e;
    for (int i = PQntuples(res) - 1; i >= 0; i--) {
        if (strtoul(PQgetvalue(res, i, 0), NULL, 10) == next)
            next++;
    }
    *ret_next = next > COUNT_OF(migrations) ? 0 : next;
    return ERR_OK;
}

static enum err note_applied(PGconn *conn, unsigned version, struct fault *reterr)
{
    AUTO(free_result) PGresult *res = NULL;
    const struct migration *m = &migrations[version - 1];
    char number[16];
    char sum[HASH_HEX_SIZE];
    const char *const values[] = {number, m->name, sum};

    (void)snprintf(number, sizeof number, "%u", version);
    checksum(m, sum);
    return result_of(conn,
                     PQexecParams(conn,
                                  "INSERT INTO millrace_migrations (version, name, checksum)"
                                  " VALUES ($1, $2, $3)",
                                  COUNT_OF(values), NULL, values, NULL, NULL, 0),
                     "writing millrace_migrations", &res, reterr);
}

/* --- applying ---------------------------------------------------------------------------------- */

static enum err begin_locked(PGconn *conn, struct fault *reterr)
{
    return run(conn,
               "BEGIN;"
               "SET LOCAL lock_timeout = '" LOCK_TIMEOUT "';"
               "SELECT pg_advisory_xact_lock(" LOCK_KEY ");"
               "CREATE TABLE IF NOT EXISTS millrace_migrations ("
               "version integer PRIMARY KEY, name text NOT NULL,"
               " applied_at timestamptz NOT NULL DEFAULT now(), checksum text NOT NULL)",
               "waiting for the migration lock", reterr);
}

static enum err apply(PGconn *conn, unsigned version, struct fault *reterr)
{
    const struct migration *m = &migrations[version - 1];
    char doing[64];
    enum err e;

    (void)snprintf(doing, sizeof doing, "applying %04u_%s", version, m->name);
    e = run(conn, (const char *)m->sql, doing, reterr);
    return e == ERR_OK ? note_applied(conn, version, reterr) : e;
}

/* *ret_version: which was applied, 0: none was missing. */
static enum err apply_next(PGconn *conn, unsigned *ret_version, struct fault *reterr)
{
    unsigned next = 0;
    enum err e = begin_locked(conn, reterr);

    if (e == ERR_OK)
        e = find_next(conn, &next, reterr);
    if (e == ERR_OK && next != 0)
        e = apply(conn, next, reterr);
    if (e == ERR_OK)
        e = run(conn, "COMMIT", "committing", reterr);
    else
        (void)run(conn, "ROLLBACK", "rolling back", NULL);
    if (e == ERR_OK)
        *ret_version = next;
    return e;
}

static void tell(void (*say)(void *arg, const char *line), void *arg, unsigned version)
{
    char line[96];

    if (say == NULL)
        return;
    (void)snprintf(line, sizeof line, "applied %04u_%s", version, migrations[version - 1].name);
    say(arg, line);
}

enum err ledger_migrate(const char *pg_url, void (*say)(void *arg, const char *line), void *arg,
                        struct fault *reterr)
{
    AUTO(close_connection) PGconn *conn = NULL;
    unsigned version = 0;
    enum err e = open_connection(pg_url, &conn, reterr);

    if (e != ERR_OK)
        return e;
    do {
        e = apply_next(conn, &version, reterr);
        if (e == ERR_OK && version != 0)
            tell(say, arg, version);
    } while (e == ERR_OK && version != 0);
    if (e == ERR_OK)
        e = run(conn, "SELECT millrace_ensure_partitions(" MONTHS_AHEAD ")",
                "making partitions", reterr);
    return e;
}
