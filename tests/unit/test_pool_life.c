/* How renderers come and go, and that nothing of theirs or the worker's is left behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>

#include "tests/unit/pool_help.h"

/* --- renderers come and go
 * --------------------------------------------------------------------- */

static void renderers_are_renewed_after_their_share(void **state)
{
    struct rig *r = *state;

    put_png(r->source, 64, 64);
    rig_open(r, (struct render_pool_options){.recycle_jobs = 2});
    for (int i = 0; i < 6; i++)
        expect_order(r, SMALL, TIMEOUT, ERR_OK, "");
    assert_int_equal(count_of(r, "millrace_renderers_retired_total", NULL), 3);
    assert_int_equal(count_of(r, "millrace_renderer_deaths_total", "cause=\"crash\""), 0);
}

static void renderers_that_have_grown_are_renewed(void **state)
{
    struct rig *r = *state;

    put_png(r->source, 64, 64);
    rig_open(r, (struct render_pool_options){.recycle_rss = 1 << 20});
    for (int i = 0; i < 3; i++)
        expect_order(r, SMALL, TIMEOUT, ERR_OK, "");
    assert_int_equal(count_of(r, "millrace_renderers_retired_total", NULL), 3);
}

static void what_an_earlier_run_left_is_removed(void **state)
{
    struct rig *r = *state;
    char path[128];

    (void)snprintf(path, sizeof path, "%s/r7", r->spool);
    assert_int_equal(mkdir(path, 0700), 0);
    (void)snprintf(path, sizeof path, "%s/r7/in", r->spool);
    assert_int_equal(mkdir(path, 0700), 0);
    (void)snprintf(path, sizeof path, "%s/r7/in/source", r->spool);
    put_file(path, SLICE_LIT("old"));
    (void)snprintf(path, sizeof path, "%s/out", r->spool);
    assert_int_equal(mkdir(path, 0700), 0);
    (void)snprintf(path, sizeof path, "%s/out/old", r->spool);
    put_file(path, SLICE_LIT("old"));
    rig_open(r, (struct render_pool_options){0}); /* tear_down sees whether it is gone */
}

/* --- the end of the worker
 * --------------------------------------------------------------------- */

static void run_pool_for_ever(struct rig *r)
{
    uv_loop_t loop;
    struct render_pool *pool;
    struct render_pool_options opt = {
        .program = r->program, .spool_dir = r->spool, .renderers = 1};

    if (uv_loop_init(&loop) != 0 || render_pool_new(&loop, &opt, &pool, NULL) != ERR_OK)
        _exit(1);
    render_pool_start(pool, NULL, NULL);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    _exit(0);
}

/* Waits until the process has two renderers, and gives a pidfd of one. */
static int find_renderer(pid_t worker)
{
    char path[64], line[128] = "";
    int first = 0, second = 0;

    (void)snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)worker, (int)worker);
    while (sscanf(line, "%d %d", &first, &second) != 2) {
        FILE *f = fopen(path, "r");

        if (f == NULL)
            return -1;
        if (fgets(line, sizeof line, f) == NULL)
            line[0] = '\0';
        (void)fclose(f);
    }
    return (int)syscall(SYS_pidfd_open, first, 0);
}

static void no_renderer_outlives_its_worker(void **state)
{
    struct rig *r = *state;
    struct pollfd p = {.events = POLLIN};
    pid_t worker = fork();

    assert_true(worker >= 0);
    if (worker == 0)
        run_pool_for_ever(r);
    p.fd = find_renderer(worker);
    assert_int_equal(kill(worker, SIGKILL), 0);
    assert_int_equal(waitpid(worker, NULL, 0), worker);
    if (p.fd < 0)
        skip();
    assert_int_equal(poll(&p, 1, PATIENCE * 1000), 1); /* it has ended */
    (void)close(p.fd);
}

/* Descriptors of a process, each of which must be a socket, /dev/null or one of its two
 * files of /proc. */
static bool check_descriptors(int pid)
{
    char dir[64], link[384], to[256];
    const struct dirent *e;
    unsigned n = 0;
    DIR *d;

    (void)snprintf(dir, sizeof dir, "/proc/%d/fd", pid);
    d = opendir(dir);
    if (d == NULL)
        return false; /* not root: the renderer does not let itself be looked into */
    while ((e = readdir(d)) != NULL) {
        ssize_t len;

        if (e->d_name[0] == '.')
            continue;
        (void)snprintf(link, sizeof link, "%s/%s", dir, e->d_name);
        len = readlink(link, to, sizeof to - 1);
        assert_true(len > 0);
        to[len] = '\0';
        if (strncmp(to, "socket:", 7) != 0 && strcmp(to, "/dev/null") != 0 &&
            strncmp(to, "/proc/", 6) != 0)
            fail_msg("descriptor %s is %s", e->d_name, to);
        n++;
    }
    (void)closedir(d);
    assert_true(n <= 5);
    return true;
}

