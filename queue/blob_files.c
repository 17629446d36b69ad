#include "queue/blob_files.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DIRS    256
#define ASIDE   ".swept"
#define EXT_MAX 8

typedef char blob_path[PATH_MAX];

/* --- names ------------------------------------------------------------------------------------ */

static bool is_ext(struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < 'a' || s.ptr[i] > 'z')
            return false;
    }
    return s.len > 0 && s.len <= EXT_MAX;
}

static bool take_aside(struct slice *name)
{
    const size_t n = sizeof ASIDE - 1;
    bool aside = name->len > n && memcmp(name->ptr + name->len - n, ASIDE, n) == 0;

    name->len -= aside ? n : 0;
    return aside;
}

/* False: no file of ours has that name. */
static bool read_name(unsigned dir, const char *entry, struct blob_file *f)
{
    const size_t hex = HASH_HEX_SIZE - 1;
    struct slice name = slice_str(entry);

    *f = (struct blob_file){.aside = take_aside(&name)};
    if (name.len <= hex + 1 || name.ptr[hex] != '.' ||
        !is_ext(slice_of(name.ptr + hex + 1, name.len - hex - 1)) ||
        !hex_parse(slice_of(name.ptr, hex), f->sha256, HASH_LEN) || f->sha256[0] != dir)
        return false;
    (void)snprintf(f->name, sizeof f->name, "%.2s/" SLICE_FMT, name.ptr, SLICE_ARG(name));
    return true;
}

static void path_of(const struct blob_walk *w, const struct blob_file *f, bool aside,
                    blob_path ret)
{
    (void)snprintf(ret, sizeof(blob_path), "%s/%s%s", w->dir, f->name, aside ? ASIDE : "");
}

/* --- times ------------------------------------------------------------------------------------ */

static uint64_t modified_ms(const struct stat *st)
{
    return (uint64_t)st->st_mtim.tv_sec * 1000 + (uint64_t)st->st_mtim.tv_nsec / 1000000;
}

static bool is_old(const struct blob_walk *w, const struct stat *st)
{
    return modified_ms(st) < w->old_ms;
}

/* A new file tells the time by which the others were stamped: a host's own clock may be off. */
static enum err read_clock(struct blob_walk *w, struct fault *reterr)
{
    blob_path path;
    struct stat st;
    int fd, n = snprintf(path, sizeof path, "%s/.sweep-XXXXXX", w->dir);
    bool ok;

    if (n < 0 || (size_t)n + sizeof(ASIDE) + BLOB_FILE_SIZE >= sizeof path)
        return fault_set(reterr, ERR_MALFORMED, 0, "BLOB_DIR: path too long");
    fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0)
        return fault_set(reterr, ERR_IO, errno, "create %s: %s", path, err_errno(errno));
    ok = fstat(fd, &st) == 0;
    (void)close(fd);
    (void)unlink(path);
    if (!ok)
        return fault_set(reterr, ERR_IO, 0, "%s tells no time", w->dir);
    w->old_ms = modified_ms(&st) > w->grace_ms ? modified_ms(&st) - w->grace_ms : 0;
    return ERR_OK;
}

/* --- the walk --------------------------------------------------------------------------------- */

void blob_walk_done(struct blob_walk *w)
{
    if (w->open != NULL)
        (void)closedir(w->open);
    w->open = NULL;
}

/* The next directory that is there, or the end. */
static enum err open_next(struct blob_walk *w, struct fault *reterr)
{
    while (w->next < DIRS && w->open == NULL) {
        blob_path path;

        (void)snprintf(path, sizeof path, "%s/%02x", w->dir, w->next++);
        w->open = opendir(path);
        if (w->open == NULL && errno != ENOENT)
            return fault_set(reterr, ERR_IO, errno, "open %s: %s", path, err_errno(errno));
    }
    w->over = w->open == NULL;
    return ERR_OK;
}

static bool is_found(struct blob_walk *w, const char *entry, struct blob_file *f)
{
    struct stat st;

    w->looked++;
    if (!read_name(w->next - 1, entry, f) ||
        fstatat(dirfd(w->open), entry, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode))
        return false;
    f->bytes = (uint64_t)st.st_size;
    return f->aside || is_old(w, &st);
}

enum err blob_walk_next(struct blob_walk *w, struct blob_file *ret, size_t cap, size_t *ret_n,
                        struct fault *reterr)
{
    enum err e = read_clock(w, reterr);
    size_t n = 0;

    for (size_t i = 0; i < BLOB_LOOKS_MAX && n < cap && e == ERR_OK; i++) {
        const struct dirent *entry;

        if (w->open == NULL)
            e = open_next(w, reterr);
        if (e != ERR_OK || w->over)
            break;
        /* NOLINTNEXTLINE(concurrency-mt-unsafe): a stream of its own */
        entry = readdir(w->open);
        if (entry == NULL)
            blob_walk_done(w);
        else
            n += is_found(w, entry->d_name, &ret[n]);
    }
    *ret_n = n;
    return e;
}

/* --- removal ---------------------------------------------------------------------------------- */

static bool look(const char *path, struct stat *ret)
{
    return fstatat(AT_FDCWD, path, ret, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(ret->st_mode);
}

void blob_set_aside(const struct blob_walk *w, struct blob_file *f)
{
    blob_path from, to;
    struct stat st;

    path_of(w, f, false, from);
    path_of(w, f, true, to);
    f->aside = f->ours = look(from, &st) && is_old(w, &st) && rename(from, to) == 0;
}

/* Young first: who comes to its name in between has made it young, too, and it must stay so. */
static bool put_back(const char *from, const char *to)
{
    (void)utimensat(AT_FDCWD, from, NULL, 0);
    return rename(from, to) == 0;
}

enum blob_end blob_remove(const struct blob_walk *w, const struct blob_file *f)
{
    blob_path at, home;
    struct stat st;

    path_of(w, f, false, home);
    path_of(w, f, true, at);
    if (!look(at, &st))
        return BLOB_LEFT;
    if (f->wanted || !is_old(w, &st))
        return put_back(at, home) ? BLOB_PUT_BACK : BLOB_LEFT;
    return unlink(at) == 0 ? BLOB_REMOVED : BLOB_LEFT;
}
