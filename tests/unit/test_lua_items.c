/* Items of other programs: whatever the bytes are, no script fails. */
#include "tests/unit/test_lua_help.h"

/* --- items of other programs ----------------------------------------------------------------- */

#define ID     \
    "\xc4\x10" \
    "0123456789abcdef"
#define V    "\xa1v\x01"
#define TYPE "\xa4type\xa4noop"
#define ARGS \
    "\xa4"   \
    "args\x80"
#define NEST4 "\x91\x91\x91\x91"

static void the_id_of_a_foreign_item_is_found_wherever_it_stands(void **state)
{
    static const struct slice table[] = {
        SLICE_LIT("\x84" V "\xa2id" ID TYPE ARGS),
        SLICE_LIT("\x84" TYPE ARGS V "\xa2id" ID),
        SLICE_LIT("\x84\xa4"
                  "args\x83\xa2id\x01\xa1"
                  "b\x93\x01\x02\xc0\xa1"
                  "c\xcb\0\0\0\0\0\0\0\0" TYPE "\xa2id" ID V),
        SLICE_LIT("\xde\0\x04" V "\xa2id" ID TYPE ARGS),
        SLICE_LIT("\xdf\0\0\0\x04" V "\xa2id" ID TYPE ARGS),
        SLICE_LIT("\x84\xd9\x01v\x01\xd9\x02id\xc5\0\x10"
                  "0123456789abcdef" TYPE ARGS),
        SLICE_LIT("\x84\xda\0\x02id\xc6\0\0\0\x10"
                  "0123456789abcdef" TYPE ARGS V),
        SLICE_LIT("\x85\xa1x\xc7\x03\x01"
                  "abc\xa1y\xd4\x01z\xa1z\xd8\x01"
                  "0123456789abcdef" TYPE "\xa2id" ID),
        SLICE_LIT("\x86\xa1"
                  "a\xca\0\0\0\0\xa1"
                  "b\xcc\0\xa1"
                  "c\xcd\0\0\xa1"
                  "d\xd3\0\0\0\0\0\0\0\0" TYPE "\xa2id" ID),
        SLICE_LIT("\x84\xa1"
                  "a\xdb\0\0\0\x03"
                  "abc\xa1"
                  "b\xdc\0\x02\x01\xff\xa1"
                  "c\xdf\0\0\0\x01\xa1k\xe0\xa2id" ID),
        SLICE_LIT("\x82\xa1"
                  "a\xdd\0\0\0\x02\xde\0\x01\xa1k\xc2\x90\xa2id" ID),
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        redisReply *r;

        RUN("FLUSHALL");
        enroll(US);
        RUN("LPUSH mr:{q}:ready:normal %b", table[i].ptr, table[i].len);
        r = claim(US, "1");
        if (r->elements != 9 || !slice_is(bytes_at(r, 4), "0123456789abcdef"))
            fail_msg("row %zu", i);
        assert_true(slice_eq(bytes_at(r, 8), table[i]));
        freeReplyObject(r);
    }
}

static void the_type_of_a_foreign_item_is_shown_while_it_runs(void **state)
{
    static const struct {
        struct slice item;
        const char *type;
    } table[] = {
        {SLICE_LIT("\x84" V "\xa2id" ID TYPE ARGS), "noop"},
        {SLICE_LIT("\x83" ARGS TYPE "\xa2id" ID), "noop"},
        {SLICE_LIT("\x82\xa2id" ID "\xa4type\xa4NOOP"), ""},
        {SLICE_LIT("\x82\xa2id" ID "\xa4type\x05"), ""},
        {SLICE_LIT("\x81\xa2id" ID), ""},
        {SLICE_LIT("\x82\xa2id" ID "\xa4type\xd9\x41"
                   "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
         ""},
    };
    struct uuid id;
    struct state_value v;

    (void)state;
    memcpy(id.bytes, "0123456789abcdef", UUID_LEN);
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        RUN("FLUSHALL");
        enroll(US);
        RUN("LPUSH mr:{q}:ready:low %b", table[i].item.ptr, table[i].item.len);
        freeReplyObject(claim(US, "1"));
        assert_true(state_of(&id, &v));
        if (!slice_is(v.type, table[i].type))
            fail_msg("row %zu", i);
        assert_int_equal(v.attempt, 1);
        assert_int_equal(v.state, JOB_RUNNING);
        assert_int_equal(v.priority, JOB_PRIORITY_LOW);
    }
}

