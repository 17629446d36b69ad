/* Old files below the blob directory, in every order in which a sweep and a job can meet. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "queue/blob_files.h"
#include "tests/unit/blob_rig.h"

#define OLD   (GRACE_S + 10)
#define SWEPT ".swept"

static blob_dir dir;
static char name[80], aside[80 + sizeof SWEPT];

static int set_up(void **state)
{
    (void)state;
    servers_dir_make(dir);
    (void)blob_name(12, name);
    (void)snprintf(aside, sizeof aside, "%s" SWEPT, name);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    servers_dir_remove(dir);
    return 0;
}

static struct blob_walk begin(void)
{
    return (struct blob_walk){.dir = dir, .grace_ms = (uint64_t)GRACE_S * 1000};
}

static size_t find(struct blob_walk *w, struct blob_file *ret, size_t cap)
{
    size_t n;

    assert_int_equal(blob_walk_next(w, ret, cap, &n, NULL), ERR_OK);
    return n;
}

/* Looks, finds that file alone, old. */
static struct blob_file found(struct blob_walk *w)
{
    struct blob_file f[2];

    *w = begin();
    assert_int_equal(find(w, f, 2), 1);
    assert_string_equal(f[0].name, name);
    blob_walk_done(w);
    return f[0];
}

/* An old file, looked at and set aside: what happens to it now is up to the test. */
static struct blob_file old_one_aside(struct blob_walk *w)
{
    struct blob_file f;

    blob_put(dir, name, OLD);
    f = found(w);
    blob_set_aside(w, &f);
    return f;
}

static void an_old_file_is_set_aside_and_removed(void **state)
{
    struct blob_walk w;
    struct blob_file f;

    (void)state;
    blob_put(dir, name, OLD);
    f = found(&w);
    assert_false(f.aside);
    assert_int_equal(f.bytes, 4);
    assert_int_equal(f.sha256[0], 12);
    assert_int_equal(f.sha256[31], 12);
    blob_set_aside(&w, &f);
    assert_true(f.aside && f.ours);
    assert_true(blob_is_there(dir, aside) && !blob_is_there(dir, name));
    assert_int_equal(blob_remove(&w, &f), BLOB_REMOVED);
    assert_false(blob_is_there(dir, aside) || blob_is_there(dir, name));
}

