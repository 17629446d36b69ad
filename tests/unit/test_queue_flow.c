/* Ten thousand jobs from producer to consumers with random verdicts, while connections are cut and
 * Redis is killed: none is lost, none is done twice, no attempt goes back. */
#include "tests/unit/test_queue_loop.h"

#include "queue/reaper.h"
#include "shared/rand.h"

#define JOBS   10000
#define EATERS 3
#define SLOTS  50
#define AHEAD  700 /* jobs enqueued before others are done: so that trouble meets both */

enum trouble { TROUBLE_NONE, TROUBLE_CUT, TROUBLE_KILL };

struct record {
    enum { ENQUEUE_WAITS, ENQUEUE_SENT, ENQUEUE_OK, ENQUEUE_UNKNOWN } enqueue;
    uint32_t attempt; /* of the last claim */
    unsigned done;    /* confirmed */
};

struct flow_test {
    struct world w;
    struct eater eaters[EATERS];
    struct record *job;
    size_t next, sent, acked, unknown, done, stale, excused;
    bool reaper_closed;
};
static struct flow_test *T; /* one at a time */

struct verdict {
    unsigned number;
    enum settle_kind kind;
    struct eater *eater;
};

/* --- enqueueing ------------------------------------------------------------------------------ */

static void on_enqueued(void *arg, enum err e, const struct fault *why)
{
    struct record *r = arg;

    (void)why;
    assert_int_equal(r->enqueue, ENQUEUE_SENT);
    T->sent--;
    r->enqueue = e == ERR_OK ? ENQUEUE_OK : ENQUEUE_UNKNOWN;
    if (e == ERR_OK)
        T->acked++;
    else
        T->unknown++;
}

static void enqueue_some(size_t ahead)
{
    while (T->next < JOBS && T->next < T->done + T->unknown + ahead) {
        struct uuid id = id_of((unsigned)T->next);
        struct buf item = {0};
        enum err e;

        add_item(&item, &id, 100 + (size_t)rand_below(400));
        e = producer_enqueue(
            T->w.producer,
            &(struct producer_job){.queue = "q",
                                   .priority = (enum job_priority)rand_below(4),
                                   .due_ms = rand_below(10) == 0 ? 1 : 0,
                                   .id = id,
                                   .type = "noop",
                                   .item = buf_slice(&item)},
            on_enqueued, &T->job[T->next]);
        buf_done(&item);
        if (e != ERR_OK)
            return; /* it was not sent: the same one later */
        T->job[T->next].enqueue = ENQUEUE_SENT;
        T->next++;
        T->sent++;
    }
}

/* --- consuming ------------------------------------------------------------------------------- */

static void make_room(struct eater *e)
{
    if (e->c != NULL)
        consumer_set_room(e->c, SLOTS - consumer_held(e->c));
}

static void on_verdict(void *arg, enum err e)
{
    struct verdict *v = arg;
    struct record *r = &T->job[v->number];

    assert_true(e == ERR_OK || e == ERR_STALE);
    if (e == ERR_STALE) {
        T->stale++;
    } else if (v->kind == SETTLE_DONE) {
        r->done++;
        T->done++;
    }
    make_room(v->eater);
    free(v);
}

static void decide(struct eater *e, const struct claim *claim)
{
    static const enum settle_kind kinds[] = {SETTLE_DONE, SETTLE_DONE, SETTLE_RETRY,
                                             SETTLE_RETRY, SETTLE_RELEASE};
    struct verdict *v = malloc(sizeof *v);
    const uint8_t *id = claim->id.bytes;
    struct record *r;

    assert_non_null(v);
    *v = (struct verdict){.number = (unsigned)id[14] << 8 | id[15],
                          .kind = kinds[rand_below(COUNT_OF(kinds))],
                          .eater = e};
    r = &T->job[v->number];
    if (r->done > 0)
        fail_msg("job %u is claimed again after it was done", v->number);
    if (claim->attempt <= r->attempt)
        fail_msg("job %u: attempt %u after %u", v->number, claim->attempt, r->attempt);
    r->attempt = claim->attempt;
    T->excused += claim->excused > 0;
    assert_int_equal(consumer_settle(e->c,
                                     &(struct settlement){.id = claim->id,
                                                          .attempt = claim->attempt,
                                                          .kind = v->kind,
                                                          .delay_ms = rand_below(3)},
                                     on_verdict, v),
                     ERR_OK);
}

/* --- trouble --------------------------------------------------------------------------------- */

static void strike(enum trouble trouble)
{
    switch (trouble) {
    case TROUBLE_NONE:
        return;
    case TROUBLE_CUT:
        RUN("CLIENT KILL TYPE normal SKIPME yes");
        return;
    case TROUBLE_KILL:
        redis_server_kill(server);
        while (T->w.up)
            (void)uv_run(&T->w.loop, UV_RUN_ONCE);
        redisFree(hand);
        redis_server_start(server);
        connect_hand();
        return;
    }
}

