#include "tests/unit/redis_server.h"

#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/unit/servers.h"

#define PATH_SIZE (SERVERS_DIR_SIZE + 16)

struct redis_server {
    pid_t pid; /* 0: not running */
    bool durable, torn;
    char dir[SERVERS_DIR_SIZE], path[PATH_SIZE], url[PATH_SIZE + 8];
};

/* Whether it answers PING with PONG; while it reads its files it says LOADING. */
static bool answers(const struct redis_server *s)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    char reply[8] = "";
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool yes;

    servers_format(at.sun_path, sizeof at.sun_path, "%s", s->path);
    yes = fd >= 0 && connect(fd, (struct sockaddr *)&at, sizeof at) == 0 &&
          write(fd, "PING\r\n", 6) == 6 && read(fd, reply, 7) == 7 &&
          strcmp(reply, "+PONG\r\n") == 0;
    if (fd >= 0)
        (void)close(fd);
    return yes;
}

/* What a killed Redis was writing may be torn in the middle of a script. Redis 7 and 8 take the
 * whole commands of it for good at the next start but one; so this stands before a start, as in
 * deployment (docs/operations). */
static void mend_aof(const struct redis_server *s)
{
    char manifest[PATH_SIZE + 32];
    const char *const argv[] = {"/bin/sh", "-c", "echo y | redis-check-aof --fix \"$0\"",
                                manifest, NULL};
    int status;

    servers_format(manifest, sizeof manifest, "%s/appendonlydir/appendonly.aof.manifest",
                   s->dir);
    if (access(manifest, F_OK) == 0)
        free(servers_output(argv, &status));
}

void redis_server_start(struct redis_server *s)
{
    /* setpriv: Redis must end with the test even where SIGQUIT is ignored (background jobs). */
    const char *const argv[] = {"/usr/bin/setpriv",
                                "--pdeathsig",
                                "KILL",
                                "/usr/bin/redis-server",
                                "--port",
                                "0",
                                "--unixsocket",
                                s->path,
                                "--unixsocketperm",
                                "777",
                                "--dir",
                                s->dir,
                                "--save",
                                "",
                                "--appendfsync",
                                "always",
                                "--appendonly",
                                s->durable ? "yes" : "no",
                                NULL};
    unsigned tries = 0;

    must(s->pid == 0);
    (void)unlink(s->path);
    if (!s->torn)
        mend_aof(s);
    s->pid = servers_spawn(s->dir, argv);
    while (!answers(s))
        servers_breathe(&tries, "redis-server");
}

struct redis_server *redis_server_new(bool durable)
{
    struct redis_server *s = calloc(1, sizeof *s);

    must(s != NULL);
    s->durable = durable;
    servers_dir_make(s->dir);
    servers_format(s->path, sizeof s->path, "%s/redis.sock", s->dir);
    servers_format(s->url, sizeof s->url, "unix://%s", s->path);
    redis_server_start(s);
    return s;
}

void redis_server_kill(struct redis_server *s)
{
    must(s->pid > 0 && kill(s->pid, SIGKILL) == 0);
    (void)servers_reap(s->pid);
    s->pid = 0;
}

void redis_server_tear(struct redis_server *s, size_t bytes)
{
    char aof[PATH_SIZE + 48];
    struct stat st;

    servers_format(aof, sizeof aof, "%s/appendonlydir/appendonly.aof.1.incr.aof", s->dir);
    if (stat(aof, &st) != 0 || (size_t)st.st_size < bytes ||
        truncate(aof, st.st_size - (off_t)bytes) != 0)
        servers_die("%s: %m", aof);
    s->torn = true;
}

void redis_server_pause(struct redis_server *s, bool paused)
{
    must(s->pid > 0 && kill(s->pid, paused ? SIGSTOP : SIGCONT) == 0);
}

void redis_server_free(struct redis_server **s)
{
    if (*s == NULL)
        return;
    if ((*s)->pid > 0)
        redis_server_kill(*s);
    servers_dir_remove((*s)->dir);
    free(*s);
    *s = NULL;
}

const char *redis_server_url(const struct redis_server *s)
{
    return s->url;
}

const char *redis_server_path(const struct redis_server *s)
{
    return s->path;
}
