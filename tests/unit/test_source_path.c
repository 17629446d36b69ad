#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "worker/source_path.h"

/* dir/open/file, dir/open/sub/file, dir/closed/file, dir/opener, and links. */
struct tree {
    char dir[PATH_MAX - 300], roots[2 * PATH_MAX];
};

static void make_file(const struct tree *t, const char *name)
{
    char path[PATH_MAX];
    int fd;

    (void)snprintf(path, sizeof path, "%s/%s", t->dir, name);
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    (void)close(fd);
}

static void make_dir(const struct tree *t, const char *name)
{
    char path[PATH_MAX];

    (void)snprintf(path, sizeof path, "%s/%s", t->dir, name);
    assert_int_equal(mkdir(path, 0700), 0);
}

static void make_link(const struct tree *t, const char *name, const char *target)
{
    char path[PATH_MAX];

    (void)snprintf(path, sizeof path, "%s/%s", t->dir, name);
    assert_int_equal(symlink(target, path), 0);
}

static const char *const names[] = {
    "link/file", /* not its own: gone with open */
    "open/pipe", "open/out",  "open/in", "open/loop",   "open/gone", "open/up", "open/sub/file",
    "open/sub",  "open/file", "open",    "closed/file", "closed",    "opener",  "link",
};

static int set_up(void **state)
{
    const char *tmp = getenv("TMPDIR");
    struct tree *t = calloc(1, sizeof *t);
    char path[PATH_MAX];

    assert_non_null(t);
    (void)snprintf(path, sizeof path, "%s/source-path-XXXXXX", tmp == NULL ? "/tmp" : tmp);
    assert_non_null(mkdtemp(path));
    assert_non_null(realpath(path, t->dir));
    make_dir(t, "open");
    make_dir(t, "open/sub");
    make_dir(t, "closed");
    make_file(t, "open/file");
    make_file(t, "open/sub/file");
    make_file(t, "closed/file");
    make_file(t, "opener");
    make_link(t, "open/out", "../closed/file");
    make_link(t, "open/in", "sub/file");
    make_link(t, "open/loop", "loop");
    make_link(t, "open/gone", "nothing");
    make_link(t, "open/up", "../closed");
    make_link(t, "link", "open");
    (void)snprintf(path, sizeof path, "%s/open/pipe", t->dir);
    assert_int_equal(mkfifo(path, 0600), 0);
    *state = t;
    return 0;
}

static int tear_down(void **state)
{
    struct tree *t = *state;

    for (size_t i = 0; i < COUNT_OF(names); i++) {
        char path[PATH_MAX];

        (void)snprintf(path, sizeof path, "%s/%s", t->dir, names[i]);
        (void)remove(path);
    }
    assert_int_equal(rmdir(t->dir), 0);
    free(t);
    return 0;
}

struct row {
    const char *roots, *path; /* @ stands for the directory */
    enum err want;
    const char *resolved;
};

static void expand(const struct tree *t, const char *text, char *dst, size_t cap)
{
    size_t n = 0;

    for (; *text != '\0' && n + 1 < cap; text++)
        n += (size_t)snprintf(dst + n, cap - n, *text == '@' ? "%s" : "%.1s",
                              *text == '@' ? t->dir : text);
    dst[n] = '\0';
}

static void check(struct tree *t, const struct row *row)
{
    char path[PATH_MAX], want[PATH_MAX], got[PATH_MAX] = "";
    struct fault why = {.text = ""};
    enum err e;

    expand(t, row->path, path, sizeof path);
    if (row->roots != NULL)
        expand(t, row->roots, t->roots, sizeof t->roots);
    e = source_path_resolve(row->roots == NULL ? NULL : t->roots, slice_str(path), "/args/x",
                            got, &why);
    if (e != row->want)
        fail_msg("%s in %s: %s %s", row->path, row->roots, err_name(e), why.text);
    if (e != ERR_OK) {
        if (strncmp(why.text, "/args/x/path: ", 14) != 0)
            fail_msg("%s: %s", row->path, why.text);
        return;
    }
    expand(t, row->resolved, want, sizeof want);
    assert_string_equal(got, want);
}

