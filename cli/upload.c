#include "cli/upload.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK ((size_t)256 * 1024)

struct copy {
    const char *from;
    char dir[PATH_MAX], part[PATH_MAX], path[PATH_MAX];
    int in, out, dir_fd;
    uint64_t bytes;
    struct fault *reterr;
};

static enum err io_fault(struct copy *c, const char *doing, const char *what)
{
    int number = errno;

    return fault_set(c->reterr, ERR_IO, number, "%s %s: %s", doing, what, err_errno(number));
}

/* --- where ----------------------------------------------------------------------------------- */

static bool make_paths(struct copy *c, const char *blob_dir, const struct uuid *id)
{
    char text[UUID_TEXT_SIZE];

    (void)uuid_text(id, text);
    return snprintf(c->dir, PATH_MAX, "%s/uploads", blob_dir) < PATH_MAX &&
           snprintf(c->path, PATH_MAX, "%s/uploads/%s", blob_dir, text) < PATH_MAX &&
           snprintf(c->part, PATH_MAX, "%s/uploads/%s.part", blob_dir, text) < PATH_MAX;
}

static enum err open_in(struct copy *c)
{
    struct stat st;

    c->in = open(c->from, O_RDONLY | O_CLOEXEC);
    if (c->in < 0 || fstat(c->in, &st) != 0)
        return io_fault(c, "open", c->from);
    if (S_ISDIR(st.st_mode))
        return fault_set(c->reterr, ERR_MALFORMED, 0, "%s is a directory", c->from);
    return ERR_OK;
}

/* Root gives what it makes to whom the directory above belongs, so that the worker can read it. */
static bool give(int fd, const char *parent)
{
    struct stat st;

    return geteuid() != 0 || (stat(parent, &st) == 0 && fchown(fd, st.st_uid, st.st_gid) == 0);
}

static enum err open_dir(struct copy *c, const char *blob_dir)
{
    bool made = mkdir(c->dir, 0750) == 0;

    if (!made && errno != EEXIST)
        return io_fault(c, "mkdir", c->dir);
    c->dir_fd = open(c->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (c->dir_fd < 0)
        return io_fault(c, "open", c->dir);
    return !made || give(c->dir_fd, blob_dir) ? ERR_OK : io_fault(c, "chown", c->dir);
}

static enum err open_out(struct copy *c)
{
    c->out = open(c->part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    if (c->out < 0)
        return io_fault(c, "create", c->part);
    if (flock(c->out, LOCK_EX | LOCK_NB) != 0)
        return io_fault(c, "lock", c->part);
    return give(c->out, c->dir) ? ERR_OK : io_fault(c, "chown", c->part);
}

/* --- what ------------------------------------------------------------------------------------ */

static enum err write_all(struct copy *c, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = write(c->out, bytes, len);

        if (n < 0 && errno != EINTR)
            return io_fault(c, "write", c->part);
        bytes += n > 0 ? n : 0;
        len -= n > 0 ? (size_t)n : 0;
    }
    return ERR_OK;
}

static enum err copy_bytes(struct copy *c, char *chunk)
{
    enum err e = ERR_OK;

    while (e == ERR_OK) {
        ssize_t n = read(c->in, chunk, CHUNK);

        if (n < 0 && errno != EINTR)
            return io_fault(c, "read", c->from);
        if (n == 0)
            break;
        c->bytes += n > 0 ? (uint64_t)n : 0;
        e = write_all(c, chunk, n > 0 ? (size_t)n : 0);
    }
    if (e == ERR_OK && c->bytes == 0)
        return fault_set(c->reterr, ERR_MALFORMED, 0, "%s is empty", c->from);
    return e;
}

/* The name comes last: what has its name is whole and on disk. */
static enum err name_it(struct copy *c)
{
    if (fsync(c->out) != 0)
        return io_fault(c, "sync", c->part);
    if (rename(c->part, c->path) != 0)
        return io_fault(c, "rename", c->part);
    return fsync(c->dir_fd) == 0 ? ERR_OK : io_fault(c, "sync", c->dir);
}

static enum err copy_file(struct copy *c, const char *blob_dir)
{
    char *chunk = malloc(CHUNK);
    enum err e = chunk == NULL
                     ? fault_set(c->reterr, ERR_NOMEM, 0, "no memory to copy %s", c->from)
                     : open_in(c);

    if (e == ERR_OK)
        e = open_dir(c, blob_dir);
    if (e == ERR_OK)
        e = open_out(c);
    if (e == ERR_OK)
        e = copy_bytes(c, chunk);
    if (e == ERR_OK)
        e = name_it(c);
    free(chunk);
    return e;
}

static void close_file(int fd)
{
    if (fd >= 0)
        (void)close(fd);
}

enum err upload_copy(const char *from, const char *blob_dir, const struct uuid *id,
                     struct fault *reterr)
{
    struct copy c = {.from = from, .in = -1, .out = -1, .dir_fd = -1, .reterr = reterr};
    enum err e;

    if (!make_paths(&c, blob_dir, id))
        return fault_set(reterr, ERR_MALFORMED, 0, "BLOB_DIR: path too long");
    e = copy_file(&c, blob_dir);
    if (e != ERR_OK && c.out >= 0)
        (void)unlink(c.part);
    close_file(c.in);
    close_file(c.out);
    close_file(c.dir_fd);
    return e;
}

void upload_remove(const char *blob_dir, const struct uuid *id)
{
    struct copy c;

    if (make_paths(&c, blob_dir, id))
        (void)unlink(c.path);
}
