#include "worker/render/pool_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define IN     "in"
#define OUT    "out"
#define SOURCE "source"
#define MARK   "mark"

static enum err io_fault(struct fault *reterr, const char *what, const char *path)
{
    int err = errno;

    return fault_set(reterr, err == ENOMEM ? ERR_NOMEM : ERR_IO, err, "%s %s: %s", what, path,
                     err_errno(err));
}

/* Gives NULL without memory. */
static char *path_of(const char *fmt, ...) PRINTF_LIKE(1, 2);
static char *path_of(const char *fmt, ...)
{
    char *path = NULL;
    va_list ap;

    va_start(ap, fmt);
    if (vasprintf(&path, fmt, ap) < 0)
        path = NULL;
    va_end(ap);
    return path;
}

static enum err no_memory(struct fault *reterr)
{
    return fault_set(reterr, ERR_NOMEM, 0, "no memory for a path");
}

static void free_str(char **s)
{
    free(*s);
    *s = NULL;
}

/* --- directories
 * ------------------------------------------------------------------------------ */

static bool is_dot(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* Removes the files right in dir. */
static void empty_dir(int at, const char *dir)
{
    int fd = openat(at, dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry;

    if (d == NULL) {
        if (fd >= 0)
            (void)close(fd);
        return;
    }
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): a stream of our own */
    while ((entry = readdir(d)) != NULL) {
        if (!is_dot(entry->d_name))
            (void)unlinkat(dirfd(d), entry->d_name, 0);
    }
    (void)closedir(d);
}

void pool_dir_remove(const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0)
        return;
    empty_dir(fd, IN);
    empty_dir(fd, OUT);
    (void)unlinkat(fd, IN, AT_REMOVEDIR);
    (void)unlinkat(fd, OUT, AT_REMOVEDIR);
    (void)close(fd);
    (void)rmdir(dir);
}

static bool is_renderer_dir(const char *name)
{
    return name[0] == 'r' && name[1] != '\0' &&
           strspn(name + 1, "0123456789") == strlen(name + 1);
}

static enum err sweep(const char *spool, struct fault *reterr)
{
    DIR *d = opendir(spool);
    const struct dirent *entry;

    if (d == NULL)
        return io_fault(reterr, "open", spool);
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): a stream of our own */
    while ((entry = readdir(d)) != NULL) {
        char *path =
            is_renderer_dir(entry->d_name) ? path_of("%s/%s", spool, entry->d_name) : NULL;

        if (path != NULL)
            pool_dir_remove(path);
        free(path);
    }
    empty_dir(dirfd(d), OUT);
    (void)closedir(d);
    return ERR_OK;
}

static enum err make_dir(const char *path, struct fault *reterr)
{
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return io_fault(reterr, "mkdir", path);
    return ERR_OK;
}

static enum err make_sub(const char *dir, const char *name, struct fault *reterr)
{
    AUTO(free_str) char *path = path_of("%s/%s", dir, name);

    return path == NULL ? no_memory(reterr) : make_dir(path, reterr);
}

enum err pool_dir_prepare(const char *spool, struct fault *reterr)
{
    enum err e = sweep(spool, reterr);

    return e == ERR_OK ? make_sub(spool, OUT, reterr) : e;
}

enum err pool_dir_make(const char *spool, unsigned k, char **ret_path, struct fault *reterr)
{
    AUTO(free_str) char *dir = path_of("%s/r%u", spool, k);
    enum err e;

    if (dir == NULL)
        return no_memory(reterr);
    e = make_dir(dir, reterr);
    if (e == ERR_OK)
        e = make_sub(dir, IN, reterr);
    if (e == ERR_OK)
        e = make_sub(dir, OUT, reterr);
    if (e != ERR_OK) {
        pool_dir_remove(dir);
        return e;
    }
    *ret_path = dir;
    dir = NULL;
    return ERR_OK;
}

/* --- source
 * ----------------------------------------------------------------------------------- */

static enum err check_source(const char *source, uint64_t max_bytes, struct fault *reterr)
{
    struct stat st;

    if (stat(source, &st) != 0) {
        int err = errno;

        return fault_set(reterr, err == ENOENT ? ERR_NOT_FOUND : ERR_IO, err, "source: %s",
                         err_errno(err));
    }
    if (!S_ISREG(st.st_mode))
        return fault_set(reterr, ERR_MALFORMED, 0, "source: not a regular file");
    if ((uint64_t)st.st_size > max_bytes)
        return fault_set(reterr, ERR_TOO_BIG, 0,
                         "the source has %llu bytes, the limit is %llu (SOURCE_BYTES)",
                         (unsigned long long)st.st_size, (unsigned long long)max_bytes);
    return ERR_OK;
}

/* Another file system, somebody else's file, or one with too many links. */
static bool must_copy(int err)
{
    return err == EXDEV || err == EPERM || err == EMLINK || err == EACCES || err == EOPNOTSUPP;
}

