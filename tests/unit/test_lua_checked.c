/* enqueue_checked: unique keys, caps and the memory of ids, called by hand against a real Redis. */
#include "tests/unit/test_lua_help.h"

enum { TAKEN, KEPT, REPLACED, HELD, FULL, OTHER, AGAIN = 16 };

struct checked {
    unsigned number;
    const char *due, *unique, *window, *policy, *once, *match;
    bool caps, known;
    size_t size;
};

static redisReply *call_checked(const struct checked *jobs, size_t n)
{
    struct slice args[2 + 10 * 8];
    struct uuid ids[8];
    struct buf tails[8] = {{0}}, items[8] = {{0}};
    size_t at = 0;
    redisReply *r;

    args[at++] = jobs[0].caps ? SLICE_LIT("1") : SLICE_LIT("0");
    args[at++] = jobs[0].known ? SLICE_LIT("1") : SLICE_LIT("0");
    for (size_t i = 0; i < n; i++) {
        const struct checked *j = &jobs[i];

        ids[i] = id_of(j->number);
        add_item(&items[i], &ids[i], j->size);
        state_encode_tail(
            &(struct state_value){.state = j->due == NULL ? JOB_QUEUED : JOB_SCHEDULED,
                                  .priority = JOB_PRIORITY_NORMAL,
                                  .type = SLICE_LIT("noop"),
                                  .due_ms = j->due == NULL ? 0 : strtoull(j->due, NULL, 10)},
            &tails[i]);
        args[at++] = id_slice(&ids[i]);
        args[at++] = buf_slice(&tails[i]);
        args[at++] = SLICE_LIT("2");
        args[at++] = slice_str(j->due == NULL ? "0" : j->due);
        args[at++] = buf_slice(&items[i]);
        args[at++] = slice_str(j->unique == NULL ? "" : j->unique);
        args[at++] = slice_str(j->window == NULL ? "0" : j->window);
        args[at++] = slice_str(j->policy == NULL ? "reject" : j->policy);
        args[at++] = slice_str(j->once == NULL ? "0" : j->once);
        args[at++] = slice_str(j->match == NULL ? "" : j->match);
    }
    r = eval(QUEUE_ENQUEUE_CHECKED, NULL, args, at);
    for (size_t i = 0; i < n; i++) {
        buf_done(&tails[i]);
        buf_done(&items[i]);
    }
    assert_int_equal(r->elements, 5 * n);
    return r;
}

/* Gives the code; *ret_number: whom it names. */
static long long checked(struct checked job, unsigned *ret_number)
{
    redisReply *r = call_checked(&job, 1);
    long long code = at(r, 0);
    struct slice id = bytes_at(r, 1);

    if (ret_number != NULL)
        *ret_number = id.len == UUID_LEN ? (unsigned char)id.ptr[15] : 0;
    freeReplyObject(r);
    return code;
}
#define CHECKED(ret, ...) checked((struct checked){__VA_ARGS__}, ret)

static void claim_and_settle(unsigned number, const char *kind)
{
    assert_int_equal(claim_number(US), number);
    assert_int_equal(settle(US, number, 1, kind, "0"), 0);
}

/* --- unique keys ------------------------------------------------------------------------------ */

static void a_key_is_held_until_its_job_is_done(void **state)
{
    unsigned who = 0;

    (void)state;
    enroll(US);
    assert_int_equal(CHECKED(&who, .number = 1, .unique = "k"), TAKEN);
    assert_int_equal(who, 1);
    assert_int_equal(CHECKED(&who, .number = 2, .unique = "k"), HELD);
    assert_int_equal(who, 1);
    assert_int_equal(CHECKED(&who, .number = 2, .unique = "k", .policy = "keep"), KEPT);
    assert_int_equal(who, 1);
    assert_int_equal(CHECKED(&who, .number = 2, .unique = "k", .policy = "replace"), HELD);
    assert_int_equal(CHECKED(&who, .number = 3, .unique = "other"), TAKEN);
    assert_int_equal(ready("normal"), 2);
    assert_int_equal(counter("enqueued"), 2);
    assert_int_equal(claim_number(US), 1);
    assert_int_equal(CHECKED(NULL, .number = 2, .unique = "k"), HELD);
    assert_int_equal(settle(US, 1, 1, "retry", "0"), 0);
    assert_int_equal(CHECKED(NULL, .number = 2, .unique = "k"), HELD);
    assert_int_equal(claim_number(US), 3);
    assert_int_equal(claim_number(US), 1);
    assert_int_equal(settle(US, 1, 2, "done", "0"), 0);
    assert_int_equal(ask_number("EXISTS mr:{q}:unique:k"), 0);
    assert_int_equal(ask_number("EXISTS mr:{q}:unique:other"), 1);
    assert_int_equal(CHECKED(NULL, .number = 2, .unique = "k"), TAKEN);
    assert_int_equal(settle(US, 3, 1, "done", "0"), 0);
    claim_and_settle(2, "done");
    assert_int_equal(ask_number("EXISTS mr:{q}:holds mr:{q}:unique:k mr:{q}:unique:other"), 0);
}

