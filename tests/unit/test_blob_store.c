#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/failpoint.h"
#include "shared/hash.h"
#include "worker/blob_store.h"

struct rig {
    uv_loop_t loop;
    char dir[PATH_MAX - 200];
    unsigned called;
    enum err err;
    struct fault why;
};

static void on_stored(void *arg, enum err e, const struct fault *why)
{
    struct rig *r = arg;

    r->called++;
    r->err = e;
    assert_int_equal(why == NULL, e == ERR_OK);
    if (why != NULL)
        r->why = *why;
}

static int set_up(void **state)
{
    const char *tmp = getenv("TMPDIR");
    struct rig *r = calloc(1, sizeof *r);

    assert_non_null(r);
    (void)snprintf(r->dir, sizeof r->dir, "%s/blob-store-XXXXXX", tmp == NULL ? "/tmp" : tmp);
    assert_non_null(mkdtemp(r->dir));
    assert_int_equal(uv_loop_init(&r->loop), 0);
    *state = r;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *r = *state;

    failpoint_arm(NULL);
    assert_int_equal(rmdir(r->dir), 0); /* the tests leave nothing in it */
    assert_int_equal(uv_loop_close(&r->loop), 0);
    free(r);
    return 0;
}

static char *make_file(struct rig *r, const char *name, const char *content)
{
    char path[PATH_MAX];
    FILE *f;

    (void)snprintf(path, sizeof path, "%s/%s", r->dir, name);
    f = fopen(path, "we");
    assert_non_null(f);
    assert_int_equal(fputs(content, f) >= 0, 1);
    assert_int_equal(fclose(f), 0);
    return strdup(path);
}

static enum err store(struct rig *r, struct blob_item *items, size_t n)
{
    unsigned before = r->called;

