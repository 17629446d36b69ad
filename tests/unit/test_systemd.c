#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared/log.h"
#include "shared/loop.h"
#include "shared/systemd.h"

static void clear_environment(void)
{
    static const char *const names[] = {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID",
                                        "LISTEN_PID",    "LISTEN_FDS",    "LISTEN_FDNAMES"};

    for (size_t i = 0; i < COUNT_OF(names); i++)
        (void)unsetenv(names[i]);
}

static int set_up(void **state)
{
    struct loop *l = NULL;
    struct fault why;

    clear_environment();
    log_setup(NULL, LOG_OFF, LOG_FORMAT_TEXT);
    assert_int_equal(loop_new(&l, &why), ERR_OK);
    *state = l;
    return 0;
}

static int tear_down(void **state)
{
    struct loop *l = *state;

    assert_int_equal(loop_free(&l), 0);
    clear_environment();
    return 0;
}

static void on_drain(void *arg)
{
    loop_stop(arg);
}

struct manager {
    int fd;
    char dir[64], path[108];
    char got[512]; /* datagrams, with '|' between them */
    struct loop *loop;
    unsigned n_watchdogs;
    uv_poll_t poll;
};

static void manager_open(struct manager *m, bool abstract)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    const char *tmp = getenv("TMPDIR");
    socklen_t len;

    (void)snprintf(m->dir, sizeof m->dir, "%s/loopXXXXXX", tmp == NULL ? "/tmp" : tmp);
    assert_non_null(mkdtemp(m->dir));
    (void)snprintf(m->path, sizeof m->path, "%s%s/notify", abstract ? "@" : "", m->dir);
    memcpy(at.sun_path, m->path, strlen(m->path));
    if (abstract)
        at.sun_path[0] = '\0';
    len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(m->path));
    m->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(m->fd >= 0);
    assert_int_equal(bind(m->fd, (const struct sockaddr *)&at, len), 0);
    assert_int_equal(setenv("NOTIFY_SOCKET", m->path, 1), 0);
}

static void manager_close(struct manager *m)
{
    (void)close(m->fd);
    if (m->path[0] != '@')
        assert_int_equal(unlink(m->path), 0);
    assert_int_equal(rmdir(m->dir), 0);
}

static const char *manager_read(struct manager *m)
{
    size_t len = 0;
    ssize_t n;

    while ((n = recv(m->fd, m->got + len, sizeof m->got - len - 2, 0)) > 0) {
        len += (size_t)n;
        m->got[len++] = '|';
    }
    m->got[len] = '\0';
    return m->got;
}

static void systemd_hears_of_ready_and_stopping(void **state)
{
    struct loop *l = *state;
    struct manager m = {0};

    for (int abstract = 0; abstract < 2; abstract++) {
        manager_open(&m, abstract == 1);
        loop_ready(l, "Serving\nMAINPID=1");
        assert_string_equal(manager_read(&m), "READY=1\nSTATUS=Serving MAINPID=1|");
        loop_ready(l, NULL);
        assert_string_equal(manager_read(&m), "READY=1\nSTATUS=|");
        manager_close(&m);
    }
    manager_open(&m, false);
    loop_on_drain(l, 30000, on_drain, l);
    loop_drain(l);
    assert_string_equal(manager_read(&m),
                        "STOPPING=1\nSTATUS=Draining\nEXTEND_TIMEOUT_USEC=35000000\n|");
    assert_true(loop_run(l));
    assert_string_equal(manager_read(&m), "");
    manager_close(&m);
}

static void a_stop_without_a_drain_is_told_too(void **state)
{
    struct loop *l = *state;
    struct manager m = {0};

    manager_open(&m, false);
    loop_stop(l);
    loop_stop(l);
    assert_string_equal(manager_read(&m), "STOPPING=1\n|");
    manager_close(&m);
}

static void a_manager_that_is_gone_does_no_harm(void **state)
{
    struct loop *l = *state;
    static const char *const paths[] = {"/nonexistent/notify", "@", "", "relative",
                                        "vsock:2:1"};

    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        assert_int_equal(setenv("NOTIFY_SOCKET", paths[i], 1), 0);
        loop_ready(l, "Serving");
    }
}

static void on_datagram(uv_poll_t *p, int status, int events)
{
    struct manager *m = p->data;

    (void)events;
    assert_int_equal(status, 0);
    for (const char *at = manager_read(m); (at = strstr(at, "WATCHDOG=1\n")) != NULL; at++)
        m->n_watchdogs++;
    if (m->n_watchdogs >= 4)
        loop_stop(m->loop);
}

