#include "worker/source_path.h"

#include <errno.h>
#include <limits.h>
#include <sys/stat.h>

static bool is_below(const char *path, struct slice root)
{
    char text[PATH_MAX], real[PATH_MAX];
    size_t n;

    if (root.len == 0 || !slice_to_cstr(root, text, sizeof text) ||
        realpath(text, real) == NULL)
        return false;
    n = strlen(real);
    if (n == 1 && real[0] == '/')
        return true;
    return strncmp(path, real, n) == 0 && path[n] == '/';
}

static bool is_allowed(const char *path, const char *roots)
{
    struct slice rest = slice_str(roots);

    while (rest.len > 0) {
        const char *colon = memchr(rest.ptr, ':', rest.len);
        size_t n = colon == NULL ? rest.len : (size_t)(colon - rest.ptr);

        if (is_below(path, slice_of(rest.ptr, n)))
            return true;
        n += colon != NULL;
        rest = slice_of(rest.ptr + n, rest.len - n);
    }
    return false;
}

enum err source_path_resolve(const char *roots, struct slice path, char *ret,
                             struct fault *reterr)
{
    char text[PATH_MAX];
    struct stat st;

    if (roots == NULL || roots[0] == '\0')
        return fault_set(
            reterr, ERR_FORBIDDEN, 0,
            "/args/source/path: sources by path are switched off (PATH_ROOTS is not set)");
    if (!slice_to_cstr(path, text, sizeof text) || text[0] != '/')
        return fault_set(reterr, ERR_MALFORMED, 0,
                         "/args/source/path: must be an absolute path without NUL");
    if (realpath(text, ret) == NULL)
        return fault_set(reterr, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, errno,
                         "/args/source/path: %s", err_errno(errno));
    if (!is_allowed(ret, roots))
        return fault_set(reterr, ERR_FORBIDDEN, 0,
                         "/args/source/path: not below one of PATH_ROOTS");
    if (stat(ret, &st) != 0 || !S_ISREG(st.st_mode))
        return fault_set(reterr, ERR_MALFORMED, 0, "/args/source/path: not a regular file");
    return ERR_OK;
}
