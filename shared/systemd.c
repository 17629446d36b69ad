#include "shared/systemd.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { LISTEN_FDS_START = 3, LISTEN_FDS_MAX = 1024 };

static bool notify_address(struct sockaddr_un *ret, socklen_t *ret_len)
{
    const char *path = secure_getenv("NOTIFY_SOCKET");
    size_t len = path == NULL ? 0 : strlen(path);

    if (len < 2 || len >= sizeof ret->sun_path || (path[0] != '/' && path[0] != '@'))
        return false;
    *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(ret->sun_path, path, len);
    if (path[0] == '@')
        ret->sun_path[0] = '\0'; /* abstract: the length ends the name, not a NUL */
    *ret_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    return true;
}

void systemd_notify(const char *text)
{
    struct sockaddr_un to;
    socklen_t to_len = 0;
    int fd;

    if (!notify_address(&to, &to_len))
        return;
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    (void)sendto(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT,
                 (const struct sockaddr *)&to, to_len);
    (void)close(fd);
}

static bool env_number(const char *name, uint64_t *ret)
{
    const char *text = secure_getenv(name);
    char *end;

    if (text == NULL || text[0] < '0' || text[0] > '9')
        return false;
    errno = 0;
    *ret = strtoull(text, &end, 10);
    return errno == 0 && *end == '\0';
}

uint64_t systemd_watchdog_us(void)
{
    uint64_t us = 0, pid = 0;

    if (!env_number("WATCHDOG_USEC", &us))
        return 0;
    if (secure_getenv("WATCHDOG_PID") != NULL &&
        (!env_number("WATCHDOG_PID", &pid) || pid != (uint64_t)getpid()))
        return 0;
    return us;
}

size_t systemd_listen_fds(int *fds, size_t max)
{
    static const char *const names[] = {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"};
    uint64_t pid = 0, count = 0;
    bool ours = env_number("LISTEN_PID", &pid) && pid == (uint64_t)getpid() &&
                env_number("LISTEN_FDS", &count) && count <= LISTEN_FDS_MAX;
    size_t given = 0;

    for (size_t i = 0; i < COUNT_OF(names); i++) {
        /* NOLINTNEXTLINE(concurrency-mt-unsafe): called at start, before there are threads */
        (void)unsetenv(names[i]);
    }
    for (int fd = LISTEN_FDS_START; ours && fd < LISTEN_FDS_START + (int)count; fd++) {
        int flags = fcntl(fd, F_GETFD);

        if (flags < 0 || fcntl(fd, F_SETFD, flags | FD_CLOEXEC) < 0)
            break;
        if (given < max)
            fds[given++] = fd;
    }
    return given;
}
