/* Limits per key while consumers claim, end, give back and die, in an order that a seed decides. */
#include "tests/unit/test_lua_limits_help.h"

#define JOBS 400
#define KEYS 8

static const char *const who[] = {US, THEM, "third:1:cccc"};

static struct world {
    uint32_t seed;
    size_t n_done;
    struct {
        bool runs;
        unsigned by;
        uint32_t attempt;
    } job[JOBS];
} world;

static uint32_t chance(void)
{
    world.seed = world.seed * 1664525u + 1013904223u;
    return world.seed >> 8;
}

static void make_world(void)
{
    world = (struct world){.seed = 12345};
    set_limits("0 0 0 0 2 0 0 0");
    for (unsigned w = 0; w < COUNT_OF(who); w++)
        enroll(who[w]);
    for (unsigned i = 0; i < JOBS; i++) {
        char key[8];

        (void)snprintf(key, sizeof key, "k%u", chance() % KEYS);
        enqueue_keyed(i, key, (int)(chance() % 4) - 1);
    }
}

static void die(unsigned w)
{
    silence(who[w]);
    (void)reap("1000");
    enroll(who[w]);
    for (unsigned i = 0; i < JOBS; i++)
        world.job[i].runs &= world.job[i].by != w;
}

static void take_some(unsigned w)
{
    struct claimed c = claims(who[w], "4");

    for (size_t i = 0; i < c.n; i++) {
        world.job[c.number[i]].runs = true;
        world.job[c.number[i]].by = w;
        world.job[c.number[i]].attempt++;
    }
}

static void end_one(void)
{
    static const char *const kinds[] = {"done", "done", "done", "retry", "release"};
    const char *kind = kinds[chance() % COUNT_OF(kinds)];
    unsigned i = chance() % JOBS;

    while (i < JOBS && !world.job[i].runs)
        i++;
    if (i == JOBS)
        return;
    assert_int_equal(settle(who[world.job[i].by], i, world.job[i].attempt, kind, "0"), 0);
    world.job[i].runs = false;
    world.n_done += strcmp(kind, "done") == 0;
}

static void check_world(void)
{
    long long held = 0;

    for (unsigned k = 0; k < KEYS; k++)
        assert_true(ask_number("SCARD mr:{q}:slots:k%u", k) <= 2);
    for (unsigned w = 0; w < COUNT_OF(who); w++)
        held += ask_number("HLEN mr:{q}:active:%s", who[w]);
    assert_int_equal(ask_number("HLEN mr:{q}:slots"), held);
}

static void never_more_than_the_limit_whatever_happens(void **state)
{
    (void)state;
    make_world();
    for (unsigned step = 0; world.n_done < JOBS; step++) {
        unsigned w = chance() % COUNT_OF(who);

        assert_true(step < 20000);
        if (chance() % 97 == 0)
            die(w);
        else if (chance() % 3 == 0)
            take_some(w);
        else
            end_one();
        if (step % 16 == 0)
            check_world();
    }
    expect(US, "64", "");
    assert_clean();
    assert_int_equal(ask_number("HLEN mr:{q}:state"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(never_more_than_the_limit_whatever_happens, flush),
    };

    return cmocka_run_group_tests(tests, start_server, stop_server);
}
