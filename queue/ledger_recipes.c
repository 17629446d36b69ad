/* What users see is made JSON by the server: it is passed on as it comes. */
#include "queue/ledger_recipes.h"

#include "queue/ledger_internal.h"

#define TIME(column) \
    "to_char(" column " AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')"

struct ask {
    union {
        ledger_recipe_put_fn *put;
        ledger_recipe_fn *json;
        ledger_recipe_gone_fn *gone;
    } cb;
    void *arg;
};

static const char put_sql[] =
    "WITH newest AS (SELECT version, body, deleted_at FROM recipes WHERE name = $1"
    " ORDER BY version DESC LIMIT 1),"
    " same AS (SELECT version FROM newest WHERE body = $2::jsonb AND deleted_at IS NULL),"
    " made AS (INSERT INTO recipes (name, version, body)"
    " SELECT $1, coalesce((SELECT version FROM newest), 0) + 1, $2::jsonb"
    " WHERE NOT EXISTS (SELECT FROM same) ON CONFLICT (name, version) DO NOTHING"
    " RETURNING version)"
    " SELECT version, 1 FROM made UNION ALL SELECT version, 0 FROM same";

static const char find_sql[] =
    "SELECT body::text FROM recipes WHERE name = $1 AND ($2::int4 = 0 OR version = $2::int4)"
    " AND deleted_at IS NULL ORDER BY version DESC LIMIT 1";

static const char version_sql[] =
    "SELECT jsonb_build_object('name', name, 'version', version, 'recipe', body,"
    " 'created_at', " TIME("made_at") ", 'deleted_at', " TIME(
        "deleted_at") ")::text"
                      " FROM recipes WHERE name = $1 AND version = $2::int4";

/* $2 has no meaning here, and is there for the two to be asked alike. */
static const char versions_sql[] =
    "SELECT jsonb_build_object('name', $1::text, 'versions', jsonb_agg(jsonb_build_object("
    "'version', version, 'created_at', " TIME("made_at") ", 'deleted_at', " TIME(
        "deleted_at") ")"
                      " ORDER BY version DESC))::text FROM (SELECT version, made_at, "
                      "deleted_at FROM recipes"
                      " WHERE name = $1::text AND $2::int4 = 0 ORDER BY version DESC LIMIT "
                      "200) AS v"
                      " HAVING count(*) > 0";

/* One row more than is shown tells whether there are more. */
static const char list_sql[] =
    "WITH found AS (SELECT name, max(version) AS version, max(made_at) AS made_at,"
    " max(version) FILTER (WHERE deleted_at IS NULL) AS usable FROM recipes WHERE name > $1"
    " GROUP BY name ORDER BY name LIMIT 201),"
    " shown AS (SELECT * FROM found ORDER BY name LIMIT 200)"
    " SELECT jsonb_build_object('recipes', coalesce(jsonb_agg(jsonb_build_object('name', name,"
    " 'version', usable, 'versions', version, 'created_at', " TIME(
        "made_at") ") ORDER BY name),"
                   " '[]'), 'next', CASE WHEN (SELECT count(*) FROM found) > 200 THEN "
                   "max(name) "
                   "END)::text"
                   " FROM shown";

static const char delete_sql[] =
    "UPDATE recipes SET deleted_at = now() WHERE name = $1"
    " AND ($2::int4 = 0 OR version = $2::int4) AND deleted_at IS NULL";

/* --- put -------------------------------------------------------------------------------------- */

static uint32_t number(const PGresult *res, int column)
{
    return (uint32_t)strtoul(PQgetvalue(res, 0, column), NULL, 10);
}

static void on_put(void *arg, enum err e, const PGresult *res, const struct fault *why)
{
    struct ask ask = *(struct ask *)arg;

    (void)why;
    free(arg);
    if (e == ERR_OK && PQntuples(res) == 0)
        e = ERR_BUSY;
    ask.cb.put(ask.arg, e, e == ERR_OK ? number(res, 0) : 0,
               e == ERR_OK && number(res, 1) == 1);
}

