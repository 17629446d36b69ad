/* Batches in a real Redis. */
#include "tests/unit/test_queue_loop.h"

#include "queue/batch.h"

struct told {
    bool any;
    enum err err;
    struct batch_tally tally;
    char then[64];
};

static void on_tally(void *arg, enum err e, const struct batch_tally *tally)
{
    struct told *t = arg;

    *t = (struct told){.any = true, .err = e};
    assert_int_equal(tally != NULL, e == ERR_OK);
    if (tally == NULL)
        return;
    t->tally = *tally;
    assert_true(slice_to_cstr(tally->then, t->then, sizeof t->then));
}

static void on_done(void *arg, enum err e)
{
    *(struct told *)arg = (struct told){.any = true, .err = e};
}

static enum err open_of(struct world *w, unsigned id, size_t n, const char *then)
{
    struct uuid jobs[8];
    struct told t = {.any = false};

    for (unsigned i = 0; i < n; i++)
        jobs[i] = id_of(100 + i);
    assert_int_equal(batch_open(w->redis,
                                &(struct batch_new){.id = id_of(id),
                                                    .jobs = jobs,
                                                    .n_jobs = n,
                                                    .then = slice_str(then),
                                                    .priority = JOB_PRIORITY_HIGH},
                                on_done, &t),
                     ERR_OK);
    turn_until(w, &t.any);
    return t.err;
}

static struct told end_of(struct world *w, unsigned id, unsigned job, enum job_state state)
{
    struct uuid batch = id_of(id), ended = id_of(job);
    struct told t = {.any = false};

    assert_int_equal(batch_end(w->redis, &batch, &ended, state, on_tally, &t), ERR_OK);
    turn_until(w, &t.any);
    return t;
}

static struct told look_at(struct world *w, unsigned id)
{
    struct uuid batch = id_of(id);
    struct told t = {.any = false};

    assert_int_equal(batch_look(w->redis, &batch, on_tally, &t), ERR_OK);
    turn_until(w, &t.any);
    return t;
}

static void each_end_counts_once_and_the_last_is_known(void **state)
{
    struct world w;
    struct told t;

    (void)state;
    world_init(&w, redis_server_url(server));
    assert_int_equal(open_of(&w, 1, 4, "\x91\x80"), ERR_OK);
    t = end_of(&w, 1, 100, JOB_SUCCEEDED);
    assert_int_equal(t.tally.left, 3);
    t = end_of(&w, 1, 100, JOB_SUCCEEDED); /* told again after a crash */
    assert_int_equal(t.tally.left, 3);
    assert_int_equal(t.tally.succeeded, 1);
    t = end_of(&w, 1, 999, JOB_DEAD); /* none of its own */
    assert_int_equal(t.tally.left, 3);
    assert_int_equal(t.tally.dead, 0);
    assert_int_equal(end_of(&w, 1, 101, JOB_DEAD).tally.left, 2);
    assert_int_equal(end_of(&w, 1, 102, JOB_CANCELLED).tally.left, 1);
    t = end_of(&w, 1, 103, JOB_EXPIRED);
    assert_int_equal(t.tally.left, 0);
    assert_int_equal(t.tally.total, 4);
    assert_true(t.tally.succeeded == 1 && t.tally.dead == 1);
    assert_true(t.tally.cancelled == 1 && t.tally.expired == 1);
    assert_false(t.tally.closed);
    assert_true(t.tally.created_ms > 1700000000000);
    assert_int_equal(t.tally.priority, JOB_PRIORITY_HIGH);
    assert_string_equal(t.then, "\x91\x80");
    t = end_of(&w, 1, 103, JOB_EXPIRED); /* still the last, if it is told again */
    assert_true(t.tally.left == 0 && !t.tally.closed);
    world_done(&w);
}

static void a_closed_batch_says_so_and_is_kept_for_a_while(void **state)
{
    struct uuid id = id_of(1);
    struct told t = {.any = false};
    struct world w;

    (void)state;
    world_init(&w, redis_server_url(server));
    assert_int_equal(open_of(&w, 1, 1, ""), ERR_OK);
    assert_true(ask_number("PTTL mr:batch:{%s}", "018f0000-0000-7000-8000-000000000001") >
                BATCH_KEPT_MS);
    (void)end_of(&w, 1, 100, JOB_SUCCEEDED);
    assert_int_equal(batch_close(w.redis, &id, on_done, &t), ERR_OK);
    turn_until(&w, &t.any);
    assert_int_equal(t.err, ERR_OK);
    assert_true(ask_number("PTTL mr:batch:{%s}", "018f0000-0000-7000-8000-000000000001") <=
                BATCH_KEPT_MS);
    t = look_at(&w, 1);
    assert_true(t.tally.closed && t.tally.left == 0 && t.tally.succeeded == 1);
    assert_int_equal(t.then[0], 0);
    world_done(&w);
}

static void opening_again_changes_nothing_and_a_stranger_is_not_found(void **state)
{
    struct world w;

    (void)state;
    world_init(&w, redis_server_url(server));
    assert_int_equal(open_of(&w, 1, 3, "\x90"), ERR_OK);
    (void)end_of(&w, 1, 100, JOB_SUCCEEDED);
    assert_int_equal(open_of(&w, 1, 3, "\x90"), ERR_OK);
    assert_int_equal(look_at(&w, 1).tally.left, 2);
    assert_int_equal(look_at(&w, 2).err, ERR_NOT_FOUND);
    assert_int_equal(end_of(&w, 2, 100, JOB_DEAD).err, ERR_NOT_FOUND);
    assert_int_equal(ask_number("DBSIZE"), 2);
    world_done(&w);
}

static void a_batch_has_at_least_one_job_and_not_too_many(void **state)
{
    struct batch_new b = {.id = id_of(1)};
    struct world w;

    (void)state;
    world_init(&w, redis_server_url(server));
    assert_int_equal(batch_open(w.redis, &b, on_done, NULL), ERR_TOO_BIG);
    b.n_jobs = BATCH_JOBS_MAX + 1;
    assert_int_equal(batch_open(w.redis, &b, on_done, NULL), ERR_TOO_BIG);
    world_done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(each_end_counts_once_and_the_last_is_known, flush),
        cmocka_unit_test_setup(a_closed_batch_says_so_and_is_kept_for_a_while, flush),
        cmocka_unit_test_setup(opening_again_changes_nothing_and_a_stranger_is_not_found,
                               flush),
        cmocka_unit_test_setup(a_batch_has_at_least_one_job_and_not_too_many, flush),
    };

    return cmocka_run_group_tests(tests, start_server, stop_server);
}
