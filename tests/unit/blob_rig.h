/* blob_rig: a blob directory with files of chosen ages. Include after cmocka.h. A header alone, as pg_rig.h is. */
#ifndef TESTS_UNIT_BLOB_RIG_H
#define TESTS_UNIT_BLOB_RIG_H

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/servers.h"

#define GRACE_S 3600

typedef char blob_dir[SERVERS_DIR_SIZE];

/* The file of that number: "0c/0c00…<number>.webp". */
static inline const char *blob_name(unsigned number, char dst[80])
{
    (void)snprintf(dst, 80, "%02x/%02x%062x.webp", number % 256, number % 256, number);
    return dst;
}

static inline const char *blob_path(const char *dir, const char *name, char dst[PATH_MAX])
{
    (void)snprintf(dst, PATH_MAX, "%s/%s", dir, name);
    return dst;
}

static inline void blob_set_age(const char *dir, const char *name, time_t age_s)
{
    char path[PATH_MAX];
    const struct timespec at = {.tv_sec = time(NULL) - age_s}, times[2] = {at, at};

    assert_int_equal(utimensat(AT_FDCWD, blob_path(dir, name, path), times, 0), 0);
}

static inline void blob_put(const char *dir, const char *name, time_t age_s)
{
    char path[PATH_MAX], below[PATH_MAX];
    FILE *f;

    (void)snprintf(below, sizeof below, "%s/%.2s", dir, name);
    (void)mkdir(below, 0750);
    f = fopen(blob_path(dir, name, path), "we");
    assert_non_null(f);
    assert_int_equal(fputs("four", f) >= 0, 1);
    assert_int_equal(fclose(f), 0);
    blob_set_age(dir, name, age_s);
}

static inline void blob_put_number(const char *dir, unsigned number, time_t age_s)
{
    char name[80];

    blob_put(dir, blob_name(number, name), age_s);
}

static inline bool blob_is_there(const char *dir, const char *name)
{
    char path[PATH_MAX];

    return access(blob_path(dir, name, path), F_OK) == 0;
}

static inline bool blob_is_young(const char *dir, const char *name)
{
    char path[PATH_MAX];
    struct stat st;

    assert_int_equal(stat(blob_path(dir, name, path), &st), 0);
    return time(NULL) - st.st_mtim.tv_sec < GRACE_S;
}

#endif