enum err ledger_recipe_put(struct pg *pg, const char *name, struct slice body,
                           ledger_recipe_put_fn *cb, void *arg)
{
    static const Oid types[] = {PG_OID_TEXT, PG_OID_TEXT};
    static const int formats[] = {0, 1}; /* the bytes of a text, with their length */
    const int lengths[] = {0, (int)body.len};
    const char *values[] = {name, body.ptr};

    return ledger_ask(pg,
                      &(struct pg_query){.name = "ledger_recipe_put",
                                         .sql = put_sql,
                                         .n = COUNT_OF(values),
                                         .types = types,
                                         .values = values,
                                         .lengths = lengths,
                                         .formats = formats},
                      on_put, &(struct ask){.cb.put = cb, .arg = arg}, sizeof(struct ask));
}

/* --- look ------------------------------------------------------------------------------------- */

static void on_json(void *arg, enum err e, const PGresult *res, const struct fault *why)
{
    struct ask ask = *(struct ask *)arg;
    struct slice json = SLICE_LIT("");

    (void)why;
    free(arg);
    if (e == ERR_OK && PQntuples(res) == 0)
        e = ERR_NOT_FOUND;
    if (e == ERR_OK)
        json = slice_of(PQgetvalue(res, 0, 0), (size_t)PQgetlength(res, 0, 0));
    ask.cb.json(ask.arg, e, json);
}

static const Oid ref_types[] = {PG_OID_TEXT, PG_OID_INT4};

static enum err ask_ref(struct pg *pg, struct pg_query q, const struct recipe_ref *ref,
                        pg_result_fn *cb, struct ask with)
{
    char version[16];
    const char *values[] = {ref->name, version};

    (void)snprintf(version, sizeof version, "%u", ref->version);
    q.n = COUNT_OF(values);
    q.types = ref_types;
    q.values = values;
    return ledger_ask(pg, &q, cb, &with, sizeof with);
}

enum err ledger_recipe_find(struct pg *pg, const struct recipe_ref *ref, ledger_recipe_fn *cb,
                            void *arg)
{
    return ask_ref(pg, (struct pg_query){.name = "ledger_recipe_find", .sql = find_sql}, ref,
                   on_json, (struct ask){.cb.json = cb, .arg = arg});
}

enum err ledger_recipe_show(struct pg *pg, const struct recipe_ref *ref, ledger_recipe_fn *cb,
                            void *arg)
{
    const struct pg_query one = {.name = "ledger_recipe_version", .sql = version_sql};
    const struct pg_query all = {.name = "ledger_recipe_versions", .sql = versions_sql};

    return ask_ref(pg, ref->version > 0 ? one : all, ref, on_json,
                   (struct ask){.cb.json = cb, .arg = arg});
}

enum err ledger_recipe_list(struct pg *pg, const char *after, ledger_recipe_fn *cb, void *arg)
{
    const char *values[] = {after};

    return ledger_ask(pg,
                      &(struct pg_query){.name = "ledger_recipe_list",
                                         .sql = list_sql,
                                         .n = 1,
                                         .types = ref_types,
                                         .values = values},
                      on_json, &(struct ask){.cb.json = cb, .arg = arg}, sizeof(struct ask));
}

/* --- delete ----------------------------------------------------------------------------------- */

static void on_deleted(void *arg, enum err e, const PGresult *res, const struct fault *why)
{
    struct ask ask = *(struct ask *)arg;

    (void)why;
    free(arg);
    if (e == ERR_OK && strcmp(PQcmdTuples((PGresult *)(uintptr_t)res), "0") == 0)
        e = ERR_NOT_FOUND;
    ask.cb.gone(ask.arg, e);
}

enum err ledger_recipe_delete(struct pg *pg, const struct recipe_ref *ref,
                              ledger_recipe_gone_fn *cb, void *arg)
{
    return ask_ref(pg, (struct pg_query){.name = "ledger_recipe_delete", .sql = delete_sql},
                   ref, on_deleted, (struct ask){.cb.gone = cb, .arg = arg});
}