static void run_to_the_end(enum trouble trouble)
{
    const size_t step = trouble == TROUBLE_KILL ? 1900 : 900;
    size_t next_strike = step;

    while (T->done + T->unknown < JOBS || T->sent > 0 || T->next < JOBS) {
        enqueue_some(AHEAD);
        (void)uv_run(&T->w.loop, UV_RUN_ONCE);
        if (T->done >= next_strike && trouble != TROUBLE_NONE) {
            enqueue_some(AHEAD + 200); /* so that something is under way */
            (void)uv_run(&T->w.loop, UV_RUN_NOWAIT);
            strike(trouble);
            next_strike += step;
        }
    }
    /* Jobs whose enqueueing is unknown may be there still; and what Redis knows to be over, we may
     * not have heard yet. */
    while (ask_number("HLEN mr:{q}:state") > 0)
        breathe(&T->w);
    for (size_t i = 0; i < EATERS; i++)
        while (consumer_held(T->eaters[i].c) > 0)
            (void)uv_run(&T->w.loop, UV_RUN_ONCE);
}

static void check_records(void)
{
    for (unsigned i = 0; i < JOBS; i++) {
        const struct record *r = &T->job[i];

        if (r->enqueue == ENQUEUE_OK ? r->done != 1 : r->done > 1)
            fail_msg("job %u: done %u times", i, r->done);
    }
    assert_int_equal(ask_number("EXISTS mr:{q}:delayed mr:{q}:ready:critical mr:{q}:ready:high "
                                "mr:{q}:ready:normal mr:{q}:ready:low"),
                     0);
    for (size_t i = 0; i < EATERS; i++) {
        assert_int_equal(ask_number("EXISTS mr:{q}:active:%s", consumer_name(T->eaters[i].c)),
                         0);
        assert_int_equal(T->eaters[i].lost, 0);
    }
}

static void run_flow(enum trouble trouble, uint64_t seed)
{
    static const char *const names[EATERS] = {"a", "b", "c"};
    static const char *const queues[] = {"q"};
    struct reaper *reaper;
    struct fault f;

    rand_seed(seed);
    RUN("FLUSHALL");
    T = calloc(1, sizeof *T);
    assert_non_null(T);
    T->job = calloc(JOBS, sizeof *T->job);
    assert_non_null(T->job);
    world_init(&T->w, redis_server_url(server));
    world_producer(&T->w, (struct producer_options){0});
    assert_int_equal(reaper_new(&T->w.loop, T->w.redis,
                                &(struct reaper_options){.queues = queues, .n_queues = 1},
                                &reaper, &f),
                     ERR_OK);
    reaper_start(reaper);
    for (size_t i = 0; i < EATERS; i++) {
        T->eaters[i].on_claim = decide;
        world_eater(&T->w, &T->eaters[i],
                    (struct eater_options){.room = SLOTS, .instance = names[i]});
    }
    run_to_the_end(trouble);
    check_records();
    print_message("           acked %zu, unknown %zu, stale %zu, cuts %u\n", T->acked,
                  T->unknown, T->stale, T->w.downs);
    assert_int_equal(T->acked + T->unknown, JOBS);
    reaper_close(&reaper, on_world_flag, &T->reaper_closed);
    turn_until(&T->w, &T->reaper_closed);
    world_done(&T->w);
    free(T->job);
    free(T);
    rand_seed(0);
}

static void all_jobs_are_done_once(void **state)
{
    (void)state;
    run_flow(TROUBLE_NONE, 1);
    assert_int_equal(ask_number("HGET mr:{q}:meta settled"), JOBS);
}

static void all_jobs_are_done_once_while_connections_are_cut(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++)
        run_flow(TROUBLE_CUT, seed);
}

static void all_jobs_are_done_once_while_redis_is_killed(void **state)
{
    (void)state;
    run_flow(TROUBLE_KILL, 1);
}

static int start_durable(void **state)
{
    (void)state;
    (void)signal(SIGPIPE, SIG_IGN);
    (void)alarm(280);
    server = redis_server_new(true);
    connect_hand();
    return keys_init(&keys, "q", NULL);
}

int main(void)
{
    const struct CMUnitTest quick[] = {
        cmocka_unit_test_setup(all_jobs_are_done_once, flush),
        cmocka_unit_test_setup(all_jobs_are_done_once_while_connections_are_cut, flush),
    };
    const struct CMUnitTest durable[] = {
        cmocka_unit_test(all_jobs_are_done_once_while_redis_is_killed),
    };
    int failed = cmocka_run_group_tests(quick, start_server, stop_server);

    return failed + cmocka_run_group_tests(durable, start_durable, stop_server);
}