static void a_window_outlasts_its_job_and_ends_by_itself(void **state)
{
    unsigned who = 0;

    (void)state;
    enroll(US);
    assert_int_equal(CHECKED(NULL, .number = 1, .unique = "k", .window = "600000"), TAKEN);
    assert_int_equal(ask_number("EXISTS mr:{q}:holds"), 0);
    assert_true(ask_number("PTTL mr:{q}:unique:k") > 500000);
    claim_and_settle(1, "done");
    assert_int_equal(CHECKED(&who, .number = 2, .unique = "k", .policy = "keep"), KEPT);
    assert_int_equal(who, 1);
    RUN("DEL mr:{q}:unique:k"); /* as its end does */
    assert_int_equal(CHECKED(NULL, .number = 2, .unique = "k"), TAKEN);
    assert_int_equal(ask_number("PTTL mr:{q}:unique:k"), -1);
}

static void a_scheduled_holder_is_replaced_under_its_own_id(void **state)
{
    struct uuid one = id_of(1);
    struct state_value v;
    unsigned who = 0;
    redisReply *r;

    (void)state;
    enroll(US);
    for (unsigned i = 2; i < 9; i++) /* others of the same time */
        assert_int_equal(CHECKED(NULL, .number = i, .due = "9999999999000"), TAKEN);
    assert_int_equal(CHECKED(NULL, .number = 1, .unique = "k", .due = "9999999999000"), TAKEN);
    RUN("DEL mr:{q}:wake");
    assert_int_equal(CHECKED(&who, .number = 10, .unique = "k", .due = "9999999990000",
                             .policy = "replace", .size = 90),
                     REPLACED);
    assert_int_equal(who, 1);
    assert_int_equal(tokens(), 1);
    assert_int_equal(ask_number("ZCARD mr:{q}:delayed"), 8);
    assert_int_equal(ask_number("HLEN mr:{q}:state"), 8);
    assert_true(state_of(&one, &v));
    assert_true(v.state == JOB_SCHEDULED && v.due_ms == 9999999990000);
    assert_int_equal(CHECKED(&who, .number = 11, .unique = "k", .policy = "replace"), REPLACED);
    assert_int_equal(who, 1);
    assert_true(state_of(&one, &v));
    assert_int_equal(v.state, JOB_QUEUED);
    assert_int_equal(ask_number("ZCARD mr:{q}:delayed"), 7);
    assert_int_equal(counter("enqueued"), 8);
    assert_int_equal(CHECKED(&who, .number = 12, .unique = "k", .policy = "replace"), HELD);
    r = claim(US, "2");
    assert_int_equal(r->elements, 4 + 5);
    assert_memory_equal(bytes_at(r, 4).ptr, one.bytes, UUID_LEN);
    assert_memory_equal(bytes_at(r, 8).ptr + JOB_ID_OFFSET, one.bytes, UUID_LEN);
    freeReplyObject(r);
    assert_int_equal(settle(US, 1, 1, "done", "0"), 0);
    assert_int_equal(ask_number("EXISTS mr:{q}:unique:k"), 0);
}

static void a_job_that_waits_for_its_retry_is_not_replaced(void **state)
{
    (void)state;
    enroll(US);
    assert_int_equal(CHECKED(NULL, .number = 1, .unique = "k"), TAKEN);
    assert_int_equal(claim_number(US), 1);
    assert_int_equal(settle(US, 1, 1, "retry", "600000"), 0);
    assert_int_equal(CHECKED(NULL, .number = 2, .unique = "k", .policy = "replace"), HELD);
}

