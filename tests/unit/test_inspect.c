/* Looks at live jobs, queues and workers in a real Redis. */
#include "tests/unit/test_queue_loop.h"

#include "queue/inspect.h"
#include "shared/clock.h"

/* --- answers, copied --------------------------------------------------------------------------- */

struct look {
    bool any, more;
    enum err err;
    size_t n;
    struct live_job job[256];
    char consumer[128], note[256];
    size_t item_len;
    size_t queues, workers;
};

static void on_job(void *arg, enum err e, const struct live_job *job)
{
    struct look *l = arg;

    l->any = true;
    l->err = e;
    if (e != ERR_OK) {
        assert_null(job);
        return;
    }
    l->job[0] = *job;
    (void)slice_to_cstr(job->consumer, l->consumer, sizeof l->consumer);
    (void)slice_to_cstr(job->note, l->note, sizeof l->note);
    l->item_len = job->item.len;
}

static void on_list(void *arg, enum err e, const struct live_job *jobs, size_t n, bool more)
{
    struct look *l = arg;

    l->any = true;
    l->err = e;
    l->n = n;
    l->more = more;
    for (size_t i = 0; i < n; i++) {
        l->job[i] = jobs[i];
        l->item_len = jobs[i].item.len;
    }
}

static void on_queues(void *arg, enum err e, const struct queue_info *queues, size_t n)
{
    struct look *l = arg;

    l->any = true;
    l->err = e;
    l->n = n;
    l->queues = queues == NULL ? 0 : n;
}

static void on_workers(void *arg, enum err e, const struct worker_info *workers, size_t n)
{
    struct look *l = arg;

    l->any = true;
    l->err = e;
    l->n = n;
    l->workers = workers == NULL ? 0 : n;
}

static void on_pause(void *arg, enum err e)
{
    struct look *l = arg;

    l->any = true;
    l->err = e;
}

static struct look look; /* large */

static const struct look *ask_job(struct world *w, unsigned number)
{
    struct uuid id = id_of(number);

    look = (struct look){.any = false};
    assert_int_equal(inspect_job(w->redis, &id, on_job, &look), ERR_OK);
    turn_until(w, &look.any);
    return &look;
}

static const struct look *ask_list(struct world *w, enum job_state state, size_t offset,
                                   size_t limit)
{
    look = (struct look){.any = false};
    assert_int_equal(inspect_list(w->redis, "q", state, offset, limit, on_list, &look), ERR_OK);
    turn_until(w, &look.any);
    assert_int_equal(look.err, ERR_OK);
    return &look;
}

static unsigned number_of(const struct live_job *job)
{
    return (unsigned)job->id.bytes[14] << 8 | job->id.bytes[15];
}

static void begin(struct world *w)
{
    world_init(w, redis_server_url(server));
    world_producer(w, (struct producer_options){0});
}

/* --- one job ----------------------------------------------------------------------------------- */

