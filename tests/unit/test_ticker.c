/* Schedules and tickers against a real Redis: what a tick leaves there, many tickers at once, changes in between. */
#include "tests/unit/test_queue_loop.h"

#include "queue/schedules.h"
#include "queue/ticker.h"
#include "shared/clock.h"

#define TICKERS 3

struct answer {
    bool any;
    enum err e;
    char why[200];
    struct schedule s;
    struct schedule_view v; /* of the borrowed only what is copied */
};

static void on_answer(void *arg, enum err e, const struct schedule_view *v,
                      const struct fault *why)
{
    struct answer *a = arg;

    a->any = true;
    a->e = e;
    if (v != NULL) {
        a->v = *v;
        a->s = *v->s;
        a->v.s = &a->s;
    }
    if (why != NULL)
        (void)snprintf(a->why, sizeof a->why, "%s", why->text);
    assert_true((why != NULL) == (e != ERR_OK));
}

/* --- operations, waited for ------------------------------------------------------------------ */

static struct answer put_one(struct world *w, const char *name, const char *rule, size_t max)
{
    struct answer a = {.any = false};
    struct schedule_body body;
    struct spec_fault why = {.text = ""};
    char json[400];

    (void)snprintf(json, sizeof json,
                   "{%s,\"queue\":\"q\",\"job\":{\"type\":\"noop\",\"args\":{},\"priority\":"
                   "\"high\"}}",
                   rule);
    if (schedule_body_parse(slice_str(json), 16, NULL, &body, &why) != ERR_OK)
        fail_msg("%s %s", why.pointer, why.text);
    assert_int_equal(schedules_put(w->redis, name, &body, max, on_answer, &a), ERR_OK);
    schedule_body_done(&body);
    turn_until(w, &a.any);
    return a;
}

static struct answer get_one(struct world *w, const char *name)
{
    struct answer a = {.any = false};

    assert_int_equal(schedules_get(w->redis, name, on_answer, &a), ERR_OK);
    turn_until(w, &a.any);
    return a;
}

static struct answer run_one(struct world *w, const char *name)
{
    struct answer a = {.any = false};

    assert_int_equal(schedules_run(w->redis, name, on_answer, &a), ERR_OK);
    turn_until(w, &a.any);
    return a;
}

static struct answer pause_one(struct world *w, const char *name, bool paused)
{
    struct answer a = {.any = false};

    assert_int_equal(schedules_pause(w->redis, name, paused, on_answer, &a), ERR_OK);
    turn_until(w, &a.any);
    return a;
}

/* --- tickers --------------------------------------------------------------------------------- */

struct seen_ticks {
    size_t jobs, missed, skipped, faults, closed;
    char fault[200];
};

static void on_tick(void *arg, const struct ticker_event *ev)
{
    struct seen_ticks *s = arg;

    assert_string_equal(ev->queue, "q");
    s->jobs += ev->jobs;
    s->missed += ev->missed;
    s->skipped += ev->skipped;
    s->faults += ev->fault != NULL;
    if (ev->fault != NULL)
        (void)snprintf(s->fault, sizeof s->fault, "%s", ev->fault);
}

static void on_ticker_closed(void *arg)
{
    ((struct seen_ticks *)arg)->closed++;
}

static void start_tickers(struct world *w, struct ticker *t[TICKERS], struct seen_ticks *seen)
{
    static const char *const queues[] = {"p", "q"};
    struct fault f;

    for (size_t i = 0; i < TICKERS; i++) {
        if (ticker_new(&w->loop, w->redis,
                       &(struct ticker_options){.queues = queues,
                                                .n_queues = COUNT_OF(queues),
                                                .look_ms = 5,
                                                .on_tick = on_tick,
                                                .arg = seen},
                       &t[i], &f) != ERR_OK)
            fail_msg("%s", f.text);
        ticker_start(t[i]);
    }
}

static void stop_tickers(struct world *w, struct ticker *t[TICKERS], struct seen_ticks *seen)
{
    for (size_t i = 0; i < TICKERS; i++) {
        ticker_close(&t[i], on_ticker_closed, seen);
        assert_null(t[i]);
    }
    turn_until_count(w, &seen->closed, TICKERS);
}

