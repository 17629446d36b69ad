/* Registration, beats, reaping; and that a wake-up is never lost. */
#include "tests/unit/test_lua_help.h"

/* --- registration, beat, reconciliation, reaping --------------------------------------------- */

static void a_new_boot_takes_back_what_its_predecessor_held_and_nothing_else(void **state)
{
    (void)state;
    enroll(US);
    enroll(THEM);
    enroll("host:10:aaaa");
    for (unsigned i = 1; i <= 3; i++)
        ENQUEUE(.number = i);
    assert_int_equal(claim_number(US), 1);
    assert_int_equal(claim_number(THEM), 2);
    assert_int_equal(claim_number("host:10:aaaa"), 3);
    enroll("host:1:new");
    assert_int_equal(ready("normal"), 1);
    assert_int_equal(ask_number("ZCARD mr:{q}:consumers"), 3);
    assert_int_equal(ask_number("HLEN mr:{q}:workers"), 3);
    assert_int_equal(claim_number("host:1:new"), 1);
    assert_int_equal(settle(US, 1, 1, "done", "0"), 1);
    assert_int_equal(settle("host:1:new", 1, 2, "done", "0"), 0);
}

static void giving_back_is_bounded_and_goes_on_where_it_stopped(void **state)
{
    redisReply *r;
    long long calls = 0, more;

    (void)state;
    enroll(US);
    for (unsigned i = 0; i < 100; i++)
        ENQUEUE(.number = i);
    freeReplyObject(claim(US, "64"));
    freeReplyObject(claim(US, "64"));
    do {
        r = EVAL(QUEUE_REGISTER, NULL, SLICE_LIT("host:1:new"), SLICE_LIT("host:1:"),
                 SLICE_LIT("\x80"), keys.active_prefix, SLICE_LIT("30"));
        more = at(r, 0);
        freeReplyObject(r);
        calls++;
        if (more != 0) { /* half buried: it must not go on */
            assert_int_equal(ask_number("ZSCORE mr:{q}:consumers " US), 0);
            r = claim(US, "1");
            assert_int_equal(at(r, 0), 0);
            freeReplyObject(r);
        }
    } while (more != 0);
    assert_int_equal(calls, 4);
    assert_int_equal(ready("normal"), 100);
    assert_int_equal(ask_number("EXISTS mr:{q}:active:" US), 0);
    assert_int_equal(ask_number("ZCARD mr:{q}:consumers"), 1);
    assert_int_equal(counter("reaped"), 100);
}

static void the_beat_says_who_is_alive_and_what_it_holds(void **state)
{
    static const struct {
        const char *set_up;
        long long want, held;
    } table[] = {
        {NULL, 1, 1},
        {"ZREM mr:{q}:consumers " US, 0, 0},
        {"ZADD mr:{q}:consumers 0 " US, 0, 0},
    };
    redisReply *r;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        RUN("FLUSHALL");
        enroll(US);
        ENQUEUE(.number = 7);
        assert_int_equal(claim_number(US), 7);
        silence(US);
        if (table[i].set_up != NULL)
            freeReplyObject(redisCommand(hand, table[i].set_up));
        r = EVAL(QUEUE_BEAT, US, SLICE_LIT(US), SLICE_LIT("host:1:"));
        assert_int_equal(at(r, 0), table[i].want);
        assert_int_equal(at(r, 1), table[i].held);
        freeReplyObject(r);
    }
    enroll("host:1:new");
    r = EVAL(QUEUE_BEAT, US, SLICE_LIT(US), SLICE_LIT("host:1:"));
    assert_int_equal(at(r, 0), 2);
    freeReplyObject(r);
}

static void a_beat_renews_the_lease(void **state)
{
    (void)state;
    enroll(US);
    ENQUEUE(.number = 7);
    assert_int_equal(claim_number(US), 7);
    silence(US);
    freeReplyObject(EVAL(QUEUE_BEAT, US, SLICE_LIT(US), SLICE_LIT("host:1:")));
    assert_int_equal(reap("60000"), 0);
    assert_int_equal(ask_number("HLEN mr:{q}:active:" US), 1);
}

