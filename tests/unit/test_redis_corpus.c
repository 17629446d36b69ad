/* Replays the fuzzer's corpus of server output, each input in every split of its seed byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>

#include "tests/fuzz/fuzz_redis.c" /* NOLINT(bugprone-suspicious-include): the same code */

#define CORPUS "tests/fuzz/corpus/redis"

static void replay(const char *name)
{
    static uint8_t data[1 << 16];
    char path[512];
    size_t len;
    FILE *f;

    (void)snprintf(path, sizeof path, CORPUS "/%s", name);
    f = fopen(path, "rbe");
    assert_non_null(f);
    len = fread(data, 1, sizeof data, f);
    (void)fclose(f);
    for (unsigned seed = 0; seed < 64; seed++) {
        data[0] = (uint8_t)seed;
        (void)LLVMFuzzerTestOneInput(data, len);
    }
}

static int is_input(const struct dirent *e)
{
    return e->d_name[0] != '.';
}

static void whatever_a_server_says_each_command_is_called_back_once(void **state)
{
    struct dirent **names = NULL;
    int n = scandir(CORPUS, &names, is_input, alphasort); /* runs in the project's root */

    (void)state;
    assert_true(n > 0);
    for (int i = 0; i < n; i++) {
        replay(names[i]->d_name);
        free(names[i]);
    }
    free(names);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_a_server_says_each_command_is_called_back_once),
    };

    (void)alarm(120);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
