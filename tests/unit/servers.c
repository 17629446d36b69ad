#include "tests/unit/servers.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <grp.h>
#include <netinet/in.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* NOLINTBEGIN(concurrency-mt-unsafe): a test helper, one thread */

#define USER        "postgres"
#define MAX_TRIES   6000
#define PATH_SIZE   512
#define ANSWER_STEP 4096

void servers_die(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    (void)fputs("servers: ", stderr);
    (void)vfprintf(stderr, fmt, ap);
    (void)fputc('\n', stderr);
    va_end(ap);
    exit(1);
}

void servers_format(char *dst, size_t cap, const char *fmt, ...)
{
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(dst, cap, fmt, ap);
    va_end(ap);
    if (n < 0 || (size_t)n >= cap)
        servers_die("does not fit: %s", fmt);
}

/* --- directories, ports, processes ----------------------------------------------------------- */

/* NULL: this process need not change its user. */
static const struct passwd *servers_user(void)
{
    const struct passwd *pw;

    if (geteuid() != 0)
        return NULL;
    pw = getpwnam(USER);
    if (pw == NULL)
        servers_die("root needs the user " USER " to run servers as");
    return pw;
}

void servers_dir_make(char dir[SERVERS_DIR_SIZE])
{
    const struct passwd *pw = servers_user();
    const char *tmp = getenv("TMPDIR");

    /* The path of a unix socket may have 107 bytes: a long $TMPDIR is of no use. */
    if (tmp == NULL || tmp[0] != '/' || strlen(tmp) > SERVERS_DIR_SIZE / 2)
        tmp = "/tmp";
    servers_format(dir, SERVERS_DIR_SIZE, "%s/millrace-XXXXXX", tmp);
    if (mkdtemp(dir) == NULL)
        servers_die("%s: %m", dir);
    if (pw != NULL && chown(dir, pw->pw_uid, pw->pw_gid) != 0)
        servers_die("chown %s: %m", dir);
}

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return remove(path);
}

void servers_dir_remove(const char *dir)
{
    if (nftw(dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS) != 0)
        servers_die("removing %s: %m", dir);
}

uint16_t servers_free_port(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&at, len) != 0 ||
        getsockname(fd, (struct sockaddr *)&at, &len) != 0)
        servers_die("no free port: %m");
    (void)close(fd);
    return ntohs(at.sin_port);
}

/* In the child: no longer root, ends when the test ends, output into dir/log. */
static void become_server(const struct passwd *pw, pid_t parent, const char *dir)
{
    char log[PATH_SIZE];
    int fd;

    if (pw != NULL && (initgroups(pw->pw_name, pw->pw_gid) != 0 || setgid(pw->pw_gid) != 0 ||
                       setuid(pw->pw_uid) != 0))
        _exit(126);
    /* After setuid(), which forgets it. SIGQUIT: PostgreSQL's immediate shutdown. */
    if (prctl(PR_SET_PDEATHSIG, SIGQUIT) != 0 || getppid() != parent)
        _exit(126);
    servers_format(log, sizeof log, "%s/log", dir);
    fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (fd < 0 || chdir(dir) != 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0)
        _exit(126);
    fd = open("/dev/null", O_RDONLY);
    if (fd < 0 || dup2(fd, 0) < 0)
        _exit(126);
}

_Noreturn static void exec_server(const char *const *argv)
{
    char *args[64];
    size_t n = 0;

    for (; argv[n] != NULL && n < COUNT_OF(args) - 1; n++)
        args[n] = strdup(argv[n]);
    args[n] = NULL;
    must(n > 0 && args[0] != NULL);
    (void)unsetenv("NOTIFY_SOCKET");
    (void)execv(args[0], args);
    (void)fprintf(stderr, "%s: %m\n", args[0]);
    _exit(127);
}

pid_t servers_spawn(const char *dir, const char *const *argv)
{
    const struct passwd *pw = servers_user();
    pid_t parent = getpid();
    pid_t pid;

    (void)fflush(NULL);
    pid = fork();
    if (pid < 0)
        servers_die("fork: %m");
    if (pid == 0) {
        become_server(pw, parent, dir);
        exec_server(argv);
    }
    return pid;
}

int servers_reap(pid_t pid)
{
    int status = 0;

    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR)
            servers_die("waitpid: %m");
    }
    return status;
}

void servers_breathe(unsigned *tries, const char *waiting_for)
{
    if (++*tries > MAX_TRIES)
        servers_die("waited too long for %s", waiting_for);
    (void)poll(NULL, 0, 10);
}

char *servers_output(const char *const *argv, int *ret_status)
{
    char *text = NULL;
    size_t len = 0;
    ssize_t got;
    int ends[2];
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC) != 0)
        servers_die("pipe: %m");
    (void)fflush(NULL);
    pid = fork();
    if (pid < 0)
        servers_die("fork: %m");
    if (pid == 0) {
        (void)dup2(ends[1], 1);
        exec_server(argv);
    }
    (void)close(ends[1]);
    do {
        text = realloc(text, len + ANSWER_STEP + 1);
        must(text != NULL);
        got = read(ends[0], text + len, ANSWER_STEP);
        len += got > 0 ? (size_t)got : 0;
    } while (got > 0 || (got < 0 && errno == EINTR));
    (void)close(ends[0]);
    *ret_status = servers_reap(pid);
    while (len > 0 && text[len - 1] == '\n')
        len--;
    text[len] = '\0';
    return text;
}

/* NOLINTEND(concurrency-mt-unsafe) */