static void a_job_is_found_in_each_state_in_any_queue(void **state)
{
    struct world w;
    struct eater e = {0};
    struct taken t = {0};
    struct settled s = {0};
    uint64_t due = clock_wall_ms() + 3600000;
    const struct look *l;

    (void)state;
    begin(&w);
    PUT(&w, &t, .number = 1, .queue = "aa");
    PUT(&w, &t, .number = 2, .queue = "zz", .due_ms = due, .priority = JOB_PRIORITY_LOW);
    PUT(&w, &t, .number = 3, .size = 400);
    PUT(&w, &t, .number = 4);
    turn_until_count(&w, &t.ok, 4);
    world_eater(&w, &e, (struct eater_options){.room = 2});
    turn_until_count(&w, &e.n, 2);
    consumer_progress(e.c, &e.seen[0].id, 1, 33, "half way");
    assert_int_equal(consumer_settle(e.c,
                                     &(struct settlement){.id = e.seen[1].id,
                                                          .attempt = 1,
                                                          .kind = SETTLE_RETRY,
                                                          .delay_ms = 3600000,
                                                          .error = "no answer"},
                                     on_settled, &s),
                     ERR_OK);
    turn_until(&w, &s.any);

    l = ask_job(&w, 1);
    assert_int_equal(l->err, ERR_OK);
    assert_string_equal(l->job[0].queue, "aa");
    assert_string_equal(l->job[0].type, "noop");
    assert_int_equal(l->job[0].state, JOB_QUEUED);
    assert_int_equal(number_of(&l->job[0]), 1);

    l = ask_job(&w, 2);
    assert_string_equal(l->job[0].queue, "zz");
    assert_int_equal(l->job[0].state, JOB_SCHEDULED);
    assert_int_equal(l->job[0].due_ms, due);
    assert_int_equal(l->job[0].priority, JOB_PRIORITY_LOW);

    do /* progress is told a little later */
        l = ask_job(&w, 3);
    while (l->job[0].progress == 0);
    assert_int_equal(l->job[0].state, JOB_RUNNING);
    assert_int_equal(l->job[0].attempt, 1);
    assert_int_equal(l->job[0].progress, 33);
    assert_string_equal(l->note, "half way");
    assert_string_equal(l->consumer, consumer_name(e.c));
    assert_in_range(l->item_len, 390, 400);

    l = ask_job(&w, 4);
    assert_int_equal(l->job[0].state, JOB_RETRYING);
    assert_string_equal(l->note, "no answer");
    assert_true(l->job[0].due_ms > l->job[0].since_ms);

    l = ask_job(&w, 5);
    assert_int_equal(l->err, ERR_NOT_FOUND);
    world_done(&w);
}

static void a_running_item_without_an_id_is_shown_as_it_was_enqueued(void **state)
{
    struct world w;
    struct eater e = {0};

    (void)state;
    begin(&w);
    RUN("LPUSH mr:{q}:ready:normal garbage");
    world_eater(&w, &e, (struct eater_options){.room = 1});
    turn_until_count(&w, &e.n, 1);
    look = (struct look){.any = false};
    assert_int_equal(inspect_job(w.redis, &e.seen[0].id, on_job, &look), ERR_OK);
    turn_until(&w, &look.any);
    assert_int_equal(look.job[0].state, JOB_RUNNING);
    assert_int_equal(look.item_len, strlen("garbage"));
    assert_int_equal(ask_list(&w, JOB_RUNNING, 0, 1)->item_len, strlen("garbage"));
    world_done(&w);
}

static void without_queues_there_are_no_jobs(void **state)
{
    struct world w;

    (void)state;
    begin(&w);
    assert_int_equal(ask_job(&w, 1)->err, ERR_NOT_FOUND);
    RUN("SADD mr:queues Bad{name} %b", "a\0b", (size_t)3);
    assert_int_equal(ask_job(&w, 1)->err, ERR_NOT_FOUND);
    world_done(&w);
}

static void a_spoilt_state_entry_is_no_job(void **state)
{
    struct world w;
    struct uuid id = id_of(1);

    (void)state;
    begin(&w);
    RUN("SADD mr:queues q");
    RUN("HSET mr:{q}:state %b junk", id.bytes, (size_t)UUID_LEN);
    assert_int_equal(ask_job(&w, 1)->err, ERR_NOT_FOUND);
    world_done(&w);
}

static void without_redis_the_question_fails_once(void **state)
{
    struct world w;
    struct uuid id = id_of(1);

    (void)state;
    begin(&w);
    look = (struct look){.any = false};
    redis_server_pause(server, true);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(inspect_job(w.redis, &id, on_job, &look), ERR_OK);
        assert_int_equal(inspect_queues(w.redis, on_queues, &look), ERR_OK);
        assert_int_equal(inspect_workers(w.redis, on_workers, &look), ERR_OK);
        assert_int_equal(inspect_list(w.redis, "q", JOB_QUEUED, 0, 10, on_list, &look), ERR_OK);
        assert_int_equal(inspect_pause(w.redis, "q", true, on_pause, &look), ERR_OK);
    }
    producer_close(&w.producer, on_world_flag, &w.producer_closed);
    turn_until(&w, &w.producer_closed);
    redis_close(&w.redis, on_world_flag, &w.redis_closed);
    turn_until(&w, &w.redis_closed);
    assert_int_equal(look.err, ERR_CANCELED);
    redis_server_pause(server, false);
    assert_int_equal(uv_run(&w.loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&w.loop), 0);
}