static char *path_of_input(const char *dir, size_t i)
{
    return i == 0 ? path_of("%s/" IN "/" SOURCE, dir)
                  : path_of("%s/" IN "/" MARK "%zu", dir, i - 1);
}

enum err pool_dir_put(const char *dir, const char *source, size_t i, uint64_t max_bytes,
                      char **ret_copy_to, struct fault *reterr)
{
    AUTO(free_str) char *to = path_of_input(dir, i);
    enum err e;

    if (to == NULL)
        return no_memory(reterr);
    e = check_source(source, max_bytes, reterr);
    if (e != ERR_OK)
        return e;
    (void)unlink(to);
    /* Follows a symbolic link, since the renderer could not. */
    if (linkat(AT_FDCWD, source, AT_FDCWD, to, AT_SYMLINK_FOLLOW) == 0)
        return ERR_OK;
    if (!must_copy(errno))
        return io_fault(reterr, "link", source);
    *ret_copy_to = to;
    to = NULL;
    return ERR_UNSUPPORTED;
}

void pool_dir_clear(const char *dir, size_t n_marks, size_t n)
{
    for (size_t i = 0; i <= n_marks; i++) {
        AUTO(free_str) char *path = path_of_input(dir, i);

        if (path != NULL)
            (void)unlink(path);
    }
    for (size_t i = 0; i < n; i++) {
        AUTO(free_str) char *path = path_of("%s/" OUT "/%zu", dir, i);

        if (path != NULL)
            (void)unlink(path);
    }
}

/* --- outputs
 * ---------------------------------------------------------------------------------- */

static bool begins_as(const uint8_t *b, size_t n, enum image_format f)
{
    switch (f) {
    case IMAGE_JPEG:
        return n >= 3 && memcmp(b, "\xff\xd8\xff", 3) == 0;
    case IMAGE_PNG:
        return n >= 8 && memcmp(b, "\x89PNG\r\n\x1a\n", 8) == 0;
    case IMAGE_WEBP:
        return n >= 12 && memcmp(b, "RIFF", 4) == 0 && memcmp(b + 8, "WEBP", 4) == 0;
    case IMAGE_AVIF:
        return n >= 12 && memcmp(b + 4, "ftypavif", 8) == 0;
    case IMAGE_GIF:
        return n >= 6 && (memcmp(b, "GIF89a", 6) == 0 || memcmp(b, "GIF87a", 6) == 0);
    case IMAGE_TIFF:
        return n >= 4 && (memcmp(b, "II*\0", 4) == 0 || memcmp(b, "MM\0*", 4) == 0);
    case IMAGE_HEIF:
    case IMAGE_SVG:
        break;
    }
    return false;
}

static enum err check_fd(int fd, const struct pool_dir_take *t, struct fault *reterr)
{
    uint8_t head[12];
    struct stat st;
    ssize_t n;

    if (fstat(fd, &st) != 0)
        return io_fault(reterr, "stat", "an output");
    if (!S_ISREG(st.st_mode) || st.st_nlink != 1)
        return fault_set(reterr, ERR_CRASHED, 0, "output %u is no regular file", t->index);
    if ((uint64_t)st.st_size != t->bytes || t->bytes > POOL_OUTPUT_MAX)
        return fault_set(reterr, ERR_CRASHED, 0, "output %u has %llu bytes and not %llu",
                         t->index, (unsigned long long)st.st_size,
                         (unsigned long long)t->bytes);
    n = read(fd, head, sizeof head);
    if (n < 0 || !begins_as(head, (size_t)n, t->format))
        return fault_set(reterr, ERR_CRASHED, 0, "output %u is not %s", t->index,
                         image_format_name(t->format));
    return ERR_OK;
}

static enum err check_file(const char *path, const struct pool_dir_take *t,
                           struct fault *reterr)
{
    /* O_NONBLOCK: it might be a FIFO. */
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    enum err e;

    if (fd < 0)
        return fault_set(reterr, ERR_CRASHED, errno, "output %u: %s", t->index,
                         err_errno(errno));
    e = check_fd(fd, t, reterr);
    (void)close(fd);
    return e;
}

enum err pool_dir_take(const struct pool_dir_take *t, char **ret_path, struct fault *reterr)
{
    char id[UUID_TEXT_SIZE];
    AUTO(free_str) char *from = path_of("%s/" OUT "/%u", t->dir, t->index);
    AUTO(free_str)
    char *to =
        path_of("%s/" OUT "/%s-%u-%u", t->spool, uuid_text(t->job, id), t->attempt, t->index);
    enum err e;

    if (from == NULL || to == NULL)
        return no_memory(reterr);
    if (rename(from, to) != 0)
        return fault_set(reterr, errno == ENOENT ? ERR_CRASHED : ERR_IO, errno, "output %u: %s",
                         t->index, err_errno(errno));
    e = check_file(to, t, reterr);
    if (e != ERR_OK) {
        (void)remove(to);
        return e;
    }
    *ret_path = to;
    to = NULL;
    return ERR_OK;
}
