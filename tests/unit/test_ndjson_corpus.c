/* Replays the fuzzer's corpus. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/fuzz/fuzz_ndjson.c" /* NOLINT(bugprone-suspicious-include): the same code */
#include "tests/unit/corpus.h"

static void lines_are_the_same_however_the_stream_is_cut(void **state)
{
    (void)state;
    corpus_replay("tests/fuzz/corpus/ndjson", LLVMFuzzerTestOneInput);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_the_same_however_the_stream_is_cut)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
