#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared/err.h"

static const enum err all[] = {
#define X(name, value, class, text) ERR_##name,
    ERR_TABLE(X)
#undef X
};

static void every_error_has_a_name_a_text_and_a_class(void **state)
{
    (void)state;
    assert_int_equal(err_class(ERR_OK), ERR_CLASS_NONE);
    for (size_t i = 0; i < COUNT_OF(all); i++) {
        assert_true(strlen(err_name(all[i])) > 0);
        assert_true(strlen(err_text(all[i])) > 0);
        assert_int_equal(err_class(all[i]) == ERR_CLASS_NONE, all[i] == ERR_OK);
        assert_int_equal(err_from_name(err_name(all[i])), all[i]);
    }
}

static void no_two_errors_share_value_or_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(all); i++) {
        for (size_t k = 0; k < i; k++) {
            assert_int_not_equal(all[i], all[k]);
            assert_string_not_equal(err_name(all[i]), err_name(all[k]));
        }
    }
}

static void the_class_says_whether_a_retry_can_help(void **state)
{
    static const struct {
        enum err err;
        enum err_class want;
    } table[] = {
        {ERR_NOMEM, ERR_CLASS_RETRY},     {ERR_UNREACHABLE, ERR_CLASS_RETRY},
        {ERR_TIMEOUT, ERR_CLASS_RETRY},   {ERR_CANCELED, ERR_CLASS_RETRY},
        {ERR_BUSY, ERR_CLASS_RETRY},      {ERR_IO, ERR_CLASS_RETRY},
        {ERR_CRASHED, ERR_CLASS_RETRY},   {ERR_MALFORMED, ERR_CLASS_FINAL},
        {ERR_TOO_BIG, ERR_CLASS_FINAL},   {ERR_REJECTED, ERR_CLASS_FINAL},
        {ERR_NOT_FOUND, ERR_CLASS_FINAL}, {ERR_FORBIDDEN, ERR_CLASS_FINAL},
        {ERR_STALE, ERR_CLASS_FINAL},     {ERR_UNSUPPORTED, ERR_CLASS_FINAL},
        {ERR_INTERNAL, ERR_CLASS_BUG},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++)
        assert_int_equal(err_class(table[i].err), table[i].want);
}

static void an_unknown_value_or_name_is_internal(void **state)
{
    (void)state;
    assert_string_equal(err_name((enum err)77), "INTERNAL");
    assert_int_equal(err_class((enum err)77), ERR_CLASS_BUG);
    assert_int_equal(err_from_name("timeout"), ERR_INTERNAL);
    assert_int_equal(err_from_name(""), ERR_INTERNAL);
}

static void a_fault_is_filled_if_one_is_asked_for(void **state)
{
    struct fault f = {0};
    char longer[500];

    (void)state;
    assert_int_equal(fault_set(NULL, ERR_TIMEOUT, 3, "%s", "text"), ERR_TIMEOUT);
    assert_int_equal(fault_set(&f, ERR_TIMEOUT, 3, "GET %s", "/"), ERR_TIMEOUT);
    assert_int_equal(f.err, ERR_TIMEOUT);
    assert_int_equal(f.native, 3);
    assert_string_equal(f.text, "GET /");
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    (void)fault_set(&f, ERR_IO, 0, "%s", longer);
    assert_int_equal(strlen(f.text), sizeof f.text - 1);
}

/* A bug must never go on unseen, in no build. */
static void a_broken_promise_aborts_and_says_where(void **state)
{
    int fds[2], status;
    char said[256];
    ssize_t n;
    pid_t pid;

    (void)state;
    assert_int_equal(pipe(fds), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        const struct rlimit none = {0, 0};

        (void)setrlimit(RLIMIT_CORE, &none);
        (void)signal(SIGABRT, SIG_DFL);
        (void)dup2(fds[1], STDERR_FILENO);
        must(fds[0] == -1);
        _exit(0);
    }
    assert_int_equal(close(fds[1]), 0);
    n = read(fds[0], said, sizeof said - 1);
    assert_true(n > 0);
    said[n] = '\0';
    assert_int_equal(close(fds[0]), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    assert_non_null(strstr(said, "fds[0] == -1"));
    assert_non_null(strstr(said, "test_err.c"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_error_has_a_name_a_text_and_a_class),
        cmocka_unit_test(no_two_errors_share_value_or_name),
        cmocka_unit_test(the_class_says_whether_a_retry_can_help),
        cmocka_unit_test(an_unknown_value_or_name_is_internal),
        cmocka_unit_test(a_fault_is_filled_if_one_is_asked_for),
        cmocka_unit_test(a_broken_promise_aborts_and_says_where),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
