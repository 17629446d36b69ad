/* The producer's checked call against a real Redis: verdicts, caps and when they are looked up. */
#include "tests/unit/test_queue_loop.h"

#include "shared/clock.h"

struct judged {
    size_t n;
    enum err err[128];
    struct producer_verdict verdict[128];
    bool had_verdict[128];
};

static void on_judged(void *arg, enum err e, const struct producer_verdict *v,
                      const struct fault *why)
{
    struct judged *j = arg;

    assert_true((e == ERR_OK) == (why == NULL));
    j->err[j->n] = e;
    j->had_verdict[j->n] = v != NULL;
    if (v != NULL)
        j->verdict[j->n] = *v;
    j->n++;
}

static void submit(struct world *w, struct judged *j, unsigned number, const char *unique,
                   enum unique_policy policy, uint64_t once_ms)
{
    struct uuid id = id_of(number);
    struct buf item = {0};

    add_item(&item, &id, 0);
    assert_int_equal(producer_submit(w->producer,
                                     &(struct producer_job){.queue = "q",
                                                            .priority = JOB_PRIORITY_NORMAL,
                                                            .id = id,
                                                            .type = "noop",
                                                            .item = buf_slice(&item),
                                                            .unique = unique,
                                                            .unique_policy = policy,
                                                            .once_ms = once_ms,
                                                            .match = SLICE_LIT("m")},
                                     on_judged, j),
                     ERR_OK);
    buf_done(&item);
}

static void begin(struct world *w, bool caps)
{
    world_init(w, redis_server_url(server));
    world_producer(w, (struct producer_options){.caps = caps});
}

static void each_job_of_a_call_has_its_own_verdict(void **state)
{
    static const enum producer_code want[] = {PRODUCER_TAKEN, PRODUCER_TAKEN, PRODUCER_HELD,
                                              PRODUCER_KEPT,  PRODUCER_TAKEN, PRODUCER_TAKEN};
    struct world w;
    struct judged j = {0};
    struct uuid two = id_of(2);

    (void)state;
    begin(&w, false);
    submit(&w, &j, 1, NULL, UNIQUE_REJECT, 0);
    submit(&w, &j, 2, "k", UNIQUE_REJECT, 0);
    submit(&w, &j, 3, "k", UNIQUE_REJECT, 0);
    submit(&w, &j, 4, "k", UNIQUE_KEEP, 0);
    submit(&w, &j, 5, NULL, UNIQUE_REJECT, 60000);
    submit(&w, &j, 5, NULL, UNIQUE_REJECT, 60000);
    assert_int_equal(j.n, 0);
    turn_until_count(&w, &j.n, COUNT_OF(want));
    for (size_t i = 0; i < COUNT_OF(want); i++) {
        assert_int_equal(j.verdict[i].code, want[i]);
        assert_int_equal(j.err[i], want[i] == PRODUCER_HELD ? ERR_EXISTS : ERR_OK);
        assert_int_equal(j.verdict[i].again, i == 5);
    }
    assert_true(uuid_eq(&j.verdict[2].id, &two) && uuid_eq(&j.verdict[3].id, &two));
    world_done(&w);
}

static void who_asks_for_no_verdict_is_told_by_an_error(void **state)
{
    struct world w;
    struct taken t = {0};

    (void)state;
    RUN("HSET mr:{q}:meta cap_jobs 1");
    begin(&w, true);
    PUT(&w, &t, .number = 1);
    PUT(&w, &t, .number = 2);
    turn_until_count(&w, &t.ok, 1);
    turn_until_count(&w, &t.failed, 1);
    assert_int_equal(t.last, ERR_LIMITED);
    assert_non_null(strstr(t.why, "cap on jobs"));
    world_done(&w);
}

static void a_cap_is_told_with_its_measure_and_when_to_come_back(void **state)
{
    struct world w;
    struct judged j = {0};

    (void)state;
    RUN("HSET mr:{q}:meta cap_jobs 2 settled 1000");
    begin(&w, true);
    for (unsigned i = 0; i < 5; i++)
        submit(&w, &j, i, NULL, UNIQUE_REJECT, 0);
    turn_until_count(&w, &j.n, 5);
    assert_int_equal(j.verdict[1].code, PRODUCER_TAKEN);
    for (size_t i = 2; i < 5; i++) {
        assert_int_equal(j.err[i], ERR_LIMITED);
        assert_string_equal(j.verdict[i].cap, "jobs");
        assert_true(j.verdict[i].has == 2 && j.verdict[i].may == 2);
        assert_int_equal(j.verdict[i].wait_s, CAPS_WAIT_MAX_S); /* nobody has seen any leave */
    }
    world_done(&w);
}