/* --- tests ----------------------------------------------------------------------------------- */

#define LONG_AGO "\"start_at\":\"2020-01-01T00:00:00Z\""

/* Sets the tick back by so many hours. */
static uint64_t miss(struct world *w, const char *name, uint64_t hours)
{
    uint64_t due_ms = get_one(w, name).v.next_ms - hours * 3600000;

    RUN("ZADD mr:{q}:ticks %llu %s", (unsigned long long)due_ms, name);
    return due_ms;
}

static void a_firing_leaves_what_an_enqueue_leaves(void **state)
{
    struct world w;
    struct answer a;
    struct state_value v;
    redisReply *r;
    struct job job;

    (void)state;
    world_init(&w, redis_server_url(server));
    assert_true(put_one(&w, "one", "\"cron\":\"@yearly\"", 10).v.created);
    a = run_one(&w, "one");
    assert_int_equal(a.e, ERR_OK);
    assert_true(state_of(&a.v.past.job, &v));
    assert_true(v.state == JOB_QUEUED && v.attempt == 0 && v.priority == JOB_PRIORITY_HIGH);
    assert_true(slice_is(v.type, "noop") && v.since_ms > 0);
    r = ask("RPOP mr:{q}:ready:high");
    assert_int_equal(job_decode(slice_of(r->str, r->len), &job, NULL), ERR_OK);
    assert_true(uuid_eq(&job.id, &a.v.past.job));
    freeReplyObject(r);
    assert_int_equal(ask_number("HGET mr:{q}:meta enqueued"), 1);
    assert_int_equal(ask_number("LLEN mr:{q}:wake"), 1);
    assert_int_equal(ask_number("SISMEMBER mr:queues q"), 1);
    a = run_one(&w, "one");
    assert_int_equal(a.v.past.fired, 2);
    assert_int_equal(ask_number("LLEN mr:{q}:wake"), 1);
    assert_int_equal(ask_number("ZCARD mr:{q}:ticks"), 1);
    assert_int_equal(run_one(&w, "two").e, ERR_NOT_FOUND);
    world_done(&w);
}

static void of_many_tickers_one_takes_the_tick(void **state)
{
    struct world w;
    struct ticker *t[TICKERS];
    struct seen_ticks seen = {0};
    uint64_t due_ms;

    (void)state;
    world_init(&w, redis_server_url(server));
    (void)put_one(&w, "hourly", "\"every_ms\":3600000,\"missed\":\"all\"," LONG_AGO, 10);
    start_tickers(&w, t, &seen);
    for (uint64_t round = 1; round <= 20; round++) {
        due_ms = miss(&w, "hourly", 5);
        turn_until_count(&w, &seen.jobs, 5 * round);
        assert_int_equal(get_one(&w, "hourly").v.next_ms, due_ms + 5 * 3600000);
    }
    stop_tickers(&w, t, &seen);
    assert_int_equal(seen.jobs, 100);
    assert_int_equal(ask_number("HGET mr:{q}:meta enqueued"), 100);
    assert_int_equal(ask_number("LLEN mr:{q}:ready:high"), 100);
    assert_int_equal(ask_number("HLEN mr:{q}:state"), 100);
    assert_int_equal(seen.missed + seen.skipped + seen.faults, 0);
    world_done(&w);
}

/* The tickers look but once an hour: who sees a tick tells them. */
static void a_ticker_that_is_told_of_a_tick_takes_it(void **state)
{
    static const char *const queues[] = {"p", "q"};
    struct seen_ticks seen = {0};
    const struct ticker_options opt = {.queues = queues,
                                       .n_queues = COUNT_OF(queues),
                                       .look_ms = 3600000,
                                       .on_tick = on_tick,
                                       .arg = &seen};
    struct ticker *t;
    struct world w;
    struct fault f;

    (void)state;
    world_init(&w, redis_server_url(server));
    assert_int_equal(ticker_new(&w.loop, w.redis, &opt, &t, &f), ERR_OK);
    ticker_start(t);
    breathe(&w); /* its first look finds nothing */
    (void)put_one(&w, "hourly", "\"every_ms\":3600000," LONG_AGO, 10);
    for (uint64_t round = 1; round <= 3; round++) {
        (void)miss(&w, "hourly", 1);
        ticker_expect(t, 0, 0); /* of the wrong queue */
        ticker_expect(t, 1, 3000000);
        ticker_expect(t, 1, 1);
        turn_until_count(&w, &seen.jobs, round);
    }
    ticker_close(&t, on_ticker_closed, &seen);
    turn_until_count(&w, &seen.closed, 1);
    world_done(&w);
}