static void reconciling_gives_back_only_what_was_never_received(void **state)
{
    struct uuid id[4];
    redisReply *r;

    (void)state;
    enroll(US);
    for (unsigned i = 0; i < 4; i++) {
        id[i] = id_of(i);
        ENQUEUE(.number = i);
    }
    freeReplyObject(claim(US, "64"));
    r = EVAL(QUEUE_RECONCILE, US, SLICE_LIT(US), SLICE_LIT("1"), id_slice(&id[2]));
    assert_int_equal(at(r, 0), 1);
    assert_int_equal(at(r, 1), 1);
    assert_int_equal(at(r, 2), 1);
    freeReplyObject(r);
    r = EVAL(QUEUE_RECONCILE, US, SLICE_LIT(US), SLICE_LIT("64"), id_slice(&id[2]));
    assert_int_equal(at(r, 1), 0);
    assert_int_equal(at(r, 2), 2);
    freeReplyObject(r);
    assert_int_equal(ready("normal"), 3);
    assert_int_equal(tokens(), 1);
    assert_int_equal(settle(US, 2, 1, "done", "0"), 0);
    RUN("ZREM mr:{q}:consumers " US);
    r = EVAL(QUEUE_RECONCILE, US, SLICE_LIT(US), SLICE_LIT("64"));
    assert_int_equal(at(r, 0), 0);
    freeReplyObject(r);
}

static void reaping_names_the_silent_and_spares_the_others(void **state)
{
    redisReply *r;

    (void)state;
    enroll(US);
    enroll(THEM);
    for (unsigned i = 0; i < 3; i++)
        ENQUEUE(.number = i);
    freeReplyObject(claim(US, "2"));
    freeReplyObject(claim(THEM, "1"));
    silence(US);
    RUN("DEL mr:{q}:wake");
    r = EVAL(QUEUE_REAP, NULL, SLICE_LIT("10000"), SLICE_LIT("1"), keys.active_prefix);
    assert_int_equal(at(r, 0), 1);
    assert_true(slice_is(bytes_at(r, 5), US));
    assert_int_equal(at(r, 6), 1);
    freeReplyObject(r);
    r = EVAL(QUEUE_REAP, NULL, SLICE_LIT("10000"), SLICE_LIT("128"), keys.active_prefix);
    assert_int_equal(at(r, 0), 0);
    assert_int_equal(r->elements, 7);
    assert_int_equal(at(r, 6), 1);
    freeReplyObject(r);
    assert_int_equal(reap("10000"), 0);
    assert_int_equal(ready("normal"), 2);
    assert_int_equal(tokens(), 1);
    assert_int_equal(ask_number("ZCARD mr:{q}:consumers"), 1);
    assert_int_equal(ask_number("HLEN mr:{q}:active:" THEM), 1);
}

static void the_reapers_look_leaves_a_token_where_jobs_wait(void **state)
{
    (void)state;
    RUN("LPUSH mr:{q}:ready:low x"); /* by a program that leaves none */
    assert_int_equal(tokens(), 0);
    (void)reap("0");
    assert_int_equal(tokens(), 1);
    (void)reap("0");
    assert_int_equal(tokens(), 1);
}

/* --- a wake-up is never lost ----------------------------------------------------------------- */

#define CROWD 3
struct crowd {
    const char *name[CROWD];
    unsigned held[CROWD][512];
    uint32_t attempt[CROWD][512];
    size_t n[CROWD];
    bool waits[CROWD];
    unsigned next;
};

static void crowd_claim(struct crowd *c, size_t who)
{
    char n[8];
    redisReply *r;

    (void)snprintf(n, sizeof n, "%d", (int)(1 + rand_below(4)));
    r = claim(c->name[who], n);
    assert_int_equal(at(r, 0), 1);
    for (size_t i = 4; i < r->elements; i += 5) {
        const uint8_t *id = (const uint8_t *)bytes_at(r, i).ptr;

        c->held[who][c->n[who]] = (unsigned)(id[14] << 8 | id[15]);
        c->attempt[who][c->n[who]++] = (uint32_t)at(r, i + 1);
    }
    c->waits[who] = r->elements == 4; /* found nothing: it waits for a token */
    freeReplyObject(r);
}