static long long used(const char *command)
{
    redisReply *r = ask("INFO commandstats");
    const char *at = strstr(r->str, command);
    long long n = at == NULL ? 0 : strtoll(at + strlen(command), NULL, 10);

    freeReplyObject(r);
    return n;
}

static void a_queue_without_caps_is_asked_now_and_then_and_takes_the_plain_way(void **state)
{
    struct world w;
    struct judged j = {0};
    uint64_t now_ms = clock_now_ms(), wall_ms = clock_wall_ms();

    (void)state;
    begin(&w, true);
    clock_fake(now_ms * 1000, wall_ms);
    submit(&w, &j, 1, NULL, UNIQUE_REJECT, 0); /* not known yet: checked */
    turn_until_count(&w, &j.n, 1);
    TURN_UNTIL_ASKED(&w, 1, "EXISTS mr:{q}:state");
    breathe(&w);
    RUN("CONFIG RESETSTAT");
    for (unsigned i = 2; i < 10; i++) {
        submit(&w, &j, i, NULL, UNIQUE_REJECT, 0);
        turn_until_count(&w, &j.n, i);
    }
    assert_int_equal(used("cmdstat_hmget:calls="), 0);
    now_ms += CAPS_FRESH_MS / 2;
    clock_fake(now_ms * 1000, wall_ms);
    submit(&w, &j, 10, NULL, UNIQUE_REJECT, 0);
    turn_until_count(&w, &j.n, 10);
    assert_int_equal(used("cmdstat_hmget:calls="), 1);
    RUN("HSET mr:{q}:meta cap_jobs 1");
    now_ms += CAPS_FRESH_MS; /* what is known is too old, so the job is checked at once */
    clock_fake(now_ms * 1000, wall_ms);
    submit(&w, &j, 11, NULL, UNIQUE_REJECT, 0);
    turn_until_count(&w, &j.n, 11);
    assert_int_equal(j.err[10], ERR_LIMITED);
    clock_fake(0, 0);
    world_done(&w);
}

static void the_wait_is_what_the_rate_of_drain_says(void **state)
{
    static const struct {
        double over, per_second;
        uint32_t want;
    } rows[] = {{1, 0, 60}, {1, 100, 1}, {100, 100, 1}, {101, 100, 2}, {1e9, 1, 60}, {0, 5, 1}};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_int_equal(caps_wait_s(rows[i].over, rows[i].per_second), rows[i].want);
}

static void when_redis_is_cut_off_nobody_has_a_verdict(void **state)
{
    struct world w;
    struct judged j = {0};

    (void)state;
    begin(&w, true);
    submit(&w, &j, 1, "k", UNIQUE_REJECT, 0);
    turn_until_count(&w, &j.n, 1);
    submit(&w, &j, 2, "k", UNIQUE_REJECT, 0);
    RUN("CLIENT KILL TYPE normal SKIPME yes");
    turn_until_count(&w, &j.n, 2);
    assert_true(j.err[1] == ERR_UNREACHABLE && !j.had_verdict[1]);
    turn_until(&w, &w.up);
    world_done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(each_job_of_a_call_has_its_own_verdict, flush),
        cmocka_unit_test_setup(who_asks_for_no_verdict_is_told_by_an_error, flush),
        cmocka_unit_test_setup(a_cap_is_told_with_its_measure_and_when_to_come_back, flush),
        cmocka_unit_test_setup(
            a_queue_without_caps_is_asked_now_and_then_and_takes_the_plain_way, flush),
        cmocka_unit_test(the_wait_is_what_the_rate_of_drain_says),
        cmocka_unit_test_setup(when_redis_is_cut_off_nobody_has_a_verdict, flush),
    };

    return cmocka_run_group_tests(tests, start_server, stop_server);
}
