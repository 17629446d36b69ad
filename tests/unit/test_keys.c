/* The names of the keys: other programs spell them too, so they are written out here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "queue/keys.h"

static void the_keys_are_those_of_the_protocol(void **state)
{
    static const char *const want[QUEUE_KEYS] = {
        "mr:{image}:state",          "mr:{image}:meta",       "mr:{image}:wake",
        "mr:{image}:delayed",        "mr:{image}:consumers",  "mr:{image}:workers",
        "mr:{image}:ready:critical", "mr:{image}:ready:high", "mr:{image}:ready:normal",
        "mr:{image}:ready:low",
    };
    struct queue_keys k;
    char active[KEYS_ACTIVE_SIZE];

    (void)state;
    assert_int_equal(keys_init(&k, "image", NULL), ERR_OK);
    for (size_t i = 0; i < QUEUE_KEYS; i++)
        assert_true(slice_is(k.key[i], want[i]));
    assert_true(slice_is(k.active_prefix, "mr:{image}:active:"));
    assert_true(slice_is(keys_active(&k, "h:1:ab", active), "mr:{image}:active:h:1:ab"));
    assert_string_equal(KEYS_QUEUES, "mr:queues");
    assert_string_equal(k.queue, "image");
}

static void the_longest_names_fit(void **state)
{
    char queue[JOB_NAME_MAX + 1], consumer[KEYS_CONSUMER_MAX + 1], active[KEYS_ACTIVE_SIZE];
    struct queue_keys k;

    (void)state;
    memset(queue, 'q', JOB_NAME_MAX);
    queue[JOB_NAME_MAX] = '\0';
    memset(consumer, 'c', KEYS_CONSUMER_MAX);
    consumer[KEYS_CONSUMER_MAX] = '\0';
    assert_int_equal(keys_init(&k, queue, NULL), ERR_OK);
    assert_int_equal(keys_active(&k, consumer, active).len,
                     strlen("mr:{}:active:") + JOB_NAME_MAX + KEYS_CONSUMER_MAX);
}

static void a_name_that_would_spoil_a_key_is_refused(void **state)
{
    static const char *const table[] = {"",     "a}b", "{a",  "a:b",     "A",
                                        "1abc", "a b", "a\n", "\xc3\xa9"};
    char too_long[JOB_NAME_MAX + 2];
    struct queue_keys k;
    struct fault f;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++)
        assert_int_equal(keys_init(&k, table[i], &f), ERR_MALFORMED);
    memset(too_long, 'q', sizeof too_long - 1);
    too_long[sizeof too_long - 1] = '\0';
    assert_int_equal(keys_init(&k, too_long, &f), ERR_MALFORMED);
}

static void schedules_have_four_more_in_the_same_slot(void **state)
{
    static const char *const want[] = {"mr:{image}:schedules", "mr:{image}:schedules:jobs",
                                       "mr:{image}:schedules:past", "mr:{image}:ticks"};
    struct schedule_keys k;
    struct queue_keys plain;

    (void)state;
    assert_int_equal(keys_init(&plain, "image", NULL), ERR_OK);
    assert_int_equal(keys_init_schedules(&k, "image", NULL), ERR_OK);
    for (size_t i = 0; i < QUEUE_KEYS; i++)
        assert_true(slice_eq(k.key[i], plain.key[i]));
    for (size_t i = 0; i < COUNT_OF(want); i++)
        assert_true(slice_is(k.key[QUEUE_KEYS + i], want[i]));
    assert_int_equal(keys_init_schedules(&k, "No", NULL), ERR_MALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_keys_are_those_of_the_protocol),
        cmocka_unit_test(the_longest_names_fit),
        cmocka_unit_test(a_name_that_would_spoil_a_key_is_refused),
        cmocka_unit_test(schedules_have_four_more_in_the_same_slot),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
