#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shared/clock.h"
#include "shared/json.h"
#include "worker/follow.h"

#define ID   "01a20af1-272d-7402-be8e-eb67e0f0a3a5"
#define HOOK "{\"type\":\"webhook\",\"args\":{\"url\":\"http://x.example/\"}"

struct rig {
    struct job job;
    struct buf then, chain, result;
    struct follow_item item;
    struct fault why;
};

static int set_up(void **state)
{
    struct rig *r = calloc(1, sizeof *r);

    assert_non_null(r);
    assert_true(uuid_parse(slice_str(ID), &r->job.id));
    (void)slice_to_cstr(slice_str("image"), r->job.type, sizeof r->job.type);
    *state = r;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *r = *state;

    buf_done(&r->then);
    buf_done(&r->chain);
    buf_done(&r->result);
    buf_done(&r->item.item);
    free(r);
    return 0;
}

static void set_then(struct rig *r, const char *json)
{
    buf_clear(&r->then);
    assert_int_equal(json_to_msgpack(slice_str(json), 16, &r->then, &r->why), ERR_OK);
    r->job.then = buf_slice(&r->then);
}

static enum err build(struct rig *r, enum job_state state, size_t index)
{
    bool ok = state == JOB_SUCCEEDED;

    return follow_build(&(struct follow_parent){.job = &r->job,
                                                .queue = "media",
                                                .priority = JOB_PRIORITY_HIGH,
                                                .state = state,
                                                .attempt = 3,
                                                .result = buf_slice(&r->result),
                                                .error = ok ? NULL : "TOO_BIG",
                                                .error_text = ok ? NULL : "9 > 8"},
                        index, &r->item, &r->why);
}

/* The args of the item that was built, as JSON. */
static void args_are(struct rig *r, const char *want)
{
    AUTO(buf_done) struct buf got = {0};
    struct job job;

    assert_int_equal(job_decode(buf_slice(&r->item.item), &job, &r->why), ERR_OK);
    assert_true(uuid_eq(&job.id, &r->item.id));
    assert_true(job.has_parent && uuid_eq(&job.parent, &r->job.id));
    assert_string_equal(job.type, r->item.type);
    json_from_msgpack_bytes(job.args, &got);
    assert_string_equal(buf_cstr(&got), want);
}

static void a_follow_up_is_due_by_how_its_parent_ended(void **state)
{
    static const struct {
        const char *on;
        enum job_state state;
        bool due;
    } table[] = {
        {"success", JOB_SUCCEEDED, true},  {"success", JOB_DEAD, false},
        {"failure", JOB_SUCCEEDED, false}, {"failure", JOB_DEAD, true},
        {"failure", JOB_EXPIRED, true},    {"failure", JOB_CANCELLED, true},
        {"always", JOB_SUCCEEDED, true},   {"always", JOB_DEAD, true},
    };
    struct rig *r = *state;

    for (size_t i = 0; i < COUNT_OF(table); i++) {
        char json[200];

        (void)snprintf(json, sizeof json, "[" HOOK ",\"on\":\"%s\"}]", table[i].on);
        set_then(r, json);
        assert_int_equal(build(r, table[i].state, 0), ERR_OK);
        if (r->item.due != table[i].due)
            fail_msg("row %zu", i);
    }
}

static void a_webhook_without_a_body_is_told_what_came_of_it(void **state)
{
    struct rig *r = *state;

    set_then(r, "[" HOOK ",\"on\":\"always\"}]");
    assert_int_equal(json_to_msgpack(SLICE_LIT("{\"n\":1}"), 16, &r->result, &r->why), ERR_OK);
    assert_int_equal(build(r, JOB_SUCCEEDED, 0), ERR_OK);
    args_are(r, "{\"url\":\"http://x.example/\",\"body\":{\"job\":\"" ID
                "\",\"type\":\"image\",\"queue\":\"media\",\"state\":\"succeeded\","
                "\"attempt\":3,\"result\":{\"n\":1}},\"event\":\"job.succeeded\"}");
    assert_int_equal(build(r, JOB_DEAD, 0), ERR_OK);
    args_are(r, "{\"url\":\"http://x.example/\",\"body\":{\"job\":\"" ID
                "\",\"type\":\"image\",\"queue\":\"media\",\"state\":\"dead\",\"attempt\":3,"
                "\"error\":\"TOO_BIG\",\"error_text\":\"9 > 8\"},\"event\":\"job.dead\"}");
    assert_string_equal(r->item.queue, "notify");
    buf_clear(&r->result);
    assert_int_equal(build(r, JOB_SUCCEEDED, 0), ERR_OK);
    args_are(r, "{\"url\":\"http://x.example/\",\"body\":{\"job\":\"" ID
                "\",\"type\":\"image\",\"queue\":\"media\",\"state\":\"succeeded\","
                "\"attempt\":3},\"event\":\"job.succeeded\"}");
}

