/* corpus: replays the inputs that a fuzzer starts from. Included after the fuzzer itself. */
#ifndef TESTS_UNIT_CORPUS_H
#define TESTS_UNIT_CORPUS_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

typedef int corpus_fn(const uint8_t *data, size_t len);

static int corpus_is_input(const struct dirent *e)
{
    return e->d_name[0] != '.';
}

/* Gives each input in memory of just its size, so that ASan sees a read behind it. Tests run in the
 * project's root. */
static void corpus_replay_file(const char *path, corpus_fn *one)
{
    FILE *f = fopen(path, "rbe");
    uint8_t *data;
    long size;

    assert_non_null(f);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    size = ftell(f);
    assert_true(size >= 0);
    rewind(f);
    data = malloc(size == 0 ? 1 : (size_t)size);
    assert_non_null(data);
    assert_int_equal(fread(data, 1, (size_t)size, f), size);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(one(data, (size_t)size), 0);
    free(data);
}

static void corpus_replay(const char *dir, corpus_fn *one)
{
    struct dirent **names = NULL;
    int n = scandir(dir, &names, corpus_is_input, alphasort);

    assert_true(n > 0);
    for (int i = 0; i < n; i++) {
        char path[512];

        (void)snprintf(path, sizeof path, "%s/%s", dir, names[i]->d_name);
        print_message("%s\n", path); /* the last one named is the one that crashed */
        corpus_replay_file(path, one);
        free(names[i]);
    }
    free(names);
}

#endif
