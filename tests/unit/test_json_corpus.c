/* Replays the fuzzer's corpus. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/fuzz/fuzz_json.c" /* NOLINT(bugprone-suspicious-include): the same code */
#include "tests/unit/corpus.h"

static void what_json_becomes_comes_back_the_same(void **state)
{
    (void)state;
    corpus_replay("tests/fuzz/corpus/json", LLVMFuzzerTestOneInput);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_json_becomes_comes_back_the_same)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
