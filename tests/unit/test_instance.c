#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "worker/instance.h"

struct rig {
    char dir[PATH_MAX - 400], spool[PATH_MAX - 200], blobs[PATH_MAX - 200];
    struct worker_options opt;
    struct instance in;
    struct fault why;
};

static char host_name[] = "h1", instance_name[] = "w", renderer[] = "/bin/true";

static int set_up(void **state)
{
    const char *tmp = getenv("TMPDIR");
    struct rig *r = calloc(1, sizeof *r);

    assert_non_null(r);
    (void)snprintf(r->dir, sizeof r->dir, "%s/instance-XXXXXX", tmp == NULL ? "/tmp" : tmp);
    assert_non_null(mkdtemp(r->dir));
    (void)snprintf(r->spool, sizeof r->spool, "%s/spool", r->dir);
    (void)snprintf(r->blobs, sizeof r->blobs, "%s/blobs", r->dir);
    r->opt = (struct worker_options){.host = host_name,
                                     .instance = instance_name,
                                     .spool_dir = r->spool,
                                     .blob_dir = r->blobs,
                                     .render_program = renderer};
    r->in.lock_fd = -1;
    *state = r;
    return 0;
}

static const char *below(const struct rig *r, const char *name)
{
    static char path[PATH_MAX];

    (void)snprintf(path, sizeof path, "%s/%s", r->dir, name);
    return path;
}

static int tear_down(void **state)
{
    static const char *const names[] = {
        "spool/dead/out", "spool/dead", "spool/v/out",   "spool/dead.lock",
        "spool/w/out",    "spool/w",    "spool/w.lock",  "spool/v.lock",
        "spool/v",        "spool",      "blobs/uploads", "blobs",
    };
    struct rig *r = *state;

    instance_close(&r->in);
    for (size_t i = 0; i < COUNT_OF(names); i++)
        (void)remove(below(r, names[i]));
    assert_int_equal(rmdir(r->dir), 0);
    free(r);
    return 0;
}

static bool is_there(const struct rig *r, const char *name)
{
    return access(below(r, name), F_OK) == 0;
}

static void put(const struct rig *r, const char *name)
{
    int fd = open(below(r, name), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    (void)close(fd);
}

static void put_dir(const struct rig *r, const char *name)
{
    assert_int_equal(mkdir(below(r, name), 0700), 0);
}

static void the_directories_are_made(void **state)
{
    struct rig *r = *state;

    assert_int_equal(instance_open(&r->opt, &r->in, &r->why), ERR_OK);
    assert_true(is_there(r, "spool/w") && is_there(r, "blobs/uploads"));
    assert_string_equal(r->in.host, "h1");
    assert_string_equal(r->in.name, "w");
    assert_string_equal(r->in.spool, below(r, "spool/w"));
    assert_string_equal(r->in.render_program, "/bin/true");
    assert_false(is_there(r, "blobs/.probe-w") || is_there(r, "spool/w/probe"));
}

static void a_name_is_taken_once(void **state)
{
    struct rig *r = *state;
    struct worker_options opt = r->opt;
    struct instance second;
    char other[] = "v";

    assert_int_equal(instance_open(&r->opt, &r->in, &r->why), ERR_OK);
    assert_int_equal(instance_open(&opt, &second, &r->why), ERR_BUSY);
    assert_non_null(strstr(r->why.text, "INSTANCE w"));
    opt.instance = other;
    assert_int_equal(instance_open(&opt, &second, &r->why), ERR_OK);
    instance_close(&second);
    instance_close(&r->in);
    instance_close(&r->in); /* harmless */
    assert_int_equal(instance_open(&r->opt, &r->in, &r->why), ERR_OK);
}

static void names_that_no_key_can_hold_are_refused(void **state)
{
    static const struct {
        const char *host, *instance, *key;
    } table[] = {
        {"h", "", "INSTANCE"},
        {"h", "a b", "INSTANCE"},
        {"h", "a:b", "INSTANCE"},
        {"h", "../x", "INSTANCE"},
        {"h", ".", "INSTANCE"},
        {"h", ".hidden", "INSTANCE"},
        {"h", "a/b", "INSTANCE"},
        {"h", "\xc3\xa4", "INSTANCE"},
        {"h", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "INSTANCE"},
        {"", "w", "HOST"},
        {"h:1", "w", "HOST"},
        {"h h", "w", "HOST"},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "w", "HOST"},
    };
    struct rig *r = *state;

    for (size_t i = 0; i < COUNT_OF(table); i++) {
        char host[80], instance[80];

        (void)snprintf(host, sizeof host, "%s", table[i].host);
        (void)snprintf(instance, sizeof instance, "%s", table[i].instance);
        r->opt.host = host;
        r->opt.instance = instance;
        if (instance_open(&r->opt, &r->in, &r->why) != ERR_MALFORMED ||
            strncmp(r->why.text, table[i].key, strlen(table[i].key)) != 0)
            fail_msg("row %zu: %s", i, r->why.text);
    }
    assert_false(is_there(r, "spool"));
}

