#include "worker/render/child/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* --- limits -------------------------------------------------------------------------------- */

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SHADOW_MEMORY 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SHADOW_MEMORY 1
#endif

#define FILES_MAX 64

static enum err limit(__rlimit_resource_t what, uint64_t value, const char *name,
                      struct fault *reterr)
{
    struct rlimit r = {.rlim_cur = value, .rlim_max = value};

    if (setrlimit(what, &r) != 0)
        return fault_set(reterr, ERR_INTERNAL, errno, "setrlimit %s: %s", name,
                         err_errno(errno));
    return ERR_OK;
}

enum err sandbox_limits(const struct sandbox_limits *limits, struct fault *reterr)
{
    enum err e = limit(RLIMIT_CORE, 0, "core", reterr);

    if (e == ERR_OK)
        e = limit(RLIMIT_NOFILE, FILES_MAX, "nofile", reterr);
    if (e == ERR_OK)
        e = limit(RLIMIT_FSIZE, limits->file_bytes, "fsize", reterr);
#ifndef SHADOW_MEMORY
    if (e == ERR_OK && limits->memory_bytes > 0)
        e = limit(RLIMIT_AS, limits->memory_bytes, "as", reterr);
#endif
    return e;
}

/* --- files: Landlock ------------------------------------------------------------------------- */

/* Debian 12's header knows the first ABI only, and running kernels know more; so the numbers
 * stand here (Documentation/userspace-api/landlock.rst). */
#define FS_EXECUTE             (1ull << 0)
#define FS_WRITE_FILE          (1ull << 1)
#define FS_READ_FILE           (1ull << 2)
#define FS_READ_DIR            (1ull << 3)
#define FS_REMOVE_FILE         (1ull << 5)
#define FS_MAKE_REG            (1ull << 8)
#define FS_ALL_ABI1            ((1ull << 13) - 1)
#define FS_REFER               (1ull << 13) /* ABI 2 */
#define FS_TRUNCATE            (1ull << 14) /* ABI 3 */
#define FS_IOCTL_DEV           (1ull << 15) /* ABI 5 */
#define NET_ALL                3ull         /* ABI 4: bind and connect of TCP */
#define SCOPE_ALL              3ull         /* ABI 6: abstract unix sockets, signals */

#define CREATE_RULESET_VERSION 1u
#define RULE_PATH_BENEATH      1

struct ruleset_attr {
    uint64_t fs, net, scoped;
};
struct path_attr {
    uint64_t allowed;
    int32_t parent_fd;
} __attribute__((packed));

static uint64_t fs_rights(uint32_t abi)
{
    return FS_ALL_ABI1 | (abi >= 2 ? FS_REFER : 0) | (abi >= 3 ? FS_TRUNCATE : 0) |
           (abi >= 5 ? FS_IOCTL_DEV : 0);
}

static enum err allow_below(int ruleset, const char *dir, const char *name, uint64_t rights,
                            struct fault *reterr)
{
    char path[4096];
    struct path_attr attr = {.allowed = rights};
    int rc, err;

    if (snprintf(path, sizeof path, "%s/%s", dir, name) >= (int)sizeof path)
        return fault_set(reterr, ERR_TOO_BIG, 0, "path of the sandbox is too long");
    attr.parent_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (attr.parent_fd < 0)
        return fault_set(reterr, ERR_IO, errno, "open %s: %s", path, err_errno(errno));
    rc = (int)syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &attr, 0);
    err = errno;
    (void)close(attr.parent_fd);
    if (rc != 0)
        return fault_set(reterr, ERR_INTERNAL, err, "landlock rule for %s: %s", path,
                         err_errno(err));
    return ERR_OK;
}

/* What text is drawn with. A directory that is not there is none. */
static void allow_fonts(int ruleset, const char *more)
{
    static const char *const dirs[] = {"/etc/fonts", "/usr/share/fonts",
                                       "/usr/local/share/fonts", "/usr/share/fontconfig",
                                       "/var/cache/fontconfig"};

    for (size_t i = 0; i < COUNT_OF(dirs); i++)
        (void)allow_below(ruleset, dirs[i], ".", FS_READ_FILE | FS_READ_DIR, NULL);
    if (more[0] != '\0')
        (void)allow_below(ruleset, more, ".", FS_READ_FILE | FS_READ_DIR, NULL);
}

static enum err restrict_files(int ruleset, const char *dir, const char *fonts,
                               uint64_t handled, struct fault *reterr)
{
    uint64_t out =
        (FS_READ_FILE | FS_WRITE_FILE | FS_MAKE_REG | FS_REMOVE_FILE | FS_TRUNCATE) & handled;
    enum err e = allow_below(ruleset, dir, "in", FS_READ_FILE, reterr);

    if (e == ERR_OK)
        e = allow_below(ruleset, dir, "out", out, reterr);
    if (e == ERR_OK)
        allow_fonts(ruleset, fonts);
    if (e == ERR_OK && syscall(SYS_landlock_restrict_self, ruleset, 0) != 0)
        e = fault_set(reterr, ERR_INTERNAL, errno, "landlock: %s", err_errno(errno));
    return e;
}

enum err sandbox_files(const char *dir, const char *fonts, uint32_t *ret_abi,
                       struct fault *reterr)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_RULESET_VERSION);
    struct ruleset_attr attr = {0};
    int ruleset;
    enum err e;

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return fault_set(reterr, ERR_INTERNAL, errno, "no_new_privs: %s", err_errno(errno));
    *ret_abi = abi > 0 ? (uint32_t)abi : 0;
    if (abi <= 0)
        return ERR_OK;
    attr.fs = fs_rights(*ret_abi);
    attr.net = abi >= 4 ? NET_ALL : 0;
    attr.scoped = abi >= 6 ? SCOPE_ALL : 0;
    /* An older kernel takes the longer struct as long as what it does not know is zero. */
    ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr, 0);
    if (ruleset < 0)
        return fault_set(reterr, ERR_INTERNAL, errno, "landlock ruleset: %s", err_errno(errno));
    e = restrict_files(ruleset, dir, fonts, attr.fs, reterr);
    (void)close(ruleset);
    return e;
}