static void a_holder_that_is_gone_holds_nothing(void **state)
{
    struct uuid one = id_of(1);

    (void)state;
    assert_int_equal(CHECKED(NULL, .number = 1, .unique = "k"), TAKEN);
    RUN("HDEL mr:{q}:state %b", one.bytes, (size_t)UUID_LEN);
    assert_int_equal(CHECKED(NULL, .number = 2, .unique = "k"), TAKEN);
    assert_int_equal(ask_number("HLEN mr:{q}:holds"), 1);
}

static void one_call_sees_its_own_jobs(void **state)
{
    static const struct checked jobs[] = {
        {.number = 1, .unique = "k"},
        {.number = 2},
        {.number = 3, .unique = "k"},
        {.number = 4, .unique = "d", .due = "9999999999000"},
        {.number = 5, .unique = "d", .due = "9999999999001", .policy = "replace"},
    };
    static const long long want[] = {TAKEN, TAKEN, HELD, TAKEN, REPLACED};
    redisReply *r;

    (void)state;
    r = call_checked(jobs, COUNT_OF(jobs));
    for (size_t i = 0; i < COUNT_OF(jobs); i++)
        assert_int_equal(at(r, 5 * i), want[i]);
    freeReplyObject(r);
    enroll(US);
    assert_int_equal(claim_number(US), 1);
    assert_int_equal(claim_number(US), 2);
    assert_int_equal(claim_number(US), -1);
    assert_int_equal(ask_number("ZCARD mr:{q}:delayed"), 1);
}

/* --- caps ------------------------------------------------------------------------------------- */

static void a_cap_on_jobs_counts_all_that_wait_and_only_that(void **state)
{
    static const struct checked jobs[] = {{.number = 1, .caps = true},
                                          {.number = 2, .due = "9999999999000"},
                                          {.number = 3},
                                          {.number = 4}};
    redisReply *r;

    (void)state;
    enroll(US);
    freeReplyObject(EVAL(QUEUE_CAPS, NULL, SLICE_LIT("cap_jobs"), SLICE_LIT("3")));
    r = call_checked(jobs, COUNT_OF(jobs));
    assert_int_equal(at(r, 10), TAKEN);
    assert_int_equal(at(r, 15), FULL);
    assert_true(slice_is(bytes_at(r, 16), "jobs"));
    assert_true(at(r, 17) == 3 && at(r, 18) == 3 && at(r, 19) == 3);
    freeReplyObject(r);
    assert_int_equal(CHECKED(NULL, .number = 4), TAKEN); /* who does not ask is not refused */
    assert_int_equal(claim_number(US), 1);
    assert_int_equal(CHECKED(NULL, .number = 5, .caps = true), FULL);
    assert_int_equal(claim_number(US), 3);
    assert_int_equal(CHECKED(NULL, .number = 5, .caps = true), TAKEN);
    assert_int_equal(settle(US, 1, 1, "retry", "0"), 0); /* goes back above the cap */
    assert_int_equal(settle(US, 3, 1, "release", "0"), 0);
    assert_int_equal(ready("normal"), 4);
    freeReplyObject(EVAL(QUEUE_CAPS, NULL, SLICE_LIT("cap_jobs"), SLICE_LIT("")));
    assert_int_equal(CHECKED(NULL, .number = 6, .caps = true), TAKEN);
}

static void a_cap_on_bytes_measures_memory(void **state)
{
    unsigned n = 0;

    (void)state;
    freeReplyObject(EVAL(QUEUE_CAPS, NULL, SLICE_LIT("cap_bytes"), SLICE_LIT("100000")));
    while (n < 100 && CHECKED(NULL, .number = n, .caps = true, .size = 2000) == TAKEN)
        n++;
    assert_in_range(n, 35, 50);
    RUN("DEL mr:{q}:ready:normal");
    assert_int_equal(CHECKED(NULL, .number = n, .caps = true, .size = 2000), TAKEN);
    assert_int_equal(CHECKED(NULL, .number = n, .caps = true, .size = 110000), FULL);
}

