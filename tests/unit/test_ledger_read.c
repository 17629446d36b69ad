/* Reading back, page by page, and by index alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "queue/ledger_internal.h"
#include "tests/unit/ledger_rig.h"

static struct pgserver *server;

/* --- one job ----------------------------------------------------------------------------------- */

struct job_answer {
    unsigned calls;
    enum err err;
    void (*look)(const struct ledger_row *row, const struct ledger_parts *parts);
};

static void on_job(void *arg, enum err e, const struct ledger_row *row,
                   const struct ledger_parts *parts)
{
    struct job_answer *a = arg;

    a->calls++;
    a->err = e;
    assert_true((e == ERR_OK) == (row != NULL));
    if (e == ERR_OK)
        a->look(row, parts);
}

static void read_job(struct ledger_rig *lr, uint32_t n, struct job_answer *a)
{
    struct uuid id = numbered_id(n);

    assert_int_equal(ledger_job(lr->rig.pg, &id, on_job, a), ERR_OK);
    assert_int_equal(a->calls, 0);
    while (a->calls == 0)
        rig_turn(&lr->rig);
}

static void assert_slice(struct slice got, const char *want)
{
    if (!slice_is(got, want))
        fail_msg("\"" SLICE_FMT "\" is not \"%s\"", SLICE_ARG(got), want);
}

static void look_at_full_row(const struct ledger_row *row)
{
    struct uuid id = numbered_id(7);
    struct uuid parent = numbered_id(1);

    assert_true(uuid_eq(&row->id, &id) && row->has_parent && uuid_eq(&row->parent, &parent));
    assert_slice(row->queue, "image");
    assert_slice(row->type, "noop");
    assert_slice(row->worker, "host:1:a");
    assert_slice(row->error, "TIMEOUT");
    assert_slice(row->error_text, "too long");
    assert_slice(row->result_json, "{\"a\": 1}");
    assert_int_equal(row->item.len, 3);
    assert_memory_equal(row->item.ptr, "\x00\xff\x01", 3);
    assert_int_equal(row->state, JOB_DEAD);
    assert_int_equal(row->priority, JOB_PRIORITY_LOW);
    assert_int_equal(row->attempt, 2);
    assert_int_equal(row->max_attempts, 5);
    assert_int_equal(row->enqueued_ms, 1795474800000);
    assert_int_equal(row->started_ms, 1795474802000);
    assert_int_equal(row->finished_ms, 1795474802500);
    assert_int_equal(row->next_attempt_ms, 1795474805123);
}

static void look_at_full(const struct ledger_row *row, const struct ledger_parts *parts)
{
    look_at_full_row(row);
    assert_int_equal(parts->n_outputs, 2);
    assert_slice(parts->outputs[0].name, "card");
    assert_slice(parts->outputs[0].file, "ab/cd.webp");
    assert_slice(parts->outputs[0].format, "webp");
    assert_int_equal(parts->outputs[0].width, 640);
    assert_int_equal(parts->outputs[0].height, 480);
    assert_int_equal(parts->outputs[0].bytes, 12345678901);
    assert_memory_equal(parts->outputs[0].sha256, "abcd0000", 8);
    assert_int_equal(strlen(parts->outputs[0].sha256), 64);
    assert_slice(parts->outputs[1].name, "thumb");
    assert_int_equal(parts->n_attempts, 2);
    assert_int_equal(parts->attempts[0].attempt, 1);
    assert_slice(parts->attempts[0].outcome, "retrying");
    assert_int_equal(parts->attempts[0].started_ms, 1795474801000);
    assert_slice(parts->attempts[1].outcome, "dead");
    assert_slice(parts->attempts[1].worker, "host:1:a");
    assert_slice(parts->attempts[1].error, "TIMEOUT");
    assert_int_equal(parts->attempts[1].finished_ms, 1795474802500);
}

static void look_at_bare(const struct ledger_row *row, const struct ledger_parts *parts)
{
    assert_int_equal(parts->n_outputs + parts->n_attempts, 0);
    assert_int_equal(row->error.len + row->error_text.len + row->result_json.len, 0);
    assert_int_equal(row->started_ms + row->next_attempt_ms, 0);
    assert_false(row->has_parent);
    assert_int_equal(row->state, JOB_EXPIRED);
}