static void places_that_cannot_be_used_are_named(void **state)
{
    struct rig *r = *state;
    char uploads[64], nowhere[] = "/proc/none/spool", shm[] = "/dev/shm/instance-XXXXXX";

    r->opt.spool_dir = nowhere;
    assert_int_equal(instance_open(&r->opt, &r->in, &r->why), ERR_IO);
    assert_non_null(strstr(r->why.text, "/proc/none/spool"));
    r->opt.spool_dir = r->spool;
    assert_non_null(mkdtemp(shm));
    r->opt.blob_dir = shm;
    assert_int_equal(instance_open(&r->opt, &r->in, &r->why), ERR_MALFORMED);
    assert_non_null(strstr(r->why.text, "one file system"));
    (void)snprintf(uploads, sizeof uploads, "%s/uploads", shm);
    assert_int_equal(rmdir(uploads), 0);
    assert_int_equal(rmdir(shm), 0);
    r->opt.blob_dir = r->blobs;
    r->opt.render_program = NULL; /* none lies beside this test */
    assert_int_equal(instance_open(&r->opt, &r->in, &r->why), ERR_NOT_FOUND);
    assert_non_null(strstr(r->why.text, "RENDER_PROGRAM"));
    assert_int_equal(r->in.lock_fd, -1);
}

static void what_the_dead_left_is_removed(void **state)
{
    struct rig *r = *state;

    put_dir(r, "spool");
    put_dir(r, "spool/dead");
    put_dir(r, "spool/dead/out");
    put(r, "spool/dead/out/stray");
    put_dir(r, "spool/dead/r0");
    put_dir(r, "spool/dead/r0/in");
    put(r, "spool/dead/r0/in/source");
    assert_int_equal(instance_open(&r->opt, &r->in, &r->why), ERR_OK);
    assert_false(is_there(r, "spool/dead/out/stray") || is_there(r, "spool/dead/r0"));
    put(r, "spool/dead/out/stray");
    instance_sweep(&r->in, "h2:dead:1234");
    instance_sweep(&r->in, "h1:");
    instance_sweep(&r->in, "h1:dead");
    instance_sweep(&r->in, "h1:../dead:1");
    instance_sweep(&r->in, "h1:nobody:1");
    instance_sweep(&r->in, "h");
    assert_true(is_there(r, "spool/dead/out/stray"));
    instance_sweep(&r->in, "h1:dead:1234");
    assert_false(is_there(r, "spool/dead/out/stray"));
}

static void what_the_living_have_is_left_alone(void **state)
{
    struct rig *r = *state;
    struct worker_options opt = r->opt;
    struct instance other;
    char name[] = "v";

    assert_int_equal(instance_open(&r->opt, &r->in, &r->why), ERR_OK);
    put_dir(r, "spool/w/out");
    put(r, "spool/w/out/mine");
    opt.instance = name;
    assert_int_equal(instance_open(&opt, &other, &r->why), ERR_OK);
    instance_sweep(&other, "h1:w:1");
    instance_sweep(&r->in, "h1:w:1"); /* itself */
    assert_true(is_there(r, "spool/w/out/mine"));
    instance_close(&other);
    assert_true(is_there(r, "spool/v"));
    (void)unlink(below(r, "spool/w/out/mine"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(the_directories_are_made),
        TEST(a_name_is_taken_once),
        TEST(names_that_no_key_can_hold_are_refused),
        TEST(places_that_cannot_be_used_are_named),
        TEST(what_the_dead_left_is_removed),
        TEST(what_the_living_have_is_left_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