static void without_overlap_a_live_job_holds_the_next_back(void **state)
{
    struct world w;
    struct ticker *t[TICKERS];
    struct seen_ticks seen = {0};
    struct answer a;

    (void)state;
    world_init(&w, redis_server_url(server));
    (void)put_one(&w, "alone", "\"every_ms\":3600000,\"overlap\":\"skip\"," LONG_AGO, 10);
    start_tickers(&w, t, &seen);
    (void)miss(&w, "alone", 1);
    turn_until_count(&w, &seen.jobs, 1);
    (void)miss(&w, "alone", 1);
    turn_until_count(&w, &seen.skipped, 1);
    a = get_one(&w, "alone");
    assert_true(a.v.past.fired == 1 && a.v.past.skipped == 1);
    RUN("HDEL mr:{q}:state %b", a.v.past.job.bytes, (size_t)UUID_LEN);
    (void)miss(&w, "alone", 3);
    turn_until_count(&w, &seen.jobs, 2);
    stop_tickers(&w, t, &seen);
    assert_int_equal(seen.missed, 2);
    world_done(&w);
}

static void a_change_in_between_wins_over_the_tick(void **state)
{
    struct world w;
    struct answer a, before;

    (void)state;
    world_init(&w, redis_server_url(server));
    before = put_one(&w, "changed", "\"every_ms\":3600000", 10);
    a = put_one(&w, "changed", "\"every_ms\":3600000,\"missed\":\"skip\"", 10);
    assert_true(!a.v.created && a.v.next_ms == before.v.next_ms);
    assert_true(a.s.anchor_ms == before.s.anchor_ms && !uuid_eq(&a.s.rev, &before.s.rev));
    /* A ticker that saw the record of before comes too late. */
    {
        char due[24];
        const struct slice args[] = {
            SLICE_LIT("changed"),
            slice_of(before.s.rev.bytes, UUID_LEN),
            slice_of(due, (size_t)snprintf(due, sizeof due, "%llu",
                                           (unsigned long long)before.v.next_ms)),
            SLICE_LIT("1"),
            SLICE_LIT("0"),
            SLICE_LIT("0"),
            SLICE_LIT("0")};
        struct schedule_keys k;
        redisReply *r;

        assert_int_equal(keys_init_schedules(&k, "q", NULL), ERR_OK);
        r = eval_raw(QUEUE_SCHEDULE_FIRE, k.key, SCHEDULE_KEYS, args, COUNT_OF(args));
        assert_int_equal(at(r, 0), 0);
        freeReplyObject(r);
    }
    assert_int_equal(get_one(&w, "changed").v.next_ms, before.v.next_ms);
    assert_int_equal(pause_one(&w, "changed", true).v.next_ms, 0);
    assert_int_equal(ask_number("ZCARD mr:{q}:ticks"), 0);
    assert_true(pause_one(&w, "changed", true).s.paused);
    a = pause_one(&w, "changed", false);
    assert_true(!a.s.paused && a.v.next_ms == before.v.next_ms);
    world_done(&w);
}

static void limits_and_names_are_kept(void **state)
{
    struct world w;
    struct answer a;

    (void)state;
    world_init(&w, redis_server_url(server));
    assert_int_equal(put_one(&w, "a", "\"cron\":\"@daily\"", 2).e, ERR_OK);
    assert_int_equal(put_one(&w, "b", "\"cron\":\"@daily\"", 2).e, ERR_OK);
    a = put_one(&w, "c", "\"cron\":\"@daily\"", 2);
    assert_int_equal(a.e, ERR_FORBIDDEN);
    assert_non_null(strstr(a.why, "as many"));
    assert_int_equal(put_one(&w, "b", "\"cron\":\"@hourly\"", 2).e, ERR_OK);
    assert_int_equal(schedules_get(w.redis, "No Name", on_answer, &a), ERR_MALFORMED);
    assert_int_equal(ask_number("HLEN mr:{q}:schedules"), 2);
    world_done(&w);
}

