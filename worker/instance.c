#include "worker/instance.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "worker/render/pool_dir.h"

/* What the consumer's name has room for (queue/consumer.h). */
#define PART_MAX   48
#define LOCK_TRIES 20 /* 50 ms apart */

static bool is_plain(const char *name)
{
    size_t n =
        strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");

    return n > 0 && n <= PART_MAX && name[n] == '\0' && name[0] != '.';
}

static enum err find_names(const struct worker_options *opt, struct instance *in,
                           struct fault *reterr)
{
    if (opt->host != NULL)
        (void)slice_to_cstr(slice_str(opt->host), in->host, sizeof in->host);
    else if (gethostname(in->host, sizeof in->host) != 0)
        return fault_set(reterr, ERR_INTERNAL, errno, "gethostname: %s", err_errno(errno));
    in->host[sizeof in->host - 1] = '\0';
    (void)slice_to_cstr(slice_str(opt->instance), in->name, sizeof in->name);
    if (!is_plain(in->host))
        return fault_set(
            reterr, ERR_MALFORMED, 0,
            "HOST: %s \"%s\" must be 1 to %d letters, digits, . _ -, not first a .",
            opt->host == NULL ? "the system's host name" : "", in->host, PART_MAX);
    if (!is_plain(in->name))
        return fault_set(
            reterr, ERR_MALFORMED, 0,
            "INSTANCE: \"%s\" must be 1 to %d letters, digits, . _ -, not first a .", in->name,
            PART_MAX);
    return ERR_OK;
}

static enum err make_dir(const char *path, struct fault *reterr)
{
    if (mkdir(path, 0750) == 0 || errno == EEXIST)
        return ERR_OK;
    return fault_set(reterr, ERR_IO, errno, "mkdir %s: %s", path, err_errno(errno));
}

/* Outputs are renamed from one directory to the other. Tried, because two mounts of one file system
 * look the same and refuse it. */
static enum err try_rename(const struct worker_options *opt, const struct instance *in,
                           struct fault *reterr)
{
    char from[PATH_MAX], to[PATH_MAX];
    int fd, rc;

    (void)snprintf(from, sizeof from, "%s/probe", in->spool);
    if ((size_t)snprintf(to, sizeof to, "%s/.probe-%s", opt->blob_dir, in->name) >= sizeof to)
        return fault_set(reterr, ERR_MALFORMED, 0, "BLOB_DIR: path too long");
    fd = open(from, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return fault_set(reterr, ERR_IO, errno, "SPOOL_DIR: open %s: %s", from,
                         err_errno(errno));
    (void)close(fd);
    rc = rename(from, to) == 0 ? 0 : errno;
    (void)unlink(rc == 0 ? to : from);
    if (rc == EXDEV)
        return fault_set(reterr, ERR_MALFORMED, rc,
                         "SPOOL_DIR %s and BLOB_DIR %s must be on one file system",
                         opt->spool_dir, opt->blob_dir);
    if (rc != 0)
        return fault_set(reterr, ERR_IO, rc, "BLOB_DIR: rename %s to %s: %s", from, to,
                         err_errno(rc));
    return ERR_OK;
}

static enum err make_dirs(const struct worker_options *opt, struct instance *in,
                          struct fault *reterr)
{
    char uploads[PATH_MAX];
    enum err e = make_dir(opt->spool_dir, reterr);

    if (!slice_to_cstr(slice_str(opt->spool_dir), in->place, sizeof in->place) ||
        (size_t)snprintf(in->spool, sizeof in->spool, "%s/%s", opt->spool_dir, in->name) >=
            sizeof in->spool ||
        (size_t)snprintf(uploads, sizeof uploads, "%s/uploads", opt->blob_dir) >=
            sizeof uploads)
        return fault_set(reterr, ERR_MALFORMED, 0, "SPOOL_DIR or BLOB_DIR: path too long");
    if (e == ERR_OK)
        e = make_dir(in->spool, reterr);
    if (e == ERR_OK)
        e = make_dir(opt->blob_dir, reterr);
    if (e == ERR_OK)
        e = make_dir(uploads, reterr);
    return e;
}

/* -1: errno says why. */
static int open_lock(const char *spool)
{
    char path[PATH_MAX];
    int fd, number;

    (void)snprintf(path, sizeof path, "%s.lock", spool);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) == 0)
        return fd;
    number = errno;
    (void)close(fd);
    errno = number;
    return -1;
}