static void write_full(struct ledger_rig *lr)
{
    static const struct ledger_output outputs[] = {
        {"thumb", "ab/ef.jpg", "jpeg", 160, 120, 99, {1}},
        {"card", "ab/cd.webp", "webp", 640, 480, 12345678901, {0xab, 0xcd}},
    };
    struct ledger_outcome o = outcome_of(7, JOB_RETRYING, 1);

    pgserver_run(server, "TRUNCATE jobs, attempts, outputs");
    o.queue = "image";
    o.priority = JOB_PRIORITY_LOW;
    o.has_parent = true;
    o.parent = numbered_id(1);
    o.item = SLICE_LIT("\x00\xff\x01");
    record_applied(lr, &o);
    o = outcome_of(7, JOB_DEAD, 2);
    o.error = "TIMEOUT";
    o.error_text = SLICE_LIT("too long");
    o.result_json = SLICE_LIT("{\"a\":1}");
    o.next_attempt_ms = 1795474805123;
    o.outputs = outputs;
    o.n_outputs = COUNT_OF(outputs);
    record_applied(lr, &o);
}

static void a_job_comes_back_whole(void **state)
{
    struct ledger_rig lr;
    struct job_answer full = {.look = look_at_full};
    struct job_answer bare = {.look = look_at_bare};
    struct job_answer none = {.calls = 0};
    struct ledger_outcome o = {.id = numbered_id(8), .state = JOB_EXPIRED};

    (void)state;
    ledger_rig_open(&lr, pgserver_url(server), NULL);
    write_full(&lr);
    record_applied(&lr, &o);
    read_job(&lr, 7, &full);
    assert_int_equal(full.err, ERR_OK);
    read_job(&lr, 8, &bare);
    assert_int_equal(bare.err, ERR_OK);
    read_job(&lr, 9, &none);
    assert_int_equal(none.err, ERR_NOT_FOUND);
    ledger_rig_close(&lr);
}

struct output_answer {
    unsigned calls;
    enum err err;
    char file[64];
};

static void on_output(void *arg, enum err e, const struct ledger_output_row *output)
{
    struct output_answer *a = arg;

    a->calls++;
    a->err = e;
    assert_true((e == ERR_OK) == (output != NULL));
    if (output != NULL)
        assert_true(slice_to_cstr(output->file, a->file, sizeof a->file));
}

static void an_output_is_found_by_its_name(void **state)
{
    static const struct {
        uint32_t job;
        const char *name, *want;
    } rows[] = {{7, "card", "ab/cd.webp"}, {7, "thumb", "ab/ef.jpg"},
                {7, "Card", NULL},         {7, "", NULL},
                {8, "card", NULL},         {7, "card' --", NULL}};
    struct ledger_rig lr;

    (void)state;
    ledger_rig_open(&lr, pgserver_url(server), NULL);
    write_full(&lr);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct output_answer a = {.calls = 0};
        struct uuid id = numbered_id(rows[i].job);

        assert_int_equal(ledger_output(lr.rig.pg, &id, rows[i].name, on_output, &a), ERR_OK);
        while (a.calls == 0)
            rig_turn(&lr.rig);
        assert_int_equal(a.err, rows[i].want == NULL ? ERR_NOT_FOUND : ERR_OK);
        assert_string_equal(a.file, rows[i].want == NULL ? "" : rows[i].want);
    }
    ledger_rig_close(&lr);
}

/* --- lists --------------------------------------------------------------------------------------- */

#define JOBS 240
#define PAGE 7

static const char *const queues[] = {"image", "notify", NULL};
static const char *const types[] = {"image", "webhook", "noop", NULL};
static const char *const errors[] = {"TIMEOUT", "REJECTED", NULL};
static const enum job_state states[] = {JOB_RETRYING, JOB_SUCCEEDED, JOB_DEAD};

/* What the n-th job of the lists is. */
static struct ledger_outcome listed(uint32_t n)
{
    struct ledger_outcome o = outcome_of(n, states[n / 2 % COUNT_OF(states)], 1);

    o.queue = queues[n % 2];
    o.type = types[n / 3 % 3];
    o.error = o.state == JOB_SUCCEEDED ? NULL : errors[n / 5 % 2];
    o.error_text = SLICE_LIT("text");
    o.result_json = SLICE_LIT("{}");
    return o;
}

static bool same(const char *filter, const char *value)
{
    return filter == NULL || (value != NULL && strcmp(filter, value) == 0);
}