static void a_path_is_resolved_before_it_is_judged(void **state)
{
    static const struct row table[] = {
        {"@/open", "@/open/file", ERR_OK, "@/open/file"},
        {"@/open/", "@/open/file", ERR_OK, "@/open/file"},
        {"@/open", "@/open/sub/file", ERR_OK, "@/open/sub/file"},
        {"@/open", "@/open//sub/../file", ERR_OK, "@/open/file"},
        {"@/open", "@/open/in", ERR_OK, "@/open/sub/file"},
        {"@/open", "@/link/file", ERR_OK, "@/open/file"},
        {"@/link", "@/open/file", ERR_OK, "@/open/file"},
        {"@/link", "@/link/file", ERR_OK, "@/open/file"},
        {"@/closed:@/open", "@/open/file", ERR_OK, "@/open/file"},
        {":@/nowhere::@/open:", "@/open/file", ERR_OK, "@/open/file"},
        {"/", "@/open/file", ERR_OK, "@/open/file"},
        {"@/open", "@/open/out", ERR_FORBIDDEN, NULL},
        {"@/open", "@/open/up/file", ERR_FORBIDDEN, NULL},
        {"@/open", "@/open/../closed/file", ERR_FORBIDDEN, NULL},
        {"@/open", "@/closed/file", ERR_FORBIDDEN, NULL},
        {"@/open", "@/opener", ERR_FORBIDDEN, NULL},
        {"@/open", "@/open", ERR_FORBIDDEN, NULL},
        {"@/nowhere", "@/open/file", ERR_FORBIDDEN, NULL},
        {":", "@/open/file", ERR_FORBIDDEN, NULL},
        {"", "@/open/file", ERR_FORBIDDEN, NULL},
        {NULL, "@/open/file", ERR_FORBIDDEN, NULL},
        {"@/open", "@/open/sub", ERR_MALFORMED, NULL},
        {"@/open", "@/open/pipe", ERR_MALFORMED, NULL},
        {"@/open", "@/open/loop", ERR_MALFORMED, NULL},
        {"@/open", "open/file", ERR_MALFORMED, NULL},
        {"@/open", "", ERR_MALFORMED, NULL},
    };

    for (size_t i = 0; i < COUNT_OF(table); i++)
        check(*state, &table[i]);
}

static void whether_a_file_exists_is_told_inside_the_roots_only(void **state)
{
    static const struct row table[] = {
        {"@/open", "@/open/nothing", ERR_NOT_FOUND, NULL},
        {"@/open", "@/open/gone", ERR_NOT_FOUND, NULL},
        {"@/open", "@/open/file/below", ERR_NOT_FOUND, NULL},
        {"/", "@/nothing", ERR_NOT_FOUND, NULL},
        {"@/open", "@/closed/nothing", ERR_FORBIDDEN, NULL},
        {"@/open", "@/open/../closed/nothing", ERR_FORBIDDEN, NULL},
        {"@/open", "@/openest", ERR_FORBIDDEN, NULL},
        {"@/open", "/etc/no-such-file", ERR_FORBIDDEN, NULL},
        {"@/open", "/no/such/directory", ERR_FORBIDDEN, NULL},
    };

    for (size_t i = 0; i < COUNT_OF(table); i++)
        check(*state, &table[i]);
}

static void names_that_no_file_can_have(void **state)
{
    struct tree *t = *state;
    char got[PATH_MAX], path[PATH_MAX + 100], name[300];
    struct fault why;

    (void)snprintf(t->roots, sizeof t->roots, "%s/open", t->dir);
    memset(path, 'a', sizeof path);
    path[0] = '/';
    assert_int_equal(
        source_path_resolve(t->roots, slice_of(path, sizeof path), "/args/x", got, &why),
        ERR_MALFORMED);
    assert_int_equal(source_path_resolve(t->roots, SLICE_LIT("/a\0b"), "/args/x", got, &why),
                     ERR_MALFORMED);
    memset(name, 'n', sizeof name);
    (void)snprintf(path, sizeof path, "%s/%.*s", t->roots, (int)sizeof name, name);
    assert_int_equal(source_path_resolve(t->roots, slice_str(path), "/args/x", got, &why),
                     ERR_MALFORMED);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_path_is_resolved_before_it_is_judged),
        TEST(whether_a_file_exists_is_told_inside_the_roots_only),
        TEST(names_that_no_file_can_have),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
