#include "tests/unit/servers.h"

#include <dirent.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* NOLINTBEGIN(concurrency-mt-unsafe): a test helper, one thread */

#define USER      "postgres"
#define BINARIES  "/usr/lib/postgresql" /* Debian: /usr/lib/postgresql/<version>/bin */
#define MAX_PROCS 256
#define PATH_SIZE 512

struct pgserver {
    char dir[SERVERS_DIR_SIZE];
    char bin[PATH_SIZE]; /* where the binaries are */
    char url[PATH_SIZE];
    uint16_t port;
    pid_t pid; /* 0: not running */
};

/* --- finding PostgreSQL ---------------------------------------------------------------------- */

static bool has_binary(const char *bin, const char *name)
{
    char path[PATH_SIZE + 32];

    servers_format(path, sizeof path, "%s/%s", bin, name);
    return access(path, X_OK) == 0;
}

static bool find_debian_bin(char bin[PATH_SIZE])
{
    DIR *all = opendir(BINARIES);
    const struct dirent *entry;
    long best = 0;

    while (all != NULL && (entry = readdir(all)) != NULL) {
        long version = strtol(entry->d_name, NULL, 10);
        char at[PATH_SIZE];

        servers_format(at, sizeof at, BINARIES "/%s/bin", entry->d_name);
        if (version > best && has_binary(at, "initdb")) {
            best = version;
            servers_format(bin, PATH_SIZE, "%s", at);
        }
    }
    if (all != NULL)
        (void)closedir(all);
    return best > 0;
}

static bool find_other_bin(char bin[PATH_SIZE])
{
    const char *const argv[] = {"/usr/bin/env", "pg_config", "--bindir", NULL};
    int status;
    char *said = servers_output(argv, &status);
    bool found = status == 0 && has_binary(said, "initdb");

    if (found)
        servers_format(bin, PATH_SIZE, "%s", said);
    free(said);
    return found;
}

static bool find_bin(char bin[PATH_SIZE])
{
    return find_debian_bin(bin) || find_other_bin(bin);
}

bool pgserver_installed(void)
{
    char bin[PATH_SIZE];

    return find_bin(bin);
}

/* --- PostgreSQL ------------------------------------------------------------------------------ */

static void show_log(const struct pgserver *s)
{
    char path[PATH_SIZE];
    const char *const argv[] = {"/usr/bin/tail", "-n", "30", path, NULL};
    char *said;
    int status;

    servers_format(path, sizeof path, "%s/log", s->dir);
    said = servers_output(argv, &status);
    (void)fprintf(stderr, "%s\n", said);
    free(said);
}

static void init_cluster(const struct pgserver *s)
{
    char initdb[PATH_SIZE + 32];
    char data[PATH_SIZE];
    const char *const argv[] = {initdb, "-D",          data,        "-U",
                                USER,   "-A",          "trust",     "-E",
                                "UTF8", "--no-locale", "--no-sync", "--no-instructions",
                                NULL};

    servers_format(initdb, sizeof initdb, "%s/initdb", s->bin);
    servers_format(data, sizeof data, "%s/data", s->dir);
    if (servers_reap(servers_spawn(s->dir, argv)) != 0) {
        show_log(s);
        servers_die("initdb failed");
    }
}

static void write_access(const struct pgserver *s)
{
    char path[PATH_SIZE];
    FILE *f;

    servers_format(path, sizeof path, "%s/data/pg_hba.conf", s->dir);
    f = fopen(path, "we");
    if (f == NULL)
        servers_die("%s: %m", path);
    (void)fputs("local all locked scram-sha-256\nlocal all all trust\n"
                "host all locked samehost scram-sha-256\nhost all all samehost trust\n",
                f);
    if (fclose(f) != 0)
        servers_die("%s: %m", path);
}

static bool is_ready(const struct pgserver *s)
{
    char tool[PATH_SIZE + 32];
    char port[8];
    const char *const argv[] = {tool, "-q", "-h", s->dir, "-p", port, NULL};

    servers_format(tool, sizeof tool, "%s/pg_isready", s->bin);
    servers_format(port, sizeof port, "%u", (unsigned)s->port);
    return servers_reap(servers_spawn(s->dir, argv)) == 0;
}

/* Gives false if the server ended instead. */
static bool wait_ready(struct pgserver *s)
{
    unsigned tries = 0;

    while (!is_ready(s)) {
        if (waitpid(s->pid, NULL, WNOHANG) == s->pid) {
            s->pid = 0;
            return false;
        }
        servers_breathe(&tries, "PostgreSQL to start");
    }
    return true;
}

static bool try_start(struct pgserver *s)
{
    char postgres[PATH_SIZE + 32];
    char sockets[PATH_SIZE];
    char data[PATH_SIZE];
    char port[8];
    /* clang-format off */
    const char *const argv[] = {
        postgres, "-D", data, "-p", port, "-c", sockets, "-c", "listen_addresses=127.0.0.1",
        "-c", "fsync=off", "-c", "full_page_writes=off", "-c", "synchronous_commit=off",
        "-c", "autovacuum=off", "-c", "max_connections=50", "-c", "shared_buffers=32MB",
        "-c", "max_wal_senders=0", "-c", "wal_level=minimal", "-c", "log_min_messages=warning",
        NULL};
    /* clang-format on */

    servers_format(postgres, sizeof postgres, "%s/postgres", s->bin);
    servers_format(data, sizeof data, "%s/data", s->dir);
    servers_format(sockets, sizeof sockets, "unix_socket_directories=%s", s->dir);
    servers_format(port, sizeof port, "%u", (unsigned)s->port);
    s->pid = servers_spawn(s->dir, argv);
    return wait_ready(s);
}