/* A predecessor may be about to die, or a sweeper may hold the lock for a moment. */
static enum err take_lock(struct instance *in, struct fault *reterr)
{
    static const struct timespec moment = {.tv_nsec = 50000000};

    for (int i = 0; i < LOCK_TRIES; i++) {
        in->lock_fd = open_lock(in->spool);
        if (in->lock_fd >= 0)
            return ERR_OK;
        if (errno != EWOULDBLOCK)
            return fault_set(reterr, ERR_IO, errno, "SPOOL_DIR: open %s.lock: %s", in->spool,
                             err_errno(errno));
        (void)nanosleep(&moment, NULL);
    }
    return fault_set(reterr, ERR_BUSY, errno,
                     "another worker runs as INSTANCE %s on this host (%s.lock is locked)",
                     in->name, in->spool);
}

/* --- what the dead have left ---------------------------------------------------------------------- */

/* Nobody can start under that name while its lock is held here. */
static void sweep_name(const struct instance *in, const char *name)
{
    char spool[PATH_MAX];
    int fd;

    if (!is_plain(name) || strcmp(name, in->name) == 0)
        return;
    (void)snprintf(spool, sizeof spool, "%s/%s", in->place, name);
    if (access(spool, W_OK) != 0)
        return;
    fd = open_lock(spool);
    if (fd < 0)
        return;
    (void)!pool_dir_prepare(spool, NULL);
    (void)close(fd);
}

void instance_sweep(const struct instance *in, const char *consumer)
{
    size_t host_len = strlen(in->host);
    const char *name = consumer + host_len + 1, *end;
    char text[PART_MAX + 1];

    if (strncmp(consumer, in->host, host_len) != 0 || consumer[host_len] != ':')
        return;
    end = strchr(name, ':');
    if (end != NULL && slice_to_cstr(slice_of(name, (size_t)(end - name)), text, sizeof text))
        sweep_name(in, text);
}

static void sweep_all(const struct instance *in)
{
    DIR *dir = opendir(in->place);
    char name[PART_MAX + 1];
    struct dirent *e;

    if (dir == NULL)
        return;
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): a stream of its own */
    while ((e = readdir(dir)) != NULL) {
        if (e->d_type == DT_DIR && slice_to_cstr(slice_str(e->d_name), name, sizeof name))
            sweep_name(in, name);
    }
    (void)closedir(dir);
}

/* Beside the worker in a build tree, in libexec once installed. */
static enum err find_renderer(const struct worker_options *opt, struct instance *in,
                              struct fault *reterr)
{
    static const char *const places[] = {"millrace-render",
                                         "../libexec/millrace/millrace-render"};
    char self[PATH_MAX / 2];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    char *slash;

    if (opt->render_program != NULL)
        return slice_to_cstr(slice_str(opt->render_program), in->render_program,
                             sizeof in->render_program)
                   ? ERR_OK
                   : fault_set(reterr, ERR_MALFORMED, 0, "RENDER_PROGRAM: path too long");
    self[n > 0 ? n : 0] = '\0';
    slash = strrchr(self, '/');
    if (slash == NULL)
        return fault_set(reterr, ERR_INTERNAL, 0,
                         "cannot tell where this program lies; set RENDER_PROGRAM");
    *slash = '\0';
    for (size_t i = 0; i < COUNT_OF(places); i++) {
        (void)snprintf(in->render_program, sizeof in->render_program, "%s/%s", self, places[i]);
        if (access(in->render_program, X_OK) == 0)
            return ERR_OK;
    }
    return fault_set(
        reterr, ERR_NOT_FOUND, 0,
        "no millrace-render beside the worker or in ../libexec/millrace; set RENDER_PROGRAM");
}

enum err instance_open(const struct worker_options *opt, struct instance *ret,
                       struct fault *reterr)
{
    enum err e;

    memset(ret, 0, sizeof *ret);
    ret->lock_fd = -1;
    e = find_names(opt, ret, reterr);
    if (e == ERR_OK)
        e = make_dirs(opt, ret, reterr);
    if (e == ERR_OK)
        e = take_lock(ret, reterr);
    if (e == ERR_OK)
        e = try_rename(opt, ret, reterr);
    if (e == ERR_OK)
        e = find_renderer(opt, ret, reterr);
    if (e == ERR_OK)
        sweep_all(ret);
    else
        instance_close(ret);
    return e;
}

void instance_close(struct instance *in)
{
    if (in->lock_fd >= 0)
        (void)close(in->lock_fd);
    in->lock_fd = -1;
}