static void the_watchdog_is_fed_while_the_loop_turns(void **state)
{
    struct loop *l = *state;
    struct manager m = {.loop = l};
    char pid[24];

    manager_open(&m, false);
    (void)snprintf(pid, sizeof pid, "%d", (int)getpid());
    (void)setenv("WATCHDOG_USEC", "4000", 1);
    (void)setenv("WATCHDOG_PID", pid, 1);
    m.poll.data = &m;
    assert_int_equal(uv_poll_init(loop_uv(l), &m.poll, m.fd), 0);
    assert_int_equal(uv_poll_start(&m.poll, UV_READABLE, on_datagram), 0);
    loop_ready(l, "Serving");
    assert_true(loop_run(l));
    assert_true(m.n_watchdogs >= 4);
    uv_close((uv_handle_t *)&m.poll, NULL);
    (void)uv_run(loop_uv(l), UV_RUN_NOWAIT);
    manager_close(&m);
}

static void the_watchdog_is_ours_or_nobodys(void **state)
{
    static const struct {
        const char *usec, *pid;
        uint64_t want;
    } rows[] = {
        {NULL, NULL, 0},     {"2000000", NULL, 2000000},
        {"2000000", "1", 0}, {"2000000", "", 0},
        {"0", NULL, 0},      {"x", NULL, 0},
        {"-5", NULL, 0},     {"5 ", NULL, 0},
        {"", NULL, 0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        clear_environment();
        if (rows[i].usec != NULL)
            (void)setenv("WATCHDOG_USEC", rows[i].usec, 1);
        if (rows[i].pid != NULL)
            (void)setenv("WATCHDOG_PID", rows[i].pid, 1);
        assert_int_equal(systemd_watchdog_us(), rows[i].want);
    }
}

/* In a child, because the descriptors have to be 3 and 4. Gives what is wrong; 0: nothing. */
static int receive_sockets(const char *count, size_t max, size_t want)
{
    char pid[24];
    int fds[8] = {0};
    size_t n;

    (void)dup2(STDERR_FILENO, 3);
    (void)dup2(STDERR_FILENO, 4);
    (void)snprintf(pid, sizeof pid, "%d", (int)getpid());
    (void)setenv("LISTEN_PID", pid, 1);
    (void)setenv("LISTEN_FDS", count, 1);
    (void)setenv("LISTEN_FDNAMES", "a:b", 1);
    n = loop_listen_fds(fds, max);
    if (n != want)
        return 1;
    for (size_t i = 0; i < n; i++) {
        if (fds[i] != 3 + (int)i)
            return 2;
    }
    if (want > 0 &&
        ((fcntl(3, F_GETFD) & FD_CLOEXEC) == 0 || (fcntl(4, F_GETFD) & FD_CLOEXEC) == 0))
        return 3;
    if (getenv("LISTEN_PID") != NULL || getenv("LISTEN_FDS") != NULL ||
        getenv("LISTEN_FDNAMES") != NULL)
        return 4;
    return loop_listen_fds(fds, max) == 0 ? 0 : 5;
}

static void sockets_from_systemd_are_taken_once(void **state)
{
    static const struct {
        const char *count;
        size_t max, want;
    } rows[] = {{"2", 8, 2}, {"2", 1, 1},     {"0", 8, 0},
                {"", 8, 0},  {"99999", 8, 0}, {"-1", 8, 0}};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        pid_t child = fork();
        int status = -1;

        assert_true(child >= 0);
        if (child == 0)
            _exit(receive_sockets(rows[i].count, rows[i].max, rows[i].want));
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
    }
}

static void sockets_for_another_process_are_left_alone(void **state)
{
    int fds[8];

    (void)state;
    (void)setenv("LISTEN_PID", "1", 1);
    (void)setenv("LISTEN_FDS", "2", 1);
    assert_int_equal(loop_listen_fds(fds, 8), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(systemd_hears_of_ready_and_stopping),
        TEST(a_stop_without_a_drain_is_told_too),
        TEST(a_manager_that_is_gone_does_no_harm),
        TEST(the_watchdog_is_fed_while_the_loop_turns),
        TEST(the_watchdog_is_ours_or_nobodys),
        TEST(sockets_from_systemd_are_taken_once),
        TEST(sockets_for_another_process_are_left_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
