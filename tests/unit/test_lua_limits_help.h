/* Limits in short: jobs with keys, what a claim gives, and that nothing is left behind. */
#ifndef TESTS_UNIT_TEST_LUA_LIMITS_HELP_H
#define TESTS_UNIT_TEST_LUA_LIMITS_HELP_H

#include "tests/unit/test_lua_help.h"

#include "queue/limits.h"

HELPER void set_limits(const char *text)
{
    redisReply *r;
    long long more;

    do {
        r = EVAL(QUEUE_LIMITS, NULL, slice_str(text));
        more = at(r, 0);
        freeReplyObject(r);
    } while (more);
}

HELPER void add_keyed_item(struct buf *out, unsigned number, const char *key)
{
    struct uuid id = id_of(number);
    msgpack_packer pk;

    mp_packer(&pk, out);
    msgpack_pack_map(&pk, 5);
    mp_str(&pk, "v");
    msgpack_pack_int(&pk, 1);
    mp_str(&pk, "id");
    mp_bin(&pk, id_slice(&id));
    mp_str(&pk, "type");
    mp_str(&pk, "noop");
    mp_str(&pk, "args");
    msgpack_pack_map(&pk, 1);
    mp_str(&pk, "key");
    mp_str(&pk, "not the key");
    mp_str(&pk, "key");
    mp_str(&pk, key);
}

HELPER void enqueue_keyed(unsigned number, const char *key, int above)
{
    struct new_job job = {.number = number, .above = above};
    struct buf item = {0};

    add_keyed_item(&item, number, key);
    assert_int_equal(enqueue_item(&job, buf_slice(&item)), 1);
    buf_done(&item);
}

struct claimed {
    long long more, now, next;
    size_t n;
    unsigned number[64];
};

HELPER struct claimed claims(const char *consumer, const char *n)
{
    redisReply *r = claim(consumer, n);
    struct claimed c = {.more = at(r, 2), .now = at(r, 1), .next = at(r, 3)};

    for (size_t i = 4; i + 5 <= r->elements; i += 5) {
        const uint8_t *id = (const uint8_t *)bytes_at(r, i).ptr;

        assert_true(c.n < COUNT_OF(c.number));
        c.number[c.n++] = (unsigned)(id[14] << 8 | id[15]);
    }
    freeReplyObject(r);
    return c;
}

HELPER void expect(const char *consumer, const char *n, const char *want)
{
    struct claimed c = claims(consumer, n);
    char got[512] = "";
    size_t len = 0;

    for (size_t i = 0; i < c.n; i++)
        len += (size_t)snprintf(got + len, sizeof got - len, "%s%u", i > 0 ? " " : "",
                                c.number[i]);
    assert_string_equal(got, want);
}

HELPER long long parked(void)
{
    redisReply *r = EVAL(QUEUE_COUNTS, NULL, keys.active_prefix);
    long long n = at(r, 14);

    freeReplyObject(r);
    return n;
}

HELPER long long waiting(void)
{
    redisReply *r = EVAL(QUEUE_COUNTS, NULL, keys.active_prefix);
    long long n = at(r, 0) + at(r, 1) + at(r, 2) + at(r, 3);

    freeReplyObject(r);
    return n;
}

/* Nothing is left of what limits write down. */
HELPER void assert_clean(void)
{
    assert_int_equal(ask_number("EXISTS mr:{q}:slots mr:{q}:gates mr:{q}:parked"), 0);
    assert_int_equal(parked(), 0);
}

HELPER void done(const char *consumer, unsigned number)
{
    assert_int_equal(settle(consumer, number, 1, "done", "0"), 0);
}

/* A consumer, limits, and jobs 1 to n of key a. */
HELPER void begin_with(const char *limits, unsigned n)
{
    enroll(US);
    set_limits(limits);
    for (unsigned i = 1; i <= n; i++)
        enqueue_keyed(i, "a", 0);
}

#endif
