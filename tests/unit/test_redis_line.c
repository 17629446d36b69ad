/* The parts under the Redis client: the line of those that wait, and RESP in both directions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shared/redis_line.h"
#include "shared/redis_resp.h"

/* --- line ----------------------------------------------------------------------------------- */

static struct redis_script script;

static void push(struct redis_line *l, size_t number)
{
    size_t bytes = number % 3 == 0 ? 0 : number % 100 + 1; /* two of three are script calls */
    struct redis_waiter w = {.bytes = bytes == 0 ? 7 : bytes, .deadline_ms = 1000000 - number};
    char *keep;

    w.script = bytes == 0 ? NULL : &script;
    assert_true(redis_line_reserve(l, bytes));
    keep = redis_line_push(l, w);
    assert_true((keep == NULL) == (bytes == 0));
    if (keep != NULL)
        memset(keep, (int)(number % 251), bytes);
}

static void pop(struct redis_line *l, size_t number)
{
    const struct redis_waiter *first = redis_line_first(l);

    assert_int_equal(first->deadline_ms, 1000000 - number);
    for (size_t i = 0; first->script != NULL && i < first->bytes; i++)
        assert_int_equal((unsigned char)redis_line_kept(l)[i], number % 251);
    (void)redis_line_pop(l);
}

static void waiters_leave_in_order_with_the_bytes_they_kept(void **state)
{
    static const struct {
        size_t in, out;
    } table[] = {{1, 1},   {63, 10},     {64, 100},    {500, 1},
                 {1, 500}, {2000, 1500}, {3000, 3500}, {5, 7}};
    struct redis_line l = {0};
    size_t pushed = 0, popped = 0;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        for (size_t n = 0; n < table[i].in; n++)
            push(&l, pushed++);
        for (size_t n = 0; n < table[i].out && popped < pushed; n++)
            pop(&l, popped++);
        assert_int_equal(l.len, pushed - popped);
        assert_int_equal(redis_line_earliest_ms(&l),
                         pushed == popped ? UINT64_MAX : 1000000 - (pushed - 1));
    }
    while (popped < pushed)
        pop(&l, popped++);
    assert_int_equal(l.bytes, 0);
    assert_int_equal(l.kept.len, 0);
    redis_line_done(&l);
}

static void memory_for_kept_bytes_follows_what_waits_not_what_has_passed(void **state)
{
    struct redis_line l = {0};
    size_t pushed = 0, popped = 0;

    (void)state;
    for (; pushed < 10; pushed++)
        push(&l, pushed);
    for (; pushed < 100000; pushed++) { /* ten wait at any time, never none */
        push(&l, pushed);
        pop(&l, popped++);
    }
    assert_true(l.kept.cap < 16384);
    assert_int_equal(l.cap, 64);
    redis_line_done(&l);
}

/* --- commands ------------------------------------------------------------------------------- */

static void commands_are_arrays_of_bulk_strings(void **state)
{
    const struct slice a[] = {SLICE_LIT("SET"), slice_of("\0\r\n", 3)},
                       b[] = {slice_of(NULL, 0)};
    const struct slice ten[10] = {SLICE_LIT("0123456789")};
    static const char want[] = "*3\r\n$3\r\nSET\r\n$3\r\n\0\r\n\r\n$0\r\n\r\n";
    const struct resp_part parts[] = {{a, 2}, {NULL, 0}, {b, 1}}, many[] = {{ten, 10}};
    char got[256];

    (void)state;
    assert_int_equal(resp_size(parts, 3), sizeof want - 1);
    resp_write(got, parts, 3);
    assert_memory_equal(got, want, sizeof want - 1);
    resp_write(got, many, 1);
    assert_memory_equal(got, "*10\r\n$10\r\n0123456789\r\n$0\r\n\r\n", 28);
    assert_int_equal(resp_size(many, 1), 5 + 17 + 9 * 6);
}

