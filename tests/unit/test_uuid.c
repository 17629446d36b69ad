#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared/clock.h"
#include "shared/rand.h"
#include "shared/uuid.h"

static int real_clock(void **state)
{
    (void)state;
    clock_fake(0, 0);
    return 0;
}

static int compare(const struct uuid *a, const struct uuid *b)
{
    return memcmp(a->bytes, b->bytes, UUID_LEN);
}

static void assert_is_version_7(const struct uuid *id)
{
    assert_int_equal(id->bytes[6] >> 4, 7);
    assert_int_equal(id->bytes[8] >> 6, 2);
}

static void an_id_holds_the_time_it_was_made(void **state)
{
    uint64_t before = clock_wall_ms();
    struct uuid id = uuid_v7();

    (void)state;
    assert_is_version_7(&id);
    assert_true(uuid_time_ms(&id) >= before);
    assert_false(uuid_is_nil(&id));
}

/* The clock stands, so the counter overflows into the next milliseconds. */
static void ids_of_one_millisecond_keep_their_order(void **state)
{
    uint64_t now = clock_wall_ms() + 1000;
    struct uuid last;

    (void)state;
    clock_fake(1, now);
    last = uuid_v7();
    assert_int_equal(uuid_time_ms(&last), now);
    for (int i = 0; i < 20000; i++) {
        struct uuid id = uuid_v7();

        assert_is_version_7(&id);
        assert_true(compare(&last, &id) < 0);
        last = id;
    }
    assert_in_range(uuid_time_ms(&last), now + 4, now + 6);
}

static void ids_do_not_follow_a_clock_that_goes_back(void **state)
{
    uint64_t now = clock_wall_ms() + 100000;
    struct uuid first, second;

    (void)state;
    clock_fake(1, now);
    first = uuid_v7();
    clock_fake(1, now - 60000);
    second = uuid_v7();
    assert_int_equal(uuid_time_ms(&second), now);
    assert_true(compare(&first, &second) < 0);
    clock_fake(1, now + 1);
    first = uuid_v7();
    assert_int_equal(uuid_time_ms(&first), now + 1);
}

#define PER_THREAD ((size_t)20000)

static void *make_ids(void *arg)
{
    struct uuid *ids = arg;

    for (size_t i = 0; i < PER_THREAD; i++)
        ids[i] = uuid_v7();
    return NULL;
}

static int compare_any(const void *a, const void *b)
{
    return compare(a, b);
}

static void threads_never_make_the_same_id(void **state)
{
    struct uuid *ids = calloc(3 * PER_THREAD, sizeof *ids);
    pthread_t threads[3];

    (void)state;
    assert_non_null(ids);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, make_ids, ids + i * PER_THREAD), 0);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    qsort(ids, 3 * PER_THREAD, sizeof *ids, compare_any);
    for (size_t i = 1; i < 3 * PER_THREAD; i++)
        assert_true(compare(&ids[i - 1], &ids[i]) < 0);
    free(ids);
}

