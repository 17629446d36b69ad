/* Uploads that are copied: whole and named, or not there at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/upload.h"
#include "tests/unit/servers.h"

struct world {
    char dir[SERVERS_DIR_SIZE];
    char blobs[SERVERS_DIR_SIZE + 8], from[SERVERS_DIR_SIZE + 8], uploads[PATH_MAX / 2];
    struct uuid id;
    char copy[PATH_MAX];
};

static int begin(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    char id[UUID_TEXT_SIZE];

    assert_non_null(w);
    servers_dir_make(w->dir);
    w->id = uuid_v7();
    servers_format(w->blobs, sizeof w->blobs, "%s/blobs", w->dir);
    servers_format(w->from, sizeof w->from, "%s/from", w->dir);
    servers_format(w->uploads, sizeof w->uploads, "%s/uploads", w->blobs);
    servers_format(w->copy, sizeof w->copy, "%s/%s", w->uploads, uuid_text(&w->id, id));
    assert_int_equal(mkdir(w->blobs, 0750), 0);
    *state = w;
    return 0;
}

static int end(void **state)
{
    struct world *w = *state;

    servers_dir_remove(w->dir);
    free(w);
    return 0;
}

static void write_file(const char *path, size_t len)
{
    FILE *f = fopen(path, "we");

    assert_non_null(f);
    for (size_t i = 0; i < len; i++)
        assert_int_not_equal(fputc((int)(i * 7 % 251), f), EOF);
    assert_int_equal(fclose(f), 0);
}

static void assert_same(const char *path, size_t len)
{
    FILE *f = fopen(path, "re");

    assert_non_null(f);
    for (size_t i = 0; i < len; i++)
        assert_int_equal(fgetc(f), (int)(i * 7 % 251));
    assert_int_equal(fgetc(f), EOF);
    (void)fclose(f);
}

static size_t count_uploads(const struct world *w)
{
    DIR *d = opendir(w->uploads);
    size_t n = 0;

    assert_non_null(d);
    for (const struct dirent *entry; (entry = readdir(d)) != NULL;)
        n += entry->d_name[0] != '.';
    (void)closedir(d);
    return n;
}

static void a_copy_has_every_byte_and_its_name_and_leaves_no_part(void **state)
{
    struct world *w = *state;
    struct fault why;
    struct stat st;

    write_file(w->from, 700001);
    assert_int_equal(upload_copy(w->from, w->blobs, &w->id, &why), ERR_OK);
    assert_same(w->copy, 700001);
    assert_int_equal(count_uploads(w), 1);
    assert_int_equal(stat(w->copy, &st), 0);
    assert_int_equal(st.st_mode & 0777 & ~0640u, 0);
    upload_remove(w->blobs, &w->id);
    assert_int_equal(count_uploads(w), 0);
}

static void what_belongs_to_root_is_given_to_the_owner_of_the_blobs(void **state)
{
    struct world *w = *state;
    struct fault why;
    struct stat st;

    if (geteuid() != 0)
        skip();
    write_file(w->from, 10);
    assert_int_equal(chown(w->blobs, 12345, 54321), 0);
    assert_int_equal(upload_copy(w->from, w->blobs, &w->id, &why), ERR_OK);
    assert_int_equal(stat(w->copy, &st), 0);
    assert_true(st.st_uid == 12345 && st.st_gid == 54321);
    assert_int_equal(stat(w->uploads, &st), 0);
    assert_true(st.st_uid == 12345 && st.st_gid == 54321);
}

static void a_copy_that_fails_names_the_file_and_leaves_nothing(void **state)
{
    struct world *w = *state;
    struct fault why;

    write_file(w->from, 1);
    assert_int_equal(upload_copy(w->from, "/nonexistent", &w->id, &why), ERR_IO);
    assert_non_null(strstr(why.text, "/nonexistent/uploads"));
    assert_int_equal(upload_copy("/nonexistent", w->blobs, &w->id, &why), ERR_IO);
    assert_non_null(strstr(why.text, "open /nonexistent: No such file"));
    assert_int_equal(upload_copy(w->blobs, w->blobs, &w->id, &why), ERR_MALFORMED);
    assert_non_null(strstr(why.text, "is a directory"));
    write_file(w->from, 0);
    assert_int_equal(upload_copy(w->from, w->blobs, &w->id, &why), ERR_MALFORMED);
    assert_non_null(strstr(why.text, "is empty"));
    assert_int_equal(count_uploads(w), 0);
}

static void an_upload_that_is_there_is_not_overwritten_while_it_is_written(void **state)
{
    struct world *w = *state;
    struct fault why;
    char part[PATH_MAX + 8];

    write_file(w->from, 10);
    assert_int_equal(mkdir(w->uploads, 0750), 0);
    servers_format(part, sizeof part, "%s.part", w->copy);
    write_file(part, 3);
    assert_int_equal(upload_copy(w->from, w->blobs, &w->id, &why), ERR_IO);
    assert_non_null(strstr(why.text, "File exists"));
    assert_same(part, 3);
}

static void a_path_that_is_too_long_is_refused(void **state)
{
    struct world *w = *state;
    char *path = calloc(1, PATH_MAX);
    struct fault why;

    assert_non_null(path);
    memset(path, 'a', PATH_MAX - 40);
    assert_int_equal(upload_copy(w->from, path, &w->id, &why), ERR_MALFORMED);
    assert_string_equal(why.text, "BLOB_DIR: path too long");
    free(path);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_copy_has_every_byte_and_its_name_and_leaves_no_part),
        TEST(what_belongs_to_root_is_given_to_the_owner_of_the_blobs),
        TEST(a_copy_that_fails_names_the_file_and_leaves_nothing),
        TEST(an_upload_that_is_there_is_not_overwritten_while_it_is_written),
        TEST(a_path_that_is_too_long_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