static void numbers_are_written_in_decimal(void **state)
{
    static const struct {
        size_t n;
        const char *want;
    } table[] = {
        {0, "0"}, {9, "9"}, {10, "10"}, {99999, "99999"}, {SIZE_MAX, "18446744073709551615"}};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        char text[RESP_NUMBER_SIZE];

        assert_true(slice_is(resp_number(table[i].n, text), table[i].want));
    }
}

/* --- replies -------------------------------------------------------------------------------- */

static void the_limit_of_a_reply_is_exact_whatever_the_pieces(void **state)
{
    static const struct {
        const char *bytes;
        enum resp_got want;
    } table[] = {
        {"$200\r\n%0200d\r\n", RESP_GOT_REPLY},
        {"$201\r\n%0201d\r\n", RESP_GOT_TOO_BIG},
        {"$201\r\n", RESP_GOT_NOTHING},
        {"+%0200d\r\n", RESP_GOT_REPLY},
        {"+%0201d\r\n", RESP_GOT_TOO_BIG},
        {"-%0201d\r\n", RESP_GOT_TOO_BIG},
        {"*3\r\n$-1\r\n$8\r\n%08d\r\n:1\r\n", RESP_GOT_REPLY},
        {"*3\r\n$-1\r\n$9\r\n%09d\r\n:1\r\n", RESP_GOT_TOO_BIG},
        {"*4\r\n", RESP_GOT_TOO_BIG},
        {"*2\r\n*2\r\n", RESP_GOT_TOO_BIG},
        {"*-1\r\n", RESP_GOT_REPLY},
        {"*-2\r\n", RESP_GOT_BAD},
        {"$-2\r\n", RESP_GOT_BAD},
        {":12x\r\n", RESP_GOT_BAD},
        {"*", RESP_GOT_NOTHING},
        {"?", RESP_GOT_BAD},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table) * 2; i++) {
        struct resp_parser p;
        redisReply *reply = NULL;
        enum resp_got got = RESP_GOT_NOTHING;
        char bytes[512];
        size_t len, step;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        len = (size_t)snprintf(bytes, sizeof bytes, table[i / 2].bytes, 0);
#pragma GCC diagnostic pop
        step = i % 2 == 0 ? len : 1;
        assert_int_equal(resp_parser_init(&p, 200), ERR_OK);
        for (size_t at = 0; at < len && got == RESP_GOT_NOTHING; at += step) {
            resp_parser_feed(&p, bytes + at, step);
            got = resp_parser_next(&p, &reply);
        }
        /* a line that is too long is seen before its end when it comes in pieces */
        if (got != table[i / 2].want &&
            !(bytes[0] == '+' && got == RESP_GOT_TOO_BIG && step == 1))
            fail_msg("%s: got %d, want %d", table[i / 2].bytes, got, table[i / 2].want);
        freeReplyObject(reply);
        resp_parser_done(&p);
    }
}

static void each_reply_has_the_whole_limit_for_itself(void **state)
{
    struct resp_parser p;
    redisReply *reply = NULL;
    char bytes[256];
    size_t len = (size_t)snprintf(bytes, sizeof bytes, "*1\r\n$120\r\n%0120d\r\n", 0);

    (void)state;
    assert_int_equal(resp_parser_init(&p, 200), ERR_OK);
    for (int i = 0; i < 6; i++)
        resp_parser_feed(&p, bytes, len);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(resp_parser_next(&p, &reply), RESP_GOT_REPLY);
        freeReplyObject(reply);
    }
    assert_int_equal(resp_parser_next(&p, &reply), RESP_GOT_NOTHING);
    resp_parser_done(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waiters_leave_in_order_with_the_bytes_they_kept),
        cmocka_unit_test(memory_for_kept_bytes_follows_what_waits_not_what_has_passed),
        cmocka_unit_test(commands_are_arrays_of_bulk_strings),
        cmocka_unit_test(numbers_are_written_in_decimal),
        cmocka_unit_test(the_limit_of_a_reply_is_exact_whatever_the_pieces),
        cmocka_unit_test(each_reply_has_the_whole_limit_for_itself),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