static bool passes(const struct ledger_filter *f, const struct ledger_outcome *o)
{
    return same(f->queue, o->queue) && same(f->type, o->type) && same(f->error, o->error) &&
           same(f->state, job_state_name(o->state));
}

struct walk {
    struct ledger_filter filter;
    unsigned calls;
    bool more;
    uint32_t next; /* the number of the job that should come next, counting down; from JOBS */
    size_t seen;
};

static void on_page(void *arg, enum err e, const struct ledger_row *rows, size_t n, bool more)
{
    struct walk *w = arg;

    w->calls++;
    w->more = more;
    assert_int_equal(e, ERR_OK);
    assert_true(more ? n == PAGE : n <= PAGE);
    for (size_t i = 0; i < n; i++) {
        struct ledger_outcome o;

        do {
            assert_int_not_equal(w->next, 0);
            o = listed(--w->next);
        } while (!passes(&w->filter, &o));
        assert_true(uuid_eq(&rows[i].id, &o.id));
        assert_slice(rows[i].queue, o.queue);
        assert_slice(rows[i].type, o.type);
        assert_slice(rows[i].error, o.error == NULL ? "" : o.error);
        assert_int_equal(rows[i].state, o.state);
        assert_int_equal(rows[i].item.len + rows[i].result_json.len + rows[i].error_text.len,
                         0);
        w->filter.before = rows[i].id;
        w->seen++;
    }
}

static size_t count_passing(const struct ledger_filter *f)
{
    size_t n = 0;

    for (uint32_t i = 0; i < JOBS; i++) {
        struct ledger_outcome o = listed(i);

        n += passes(f, &o);
    }
    return n;
}

static void walk_pages(struct ledger_rig *lr, const struct ledger_filter *filter)
{
    struct walk w = {.filter = *filter, .next = JOBS};

    do {
        w.calls = 0;
        assert_int_equal(ledger_list(lr->rig.pg, &w.filter, on_page, &w), ERR_OK);
        while (w.calls == 0)
            rig_turn(&lr->rig);
        w.filter.has_before = true;
    } while (w.more);
    assert_int_equal(w.seen, count_passing(filter));
}

typedef void filter_fn(void *arg, const struct ledger_filter *filter);

static void each_filter(filter_fn *fn, void *arg)
{
    static const char *const state_names[] = {"retrying", "succeeded", "dead",
                                              "expired",  "running",   NULL};

    for (size_t q = 0; q < COUNT_OF(queues); q++) {
        for (size_t t = 0; t < COUNT_OF(types); t++) {
            for (size_t s = 0; s < COUNT_OF(state_names); s++) {
                for (size_t e = 0; e < COUNT_OF(errors); e++)
                    fn(arg, &(struct ledger_filter){.queue = queues[q],
                                                    .type = types[t],
                                                    .state = state_names[s],
                                                    .error = errors[e],
                                                    .limit = PAGE});
            }
        }
    }
}

static void walk_one(void *arg, const struct ledger_filter *filter)
{
    walk_pages(arg, filter);
}

static void every_filter_gives_its_jobs_page_by_page_newest_first(void **state)
{
    struct ledger_rig lr;
    struct ledger_outcome o;
    struct record r[JOBS];

    (void)state;
    pgserver_run(server, "TRUNCATE jobs, attempts, outputs");
    ledger_rig_open(&lr, pgserver_url(server), NULL);
    for (uint32_t i = 0; i < JOBS; i++) {
        o = listed(i);
        record_start(&lr, &o, &r[i]);
    }
    for (uint32_t i = 0; i < JOBS; i++)
        ledger_rig_wait(&lr, &r[i]);
    each_filter(walk_one, &lr);
    ledger_rig_close(&lr);
}

static void an_unknown_state_is_refused(void **state)
{
    struct ledger_rig lr;
    const struct ledger_filter f = {.state = "finished", .limit = 10};

    (void)state;
    ledger_rig_open(&lr, pgserver_url(server), NULL);
    assert_int_equal(ledger_list(lr.rig.pg, &f, on_page, NULL), ERR_MALFORMED);
    ledger_rig_close(&lr);
}

/* --- plans ----------------------------------------------------------------------------------------- */

struct plans {
    PGconn *conn;
    size_t looked_at;
};

