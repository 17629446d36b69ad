/* idem.lua by hand: one key through all that can become of it. */
#include "tests/unit/test_lua_help.h"

#include "queue/idem.h"

#define PRINT "0123456789abcdef0123456789abcdef"
#define ELSE  "0123456789abcdef0123456789abcdeF"

static redisReply *idem(const char *op, const char *print, unsigned number, const char *a,
                        const char *b)
{
    const struct slice key = SLICE_LIT("mr:idem:test");
    struct uuid id = id_of(number);
    const struct slice args[] = {slice_str(op), slice_str(print), id_slice(&id), slice_str(a),
                                 slice_str(b)};
    redisReply *r = eval_raw(QUEUE_IDEM, &key, 1, args, COUNT_OF(args));

    if (r->type == REDIS_REPLY_ERROR)
        fail_msg("%s", r->str);
    return r;
}

/* Gives the verdict; *ret_number and *ret_begun where it tells them. */
static long long begin(unsigned number, const char *print, const char *takeover,
                       unsigned *ret_number, char ret_begun[24])
{
    redisReply *r = idem("begin", print, number, "60000", takeover);
    long long verdict = at(r, 0);

    if (verdict < IDEM_BUSY)
        *ret_number = (unsigned char)bytes_at(r, 1).ptr[15];
    if (verdict < IDEM_ANSWERED)
        (void)snprintf(ret_begun, 24, "%lld", at(r, 2));
    freeReplyObject(r);
    return verdict;
}

static long long end(const char *op, unsigned number, const char *a, const char *b)
{
    redisReply *r = idem(op, PRINT, number, a, b);
    long long was = r->integer;

    freeReplyObject(r);
    return was;
}

static void an_answer_is_told_again_and_to_nobody_else(void **state)
{
    unsigned who = 0;
    char begun[24];
    redisReply *r;

    (void)state;
    assert_int_equal(begin(1, PRINT, "60000", &who, begun), IDEM_BEGIN);
    assert_int_equal(who, 1);
    assert_true(ask_number("PTTL mr:idem:test") > 50000);
    assert_int_equal(begin(2, PRINT, "60000", &who, begun), IDEM_BUSY);
    assert_int_equal(begin(2, ELSE, "0", &who, begun), IDEM_OTHER);
    assert_int_equal(end("done", 1, "202", "said"), 1);
    assert_true(ask_number("PTTL mr:idem:test") > 50000);
    r = idem("begin", PRINT, 2, "60000", "0");
    assert_true(at(r, 0) == IDEM_ANSWERED && at(r, 2) == 202);
    assert_true(slice_is(bytes_at(r, 3), "said"));
    freeReplyObject(r);
    assert_int_equal(begin(2, ELSE, "0", &who, begun), IDEM_OTHER);
    assert_int_equal(end("done", 1, "202", "other"), 0);
    assert_int_equal(end("drop", 1, begun, ""), 0);
}

static void who_takes_over_goes_on_with_the_same_id(void **state)
{
    unsigned who = 0;
    char first[24], second[24];

    (void)state;
    assert_int_equal(begin(1, PRINT, "60000", &who, first), IDEM_BEGIN);
    RUN("SETRANGE mr:idem:test 48 %b", "\0\0\0\0\0\0\0\1", (size_t)8); /* long ago */
    assert_int_equal(begin(2, PRINT, "60000", &who, second), IDEM_RESUME);
    assert_int_equal(who, 1);
    assert_int_equal(begin(3, PRINT, "60000", &who, first), IDEM_BUSY);
    /* the first bearer wakes up and was refused: what the second does is not his */
    assert_int_equal(end("drop", 1, "1", ""), 0);
    assert_int_equal(end("open", 1, "1", ""), 0);
    assert_int_equal(end("open", 1, second, ""), 1);
    assert_int_equal(begin(3, PRINT, "60000", &who, second), IDEM_RESUME);
    assert_int_equal(who, 1);
    assert_int_equal(end("done", 1, "202", ""), 1);
    assert_true(ask_number("PTTL mr:idem:test") > 50000);
}

static void what_was_refused_leaves_nothing(void **state)
{
    unsigned who = 0;
    char begun[24];

    (void)state;
    assert_int_equal(begin(1, PRINT, "60000", &who, begun), IDEM_BEGIN);
    assert_int_equal(end("drop", 1, begun, ""), 1);
    assert_int_equal(ask_number("EXISTS mr:idem:test"), 0);
    assert_int_equal(begin(2, ELSE, "60000", &who, begun), IDEM_BEGIN);
    assert_int_equal(end("done", 1, "202", ""), 0);
}

static void a_key_is_printable_and_not_too_long(void **state)
{
    static const char *const bad[] = {"", "\"\"", "a\tb", "a\x7f", "caf\xc3\xa9"};
    char text[IDEM_KEY_MAX + 2];
    struct idem a, b;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_false(idem_key(slice_str(bad[i]), &a));
    memset(text, 'k', sizeof text);
    assert_true(idem_key(slice_of(text, IDEM_KEY_MAX), &a));
    assert_false(idem_key(slice_of(text, IDEM_KEY_MAX + 1), &a));
    assert_true(idem_key(SLICE_LIT("a b~"), &a));
    assert_true(idem_key(SLICE_LIT("\"a b~\""), &b));
    assert_memory_equal(a.key, b.key, HASH_LEN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(an_answer_is_told_again_and_to_nobody_else, flush),
        cmocka_unit_test_setup(who_takes_over_goes_on_with_the_same_id, flush),
        cmocka_unit_test_setup(what_was_refused_leaves_nothing, flush),
        cmocka_unit_test(a_key_is_printable_and_not_too_long),
    };

    return cmocka_run_group_tests(tests, start_server, stop_server);
}