static void what_the_user_wrote_is_left_alone(void **state)
{
    struct rig *r = *state;

    set_then(r, "[" HOOK "},{\"type\":\"webhook\",\"args\":{\"body\":null,\"url\":"
                "\"http://x.example/\"}},{\"type\":\"noop\",\"args\":{\"payload\":[1,2]},"
                "\"queue\":\"elsewhere\"},{\"type\":\"webhook\",\"args\":{\"url\":"
                "\"http://x.example/\",\"event\":\"my.event\"}}]");
    assert_int_equal(build(r, JOB_SUCCEEDED, 1), ERR_OK);
    args_are(r, "{\"body\":null,\"url\":\"http://x.example/\"}");
    assert_int_equal(build(r, JOB_SUCCEEDED, 2), ERR_OK);
    args_are(r, "{\"payload\":[1,2]}");
    assert_string_equal(r->item.queue, "elsewhere");
    assert_string_equal(r->item.type, "noop");
    assert_int_equal(build(r, JOB_SUCCEEDED, 3), ERR_OK);
    args_are(r, "{\"url\":\"http://x.example/\",\"event\":\"my.event\",\"body\":{\"job\":\"" ID
                "\",\"type\":\"image\",\"queue\":\"media\",\"state\":\"succeeded\","
                "\"attempt\":3}}");
}

static void set_chain(struct rig *r, const char *json)
{
    buf_clear(&r->chain);
    assert_int_equal(json_to_msgpack(slice_str(json), 16, &r->chain, &r->why), ERR_OK);
    r->job.chain = buf_slice(&r->chain);
}

static void a_follow_up_may_say_how_it_is_to_run(void **state)
{
    struct rig *r = *state;
    struct job job;

    set_then(r, "[{\"type\":\"noop\",\"args\":{}},{\"type\":\"noop\",\"args\":{},\"priority\":"
                "\"low\",\"key\":\"k\",\"max_attempts\":2,\"timeout_ms\":9,\"delay_ms\":500,"
                "\"expires_in_ms\":700,\"retry\":{\"policy\":\"fixed\"},\"then\":[{\"type\":"
                "\"noop\",\"args\":{}}]}]");
    clock_fake(1, 1000);
    assert_int_equal(build(r, JOB_SUCCEEDED, 0), ERR_OK);
    assert_int_equal(r->item.priority, JOB_PRIORITY_HIGH);
    assert_true(r->item.due_ms == 0);
    assert_int_equal(build(r, JOB_SUCCEEDED, 1), ERR_OK);
    clock_fake(0, 0);
    assert_int_equal(r->item.priority, JOB_PRIORITY_LOW);
    assert_true(r->item.due_ms == 1500);
    assert_int_equal(job_decode(buf_slice(&r->item.item), &job, &r->why), ERR_OK);
    assert_true(slice_is(job.key, "k") && job.expires_ms == 1700);
    assert_int_equal(job.max_attempts, 2);
    assert_int_equal(job.timeout_ms, 9);
    assert_int_equal((uint8_t)job.retry.ptr[0], 0x81);
    assert_int_equal((uint8_t)job.then.ptr[0], 0x91);
    assert_int_equal(job.chain.len, 0);
}