/* Claims one, checks that the id is a UUIDv7 of now and the item as given; gives the id. */
static struct uuid claim_garbage(struct slice item, long long want_attempt)
{
    redisReply *r = claim(US, "1");
    struct uuid id;

    assert_int_equal(r->elements, 9);
    memcpy(id.bytes, bytes_at(r, 4).ptr, UUID_LEN);
    assert_int_equal(uuid_time_ms(&id) <= (uint64_t)at(r, 1), 1);
    assert_true(uuid_time_ms(&id) + 600000 > (uint64_t)at(r, 1));
    assert_int_equal(id.bytes[6] >> 4, 7);
    assert_int_equal(id.bytes[8] >> 6, 2);
    assert_int_equal(at(r, 5), want_attempt);
    assert_true(slice_eq(bytes_at(r, 8), item));
    freeReplyObject(r);
    return id;
}

static void give_it_back(const struct uuid *id, uint32_t attempt, const char *kind)
{
    char a[4];
    redisReply *r;

    state_put_u32(attempt, a);
    r = EVAL(QUEUE_SETTLE, US, SLICE_LIT(US), SLICE_LIT("0"), id_slice(id), slice_of(a, 4),
             slice_str(kind), SLICE_LIT("1"), SLICE_LIT("\xd9\0"));
    assert_int_equal(r->elements, 0);
    freeReplyObject(r);
    make_due();
}

static void check_garbage(struct slice item)
{
    struct uuid first, again;
    char a[4];

    RUN("FLUSHALL");
    enroll(US);
    RUN("LPUSH mr:{q}:ready:normal %b", item.ptr, item.len);
    first = claim_garbage(item, 1);
    give_it_back(&first, 1, "release");
    again = claim_garbage(item, 2);
    assert_true(uuid_eq(&first, &again)); /* it carries its id */
    give_it_back(&first, 2, "retry");
    again = claim_garbage(item, 3);
    assert_true(uuid_eq(&first, &again));
    silence(US);
    assert_int_equal(reap("1"), 1);
    enroll(US);
    again = claim_garbage(item, 4);
    assert_true(uuid_eq(&first, &again));
    state_put_u32(4, a);
    freeReplyObject(EVAL(QUEUE_SETTLE, US, SLICE_LIT(US), SLICE_LIT("1"), id_slice(&first),
                         slice_of(a, 4)));
    assert_int_equal(ask_number("HLEN mr:{q}:state"), 0);
    assert_int_equal(ask_number("EXISTS mr:{q}:active:" US " mr:{q}:ready:normal"), 0);
}

