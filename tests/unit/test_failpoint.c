#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared/failpoint.h"

#ifdef MILLRACE_FAILPOINTS

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

static int disarm(void **state)
{
    (void)state;
    failpoint_arm(NULL);
    return 0;
}

/* Passes two points in a child of the test; gives what waitpid() says first. */
static int strike_in_child(const char *orders, const char *first)
{
    pid_t pid = fork();
    int status, rest;

    assert_true(pid >= 0);
    if (pid == 0) {
        const struct rlimit no_core = {0, 0}, memory = {1 << 29, 1 << 29};
        const struct itimerval cpu = {.it_value = {.tv_usec = 20000}};

        (void)setrlimit(RLIMIT_CORE, &no_core);
        (void)signal(SIGABRT, SIG_DFL);
        (void)signal(SIGSEGV, SIG_DFL);
        (void)close(STDERR_FILENO);
        if (strstr(orders, "hog") != NULL)
            (void)setrlimit(RLIMIT_AS, &memory);
        if (strstr(orders, "spin") != NULL)
            (void)setitimer(ITIMER_VIRTUAL, &cpu, NULL); /* ends who uses the processor */
        /* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread */
        (void)setenv("MILLRACE_FAILPOINTS", orders, 1);
        FAILPOINT(first);
        FAILPOINT("second");
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
    if (WIFSTOPPED(status)) {
        assert_int_equal(kill(pid, SIGCONT), 0);
        assert_int_equal(waitpid(pid, &rest, 0), pid);
        assert_int_equal(rest, 0); /* it goes on where it stopped */
    }
    return status;
}

static void each_act_strikes_as_it_is_named(void **state)
{
    static const struct {
        const char *orders;
        int killed_by, exits_with;
    } table[] = {
        {"first=kill", SIGKILL, 0},
        {"first=abort", SIGABRT, 0},
        {"first=segv", SIGSEGV, 0},
        {"first=spin", SIGVTALRM, 0},
#ifndef SANITIZED
        {"first=hog", SIGABRT, 0},
#endif
        {"first=exit", 0, 3},
        {"first=error", 0, 0},
        {"second=kill", SIGKILL, 0},
        {"other=abort,second=kill", SIGKILL, 0},
        {"firs=kill,first.=kill,First=kill", 0, 0},
        {"first=2*kill", 0, 0},
        {"first=1*kill", SIGKILL, 0},
        {"", 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        int status = strike_in_child(table[i].orders, "first");

        if (table[i].killed_by != 0)
            assert_true(WIFSIGNALED(status) && WTERMSIG(status) == table[i].killed_by);
        else
            assert_true(WIFEXITED(status) && WEXITSTATUS(status) == table[i].exits_with);
    }
}

static void a_paused_process_can_go_on(void **state)
{
    int status = strike_in_child("first=pause", "first");

    (void)state;
    assert_true(WIFSTOPPED(status));
    assert_int_equal(WSTOPSIG(status), SIGSTOP);
}

/* There is room for sixteen orders. */
#define FOUR      "a=kill,a=kill,a=kill,a=kill,"
#define SEVENTEEN FOUR FOUR FOUR FOUR "a=kill"

static void an_order_that_cannot_be_read_aborts(void **state)
{
    static const char *const table[] = {
        "first",
        "first=",
        "=kill",
        "first=kil",
        "first=kill,",
        "first=*kill",
        "first=0*kill",
        "first=x*kill",
        "first=-1*kill",
        "first=3*",
        "first=3kill",
        "first= kill",
        "first=KILL",
        "first=1*2*kill",
        ",first=kill",
        "first=99999999999999999999*kill",
        "a-name-that-is-longer-than-any-name-of-a-failpoint-that-a-program-has=kill",
        SEVENTEEN,
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        int status = strike_in_child(table[i], "unnamed");

        if (strcmp(table[i], "first=kill,") == 0)
            assert_int_equal(status, 0); /* a comma at the end is harmless */
        else if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT)
            fail_msg("\"%s\" was taken", table[i]);
    }
}

static void a_number_chooses_one_pass_only(void **state)
{
    (void)state;
    failpoint_arm("here=3*error,there=error");
    for (int pass = 1; pass < 6; pass++) {
        assert_int_equal(FAILPOINT_ERR("here"), pass == 3 ? ERR_IO : ERR_OK);
        assert_int_equal(FAILPOINT_ERR("there"), ERR_IO);
        assert_int_equal(FAILPOINT_ERR("elsewhere"), ERR_OK);
    }
    failpoint_arm("here=1*error");
    assert_int_equal(FAILPOINT_ERR("here"), ERR_IO);
    failpoint_arm(NULL);
    assert_int_equal(FAILPOINT_ERR("here"), ERR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_act_strikes_as_it_is_named),
        cmocka_unit_test(a_paused_process_can_go_on),
        cmocka_unit_test(an_order_that_cannot_be_read_aborts),
        cmocka_unit_test_teardown(a_number_chooses_one_pass_only, disarm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else /* the programs that are shipped */

static void nothing_strikes(void **state)
{
    (void)state;
    assert_int_equal(setenv("MILLRACE_FAILPOINTS", "here=error,there=kill", 1), 0);
    assert_int_equal(FAILPOINT_ERR("here"), ERR_OK);
    FAILPOINT("there");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(nothing_strikes)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