static PGresult *must_run(PGconn *conn, const char *sql)
{
    PGresult *res = PQexec(conn, sql);

    if (PQresultStatus(res) != PGRES_TUPLES_OK && PQresultStatus(res) != PGRES_COMMAND_OK)
        fail_msg("%s\n%s", sql, PQerrorMessage(conn));
    return res;
}

/* "Sort Key" of a Merge Append is none: it takes ordered inputs. */
static bool is_bad(const char *line)
{
    return strstr(line, "Seq Scan") != NULL || strstr(line, "Sort  (") != NULL;
}

static void look_at_plan(struct plans *p, const char *sql, const char *values)
{
    char text[4096];
    PGresult *res;

    servers_format(text, sizeof text, "PREPARE p AS %s", sql);
    PQclear(must_run(p->conn, text));
    servers_format(text, sizeof text, "EXPLAIN EXECUTE p %s", values);
    res = must_run(p->conn, text);
    for (int i = 0; i < PQntuples(res); i++) {
        if (is_bad(PQgetvalue(res, i, 0)))
            fail_msg("%s\n%s", sql, PQgetvalue(res, i, 0));
    }
    assert_true(PQntuples(res) > 0);
    PQclear(res);
    PQclear(must_run(p->conn, "DEALLOCATE p"));
    p->looked_at++;
}

static void add_value(char *values, size_t cap, const char *value)
{
    size_t len = strlen(values);

    if (value != NULL)
        servers_format(values + len, cap - len, "%s'%s'", len > 1 ? ", " : "", value);
}

static void look_at_list(void *arg, const struct ledger_filter *filter)
{
    struct ledger_filter f = *filter;

    if (f.state != NULL && strcmp(f.state, "running") == 0)
        return; /* the planner knows that there are none, and looks at no table */
    for (int before = 0; before < 2; before++) {
        struct buf sql = {.len = 0};
        char values[256] = "(";

        f.has_before = before == 1;
        f.limit = 50;
        assert_int_equal(ledger_list_sql(&f, &sql), ERR_OK);
        add_value(values, sizeof values, f.queue);
        add_value(values, sizeof values, f.type);
        add_value(values, sizeof values, f.error);
        add_value(values, sizeof values,
                  f.has_before ? "01a20b5c-7d3e-7000-8000-000000000000" : NULL);
        servers_format(values + strlen(values), 8, ")");
        look_at_plan(arg, buf_cstr(&sql), strlen(values) > 2 ? values : "");
        buf_done(&sql);
    }
}

/* Three months of jobs, a tenth of which failed, as the planner will find them. */
static void fill_for_plans(PGconn *conn)
{
    PQclear(must_run(conn, "TRUNCATE jobs, attempts, outputs"));
    PQclear(must_run(
        conn,
        "WITH j AS (SELECT n, overlay(millrace_first_id(now() - interval '30 days' +"
        " n * interval '129.6 s')::text placing lpad(to_hex(n), 12, '0') from 25)::uuid AS id"
        " FROM generate_series(1, 40000) n),"
        " a AS (INSERT INTO attempts (job_id, attempt, outcome, worker)"
        " SELECT id, 1, 5, 'w' FROM j),"
        " o AS (INSERT INTO outputs SELECT id, 1, 1, 1, 1, 'card', 'webp', 'f', '' FROM j)"
        " INSERT INTO jobs (id, state, priority, attempt, max_attempts, queue, type, worker, "
        "error,"
        " item) SELECT id, CASE WHEN n % 10 > 0 THEN 5 WHEN n % 20 > 0 THEN 6 ELSE 4 END, 2, "
        "1, 5,"
        " (ARRAY['image', 'notify'])[1 + n % 2], (ARRAY['image', 'webhook', 'noop'])[1 + n % "
        "3],"
        " 'w', CASE WHEN n % 10 = 0 THEN (ARRAY['TIMEOUT', 'REJECTED'])[1 + n / 10 % 2] END, "
        "'\\x80'"
        " FROM j"));
    PQclear(must_run(conn, "ANALYZE"));
    /* Where filters leave next to nothing the planner may collect that and sort it. What is shown
     * here is that it has another way: these switches forbid nothing, they only make it dear. */
    PQclear(must_run(conn, "SET enable_bitmapscan = off; SET enable_sort = off"));
}

