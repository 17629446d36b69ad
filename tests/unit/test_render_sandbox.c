/* Each trial runs in a child that enters the real sandbox and tries something; its end tells. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/render_help.h"
#include "worker/render/child/sandbox.h"

enum { DENIED = 0, ALLOWED = 1, SET_UP_FAILED = 99 };

struct rig {
    char dir[64];
    char outside[96]; /* a file beside the directory, not in it */
    bool landlock;
};

static int set_up(void **state)
{
    struct rig *r = calloc(1, sizeof *r);

    assert_non_null(r);
    dir_enter(r->dir);
    write_file("in/source", (struct bytes){"source", 6});
    write_file("out/old", (struct bytes){"old", 3});
    (void)snprintf(r->outside, sizeof r->outside, "%s.outside", r->dir);
    write_file(r->outside, (struct bytes){"outside", 7});
    r->landlock = syscall(SYS_landlock_create_ruleset, NULL, 0, 1) > 0;
    *state = r;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *r = *state;

    (void)unlink(r->outside);
    dir_leave(r->dir);
    free(r);
    return 0;
}

typedef int trial_fn(const struct rig *r);

static void in_sandbox(const struct rig *r, trial_fn *trial)
{
    struct sandbox_limits limits = {.file_bytes = 1 << 20};
    struct fault why = {0};
    uint32_t abi = 0;

    /* Messages of the sanitizers go nowhere else. */
    if (sandbox_files(r->dir, "", &abi, &why) != ERR_OK ||
        sandbox_limits(&limits, &why) != ERR_OK || sandbox_calls(&why) != ERR_OK) {
        (void)fprintf(stderr, "sandbox: %s\n", why.text);
        _exit(SET_UP_FAILED);
    }
    _exit(trial(r));
}

static int run_trial(const struct rig *r, trial_fn *trial)
{
    int status = 0;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0)
        in_sandbox(r, trial);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void expect_exit(const struct rig *r, trial_fn *trial, int want, const char *name)
{
    int status = run_trial(r, trial);

    if (!WIFEXITED(status) || WEXITSTATUS(status) != want)
        fail_msg("%s: wait status %#x and not exit %d", name, status, want);
}

static void expect_killed(const struct rig *r, trial_fn *trial, const char *name)
{
    int status = run_trial(r, trial);

    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS)
        fail_msg("%s: wait status %#x and not killed by SIGSYS", name, status);
}

/* --- files
 * ------------------------------------------------------------------------------------- */

static int can_open(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC, 0600);

    if (fd < 0)
        return DENIED;
    (void)close(fd);
    return ALLOWED;
}

static int read_source(const struct rig *r)
{
    (void)r;
    return can_open("in/source", O_RDONLY);
}
static int write_source(const struct rig *r)
{
    (void)r;
    return can_open("in/source", O_WRONLY);
}
static int truncate_source(const struct rig *r)
{
    (void)r;
    return truncate("in/source", 0) == 0 ? ALLOWED : DENIED;
}
static int remove_source(const struct rig *r)
{
    (void)r;
    return unlink("in/source") == 0 ? ALLOWED : DENIED;
}
static int chmod_source(const struct rig *r)
{
    (void)r;
    return chmod("in/source", 0777) == 0 ? ALLOWED : DENIED;
}
static int make_in_in(const struct rig *r)
{
    (void)r;
    return can_open("in/new", O_WRONLY | O_CREAT);
}
static int make_output(const struct rig *r)
{
    (void)r;
    return can_open("out/0", O_RDWR | O_CREAT | O_TRUNC);
}
static int overwrite_output(const struct rig *r)
{
    (void)r;
    return can_open("out/old", O_RDWR | O_CREAT | O_TRUNC);
}
static int remove_output(const struct rig *r)
{
    (void)r;
    return unlink("out/old") == 0 ? ALLOWED : DENIED;
}
static int link_source_to_out(const struct rig *r)
{
    (void)r;
    return link("in/source", "out/0") == 0 ? ALLOWED : DENIED;
}
static int symlink_in_out(const struct rig *r)
{
    (void)r;
    return symlink("/etc/passwd", "out/0") == 0 ? ALLOWED : DENIED;
}
static int make_dir_in_out(const struct rig *r)
{
    (void)r;
    return mkdir("out/d", 0700) == 0 ? ALLOWED : DENIED;
}
static int read_passwd(const struct rig *r)
{
    (void)r;
    return can_open("/etc/passwd", O_RDONLY);
}
static int read_environ(const struct rig *r)
{
    (void)r;
    return can_open("/proc/self/environ", O_RDONLY);
}
static int read_outside(const struct rig *r)
{
    return can_open(r->outside, O_RDONLY);
}
static int write_outside(const struct rig *r)
{
    return can_open(r->outside, O_WRONLY);
}
static int make_outside(const struct rig *r)
{
    (void)r;
    return can_open("../render-test-new", O_WRONLY | O_CREAT);
}
static int list_own_dir(const struct rig *r)
{
    (void)r;
    return can_open("out", O_RDONLY | O_DIRECTORY);
}
static int reopen_source_by_proc(const struct rig *r)
{
    char path[64];
    int fd = open("in/source", O_RDONLY | O_CLOEXEC);

    (void)r;
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return can_open(path, O_WRONLY);
}

