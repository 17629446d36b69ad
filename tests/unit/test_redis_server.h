/* A real Redis server of a test's own, on a socket and a port. */
#ifndef TESTS_UNIT_TEST_REDIS_SERVER_H
#define TESTS_UNIT_TEST_REDIS_SERVER_H

#include "tests/unit/test_redis_help.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

struct server {
    pid_t pid;
    char port[8];
    const char *const *more; /* arguments */
};

HELPER void pick_port(char port[8])
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    (void)snprintf(port, 8, "%u", ntohs(a.sin_port));
    (void)close(fd);
}

/* Does not wait: the client comes up when the server does. */
HELPER void server_start(struct server *s, const struct world *w)
{
    const char *argv[32] = {
        "redis-server", "--port",    s->port, "--bind",       "127.0.0.1",
        "--save",       "",          "--dir", w->dir,         "--appendonly",
        "no",           "--logfile", "",      "--unixsocket", w->path};
    size_t n = 15;

    for (size_t i = 0; s->more != NULL && s->more[i] != NULL; i++)
        argv[n++] = s->more[i];
    s->pid = fork();
    assert_true(s->pid >= 0);
    if (s->pid > 0)
        return;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)dup2(open("/dev/null", O_RDWR | O_CLOEXEC), 1);
    (void)execvp(argv[0], (char *const *)(uintptr_t)argv);
    _exit(127);
}

HELPER void server_kill(struct server *s)
{
    assert_int_equal(kill(s->pid, SIGKILL), 0);
    assert_int_equal(waitpid(s->pid, NULL, 0), s->pid);
}

HELPER void begin(struct world *w, struct server *s, const char *const *more)
{
    world_init(w);
    *s = (struct server){.more = more};
    pick_port(s->port);
    server_start(s, w);
}

HELPER void end(struct world *w, struct server *s)
{
    server_kill(s);
    world_done(w);
}

HELPER void done(struct world *w, struct got *g)
{
    turn_until_count(w, &g->calls, 1);
    assert_int_equal(g->calls, 1);
}

HELPER void set_url(struct world *w, const struct server *s, bool tcp, const char *login,
                    const char *db)
{
    if (tcp)
        (void)snprintf(w->url, sizeof w->url, "redis://%s127.0.0.1:%s%s", login, s->port, db);
    else
        (void)snprintf(w->url, sizeof w->url, "unix://%s%s%s", login, w->path, db);
}

#define ASK(w, g, ...)              \
    do {                            \
        *(g) = (struct got){0};     \
        SEND(w, 0, g, __VA_ARGS__); \
        done(w, g);                 \
    } while (0)

#endif
