#include "worker/source_path.h"

#include <errno.h>
#include <limits.h>
#include <sys/stat.h>

static bool is_inside(const char *path, const char *root)
{
    size_t n = strlen(root);

    while (n > 0 && root[n - 1] == '/')
        n--;
    return strncmp(path, root, n) == 0 && path[n] == '/';
}

static bool is_below(const char *path, struct slice root)
{
    char text[PATH_MAX], real[PATH_MAX];

    return root.len > 0 && slice_to_cstr(root, text, sizeof text) &&
           realpath(text, real) != NULL && is_inside(path, real);
}

/* By its letters alone, for a path that cannot be resolved. */
static bool is_spelled_below(const char *path, struct slice root)
{
    char text[PATH_MAX];

    return root.len > 0 && slice_to_cstr(root, text, sizeof text) &&
           strstr(path, "/../") == NULL && is_inside(path, text);
}

typedef bool below_fn(const char *path, struct slice root);

static bool is_allowed(const char *path, const char *roots, below_fn *below)
{
    struct slice rest = slice_str(roots);

    while (rest.len > 0) {
        const char *colon = memchr(rest.ptr, ':', rest.len);
        size_t n = colon == NULL ? rest.len : (size_t)(colon - rest.ptr);

        if (below(path, slice_of(rest.ptr, n)))
            return true;
        n += colon != NULL;
        rest = slice_of(rest.ptr + n, rest.len - n);
    }
    return false;
}

static enum err forbidden(const char *at, struct fault *reterr)
{
    return fault_set(reterr, ERR_FORBIDDEN, 0, "%s/path: not below one of PATH_ROOTS", at);
}

/* Whether a file exists is told only of those that might be named: others could be guessed at. */
static enum err unresolved(const char *path, const char *roots, const char *at, int number,
                           struct fault *reterr)
{
    enum err e = ERR_IO;

    if (!is_allowed(path, roots, is_spelled_below))
        return forbidden(at, reterr);
    if (number == ENOENT || number == ENOTDIR)
        e = ERR_NOT_FOUND;
    else if (number == EACCES)
        e = ERR_FORBIDDEN;
    else if (number == ELOOP || number == ENAMETOOLONG)
        e = ERR_MALFORMED;
    return fault_set(reterr, e, number, "%s/path: %s", at, err_errno(number));
}

enum err source_path_resolve(const char *roots, struct slice path, const char *at, char *ret,
                             struct fault *reterr)
{
    char text[PATH_MAX];
    struct stat st;

    if (roots == NULL || roots[0] == '\0')
        return fault_set(reterr, ERR_FORBIDDEN, 0,
                         "%s/path: files by path are switched off (PATH_ROOTS is not set)", at);
    if (!slice_to_cstr(path, text, sizeof text) || text[0] != '/')
        return fault_set(reterr, ERR_MALFORMED, 0,
                         "%s/path: must be an absolute path without NUL", at);
    if (realpath(text, ret) == NULL)
        return unresolved(text, roots, at, errno, reterr);
    if (!is_allowed(ret, roots, is_below))
        return forbidden(at, reterr);
    if (stat(ret, &st) != 0 || !S_ISREG(st.st_mode))
        return fault_set(reterr, ERR_MALFORMED, 0, "%s/path: not a regular file", at);
    return ERR_OK;
}