    assert_int_equal(blob_store(&r->loop, r->dir, items, n, on_stored, r), ERR_OK);
    assert_int_equal(r->called, before); /* never from inside */
    assert_int_equal(uv_run(&r->loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(r->called, before + 1);
    return r->err;
}

/* Reads the blob, removes it and, if it was the last in it, its directory. */
static void take(struct rig *r, const struct blob_item *it, const char *want)
{
    char path[PATH_MAX], text[64] = "";
    struct stat st;
    FILE *f;

    (void)snprintf(path, sizeof path, "%s/%s", r->dir, it->name);
    f = fopen(path, "re");
    assert_non_null(f);
    assert_int_equal(fread(text, 1, sizeof text - 1, f), strlen(want));
    assert_int_equal(fclose(f), 0);
    assert_string_equal(text, want);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
    assert_int_equal(unlink(path), 0);
    *strrchr(path, '/') = '\0';
    (void)rmdir(path);
}

static void a_file_comes_to_the_name_of_its_content(void **state)
{
    struct rig *r = *state;
    struct blob_item it = {.path = make_file(r, "a", "abc"), .ext = "webp"};

    assert_int_equal(store(r, &it, 1), ERR_OK);
    assert_null(it.path);
    assert_int_equal(it.bytes, 3);
    assert_string_equal(
        it.name, "ba/ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad.webp");
    assert_memory_equal(it.sha256, "\xba\x78\x16\xbf", 4);
    take(r, &it, "abc");
}

static void equal_contents_are_one_file(void **state)
{
    struct rig *r = *state;
    struct blob_item items[3] = {{.path = make_file(r, "a", "same"), .ext = "png"},
                                 {.path = make_file(r, "b", "same"), .ext = "png"},
                                 {.path = make_file(r, "c", "same"), .ext = "jpg"}};
    struct blob_item again;

    assert_int_equal(store(r, items, 3), ERR_OK);
    assert_string_equal(items[0].name, items[1].name);
    assert_string_not_equal(items[0].name, items[2].name);
    again = (struct blob_item){.path = make_file(r, "d", "same"), .ext = "png"};
    assert_int_equal(store(r, &again, 1), ERR_OK);
    assert_string_equal(items[0].name, again.name);
    take(r, &again, "same");
    take(r, &items[2], "same");
}

static void set_old(const struct rig *r, const char *name)
{
    const struct timespec old[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
    char path[PATH_MAX];

    (void)snprintf(path, sizeof path, "%s/%s", r->dir, name);
    assert_int_equal(utimensat(AT_FDCWD, path, old, 0), 0);
}

static bool is_old(const struct rig *r, const char *name)
{
    char path[PATH_MAX];
    struct stat st;

    (void)snprintf(path, sizeof path, "%s/%s", r->dir, name);
    assert_int_equal(stat(path, &st), 0);
    return st.st_mtim.tv_sec == 1;
}

/* Else a sweep might take it before its row is there. */
static void what_is_stored_is_young_whatever_its_source_was(void **state)
{
    struct rig *r = *state;
    struct blob_item it = {.path = make_file(r, "a", "x"), .ext = "png"};

    set_old(r, "a");
    assert_int_equal(store(r, &it, 1), ERR_OK);
    assert_false(is_old(r, it.name));
    set_old(r, it.name);
    it.path = make_file(r, "b", "x");
    assert_int_equal(store(r, &it, 1), ERR_OK);
    assert_false(is_old(r, it.name));
    take(r, &it, "x");
}

static void what_is_not_stored_can_be_thrown_away(void **state)
{
    struct rig *r = *state;
    struct blob_item items[3] = {{.path = make_file(r, "a", "first"), .ext = "png"},
                                 {.path = make_file(r, "b", "second"), .ext = "png"},
                                 {.path = make_file(r, "c", "third"), .ext = "png"}};

    failpoint_arm("worker.store=2*error");
    assert_int_equal(store(r, items, 3), ERR_IO);
    assert_null(items[0].path);
    assert_non_null(items[1].path);
    assert_non_null(items[2].path);
    blob_items_discard(items, 3);
    for (size_t i = 0; i < 3; i++)
        assert_null(items[i].path);
    take(r, &items[0], "first");
}

static void a_file_or_directory_that_is_not_there_is_told(void **state)
{
    struct rig *r = *state;
    struct blob_item gone = {.path = make_file(r, "a", "x"), .ext = "png"};
    struct blob_item lost = {.path = make_file(r, "b", "y"), .ext = "png"};
    char there[sizeof r->dir];

    assert_int_equal(unlink(gone.path), 0);
    assert_int_equal(store(r, &gone, 1), ERR_IO);
    assert_non_null(strstr(r->why.text, gone.path));
    blob_items_discard(&gone, 1);
    (void)snprintf(there, sizeof there, "%s", r->dir);
    (void)snprintf(r->dir, sizeof r->dir, "%s/nowhere", there);
    assert_int_equal(store(r, &lost, 1), ERR_IO);
    (void)snprintf(r->dir, sizeof r->dir, "%s", there);
    assert_non_null(strstr(r->why.text, "nowhere"));
    blob_items_discard(&lost, 1);
}

static void nothing_at_all_is_stored_at_once(void **state)
{
    assert_int_equal(store(*state, NULL, 0), ERR_OK);
    blob_items_discard(NULL, 0);
}

static void uploads_lie_in_a_directory_of_their_own(void **state)
{
    char path[64];

    (void)state;
    assert_true(blob_upload_path("/b", "id", path, sizeof path));
    assert_string_equal(path, "/b/uploads/id");
    assert_false(blob_upload_path("/b", "id", path, strlen("/b/uploads/id")));
    assert_true(blob_upload_path("/b", "id", path, strlen("/b/uploads/id") + 1));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_file_comes_to_the_name_of_its_content),
        TEST(equal_contents_are_one_file),
        TEST(what_is_stored_is_young_whatever_its_source_was),
        TEST(what_is_not_stored_can_be_thrown_away),
        TEST(a_file_or_directory_that_is_not_there_is_told),
        TEST(nothing_at_all_is_stored_at_once),
        cmocka_unit_test(uploads_lie_in_a_directory_of_their_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