static void every_query_walks_an_index_and_sorts_nothing(void **state)
{
    struct plans p = {.conn = PQconnectdb(pgserver_url(server))};
    const char *const id = "('01a20b5c-7d3e-7000-8000-000000000000')";

    (void)state;
    fill_for_plans(p.conn);
    each_filter(look_at_list, &p);
    assert_int_equal(p.looked_at, 2 * 3 * 4 * 5 * 3);
    for (int generic = 0; generic < 2; generic++) {
        PQclear(must_run(p.conn, generic == 1 ? "SET plan_cache_mode = force_generic_plan"
                                              : "SET plan_cache_mode = force_custom_plan"));
        look_at_plan(&p, ledger_job_sql, id);
        look_at_plan(&p, ledger_output_sql, "('01a20b5c-7d3e-7000-8000-000000000000', 'card')");
        look_at_plan(&p, ledger_redrive_sql,
                     "('01a20b5c-7d3e-7000-8000-000000000000', 6, 1, 'image', 2, NULL, 0, "
                     "'\\x80')");
        look_at_plan(&p, ledger_strays_sql,
                     "('01a20b5c-7d3e-7000-8000-000000000000', 1795474800000, 101)");
    }
    PQfinish(p.conn);
}

#define EMPTY "(cost=0.00..0.00 "
/* What is picked is put into order to be numbered: a page of it, and nothing else. */
static void running_many_again_walks_an_index(void **state)
{
    static const struct ledger_filter filters[] = {
        {.state = "dead", .limit = 200},
        {.state = "dead", .queue = "image", .limit = 200},
        {.state = "dead", .queue = "image", .type = "noop", .error = "TIMEOUT", .limit = 200},
    };
    PGconn *conn = PQconnectdb(pgserver_url(server));

    (void)state;
    fill_for_plans(conn);
    /* Tables this small are read whole more cheaply than by two hundred keys; those of no month yet are empty. */
    PQclear(must_run(conn, "SET enable_hashjoin = off; SET enable_mergejoin = off"));
    for (size_t i = 0; i < COUNT_OF(filters); i++) {
        AUTO(buf_done) struct buf sql = {0};
        AUTO(buf_done) struct buf explain = {0};
        const char *values[] = {filters[i].queue, filters[i].type, filters[i].error};
        PGresult *res;

        assert_int_equal(
            ledger_redrive_many_sql(&(struct ledger_redrive_many){.filter = filters[i]}, &sql),
            ERR_OK);
        buf_addf(&explain, "EXPLAIN %s", buf_cstr(&sql));
        res = PQexecParams(conn, buf_cstr(&explain),
                           i == 0   ? 0
                           : i == 1 ? 1
                                    : 3,
                           NULL, values, NULL, NULL, 0);
        if (PQresultStatus(res) != PGRES_TUPLES_OK)
            fail_msg("%s", PQerrorMessage(conn));
        for (int k = 0; k < PQntuples(res); k++) {
            const char *line = PQgetvalue(res, k, 0);

            if (strstr(line, "Seq Scan on jobs") != NULL && strstr(line, EMPTY) == NULL)
                fail_msg("%s\n%s", buf_cstr(&sql), line);
        }
        PQclear(res);
    }
    PQfinish(conn);
}

static void only_what_has_ended_otherwise_can_run_again(void **state)
{
    static const char *const refused[] = {NULL, "queued", "retrying", "succeeded", "nonsense"};
    struct buf sql = {0};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(refused); i++)
        assert_int_equal(
            ledger_redrive_many_sql(
                &(struct ledger_redrive_many){.filter = {.state = refused[i], .limit = 1}},
                &sql),
            ERR_MALFORMED);
    buf_done(&sql);
}

static int start_server(void **state)
{
    (void)state;
    server = ledger_server_new();
    return 0;
}

static int stop_server(void **state)
{
    (void)state;
    pgserver_free(&server);
    return 0;
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_comes_back_whole),
        cmocka_unit_test(an_output_is_found_by_its_name),
        cmocka_unit_test(every_filter_gives_its_jobs_page_by_page_newest_first),
        cmocka_unit_test(an_unknown_state_is_refused),
        cmocka_unit_test(every_query_walks_an_index_and_sorts_nothing),
        cmocka_unit_test(running_many_again_walks_an_index),
        cmocka_unit_test(only_what_has_ended_otherwise_can_run_again),
    };

    return cmocka_run_group_tests(tests, start_server, stop_server);
}