static void a_chain_goes_link_by_link_while_all_succeed(void **state)
{
    struct rig *r = *state;
    struct uuid second;
    struct job job;

    set_then(r, "[{\"type\":\"noop\",\"args\":{}}]");
    set_chain(r, "[" HOOK "},{\"type\":\"noop\",\"args\":{},\"queue\":\"q\"}]");
    assert_int_equal(build(r, JOB_SUCCEEDED, 0), ERR_OK);
    second = r->item.id;
    assert_int_equal(build(r, JOB_SUCCEEDED, 1), ERR_OK);
    assert_true(r->item.due && !uuid_eq(&second, &r->item.id));
    assert_string_equal(r->item.type, "webhook");
    assert_int_equal(job_decode(buf_slice(&r->item.item), &job, &r->why), ERR_OK);
    assert_int_equal((uint8_t)job.chain.ptr[0], 0x91);
    assert_int_equal(job.then.len, 0);
    assert_int_equal(build(r, JOB_SUCCEEDED, 2), ERR_NOT_FOUND);
    assert_int_equal(build(r, JOB_DEAD, 1), ERR_OK);
    assert_false(r->item.due);
    assert_int_equal(build(r, JOB_CANCELLED, 1), ERR_OK);
    assert_false(r->item.due);
    r->job.then = r->job.chain = SLICE_LIT("");
    set_chain(r, "[{\"type\":\"noop\",\"args\":{}}]");
    assert_int_equal(build(r, JOB_SUCCEEDED, 0), ERR_OK);
    assert_int_equal(job_decode(buf_slice(&r->item.item), &job, &r->why), ERR_OK);
    assert_int_equal(job.chain.len, 0);
}

static void building_it_twice_makes_the_same_job(void **state)
{
    AUTO(buf_done) struct buf first = {0};
    struct rig *r = *state;
    struct uuid ids[3];

    set_then(r, "[" HOOK "}," HOOK "}," HOOK "}]");
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(build(r, JOB_SUCCEEDED, i), ERR_OK);
        ids[i] = r->item.id;
    }
    assert_false(uuid_eq(&ids[0], &ids[1]) || uuid_eq(&ids[1], &ids[2]) ||
                 uuid_eq(&ids[0], &ids[2]));
    assert_int_equal(build(r, JOB_SUCCEEDED, 1), ERR_OK);
    assert_true(uuid_eq(&r->item.id, &ids[1]));
    buf_add_slice(&first, buf_slice(&r->item.item));
    assert_int_equal(build(r, JOB_SUCCEEDED, 1), ERR_OK);
    assert_true(slice_eq(buf_slice(&r->item.item), buf_slice(&first)));
    r->job.id.bytes[15] ^= 1;
    assert_int_equal(build(r, JOB_SUCCEEDED, 1), ERR_OK);
    assert_false(uuid_eq(&r->item.id, &ids[1]));
}

static void there_is_an_end_and_an_answer_for_nonsense(void **state)
{
    struct rig *r = *state;

    set_then(r, "[" HOOK "}]");
    assert_int_equal(build(r, JOB_SUCCEEDED, 1), ERR_NOT_FOUND);
    set_then(r, "[]");
    assert_int_equal(build(r, JOB_SUCCEEDED, 0), ERR_NOT_FOUND);
    set_then(r, "[{\"type\":\"teleport\",\"args\":{}}]");
    assert_int_equal(build(r, JOB_SUCCEEDED, 0), ERR_MALFORMED);
    assert_non_null(strstr(r->why.text, "/then/0/type"));
    r->job.then = SLICE_LIT("\x91\xc1");
    assert_int_equal(build(r, JOB_SUCCEEDED, 0), ERR_MALFORMED);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_follow_up_is_due_by_how_its_parent_ended),
        TEST(a_webhook_without_a_body_is_told_what_came_of_it),
        TEST(what_the_user_wrote_is_left_alone),
        TEST(a_follow_up_may_say_how_it_is_to_run),
        TEST(a_chain_goes_link_by_link_while_all_succeed),
        TEST(building_it_twice_makes_the_same_job),
        TEST(there_is_an_end_and_an_answer_for_nonsense),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