/* --- lists ------------------------------------------------------------------------------------- */

static void queued_jobs_are_listed_in_the_order_of_their_claims(void **state)
{
    struct world w;
    struct taken t = {0};
    unsigned want = 0;

    (void)state;
    begin(&w);
    for (unsigned n = 0; n < 30; n++) /* the n-th to be claimed is n */
        PUT(&w, &t, .number = n, .priority = (enum job_priority)(n / 10));
    turn_until_count(&w, &t.ok, 30);
    for (size_t offset = 0; offset < 30; offset += 7) {
        const struct look *l = ask_list(&w, JOB_QUEUED, offset, 7);

        assert_int_equal(l->n, offset == 28 ? 2 : 7);
        assert_int_equal(l->more, offset != 28);
        for (size_t i = 0; i < l->n; i++, want++) {
            assert_int_equal(number_of(&l->job[i]), want);
            assert_int_equal(l->job[i].priority, want / 10);
            assert_int_equal(l->job[i].state, JOB_QUEUED);
            assert_string_equal(l->job[i].type, "noop");
        }
    }
    assert_int_equal(want, 30);
    assert_int_equal(ask_list(&w, JOB_QUEUED, 30, 7)->n, 0);
    assert_int_equal(ask_list(&w, JOB_QUEUED, 100, 7)->n, 0);
    assert_int_equal(ask_list(&w, JOB_QUEUED, 0, 0)->n, 0);
    world_done(&w);
}

static void a_foreign_job_is_listed_with_the_type_of_its_item(void **state)
{
    struct world w;
    struct uuid id = id_of(300);
    struct buf item = {0};
    const struct look *l;

    (void)state;
    begin(&w);
    add_item(&item, &id, 0);
    RUN("LPUSH mr:{q}:ready:normal %b", item.data, item.len);
    RUN("LPUSH mr:{q}:ready:normal garbage");
    l = ask_list(&w, JOB_QUEUED, 0, 10);
    assert_int_equal(l->n, 2);
    assert_int_equal(number_of(&l->job[0]), 300);
    assert_string_equal(l->job[0].type, "noop");
    assert_true(uuid_is_nil(&l->job[1].id));
    assert_string_equal(l->job[1].type, "");
    assert_int_equal(l->item_len, 7);
    buf_done(&item);
    world_done(&w);
}

static void delayed_jobs_are_listed_by_kind_and_due_time(void **state)
{
    struct world w;
    struct eater e = {0};
    struct taken t = {0};
    struct settled s = {0};
    uint64_t now = clock_wall_ms();
    const struct look *l;

    (void)state;
    begin(&w);
    for (unsigned n = 0; n < 10; n++)
        PUT(&w, &t, .number = n, .due_ms = now + 7200000 - n);
    for (unsigned n = 10; n < 15; n++)
        PUT(&w, &t, .number = n);
    turn_until_count(&w, &t.ok, 15);
    world_eater(&w, &e, (struct eater_options){.room = 5});
    turn_until_count(&w, &e.n, 5);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(consumer_settle(e.c,
                                         &(struct settlement){.id = e.seen[i].id,
                                                              .attempt = 1,
                                                              .kind = SETTLE_RETRY,
                                                              .delay_ms = 3600000 + i},
                                         on_settled, &s),
                         ERR_OK);
    turn_until_count(&w, &s.calls, 5);
    l = ask_list(&w, JOB_SCHEDULED, 0, 100);
    assert_int_equal(l->n, 10);
    assert_false(l->more);
    for (size_t i = 0; i < 10; i++)
        assert_int_equal(number_of(&l->job[i]), 9 - i);
    l = ask_list(&w, JOB_RETRYING, 1, 3);
    assert_int_equal(l->n, 3);
    assert_true(l->more);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(number_of(&l->job[i]), 11 + i);
        assert_int_equal(l->job[i].state, JOB_RETRYING);
    }
    world_done(&w);
}