static void a_cap_on_age_looks_at_the_oldest_ready_job(void **state)
{
    (void)state;
    enroll(US);
    freeReplyObject(EVAL(QUEUE_CAPS, NULL, SLICE_LIT("cap_age_ms"), SLICE_LIT("60000")));
    assert_int_equal(CHECKED(NULL, .number = 1, .caps = true), TAKEN);
    assert_int_equal(CHECKED(NULL, .number = 2, .caps = true), TAKEN);
    RUN("DEL mr:{q}:state"); /* as if pushed bare: the time in the id counts, 2018 */
    assert_int_equal(CHECKED(NULL, .number = 3, .caps = true), FULL);
    assert_int_equal(claim_number(US), 1);
    assert_int_equal(CHECKED(NULL, .number = 3, .caps = true), FULL);
    assert_int_equal(claim_number(US), 2);
    assert_int_equal(CHECKED(NULL, .number = 3, .caps = true), TAKEN);
}

/* --- once ------------------------------------------------------------------------------------- */

static void what_was_said_once_is_said_again_whatever_became_of_the_job(void **state)
{
    unsigned who = 0;

    (void)state;
    enroll(US);
    assert_int_equal(CHECKED(NULL, .number = 1, .once = "60000", .match = "m"), TAKEN);
    assert_int_equal(CHECKED(NULL, .number = 1, .once = "60000", .match = "m"), TAKEN + AGAIN);
    assert_int_equal(CHECKED(NULL, .number = 1, .once = "60000", .match = "n"), OTHER);
    claim_and_settle(1, "done");
    assert_int_equal(CHECKED(&who, .number = 1, .once = "60000", .match = "m"), TAKEN + AGAIN);
    assert_int_equal(who, 1);
    assert_int_equal(claim_number(US), -1);
    assert_int_equal(counter("enqueued"), 1);
    assert_true(ask_number("PTTL mr:{q}:once:%b", id_of(1).bytes, (size_t)UUID_LEN) > 1000);
}

static void a_refusal_is_not_remembered_and_a_kept_one_is(void **state)
{
    unsigned who = 0;

    (void)state;
    enroll(US);
    assert_int_equal(CHECKED(NULL, .number = 1, .unique = "k"), TAKEN);
    assert_int_equal(CHECKED(NULL, .number = 2, .unique = "k", .once = "60000"), HELD);
    assert_int_equal(
        CHECKED(NULL, .number = 3, .unique = "k", .policy = "keep", .once = "60000"), KEPT);
    claim_and_settle(1, "done");
    assert_int_equal(
        CHECKED(&who, .number = 3, .unique = "k", .policy = "keep", .once = "60000"),
        KEPT + AGAIN);
    assert_int_equal(who, 1);
    assert_int_equal(CHECKED(NULL, .number = 2, .unique = "k", .once = "60000"), TAKEN);
}

static void a_live_id_is_left_alone_if_asked_for(void **state)
{
    (void)state;
    assert_int_equal(CHECKED(NULL, .number = 1, .known = true, .unique = "k"), TAKEN);
    assert_int_equal(CHECKED(NULL, .number = 1, .known = true, .unique = "k"), TAKEN + AGAIN);
    assert_int_equal(ready("normal"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_key_is_held_until_its_job_is_done, flush),
        cmocka_unit_test_setup(a_window_outlasts_its_job_and_ends_by_itself, flush),
        cmocka_unit_test_setup(a_scheduled_holder_is_replaced_under_its_own_id, flush),
        cmocka_unit_test_setup(a_job_that_waits_for_its_retry_is_not_replaced, flush),
        cmocka_unit_test_setup(a_holder_that_is_gone_holds_nothing, flush),
        cmocka_unit_test_setup(one_call_sees_its_own_jobs, flush),
        cmocka_unit_test_setup(a_cap_on_jobs_counts_all_that_wait_and_only_that, flush),
        cmocka_unit_test_setup(a_cap_on_bytes_measures_memory, flush),
        cmocka_unit_test_setup(a_cap_on_age_looks_at_the_oldest_ready_job, flush),
        cmocka_unit_test_setup(what_was_said_once_is_said_again_whatever_became_of_the_job,
                               flush),
        cmocka_unit_test_setup(a_refusal_is_not_remembered_and_a_kept_one_is, flush),
        cmocka_unit_test_setup(a_live_id_is_left_alone_if_asked_for, flush),
    };

    return cmocka_run_group_tests(tests, start_server, stop_server);
}