#define TRIAL(f) \
    {            \
        f, #f    \
    }
struct trial {
    trial_fn *run;
    const char *name;
};

static void only_its_two_directories_are_open(void **state)
{
    static const struct trial allowed[] = {TRIAL(read_source), TRIAL(make_output),
                                           TRIAL(overwrite_output), TRIAL(remove_output)};
    static const struct trial denied[] = {
        TRIAL(write_source),    TRIAL(truncate_source),       TRIAL(remove_source),
        TRIAL(make_in_in),      TRIAL(link_source_to_out),    TRIAL(symlink_in_out),
        TRIAL(make_dir_in_out), TRIAL(read_passwd),           TRIAL(read_environ),
        TRIAL(read_outside),    TRIAL(write_outside),         TRIAL(make_outside),
        TRIAL(list_own_dir),    TRIAL(reopen_source_by_proc), TRIAL(chmod_source)};
    struct rig *r = *state;

    for (size_t i = 0; i < COUNT_OF(allowed); i++)
        expect_exit(r, allowed[i].run, ALLOWED, allowed[i].name);
    if (!r->landlock)
        skip();
    for (size_t i = 0; i < COUNT_OF(denied); i++)
        expect_exit(r, denied[i].run, DENIED, denied[i].name);
}

/* --- calls
 * ------------------------------------------------------------------------------------- */

static int call_socket(const struct rig *r)
{
    (void)r;
    return socket(AF_INET, SOCK_STREAM, 0) >= 0 ? ALLOWED : DENIED;
}
static int call_connect(const struct rig *r)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = "/run/x"};

    (void)r;
    return connect(0, (struct sockaddr *)&a, sizeof a) == 0 ? ALLOWED : DENIED;
}
static int call_execve(const struct rig *r)
{
    char *argv[] = {NULL};

    (void)r;
    return execve("/bin/true", argv, argv);
}
static int call_ptrace(const struct rig *r)
{
    (void)r;
    return ptrace(PTRACE_TRACEME, 0, 0, 0) == 0 ? ALLOWED : DENIED;
}
static int call_io_uring(const struct rig *r)
{
    (void)r;
    return syscall(SYS_io_uring_setup, 1, NULL) >= 0 ? ALLOWED : DENIED;
}
static int call_bpf(const struct rig *r)
{
    (void)r;
    return syscall(SYS_bpf, 0, NULL, 0) >= 0 ? ALLOWED : DENIED;
}
static int call_unshare(const struct rig *r)
{
    (void)r;
    return syscall(SYS_unshare, 0x10000000) == 0 ? ALLOWED : DENIED;
}
static int call_process_vm(const struct rig *r)
{
    (void)r;
    return syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0) >= 0 ? ALLOWED
                                                                              : DENIED;
}

static void a_hostile_call_kills_the_process(void **state)
{
    static const struct trial trials[] = {
        TRIAL(call_socket),   TRIAL(call_connect), TRIAL(call_execve),  TRIAL(call_ptrace),
        TRIAL(call_io_uring), TRIAL(call_bpf),     TRIAL(call_unshare), TRIAL(call_process_vm)};

    for (size_t i = 0; i < COUNT_OF(trials); i++)
        expect_killed(*state, trials[i].run, trials[i].name);
}

static int call_fork(const struct rig *r)
{
    pid_t pid;

    (void)r;
    pid = fork();
    if (pid == 0)
        _exit(0);
    return pid > 0 ? ALLOWED : DENIED;
}
static int call_vfork(const struct rig *r)
{
    (void)r;
    return syscall(SYS_clone, CLONE_VFORK | SIGCHLD, 0, 0, 0, 0) == -1 ? DENIED : ALLOWED;
}
static int kill_parent(const struct rig *r)
{
    (void)r;
    return kill(getppid(), SIGKILL) == 0 ? ALLOWED : DENIED;
}
static int kill_group(const struct rig *r)
{
    (void)r;
    return kill(0, SIGTERM) == 0 ? ALLOWED : DENIED;
}
static int map_executable(const struct rig *r)
{
    (void)r;
    return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
                   MAP_FAILED
               ? DENIED
               : ALLOWED;
}
static int make_executable(const struct rig *r)
{
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    (void)r;
    return mprotect(p, 4096, PROT_READ | PROT_EXEC) != 0 ? DENIED : ALLOWED;
}
static int raise_limit(const struct rig *r)
{
    struct rlimit l = {RLIM_INFINITY, RLIM_INFINITY};

    (void)r;
    return syscall(SYS_prlimit64, getppid(), RLIMIT_CORE, &l, NULL) == 0 ? ALLOWED : DENIED;
}
static int call_unknown(const struct rig *r)
{
    (void)r;
    return syscall(100000) == -1 && errno == EPERM ? DENIED : ALLOWED;
}