static void what_is_young_or_not_ours_is_not_found(void **state)
{
    static const char *const others[] = {
        /* clang-format off */
        "0c/readme.txt",
        "0c/0c.webp",
        "0c/0c0000000000000000000000000000000000000000000000000000000000000.webp",
        "0c/0c0000000000000000000000000000000000000000000000000000000000000000.webp",
        "0c/0c0000000000000000000000000000000000000000000000000000000000000C.webp",
        "0c/0d0000000000000000000000000000000000000000000000000000000000000c.webp",
        "0c/0c00000000000000000000000000000000000000000000000000000000000000",
        "0c/0c00000000000000000000000000000000000000000000000000000000000000.",
        "0c/0c00000000000000000000000000000000000000000000000000000000000001.web/",
        "0c/0c00000000000000000000000000000000000000000000000000000000000000.wEbp",
        "0c/0c00000000000000000000000000000000000000000000000000000000000000.swept",
        "0c/0c00000000000000000000000000000000000000000000000000000000000000.webpwebpw",
        "uploads/0c00000000000000000000000000000000000000000000000000000000000000.webp",
        "xx/0c00000000000000000000000000000000000000000000000000000000000000.webp",
        /* clang-format on */
    };
    struct blob_walk w = begin();
    struct blob_file f[4];

    (void)state;
    blob_put(dir, name, GRACE_S - 60);
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        char path[PATH_MAX], *slash = strrchr(blob_path(dir, others[i], path), '/');
        size_t len = (size_t)(slash - path);

        (void)snprintf(path + len, 1, "%s", "");
        (void)mkdir(path, 0750);
        if (others[i][strlen(others[i]) - 1] != '/')
            (void)close(
                open(blob_path(dir, others[i], path), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
        blob_set_age(dir, others[i], OLD);
    }
    while (!w.over)
        assert_int_equal(find(&w, f, 4), 0);
    blob_walk_done(&w);
    assert_true(w.looked >= COUNT_OF(others) - 2);
}

static void a_walk_comes_to_every_file_page_by_page(void **state)
{
    struct blob_walk w = begin();
    struct blob_file f[7];
    size_t n = 0, calls = 0;

    (void)state;
    for (unsigned i = 0; i < 600; i++)
        blob_put_number(dir, i, OLD);
    for (; !w.over; calls++)
        n += find(&w, f, COUNT_OF(f));
    blob_walk_done(&w);
    assert_int_equal(n, 600);
    assert_true(calls >= 600 / COUNT_OF(f));
    assert_true(w.looked >= 600);
}

static void one_call_looks_at_so_many_entries(void **state)
{
    struct blob_walk w = begin();
    struct blob_file f[1];

    (void)state;
    for (unsigned i = 0; i < BLOB_LOOKS_MAX + 10; i++)
        blob_put_number(dir, i * 256, 0);
    assert_int_equal(find(&w, f, 1), 0);
    assert_false(w.over);
    assert_int_equal(find(&w, f, 1), 0);
    assert_true(w.over);
    blob_walk_done(&w);
}

/* --- a job comes in between ----------------------------------------------------------------------- */

static void what_became_young_after_the_look_stays(void **state)
{
    struct blob_walk w;
    struct blob_file f;

    (void)state;
    blob_put(dir, name, OLD);
    f = found(&w);
    blob_set_age(dir, name, 0);
    blob_set_aside(&w, &f);
    assert_false(f.aside);
    assert_true(blob_is_there(dir, name));
}

static void what_became_young_just_before_it_was_set_aside_goes_back(void **state)
{
    struct blob_walk w;
    struct blob_file f = old_one_aside(&w);

    (void)state;
    blob_set_age(dir, aside, 0); /* as if between the last look and the rename */
    assert_int_equal(blob_remove(&w, &f), BLOB_PUT_BACK);
    assert_true(blob_is_there(dir, name) && blob_is_young(dir, name));
    assert_false(blob_is_there(dir, aside));
}

static void what_was_stored_anew_while_it_was_aside_stays(void **state)
{
    struct blob_walk w;
    struct blob_file f = old_one_aside(&w);

    (void)state;
    blob_put(dir, name, 0);
    assert_int_equal(blob_remove(&w, &f), BLOB_REMOVED);
    assert_true(blob_is_there(dir, name) && blob_is_young(dir, name));
    assert_false(blob_is_there(dir, aside));
}

static void what_got_its_row_while_it_was_aside_goes_back_young(void **state)
{
    struct blob_walk w;
    struct blob_file f = old_one_aside(&w);

    (void)state;
    f.wanted = true;
    blob_put(dir, name,
             0); /* perhaps by somebody whose row comes later: that one's must stay young */
    assert_int_equal(blob_remove(&w, &f), BLOB_PUT_BACK);
    assert_true(blob_is_young(dir, name));
    assert_false(blob_is_there(dir, aside));
}

static void what_a_dead_sweep_left_aside_is_found_at_any_age(void **state)
{
    struct blob_walk w;
    struct blob_file f;

    (void)state;
    blob_put(dir, aside, 0);
    f = found(&w);
    assert_true(f.aside && !f.ours);
    assert_int_equal(blob_remove(&w, &f), BLOB_PUT_BACK);
    blob_set_age(dir, name, OLD);
    f = found(&w);
    blob_set_aside(&w, &f);
    f = found(&w);
    assert_true(f.aside && !f.ours);
    assert_int_equal(blob_remove(&w, &f), BLOB_REMOVED);
    assert_int_equal(blob_remove(&w, &f), BLOB_LEFT); /* another sweep was faster */
}

static void a_directory_that_cannot_be_read_is_told(void **state)
{
    struct blob_walk w = {.dir = "/nowhere/at/all", .grace_ms = 1};
    struct blob_file f[1];
    struct fault why;
    size_t n;

    (void)state;
    assert_int_equal(blob_walk_next(&w, f, 1, &n, &why), ERR_IO);
    assert_non_null(strstr(why.text, "/nowhere/at/all"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(an_old_file_is_set_aside_and_removed),
        TEST(what_is_young_or_not_ours_is_not_found),
        TEST(a_walk_comes_to_every_file_page_by_page),
        TEST(one_call_looks_at_so_many_entries),
        TEST(what_became_young_after_the_look_stays),
        TEST(what_became_young_just_before_it_was_set_aside_goes_back),
        TEST(what_was_stored_anew_while_it_was_aside_stays),
        TEST(what_got_its_row_while_it_was_aside_goes_back_young),
        TEST(what_a_dead_sweep_left_aside_is_found_at_any_age),
        TEST(a_directory_that_cannot_be_read_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