static void a_renderer_holds_no_descriptor_of_the_worker(void **state)
{
    struct rig *r = *state;
    int leak =
        open("/etc/passwd", O_RDONLY); /* not close-on-exec, as a library might leave one */
    char path[64];
    int pid = 0;
    FILE *f;

    assert_true(leak > 2);
    put_png(r->source, 64, 64);
    rig_open(r, (struct render_pool_options){0});
    expect_order(r, SMALL, TIMEOUT, ERR_OK, "");
    while (gauge_of(r, "idle") < 2) /* one that starts still reads its fonts */
        (void)uv_run(&r->loop, UV_RUN_ONCE);
    (void)snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    f = fopen(path, "r");
    if (f == NULL || fscanf(f, "%d", &pid) != 1)
        fail_msg("no children in %s", path);
    (void)fclose(f);
    (void)close(leak);
    if (!check_descriptors(pid))
        skip();
}

/* --- many
 * -------------------------------------------------------------------------------------- */

/* Sources of every format, made by the pool itself. */
static void make_sources(struct rig *r, char paths[5][96])
{
    static const char *const formats[] = {"jpeg", "webp", "avif", "png"};
    struct ended d;

    put_png(r->source, 700, 500);
    for (int i = 0; i < 4; i++) {
        char outputs[64];

        (void)snprintf(outputs, sizeof outputs, "[{'name': 'a', 'format': '%s'}]", formats[i]);
        give_order(r, &d, outputs, TIMEOUT);
        wait_for(&d);
        assert_int_equal(d.err, ERR_OK);
        (void)snprintf(paths[i], 96, "%s/source.%s", r->dir, formats[i]);
        assert_int_equal(rename(d.outputs[0].path, paths[i]), 0);
        free(d.outputs[0].path);
    }
    (void)snprintf(paths[4], 96, "%s/source.gif", r->dir);
    put_file(paths[4], SLICE_LIT("GIF89a\1\0\1\0\x80\0\0\0\0\0\xff\xff\xff!\xf9\4\1\0\0\0\0,"
                                 "\0\0\0\0\1\0\1\0\0\2\2D\1\0;"));
}

static void five_hundred_orders_leave_nothing_behind(void **state)
{
    static const char *const outputs[] = {
        "[{'name': 'a', 'ops': [{'resize': {'width': 320}}], 'format': 'jpeg'}, {'name': 'b', "
        "'ops': [{'resize': {'width': 90}}], 'format': 'webp'}]",
        "[{'name': 'a', 'ops': [{'resize': {'width': 100, 'height': 100, 'fit': 'cover', "
        "'gravity': 'attention'}}], 'format': 'png'}]",
        "[{'name': 'a', 'ops': [{'resize': {'width': 200, 'height': 200, 'fit': 'contain'}}, "
        "{'sharpen': {}}], 'format': 'webp'}]",
        "[{'name': 'a', 'ops': [{'resize': {'width': 64}}], 'format': 'avif'}]",
    };
    struct rig *r = *state;
    char paths[5][96];
    uint64_t early = 0, late = 0;

    rig_open(r, (struct render_pool_options){0});
    make_sources(r, paths);
    for (int i = 0; i < 500; i++) {
        struct ended d;

        memcpy(r->source, paths[i % 5], sizeof r->source);
        give_order(r, &d, outputs[i % 4], TIMEOUT);
        wait_for(&d);
        if (d.err != ERR_OK)
            fail_msg("order %d: %s", i, d.why.text);
        if (i >= 40 && i < 140 && d.report.peak_rss > early)
            early = d.report.peak_rss;
        if (i >= 400 && d.report.peak_rss > late)
            late = d.report.peak_rss;
        drop(&d);
    }
    if (late > early + early / 5)
        fail_msg("peak of %llu KiB at first and %llu KiB at last",
                 (unsigned long long)early >> 10, (unsigned long long)late >> 10);
    assert_int_equal(count_of(r, "millrace_renderers_spawned_total", NULL), 2);
    assert_int_equal(count_entries(r->spool, "out"), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_set_up, rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(renderers_are_renewed_after_their_share),
        TEST(renderers_that_have_grown_are_renewed),
        TEST(what_an_earlier_run_left_is_removed),
        TEST(no_renderer_outlives_its_worker),
        TEST(a_renderer_holds_no_descriptor_of_the_worker),
        TEST(five_hundred_orders_leave_nothing_behind),
    };

    (void)signal(SIGPIPE, SIG_IGN);
    log_setup("test", LOG_OFF, LOG_FORMAT_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
