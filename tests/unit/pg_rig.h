/* pg_rig: a loop with a pool on it, and answers that can be waited for. Include after cmocka.h.
 *
 * A header alone, because what lies beside the tests is linked also where libpq is not. */
#ifndef TESTS_UNIT_PG_RIG_H
#define TESTS_UNIT_PG_RIG_H

#include <string.h>

#include "shared/pg.h"

/* A test that takes longer hangs. The guard ticks because a turn of the loop may have run its
 * callbacks before it begins to wait. */
#define RIG_TICK_MS   10
#define RIG_MAX_TICKS 6000

struct rig {
    uv_loop_t loop;
    uv_timer_t guard;
    unsigned ticks;
    struct pg *pg;
    unsigned answered, closed;
    bool up;
    unsigned ups, downs; /* what on_state told */
    char why[256];
    bool close_when_told;
};

struct answer {
    struct rig *rig;
    unsigned calls;
    enum err err;
    char why[256];
    int rows;
    char cell[256]; /* the first, if any */
};

static inline void rig_on_guard(uv_timer_t *t)
{
    struct rig *r = t->data;

    if (++r->ticks > RIG_MAX_TICKS)
        fail_msg("%s", "the test hangs");
}

static inline void rig_on_closed(void *arg)
{
    ((struct rig *)arg)->closed++;
}

static inline void rig_on_state(void *arg, bool up, const char *why)
{
    struct rig *r = arg;

    r->up = up;
    *(up ? &r->ups : &r->downs) += 1;
    (void)snprintf(r->why, sizeof r->why, "%s", why);
    if (r->close_when_told)
        pg_close(&r->pg, rig_on_closed, r);
}

static inline void rig_on_answer(void *arg, enum err e, const PGresult *res,
                                 const struct fault *why)
{
    struct answer *a = arg;

    a->calls++;
    a->err = e;
    a->rig->answered++;
    assert_true((e == ERR_OK) == (res != NULL));
    assert_true((e == ERR_OK) == (why == NULL));
    if (why != NULL) {
        assert_int_equal(why->err, e);
        (void)snprintf(a->why, sizeof a->why, "%s", why->text);
        return;
    }
    a->rows = PQntuples(res);
    if (a->rows > 0 && PQnfields(res) > 0)
        (void)snprintf(a->cell, sizeof a->cell, "%s", PQgetvalue(res, 0, 0));
}

/* The loop alone, for what must be there before the pool. */
static inline void rig_new_loop(struct rig *r)
{
    memset(r, 0, sizeof *r);
    assert_int_equal(uv_loop_init(&r->loop), 0);
    (void)uv_timer_init(&r->loop, &r->guard);
    r->guard.data = r;
    (void)uv_timer_start(&r->guard, rig_on_guard, RIG_TICK_MS, RIG_TICK_MS);
}

static inline void rig_new_pool(struct rig *r, const struct pg_options *opt)
{
    struct fault why = {.text = ""};

    if (pg_new(&r->loop, opt, &r->pg, &why) != ERR_OK)
        fail_msg("%s", why.text);
}

static inline void rig_new(struct rig *r, const struct pg_options *opt)
{
    rig_new_loop(r);
    rig_new_pool(r, opt);
}

static inline void rig_turn(struct rig *r)
{
    (void)uv_run(&r->loop, UV_RUN_ONCE);
}

static inline void rig_wait_up(struct rig *r)
{
    while (!r->up)
        rig_turn(r);
}

static inline void rig_wait_down(struct rig *r)
{
    while (r->up || r->downs == 0)
        rig_turn(r);
}

static inline void rig_wait_answers(struct rig *r, unsigned n)
{
    while (r->answered < n)
        rig_turn(r);
}

/* A pool that is up. */
static inline void rig_open(struct rig *r, const struct pg_options *opt)
{
    rig_new(r, opt);
    pg_start(r->pg, rig_on_state, r);
    rig_wait_up(r);
}

/* Waits until all is gone, and that must be all there is. */
static inline void rig_close(struct rig *r)
{
    if (r->pg != NULL)
        pg_close(&r->pg, rig_on_closed, r);
    assert_null(r->pg);
    while (r->closed == 0)
        rig_turn(r);
    uv_close((uv_handle_t *)&r->guard, NULL);
    assert_int_equal(uv_run(&r->loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(r->closed, 1);
    assert_int_equal(uv_loop_close(&r->loop), 0);
}

static inline enum err rig_query(struct rig *r, const struct pg_query *q, struct answer *a)
{
    memset(a, 0, sizeof *a);
    a->rig = r;
    return pg_query(r->pg, q, rig_on_answer, a);
}

/* Starts sql; name may be NULL. */
static inline void rig_send(struct rig *r, const char *name, const char *sql, struct answer *a)
{
    const struct pg_query q = {.name = name, .sql = sql};

    assert_int_equal(rig_query(r, &q, a), ERR_OK);
}

/* Starts sql and waits for its answer. */
static inline struct answer rig_ask(struct rig *r, const char *name, const char *sql)
{
    struct answer a;

    rig_send(r, name, sql, &a);
    while (a.calls == 0)
        rig_turn(r);
    assert_int_equal(a.calls, 1);
    return a;
}

#define assert_begins(text, want) assert_memory_equal(text, want, strlen(want))

static inline void assert_holds(const char *text, const char *want)
{
    if (strstr(text, want) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", want, text);
}

#endif
