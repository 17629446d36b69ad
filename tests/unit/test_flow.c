#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared/flow.h"

/* A flow that writes down the steps it takes: "abc." ends well, with "!" for the step on failure. */
struct walk {
    struct flow flow;
    char took[32], traced[64];
    enum err start, fail_start; /* what starting an operation gives, in b and in on_fail */
    unsigned again;             /* times that c goes back to b */
    unsigned ended;
};

static void note(struct walk *w, char c)
{
    size_t n = strlen(w->took);

    assert_true(n + 1 < sizeof w->took);
    w->took[n] = c;
}

static struct walk *walk_of(struct flow *f)
{
    return CONTAINER(f, struct walk, flow);
}

static step_fn step_a, step_b, step_c, step_fail, step_after_fail;
static const struct step S_A = {"a", step_a}, S_B = {"b", step_b}, S_C = {"c", step_c},
                         S_FAIL = {"fail", step_fail},
                         S_AFTER_FAIL = {"after_fail", step_after_fail};

static const struct step *step_a(struct flow *f)
{
    note(walk_of(f), 'a');
    return &S_B;
}

static const struct step *step_b(struct flow *f)
{
    note(walk_of(f), 'b');
    return flow_await(f, walk_of(f)->start, &S_C);
}

static const struct step *step_c(struct flow *f)
{
    note(walk_of(f), 'c');
    return walk_of(f)->again-- > 0 ? &S_B : flow_end(f);
}

static const struct step *step_fail(struct flow *f)
{
    note(walk_of(f), '!');
    return flow_await(f, walk_of(f)->fail_start, &S_AFTER_FAIL);
}

static const struct step *step_after_fail(struct flow *f)
{
    note(walk_of(f), '?');
    return flow_end(f);
}

static void on_ended(struct flow *f)
{
    note(walk_of(f), '.');
    walk_of(f)->ended++;
}

static void on_step(const struct flow *f, const char *step)
{
    struct walk *w = walk_of((struct flow *)(uintptr_t)f);

    (void)snprintf(w->traced + strlen(w->traced), sizeof w->traced - strlen(w->traced), "%s ",
                   step);
}

static void begin(struct walk *w)
{
    w->flow.on_fail = &S_FAIL;
    w->flow.ended = on_ended;
    w->flow.trace = on_step;
    flow_start(&w->flow, &S_A);
}

static void steps_run_in_order_and_the_end_comes_once(void **state)
{
    struct walk w = {0};

    (void)state;
    begin(&w);
    assert_string_equal(w.took, "ab");
    assert_true(w.flow.waiting);
    flow_wake(&w.flow, ERR_OK);
    assert_string_equal(w.took, "abc.");
    assert_string_equal(w.traced, "a b c ");
    assert_int_equal(w.ended, 1);
}

static void a_step_may_name_an_earlier_one(void **state)
{
    struct walk w = {.again = 2};

    (void)state;
    begin(&w);
    for (int i = 0; i < 3; i++)
        flow_wake(&w.flow, ERR_OK);
    assert_string_equal(w.took, "abcbcbc.");
}

static void a_failed_operation_leads_to_on_fail_with_its_error(void **state)
{
    struct walk w = {0};

    (void)state;
    begin(&w);
    flow_wake(&w.flow, ERR_TIMEOUT);
    assert_string_equal(w.took, "ab!");
    assert_int_equal(w.flow.err, ERR_TIMEOUT);
    flow_wake(&w.flow, ERR_OK);
    assert_string_equal(w.took, "ab!?.");
}

static void a_start_that_fails_leads_there_at_once(void **state)
{
    struct walk w = {.start = ERR_NOMEM};

    (void)state;
    begin(&w);
    assert_string_equal(w.took, "ab!");
    assert_int_equal(w.flow.err, ERR_NOMEM);
    flow_wake(&w.flow, ERR_OK);
    assert_string_equal(w.took, "ab!?.");
}

static void a_second_failure_ends_the_flow(void **state)
{
    struct walk late = {0}, at_once = {.start = ERR_IO, .fail_start = ERR_BUSY};

    (void)state;
    begin(&late);
    flow_wake(&late.flow, ERR_IO);
    flow_wake(&late.flow, ERR_BUSY);
    assert_string_equal(late.took, "ab!.");
    assert_int_equal(late.flow.err, ERR_BUSY);
    begin(&at_once);
    assert_string_equal(at_once.took, "ab!.");
    assert_int_equal(at_once.ended, 1);
}

static void a_flow_without_on_fail_ends_at_the_first_failure(void **state)
{
    struct walk w = {.flow = {.ended = on_ended}};

    (void)state;
    flow_start(&w.flow, &S_A);
    flow_wake(&w.flow, ERR_IO);
    assert_string_equal(w.took, "ab.");
}

struct heap_flow {
    struct flow flow;
    bool *ended;
};

static void free_flow(struct flow *f)
{
    struct heap_flow *h = CONTAINER(f, struct heap_flow, flow);

    *h->ended = true;
    free(h);
}

static const struct step *end_at_once(struct flow *f)
{
    return flow_end(f);
}

static void the_end_may_free_the_flow(void **state)
{
    static const struct step only = {"only", end_at_once};
    struct heap_flow *h = calloc(1, sizeof *h);
    bool ended = false;

    (void)state;
    assert_non_null(h);
    h->flow.ended = free_flow;
    h->ended = &ended;
    flow_start(&h->flow, &only);
    assert_true(ended);
}

/* An operation that calls back from inside its start breaks the promise. */
static const struct step *wake_inside(struct flow *f)
{
    flow_wake(f, ERR_OK);
    return flow_await(f, ERR_OK, NULL);
}

static void wake_nobody_waits(struct walk *w)
{
    begin(w);
    flow_wake(&w->flow, ERR_OK);
    flow_wake(&w->flow, ERR_OK);
}

static void wake_in_start(struct walk *w)
{
    static const struct step bad = {"bad", wake_inside};

    w->flow.ended = on_ended;
    flow_start(&w->flow, &bad);
}

static void start_twice(struct walk *w)
{
    begin(w);
    begin(w);
}

static void a_broken_promise_aborts(void **state)
{
    static void (*const breaks[])(struct walk *) = {wake_nobody_waits, wake_in_start,
                                                    start_twice};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(breaks); i++) {
        pid_t pid = fork();
        int status;

        assert_true(pid >= 0);
        if (pid == 0) {
            struct walk w = {0};

            (void)signal(SIGABRT, SIG_DFL);
            (void)close(STDERR_FILENO);
            breaks[i](&w);
            _exit(0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), SIGABRT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_run_in_order_and_the_end_comes_once),
        cmocka_unit_test(a_step_may_name_an_earlier_one),
        cmocka_unit_test(a_failed_operation_leads_to_on_fail_with_its_error),
        cmocka_unit_test(a_start_that_fails_leads_there_at_once),
        cmocka_unit_test(a_second_failure_ends_the_flow),
        cmocka_unit_test(a_flow_without_on_fail_ends_at_the_first_failure),
        cmocka_unit_test(the_end_may_free_the_flow),
        cmocka_unit_test(a_broken_promise_aborts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
