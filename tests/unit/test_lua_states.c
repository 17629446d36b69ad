/* Every atomic move from every state of a job: what it does and what it refuses. */
#include "tests/unit/test_lua_help.h"

/* --- every arrow of the state machine -------------------------------------------------------- */

enum place { NOWHERE, IN_READY, IN_SCHEDULED, IN_RUNNING, IN_RETRYING, PLACES };
static const char *const place_names[] = {"nowhere", "ready", "scheduled", "running",
                                          "retrying"};

enum move {
    ENQUEUE_KNOWN,
    CLAIM,
    PROMOTE,
    DONE,
    RETRY_LATER,
    RETRY_NOW,
    RELEASE,
    OTHER_DONE, /* by a consumer that does not have it */
    OLDER_DONE, /* for the attempt before */
    OLDER_RETRY,
    PROGRESS,
    LEASE_OVER,
    PREDECESSOR, /* a new boot of the same host:instance */
    RECONCILE,   /* the consumer says it holds nothing */
    RECONCILE_HELD,
    UNREGISTER,
    WAKE,
    MOVES,
};

static void go_to(enum place place)
{
    if (place == IN_SCHEDULED)
        ENQUEUE(.number = 7, .due = "9999999999999");
    else if (place != NOWHERE)
        ENQUEUE(.number = 7);
    if (place == IN_RUNNING || place == IN_RETRYING)
        assert_int_equal(claim_number(US), 7);
    if (place == IN_RETRYING)
        assert_int_equal(settle(US, 7, 1, "retry", "999999"), 0);
}

static void make_move(enum move move)
{
    struct uuid id = id_of(7);

    switch (move) {
    case ENQUEUE_KNOWN:
        (void)ENQUEUE(.number = 7, .skip_known = true);
        return;
    case CLAIM:
        (void)claim_number(US);
        return;
    case PROMOTE:
        make_due();
        (void)reap("0");
        return;
    case DONE:
        (void)settle(US, 7, 1, "done", "0");
        return;
    case RETRY_LATER:
        (void)settle(US, 7, 1, "retry", "5000");
        return;
    case RETRY_NOW:
        (void)settle(US, 7, 1, "retry", "0");
        return;
    case RELEASE:
        (void)settle(US, 7, 1, "release", "0");
        return;
    case OTHER_DONE:
        (void)settle(THEM, 7, 1, "done", "0");
        return;
    case OLDER_DONE:
        (void)settle(US, 7, 0, "done", "0");
        return;
    case OLDER_RETRY:
        (void)settle(US, 7, 0, "retry", "0");
        return;
    case PROGRESS:
        show_progress(1);
        return;
    case LEASE_OVER:
        silence(US);
        (void)reap("10000");
        return;
    case PREDECESSOR:
        enroll("host:1:cccc");
        return;
    case RECONCILE:
        freeReplyObject(EVAL(QUEUE_RECONCILE, US, SLICE_LIT(US), SLICE_LIT("128")));
        return;
    case RECONCILE_HELD:
        freeReplyObject(
            EVAL(QUEUE_RECONCILE, US, SLICE_LIT(US), SLICE_LIT("128"), id_slice(&id)));
        return;
    case UNREGISTER:
        freeReplyObject(EVAL(QUEUE_UNREGISTER, US, SLICE_LIT(US), SLICE_LIT("128")));
        return;
    case WAKE:
        freeReplyObject(eval(QUEUE_WAKE, NULL, NULL, 0));
        return;
    case MOVES:
        break;
    }
    fail();
}

/* In how many of the places that hold items the job is, and in which. */
static enum place find(void)
{
    bool in_ready = ready("normal") == 1;
    bool in_delayed = ask_number("ZCARD mr:{q}:delayed") == 1;
    bool in_active = ask_number("HLEN mr:{q}:active:" US) == 1;
    struct uuid id = id_of(7);
    struct state_value v;
    enum place place = NOWHERE;

    assert_int_equal(in_ready + in_delayed + in_active,
                     ready("normal") + ask_number("ZCARD mr:{q}:delayed") +
                         ask_number("HLEN mr:{q}:active:" US));
    if (!state_of(&id, &v)) {
        assert_false(in_ready || in_delayed || in_active);
        return NOWHERE;
    }
    assert_int_equal(in_ready + in_delayed + in_active, 1);
    if (in_ready)
        place = IN_READY;
    else if (in_active)
        place = IN_RUNNING;
    else
        place = v.state == JOB_SCHEDULED ? IN_SCHEDULED : IN_RETRYING;
    assert_int_equal(v.state, place == IN_READY       ? JOB_QUEUED
                              : place == IN_RUNNING   ? JOB_RUNNING
                              : place == IN_SCHEDULED ? JOB_SCHEDULED
                                                      : JOB_RETRYING);
    assert_true(slice_is(v.type, "noop"));
    assert_int_equal(v.priority, JOB_PRIORITY_NORMAL);
    assert_true(v.since_ms > 1500000000000);
    return place;
}