static void what_is_not_listed_is_refused(void **state)
{
    static const struct trial trials[] = {
        TRIAL(call_fork),      TRIAL(call_vfork),      TRIAL(kill_parent), TRIAL(kill_group),
        TRIAL(map_executable), TRIAL(make_executable), TRIAL(raise_limit), TRIAL(call_unknown)};

    for (size_t i = 0; i < COUNT_OF(trials); i++)
        expect_exit(*state, trials[i].run, DENIED, trials[i].name);
}

static void *in_thread(void *arg)
{
    return arg;
}
static int start_thread(const struct rig *r)
{
    pthread_t t;

    (void)r;
    if (pthread_create(&t, NULL, in_thread, NULL) != 0)
        return DENIED;
    return pthread_join(t, NULL) == 0 ? ALLOWED : DENIED;
}
static int use_memory(const struct rig *r)
{
    char *p = malloc(32 << 20);

    (void)r;
    if (p == NULL)
        return DENIED;
    memset(p, 1, 32 << 20);
    p = realloc(p, 64 << 20);
    free(p);
    return p != NULL ? ALLOWED : DENIED;
}

static void threads_and_memory_still_work(void **state)
{
    expect_exit(*state, start_thread, ALLOWED, "start_thread");
    expect_exit(*state, use_memory, ALLOWED, "use_memory");
}

static int write_too_much(const struct rig *r)
{
    static char block[1 << 16];
    int fd = open("out/0", O_RDWR | O_CREAT, 0600);
    ssize_t n = 0;

    (void)r;
    (void)signal(SIGXFSZ, SIG_IGN);
    for (int i = 0; i < 17 && n >= 0; i++)
        n = write(fd, block, sizeof block);
    return n < 0 && errno == EFBIG ? DENIED : ALLOWED;
}
static int open_too_many(const struct rig *r)
{
    int fd = 0;

    (void)r;
    for (int i = 0; i < 1000 && fd >= 0; i++)
        fd = open("in/source", O_RDONLY);
    return fd < 0 && errno == EMFILE ? DENIED : ALLOWED;
}

static void sizes_and_counts_of_files_are_limited(void **state)
{
    expect_exit(*state, write_too_much, DENIED, "write_too_much");
    expect_exit(*state, open_too_many, DENIED, "open_too_many");
}

/* The filter must hold threads that ran before it, too. */
static int gate[2];
static void *late_socket(void *arg)
{
    char c;

    (void)arg;
    if (read(gate[0], &c, 1) == 1)
        (void)socket(AF_INET, SOCK_STREAM, 0);
    return NULL;
}

static void threads_that_ran_before_are_held_too(void **state)
{
    int status = 0;
    pid_t pid;
    (void)state;

    assert_int_equal(pipe(gate), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        pthread_t t;
        uint32_t abi;

        if (pthread_create(&t, NULL, late_socket, NULL) != 0 ||
            sandbox_files(".", "", &abi, NULL) != ERR_OK || sandbox_calls(NULL) != ERR_OK ||
            write(gate[1], "x", 1) != 1)
            _exit(SET_UP_FAILED);
        (void)pthread_join(t, NULL);
        _exit(ALLOWED);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    (void)close(gate[0]);
    (void)close(gate[1]);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
}

static void a_directory_that_is_not_there_is_an_error(void **state)
{
    struct rig *r = *state;
    int status = 0;
    pid_t pid;

    if (!r->landlock)
        skip();
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        uint32_t abi;

        _exit(sandbox_files("/nonexistent", "", &abi, NULL) == ERR_IO ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

#undef TEST
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(only_its_two_directories_are_open),
        TEST(a_hostile_call_kills_the_process),
        TEST(what_is_not_listed_is_refused),
        TEST(threads_and_memory_still_work),
        TEST(sizes_and_counts_of_files_are_limited),
        TEST(threads_that_ran_before_are_held_too),
        TEST(a_directory_that_is_not_there_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