static void garbage_is_claimed_like_any_job_under_an_id_that_it_keeps(void **state)
{
    static const struct slice table[] = {
        SLICE_LIT(""),
        SLICE_LIT("x"),
        SLICE_LIT("{\"type\":\"image\"}"),
        SLICE_LIT("\x80"),
        SLICE_LIT("\x84"),
        SLICE_LIT("\x84" V "\xa2id\xc4\x10"
                  "short"),
        SLICE_LIT("\x84" V "\xa2id\xc4\x0f"
                  "0123456789abcde" TYPE),
        SLICE_LIT("\x84" V "\xa2id\xa5hello" TYPE ARGS),
        SLICE_LIT("\x84" TYPE "\xa4"
                  "args\xc1\xa2id" ID),
        SLICE_LIT("\x82\xa4"
                  "args\xdd\xff\xff\xff\xff\xa2id" ID),
        SLICE_LIT("\x82\xa4"
                  "args\xdb\xff\xff\xff\xff\xa2id" ID),
        SLICE_LIT("\x82\x01\x02\xa2id" ID),
        SLICE_LIT("\xdf\xff\xff\xff\xff"),
        SLICE_LIT("\xde\xff\xff"),
        SLICE_LIT("\xdf\xff\xff\xff\xff"),
        SLICE_LIT("\xdf\xff\xff"),
        SLICE_LIT("\xde\xff"),
        SLICE_LIT("\x93\x01\x02\x03"),
        SLICE_LIT("\xc1"),
        SLICE_LIT("\xc1"
                  "0123456789abcde"),
        SLICE_LIT("\x81\xa2"
                  "i"),
        SLICE_LIT("\x81\xd9"),
        SLICE_LIT("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++)
        check_garbage(table[i]);
}

static void an_id_behind_too_many_values_is_not_searched_for(void **state)
{
    struct buf item = {0};
    msgpack_packer pk;

    (void)state;
    mp_packer(&pk, &item);
    msgpack_pack_map(&pk, 2);
    mp_str(&pk, "args");
    msgpack_pack_array(&pk, 100000);
    for (unsigned i = 0; i < 100000; i++)
        msgpack_pack_nil(&pk);
    buf_add(&item, "\xa2id" ID, sizeof "\xa2id" ID - 1);
    check_garbage(buf_slice(&item));
    buf_clear(&item);
    msgpack_pack_map(&pk, 2);
    mp_str(&pk, "args");
    for (unsigned i = 0; i < 65536; i++)
        buf_add(&item, NEST4, 4);
    check_garbage(buf_slice(&item));
    buf_done(&item);
}

static void equal_garbage_is_so_many_jobs(void **state)
{
    redisReply *r;

    (void)state;
    enroll(US);
    for (int i = 0; i < 40; i++)
        RUN("LPUSH mr:{q}:ready:normal junk");
    r = claim(US, "64");
    assert_int_equal(r->elements, 4 + 40 * 5);
    freeReplyObject(r);
    assert_int_equal(ask_number("HLEN mr:{q}:active:" US), 40);
    assert_int_equal(ask_number("HLEN mr:{q}:state"), 40);
}

static void random_bytes_never_make_a_script_fail(void **state)
{
    struct uuid id;
    uint8_t bytes[64];

    (void)state;
    rand_seed(20261123);
    enroll(US);
    for (int round = 0; round < 200; round++) {
        for (int i = 0; i < 20; i++) {
            size_t len = (size_t)rand_below(sizeof bytes);

            for (size_t b = 0; b < len; b++)
                bytes[b] = (uint8_t)rand_below(256);
            if (len > 0 && i % 2 == 0)
                bytes[0] = (uint8_t)(0x80 + rand_below(16));
            if (len > 4 && i % 4 == 0)
                memcpy(bytes + 1, i % 8 == 0 ? "\xa2id\xc4" : "\xa4type", 4);
            RUN("LPUSH mr:{q}:ready:normal %b", bytes, len);
        }
        freeReplyObject(claim(US, "64"));
        silence(US);
        (void)reap("1");
        enroll(US);
        freeReplyObject(claim(US, "64"));
        freeReplyObject(EVAL(QUEUE_UNREGISTER, US, SLICE_LIT(US), SLICE_LIT("128")));
        enroll(US);
        RUN("DEL mr:{q}:ready:normal");
    }
    (void)id;
    rand_seed(0);
}

static void an_item_of_256_kilobytes_goes_through(void **state)
{
    struct uuid id = id_of(5);
    struct buf item = {0};
    struct new_job job = {.number = 5};
    redisReply *r;

    (void)state;
    enroll(US);
    add_item(&item, &id, JOB_ITEM_MAX);
    assert_int_equal(enqueue_item(&job, buf_slice(&item)), 1);
    r = claim(US, "1");
    assert_true(slice_eq(bytes_at(r, 8), buf_slice(&item)));
    freeReplyObject(r);
    assert_int_equal(settle(US, 5, 1, "retry", "1"), 0);
    make_due();
    r = claim(US, "1");
    assert_true(slice_eq(bytes_at(r, 8), buf_slice(&item)));
    freeReplyObject(r);
    buf_done(&item);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_id_of_a_foreign_item_is_found_wherever_it_stands, flush),
        cmocka_unit_test_setup(the_type_of_a_foreign_item_is_shown_while_it_runs, flush),
        cmocka_unit_test_setup(garbage_is_claimed_like_any_job_under_an_id_that_it_keeps,
                               flush),
        cmocka_unit_test_setup(an_id_behind_too_many_values_is_not_searched_for, flush),
        cmocka_unit_test_setup(equal_garbage_is_so_many_jobs, flush),
        cmocka_unit_test_setup(random_bytes_never_make_a_script_fail, flush),
        cmocka_unit_test_setup(an_item_of_256_kilobytes_goes_through, flush),
    };

    return cmocka_run_group_tests(tests, start_server, stop_server);
}