static void running_jobs_of_all_consumers_are_listed_once(void **state)
{
    struct world w;
    struct eater e[2] = {{0}, {0}};
    struct taken t = {0};
    bool seen[20] = {false};
    const struct look *l;

    (void)state;
    begin(&w);
    for (unsigned n = 0; n < 20; n++)
        PUT(&w, &t, .number = n);
    turn_until_count(&w, &t.ok, 20);
    world_eater(&w, &e[0], (struct eater_options){.room = 12, .instance = "a"});
    turn_until_count(&w, &e[0].n, 12);
    world_eater(&w, &e[1], (struct eater_options){.room = 8, .instance = "b"});
    turn_until_count(&w, &e[1].n, 8);
    for (size_t offset = 0; offset < 20; offset += 8) {
        l = ask_list(&w, JOB_RUNNING, offset, 8);
        assert_int_equal(l->n, offset == 16 ? 4 : 8);
        assert_int_equal(l->more, offset != 16);
        for (size_t i = 0; i < l->n; i++) {
            assert_false(seen[number_of(&l->job[i])]);
            seen[number_of(&l->job[i])] = true;
        }
    }
    for (size_t i = 0; i < 20; i++)
        assert_true(seen[i]);
    world_done(&w);
}

static void a_page_is_bounded_in_number_and_in_bytes(void **state)
{
    struct world w;
    struct taken t = {0};
    const struct look *l;

    (void)state;
    begin(&w);
    for (unsigned n = 0; n < 250; n++)
        PUT(&w, &t, .number = n);
    turn_until_count(&w, &t.ok, 250);
    l = ask_list(&w, JOB_QUEUED, 0, 5000);
    assert_int_equal(l->n, 200);
    assert_true(l->more);
    RUN("FLUSHALL");
    for (unsigned n = 0; n < 60; n++)
        PUT(&w, &t, .number = n, .size = JOB_ITEM_MAX);
    turn_until_count(&w, &t.ok, 310);
    l = ask_list(&w, JOB_QUEUED, 0, 200);
    assert_in_range(l->n, 30, 40);
    assert_true(l->more);
    world_done(&w);
}

static void what_cannot_be_listed_is_refused_at_once(void **state)
{
    struct world w;

    (void)state;
    begin(&w);
    assert_int_equal(inspect_list(w.redis, "Q", JOB_QUEUED, 0, 1, on_list, &look),
                     ERR_MALFORMED);
    assert_int_equal(inspect_list(w.redis, "q", JOB_DEAD, 0, 1, on_list, &look), ERR_MALFORMED);
    assert_int_equal(inspect_pause(w.redis, "", true, on_pause, &look), ERR_MALFORMED);
    world_done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_job_is_found_in_each_state_in_any_queue, flush),
        cmocka_unit_test_setup(a_running_item_without_an_id_is_shown_as_it_was_enqueued, flush),
        cmocka_unit_test_setup(without_queues_there_are_no_jobs, flush),
        cmocka_unit_test_setup(a_spoilt_state_entry_is_no_job, flush),
        cmocka_unit_test_setup(without_redis_the_question_fails_once, flush),
        cmocka_unit_test_setup(queued_jobs_are_listed_in_the_order_of_their_claims, flush),
        cmocka_unit_test_setup(a_foreign_job_is_listed_with_the_type_of_its_item, flush),
        cmocka_unit_test_setup(delayed_jobs_are_listed_by_kind_and_due_time, flush),
        cmocka_unit_test_setup(running_jobs_of_all_consumers_are_listed_once, flush),
        cmocka_unit_test_setup(a_page_is_bounded_in_number_and_in_bytes, flush),
        cmocka_unit_test_setup(what_cannot_be_listed_is_refused_at_once, flush),
    };

    return cmocka_run_group_tests(tests, start_server, stop_server);
}