struct arrow {
    enum place to;
    uint32_t attempts; /* more than before */
    uint16_t excused;
};

/* What is not named here must leave the job as it is. */
static const struct {
    enum place from;
    enum move move;
    struct arrow arrow;
} arrows[] = {
    {NOWHERE, ENQUEUE_KNOWN, {IN_READY, 0, 0}}, {IN_READY, CLAIM, {IN_RUNNING, 1, 0}},
    {IN_SCHEDULED, PROMOTE, {IN_READY, 0, 0}},  {IN_RETRYING, PROMOTE, {IN_READY, 0, 0}},
    {IN_RUNNING, DONE, {NOWHERE, 0, 0}},        {IN_RUNNING, RETRY_LATER, {IN_RETRYING, 0, 0}},
    {IN_RUNNING, RETRY_NOW, {IN_READY, 0, 0}},  {IN_RUNNING, RELEASE, {IN_READY, 0, 1}},
    {IN_RUNNING, LEASE_OVER, {IN_READY, 0, 0}}, {IN_RUNNING, PREDECESSOR, {IN_READY, 0, 0}},
    {IN_RUNNING, RECONCILE, {IN_READY, 0, 1}},  {IN_RUNNING, UNREGISTER, {IN_READY, 0, 1}},
};

static struct arrow arrow_of(enum place from, enum move move)
{
    for (size_t i = 0; i < COUNT_OF(arrows); i++) {
        if (arrows[i].from == from && arrows[i].move == move)
            return arrows[i].arrow;
    }
    return (struct arrow){.to = from};
}

static void check_arrow(enum place from, enum move move)
{
    struct uuid id = id_of(7);
    struct arrow want = arrow_of(from, move);
    struct state_value before = {.attempt = 0}, after = {.attempt = 0};
    enum place to;

    RUN("FLUSHALL");
    enroll(US);
    enroll(THEM);
    go_to(from);
    assert_int_equal(find(), from);
    (void)state_of(&id, &before);
    make_move(move);
    to = find();
    if (to != want.to)
        fail_msg("move %d from %s: to %s, not %s", (int)move, place_names[from],
                 place_names[to], place_names[want.to]);
    (void)state_of(&id, &after);
    if (to == NOWHERE)
        return;
    assert_int_equal(after.attempt, before.attempt + want.attempts);
    assert_int_equal(after.excused, before.excused + want.excused);
    if (to == IN_READY && from != IN_READY)
        assert_int_equal(tokens(), 1);
}

static void each_move_from_each_state_does_what_the_picture_says(void **state)
{
    (void)state;
    for (int from = NOWHERE; from < PLACES; from++) {
        for (int move = 0; move < MOVES; move++)
            check_arrow((enum place)from, (enum move)move);
    }
}

static void a_refused_settlement_says_why(void **state)
{
    static const struct {
        enum place place;
        const char *consumer;
        uint32_t attempt;
        const char *kind;
        long long want;
    } table[] = {
        {NOWHERE, US, 1, "done", 2},        {NOWHERE, US, 1, "retry", 2},
        {IN_READY, US, 1, "done", 1},       {IN_READY, US, 0, "retry", 3},
        {IN_RUNNING, US, 1, "done", 0},     {IN_RUNNING, US, 0, "done", 1},
        {IN_RUNNING, US, 2, "done", 1},     {IN_RUNNING, THEM, 1, "done", 1},
        {IN_RUNNING, THEM, 1, "retry", 1},  {IN_RUNNING, US, 1, "release", 0},
        {IN_RETRYING, US, 1, "done", 3},    {IN_RETRYING, US, 1, "retry", 3},
        {IN_RETRYING, THEM, 0, "retry", 1},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        RUN("FLUSHALL");
        enroll(US);
        go_to(table[i].place);
        if (settle(table[i].consumer, 7, table[i].attempt, table[i].kind, "0") != table[i].want)
            fail_msg("row %zu", i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(each_move_from_each_state_does_what_the_picture_says, flush),
        cmocka_unit_test_setup(a_refused_settlement_says_why, flush),
    };

    return cmocka_run_group_tests(tests, start_server, stop_server);
}