/* The child gives its next bytes and its next jitter. */
static void read_from_child(uint8_t *bytes, size_t len)
{
    int fds[2], status;
    pid_t pid;

    assert_int_equal(pipe(fds), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        uint64_t jitter = rand_below(UINT64_MAX);

        rand_bytes(bytes, len - sizeof jitter);
        memcpy(bytes + len - sizeof jitter, &jitter, sizeof jitter);
        _exit(write(fds[1], bytes, len) == (ssize_t)len ? 0 : 1);
    }
    assert_int_equal(close(fds[1]), 0);
    assert_int_equal(read(fds[0], bytes, len), len);
    assert_int_equal(close(fds[0]), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void forked_processes_never_share_random_bytes(void **state)
{
    uint8_t first[40], second[40], own[40];
    uint64_t jitter;

    (void)state;
    rand_bytes(own, 1); /* there is a stock, and a seed */
    (void)rand_below(2);
    read_from_child(first, sizeof first);
    read_from_child(second, sizeof second);
    rand_bytes(own, 32);
    jitter = rand_below(UINT64_MAX);
    memcpy(own + 32, &jitter, sizeof jitter);
    assert_memory_not_equal(first, second, 32);
    assert_memory_not_equal(first, own, 32);
    assert_memory_not_equal(second, own, 32);
    assert_memory_not_equal(first + 32, second + 32, 8);
    assert_memory_not_equal(first + 32, own + 32, 8);
}

static void random_bytes_fill_any_length(void **state)
{
    static const size_t lengths[] = {0, 1, 4095, 4096, 4097, 20000};
    static uint8_t bytes[20001];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(lengths); i++) {
        size_t n = lengths[i], zeros = 0;

        memset(bytes, 0, sizeof bytes);
        rand_bytes(bytes, n);
        assert_int_equal(bytes[n], 0);
        for (size_t k = 0; k < n; k++)
            zeros += bytes[k] == 0;
        assert_true(zeros <= n / 64 + 8); /* 1 in 256 is the rule */
    }
}

static void jitter_repeats_after_the_same_seed_and_stays_below_its_bound(void **state)
{
    uint64_t first[100];
    unsigned seen[7] = {0};

    (void)state;
    rand_seed(42);
    for (size_t i = 0; i < COUNT_OF(first); i++)
        first[i] = rand_below(UINT64_MAX);
    rand_seed(42);
    for (size_t i = 0; i < COUNT_OF(first); i++)
        assert_int_equal(rand_below(UINT64_MAX), first[i]);
    for (int i = 0; i < 7000; i++) {
        uint64_t x = rand_below(7);

        assert_true(x < 7);
        seen[x]++;
    }
    for (size_t i = 0; i < 7; i++)
        assert_in_range(seen[i], 800, 1200);
    assert_int_equal(rand_below(1), 0);
    rand_seed(0);
}

static void a_derived_id_is_always_the_same_and_keeps_its_parents_time(void **state)
{
    struct uuid parent, a, b;
    char text[UUID_TEXT_SIZE];

    (void)state;
    assert_true(uuid_parse(SLICE_LIT("01932a4c-1d2e-7abc-8def-0123456789ab"), &parent));
    a = uuid_derive(&parent, 0);
    b = uuid_derive(&parent, 0);
    assert_true(uuid_eq(&a, &b));
    assert_is_version_7(&a);
    assert_int_equal(uuid_time_ms(&a), uuid_time_ms(&parent));
    /* SHA-256 of the parent's 16 bytes and 00 00 00 00 is 93f71ddec9cd... */
    assert_string_equal(uuid_text(&a, text), "01932a4c-1d2e-73f7-9dde-c9cd93c4a265");
    b = uuid_derive(&parent, 258);
    assert_string_equal(uuid_text(&b, text), "01932a4c-1d2e-74e5-856b-d2dba9c98c75");
}

static void text_and_bytes_turn_into_each_other(void **state)
{
    static const struct {
        const char *text;
        bool ok;
        uint64_t time_ms;
    } table[] = {
        {"017f22e2-79b0-7cc3-98c4-dc0c0c07398f", true, 1645557742000}, /* RFC 9562 A.6 */
        {"017F22E2-79B0-7CC3-98C4-DC0C0C07398F", true, 1645557742000},
        {"919108f7-52d1-4320-9bac-f847db4148a8", true, 0},
        {"00000000-0000-0000-0000-000000000000", true, 0},
        {"ffffffff-ffff-7fff-bfff-ffffffffffff", true, 281474976710655},
        {"017f22e2-79b0-7cc3-98c4-dc0c0c07398", false, 0},
        {"017f22e2-79b0-7cc3-98c4-dc0c0c07398f0", false, 0},
        {"017f22e279b07cc398c4dc0c0c07398f", false, 0},
        {"017f22e2-79b0-7cc3-98c4-dc0c0c07398g", false, 0},
        {"017f22e2-79b0-7cc3-98c4+dc0c0c07398f", false, 0},
        {"017f22e-279b0-7cc3-98c4-dc0c0c07398f", false, 0},
        {"{17f22e2-79b0-7cc3-98c4-dc0c0c07398}", false, 0},
        {" 17f22e2-79b0-7cc3-98c4-dc0c0c07398f", false, 0},
        {"", false, 0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        char text[UUID_TEXT_SIZE], lower[UUID_TEXT_SIZE + 1] = "";
        struct uuid id, again;

        assert_int_equal(uuid_parse(slice_str(table[i].text), &id), table[i].ok);
        if (!table[i].ok)
            continue;
        assert_int_equal(uuid_time_ms(&id), table[i].time_ms);
        (void)uuid_text(&id, text);
        for (size_t k = 0; table[i].text[k] != '\0'; k++)
            lower[k] = (char)(table[i].text[k] | (table[i].text[k] >= 'A' ? 0x20 : 0));
        assert_string_equal(text, lower);
        assert_true(uuid_parse(slice_str(text), &again));
        assert_true(uuid_eq(&id, &again));
        assert_int_equal(uuid_is_nil(&id), strspn(text, "0-") == 36);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_id_holds_the_time_it_was_made),
        cmocka_unit_test(threads_never_make_the_same_id),
        cmocka_unit_test_teardown(ids_of_one_millisecond_keep_their_order, real_clock),
        cmocka_unit_test_teardown(ids_do_not_follow_a_clock_that_goes_back, real_clock),
        cmocka_unit_test(forked_processes_never_share_random_bytes),
        cmocka_unit_test(random_bytes_fill_any_length),
        cmocka_unit_test(jitter_repeats_after_the_same_seed_and_stays_below_its_bound),
        cmocka_unit_test(a_derived_id_is_always_the_same_and_keeps_its_parents_time),
        cmocka_unit_test(text_and_bytes_turn_into_each_other),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