void pgserver_start(struct pgserver *s)
{
    must(s->pid == 0);
    if (!try_start(s)) {
        show_log(s);
        servers_die("PostgreSQL did not start");
    }
}

/* Another program may have taken the free port before PostgreSQL did. */
static void start_on_free_port(struct pgserver *s)
{
    for (int tries = 0; tries < 5; tries++) {
        s->port = servers_free_port();
        if (try_start(s))
            return;
    }
    show_log(s);
    servers_die("PostgreSQL did not start");
}

struct pgserver *pgserver_new(void)
{
    struct pgserver *s = calloc(1, sizeof *s);

    must(s != NULL);
    if (!find_bin(s->bin))
        servers_die("PostgreSQL is not installed");
    servers_dir_make(s->dir);
    init_cluster(s);
    write_access(s);
    start_on_free_port(s);
    servers_format(s->url, sizeof s->url, "postgresql://" USER "@/postgres?host=%s&port=%u",
                   s->dir, (unsigned)s->port);
    pgserver_run(s, "CREATE ROLE locked LOGIN PASSWORD 'sesame'");
    return s;
}

/* What /proc says of a process: its state (a letter) and its parent; false if it is no more. */
static bool look_up(pid_t pid, char *ret_state, pid_t *ret_parent)
{
    char path[64];
    char line[512];
    const char *after;
    FILE *f;
    size_t n;

    servers_format(path, sizeof path, "/proc/%d/stat", (int)pid);
    f = fopen(path, "re");
    if (f == NULL)
        return false;
    n = fread(line, 1, sizeof line - 1, f);
    (void)fclose(f);
    line[n] = '\0';
    after = strrchr(line, ')'); /* "pid (name) state parent ..." */
    if (after == NULL || strlen(after) < 5)
        return false;
    *ret_state = after[2];
    *ret_parent = (pid_t)strtol(after + 4, NULL, 10);
    return true;
}

/* A zombie lets go of memory and files, so it counts as gone: who collects it is not our affair. */
static bool is_gone(pid_t pid)
{
    pid_t parent;
    char state;

    return !look_up(pid, &state, &parent) || state == 'Z' || state == 'X';
}

static bool is_child(pid_t pid, pid_t of)
{
    pid_t parent;
    char state;

    return look_up(pid, &state, &parent) && parent == of;
}

/* The server and its children, parent first. Each backend is a session of its own, so there is no
 * process group to send a signal to. */
static size_t processes_of(const struct pgserver *s, pid_t pids[MAX_PROCS])
{
    DIR *all = opendir("/proc");
    const struct dirent *entry;
    size_t n = 0;

    if (all == NULL)
        servers_die("/proc: %m");
    pids[n++] = s->pid;
    while ((entry = readdir(all)) != NULL && n < MAX_PROCS) {
        pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);

        if (pid > 0 && is_child(pid, s->pid))
            pids[n++] = pid;
    }
    (void)closedir(all);
    return n;
}

/* Gives the processes, so that their end can be waited for. */
static size_t signal_all(const struct pgserver *s, int sig, pid_t pids[MAX_PROCS])
{
    size_t n;

    must(s->pid > 0);
    /* The parent stands still first, so that no child is born after they were counted. */
    if (sig != SIGCONT)
        (void)kill(s->pid, SIGSTOP);
    n = processes_of(s, pids);
    for (size_t i = 0; i < n; i++)
        (void)kill(pids[i], sig);
    return n;
}

void pgserver_kill(struct pgserver *s)
{
    pid_t pids[MAX_PROCS];
    size_t n = signal_all(s, SIGKILL, pids);
    unsigned tries = 0;

    (void)servers_reap(s->pid);
    s->pid = 0;
    /* As long as one lives, its shared memory keeps a successor from starting. */
    for (size_t i = 1; i < n; i++) {
        while (!is_gone(pids[i]))
            servers_breathe(&tries, "killed processes to end");
    }
}

void pgserver_pause(struct pgserver *s)
{
    pid_t pids[MAX_PROCS];

    (void)signal_all(s, SIGSTOP, pids);
}

void pgserver_resume(struct pgserver *s)
{
    pid_t pids[MAX_PROCS];

    (void)signal_all(s, SIGCONT, pids);
}

void pgserver_stop(struct pgserver *s)
{
    must(s->pid > 0);
    (void)kill(s->pid, SIGINT);
    (void)servers_reap(s->pid);
    s->pid = 0;
}

void pgserver_free(struct pgserver **s)
{
    struct pgserver *it = *s;

    *s = NULL;
    if (it == NULL)
        return;
    if (it->pid != 0)
        pgserver_kill(it);
    servers_dir_remove(it->dir);
    free(it);
}

const char *pgserver_url(const struct pgserver *s)
{
    return s->url;
}

const char *pgserver_dir(const struct pgserver *s)
{
    return s->dir;
}

uint16_t pgserver_port(const struct pgserver *s)
{
    return s->port;
}

char *pgserver_ask(const struct pgserver *s, const char *sql)
{
    char psql[PATH_SIZE + 32];
    const char *const argv[] = {psql, "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", s->url,
                                "-c", sql,     NULL};
    char *said;
    int status;

    servers_format(psql, sizeof psql, "%s/psql", s->bin);
    said = servers_output(argv, &status);
    if (status != 0)
        servers_die("psql failed: %s", sql);
    return said;
}

void pgserver_run(const struct pgserver *s, const char *sql)
{
    free(pgserver_ask(s, sql));
}

/* NOLINTEND(concurrency-mt-unsafe) */
