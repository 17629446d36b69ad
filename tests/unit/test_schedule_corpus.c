/* Replays the fuzzer's corpus. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/fuzz/fuzz_schedule.c" /* NOLINT(bugprone-suspicious-include): the same code */
#include "tests/unit/corpus.h"

static void what_is_taken_ticks_on(void **state)
{
    (void)state;
    corpus_replay("tests/fuzz/corpus/schedule", LLVMFuzzerTestOneInput);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_is_taken_ticks_on)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