static void crowd_settle(struct crowd *c, size_t who)
{
    static const char *const kinds[] = {"done", "retry", "release", "retry"};
    uint64_t kind = rand_below(4);
    size_t last;

    if (c->n[who] == 0)
        return;
    last = --c->n[who];
    assert_int_equal(settle(c->name[who], c->held[who][last], c->attempt[who][last],
                            kinds[kind], kind == 3 ? "1" : "0"),
                     0);
}

static void crowd_die(struct crowd *c, size_t who)
{
    silence(c->name[who]);
    assert_int_equal(reap("10000"), c->n[who]);
    c->n[who] = 0;
    c->waits[who] = false;
    enroll(c->name[who]);
}

/* Redis gives a token at once to who waits for one. */
static void crowd_wake(struct crowd *c)
{
    for (size_t i = 0; i < CROWD; i++) {
        if (c->waits[i] && ask_number("LLEN mr:{q}:wake") == 1) {
            RUN("LPOP mr:{q}:wake");
            crowd_claim(c, i);
        }
    }
}

static void crowd_step(struct crowd *c)
{
    size_t who = (size_t)rand_below(CROWD);

    switch (rand_below(8)) {
    case 0:
    case 1:
        ENQUEUE(.number = c->next++, .above = (int)rand_below(4) - 1);
        break;
    case 2:
        ENQUEUE(.number = c->next++, .due = rand_below(2) == 0 ? "1" : "1000");
        break;
    case 3:
        if (!c->waits[who])
            crowd_claim(c, who);
        break;
    case 4:
    case 5:
        crowd_settle(c, who);
        break;
    case 6:
        (void)reap("0");
        break;
    case 7:
        if (rand_below(10) == 0)
            crowd_die(c, who);
        break;
    default:
        break;
    }
    crowd_wake(c);
}

/* Whoever waits, waits rightly: there is nothing to take. */
static void crowd_check(const struct crowd *c)
{
    long long waiting = ask_number("EXISTS mr:{q}:ready:critical mr:{q}:ready:high "
                                   "mr:{q}:ready:normal mr:{q}:ready:low");

    assert_true(tokens() <= 1);
    for (size_t i = 0; i < CROWD && waiting > 0; i++)
        assert_false(c->waits[i]);
}

static void no_order_of_moves_leaves_a_waiting_consumer_beside_a_ready_job(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct crowd c = {.name = {US, THEM, "third:1:cccc"}};

        rand_seed(seed);
        RUN("FLUSHALL");
        for (size_t i = 0; i < CROWD; i++)
            enroll(c.name[i]);
        for (int step = 0; step < 400; step++) {
            crowd_step(&c);
            crowd_check(&c);
        }
    }
    rand_seed(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_new_boot_takes_back_what_its_predecessor_held_and_nothing_else,
                               flush),
        cmocka_unit_test_setup(giving_back_is_bounded_and_goes_on_where_it_stopped, flush),
        cmocka_unit_test_setup(the_beat_says_who_is_alive_and_what_it_holds, flush),
        cmocka_unit_test_setup(a_beat_renews_the_lease, flush),
        cmocka_unit_test_setup(reconciling_gives_back_only_what_was_never_received, flush),
        cmocka_unit_test_setup(reaping_names_the_silent_and_spares_the_others, flush),
        cmocka_unit_test_setup(the_reapers_look_leaves_a_token_where_jobs_wait, flush),
        cmocka_unit_test_setup(no_order_of_moves_leaves_a_waiting_consumer_beside_a_ready_job,
                               flush),
    };

    return cmocka_run_group_tests(tests, start_server, stop_server);
}