static void what_cannot_be_fired_is_told_and_holds_nobody_up(void **state)
{
    struct world w;
    struct ticker *t[TICKERS];
    struct seen_ticks seen = {0};

    (void)state;
    world_init(&w, redis_server_url(server));
    (void)put_one(&w, "good", "\"every_ms\":3600000," LONG_AGO, 10);
    (void)put_one(&w, "odd", "\"every_ms\":3600000," LONG_AGO, 10);
    RUN("HSET mr:{q}:schedules:jobs odd {}");
    (void)miss(&w, "odd", 2);
    start_tickers(&w, t, &seen);
    turn_until_count(&w, &seen.faults, 1);
    assert_non_null(strstr(seen.fault, "/type"));
    (void)miss(&w, "good", 1);
    turn_until_count(&w, &seen.jobs, 1);
    stop_tickers(&w, t, &seen);
    assert_int_equal(
        ask_number("ZCOUNT mr:{q}:ticks -inf %llu", (unsigned long long)clock_wall_ms()),
        1); /* it stays due: another version may know it */
    world_done(&w);
}

static void at_maxmemory_a_tick_stays_due_until_there_is_room(void **state)
{
    struct world w;
    struct ticker *t[TICKERS];
    struct seen_ticks seen = {0};
    uint64_t due_ms;

    (void)state;
    world_init(&w, redis_server_url(server));
    (void)put_one(&w, "full", "\"every_ms\":3600000,\"missed\":\"all\"," LONG_AGO, 10);
    due_ms = miss(&w, "full", 3);
    RUN("CONFIG SET maxmemory 1");
    start_tickers(&w, t, &seen);
    turn_until_count(&w, &seen.faults, 1);
    assert_non_null(strstr(seen.fault, "OOM"));
    assert_true(seen.jobs == 0 && ask_number("ZSCORE mr:{q}:ticks full") == (long long)due_ms);
    RUN("CONFIG SET maxmemory 0");
    turn_until_count(&w, &seen.jobs, 3);
    stop_tickers(&w, t, &seen);
    assert_int_equal(ask_number("LLEN mr:{q}:ready:high"), 3);
    world_done(&w);
}

static void closing_waits_for_what_is_under_way(void **state)
{
    struct world w;
    struct ticker *t[TICKERS];
    struct seen_ticks seen = {0};

    (void)state;
    world_init(&w, redis_server_url(server));
    (void)put_one(&w, "last", "\"every_ms\":3600000," LONG_AGO, 10);
    (void)miss(&w, "last", 1);
    start_tickers(&w, t, &seen);
    for (int i = 0; i < 3; i++)
        (void)uv_run(&w.loop, UV_RUN_ONCE); /* a look, perhaps a firing, is in flight */
    stop_tickers(&w, t, &seen);
    world_done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_firing_leaves_what_an_enqueue_leaves, flush),
        cmocka_unit_test_setup(of_many_tickers_one_takes_the_tick, flush),
        cmocka_unit_test_setup(a_ticker_that_is_told_of_a_tick_takes_it, flush),
        cmocka_unit_test_setup(without_overlap_a_live_job_holds_the_next_back, flush),
        cmocka_unit_test_setup(a_change_in_between_wins_over_the_tick, flush),
        cmocka_unit_test_setup(limits_and_names_are_kept, flush),
        cmocka_unit_test_setup(what_cannot_be_fired_is_told_and_holds_nobody_up, flush),
        cmocka_unit_test_setup(at_maxmemory_a_tick_stays_due_until_there_is_room, flush),
        cmocka_unit_test_setup(closing_waits_for_what_is_under_way, flush),
    };

    return cmocka_run_group_tests(tests, start_server, stop_server);
}
